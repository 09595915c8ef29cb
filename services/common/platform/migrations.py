"""How does a database get its tables? Plain SQL files in `deploy/postgres/migrations`, in order, each once, by yoyo."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import quote

import yoyo
from psycopg.conninfo import conninfo_to_dict

FOLDER: Final = Path(__file__).resolve().parents[3] / "deploy" / "postgres" / "migrations"


def migrate(dsn: str, *, folder: Path = FOLDER) -> int:
    """Apply what is missing under yoyo's lock; returns how many files were applied. Safe to run by several at once."""
    backend = yoyo.get_backend(_url(dsn))
    try:
        migrations = yoyo.read_migrations(str(folder))
        with backend.lock():
            todo = backend.to_apply(migrations)
            backend.apply_migrations(todo)
        return len(todo)
    finally:
        backend.connection.close()


def _url(dsn: str) -> str:
    """yoyo wants a URL and names the driver in its scheme."""
    parts = {key: str(value) for key, value in conninfo_to_dict(dsn).items() if value is not None}
    user, password = parts.pop("user", ""), parts.pop("password", "")
    host, port, name = parts.pop("host", "127.0.0.1"), parts.pop("port", "5432"), parts.pop("dbname", "postgres")
    login = f"{_quoted(user)}{':' + _quoted(password) if password else ''}@" if user else ""
    return f"postgresql+psycopg://{login}{host}:{port}/{_quoted(name)}"


def _quoted(text: str) -> str:
    return quote(text, safe="")
