"""How do services and analysts log in to the sandbox's Postgres? Each as its own role, with a password where one is asked for."""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import unquote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

from services.sandbox.postgres_dsn import with_role

PROJECTOR, SENDER, ANALYTICS = "parley_projector", "parley_sender", "parley_analytics"


def role_dsns(operator_dsn: str) -> dict[str, str]:
    """A working DSN for each role of the migrations. A server that asks for passwords gets them set by the operator."""
    roles = (PROJECTOR, SENDER, ANALYTICS)
    return {role: _working_dsn(operator_dsn, role) for role in roles}


def _working_dsn(operator_dsn: str, role: str) -> str:
    trusted = with_role(operator_dsn, role)
    try:
        psycopg.connect(trusted, connect_timeout=5).close()
    except psycopg.OperationalError:
        password = role_password(operator_dsn, role)
        _set_password(operator_dsn, role, password)
        return with_password(trusted, password)
    return trusted


def role_password(operator_dsn: str, role: str) -> str:
    """Derived from the operator's, hence the same for every stack on one server: roles belong to servers, not to databases."""
    own = unquote(urlsplit(operator_dsn).password or "")
    return hmac.new(own.encode(), role.encode(), hashlib.sha256).hexdigest()


def with_password(dsn: str, password: str) -> str:
    """The same DSN with a password that needs no quoting."""
    parts = urlsplit(dsn)
    login, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{login}:{password}@{host}"))


def without_password(dsn: str) -> str:
    """For people's eyes."""
    parts = urlsplit(dsn)
    login, at, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{login.partition(':')[0]}{at}{host}"))


def _set_password(operator_dsn: str, role: str, password: str) -> None:
    statement = sql.SQL("alter role {} password {}").format(sql.Identifier(role), sql.Literal(password))
    with psycopg.connect(operator_dsn, autocommit=True) as connection:
        connection.execute(statement)
