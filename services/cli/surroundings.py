"""Against which stack does a command work? That of the PARLEY_* variables, else that of `.parley/stack.env` in this directory."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from pathlib import Path

from services.cli.problem import CONFIGURATION, NO_STACK, CommandError
from services.common.platform.secret_file import FILE, SecretFileError, secret
from services.sandbox import stack_env

ADDRESSES = ("PARLEY_KAFKA_BOOTSTRAP_SERVERS", "PARLEY_POSTGRES_DSN", "PARLEY_SIMULATOR_URL")


def state_dir() -> Path:
    """Where `up` keeps its stack."""
    return Path.cwd() / stack_env.STATE_FOLDER


def adopt_local_stack(environ: MutableMapping[str, str] = os.environ, folder: Path | None = None) -> bool:
    """Take the variables of the stack in this directory, unless an address is set already: two stacks are never mixed."""
    path = (folder or state_dir()) / stack_env.FILE_NAME
    if any(environ.get(name) or environ.get(name + FILE) for name in ADDRESSES) or not path.is_file():
        return False
    for name, value in stack_env.read(path).items():
        if not environ.get(name + FILE):
            environ.setdefault(name, value)
    return True


def need(name: str, environ: MutableMapping[str, str] = os.environ) -> str:
    """A variable that the command cannot do without; CommandError with exit code 78 when it is missing."""
    value = environ.get(name, "").strip()
    if not value:
        raise CommandError(f"{name} is not set.", hint=NO_STACK, exit_code=CONFIGURATION)
    return value


def secret_of(name: str, environ: MutableMapping[str, str] = os.environ) -> str | None:
    """The variable, or what the file says that `<name>_FILE` names; None for neither, and for blanks."""
    try:
        return (secret(name, environ) or "").strip() or None
    except SecretFileError as problem:
        raise CommandError(f"{name}{FILE}: {problem}.", exit_code=CONFIGURATION) from None


def need_secret(name: str, environ: MutableMapping[str, str] = os.environ) -> str:
    """As `need`, for what may also stand in the file that `<name>_FILE` names."""
    return secret_of(name, environ) or need(name, environ)


def operator_dsn() -> str:
    return need_secret("PARLEY_POSTGRES_DSN")


def simulator_url() -> str:
    return need("PARLEY_SIMULATOR_URL")
