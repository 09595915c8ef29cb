"""How does a database get its tables? Plain SQL files in `deploy/postgres/migrations`, in order, each once, by yoyo.

Their names say when: `NNNN_words.pre.sql` may be applied while old code runs, `NNNN_words.post.sql` waits until none does any
more (docs/migrations.md). The first ones, older than this rule, have no phase in their names and count as pre.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

import psycopg
import yoyo
from psycopg.conninfo import conninfo_to_dict, make_conninfo

FOLDER: Final = Path(__file__).resolve().parents[3] / "deploy" / "postgres" / "migrations"
OTHERS_MS: Final = 600_000
"""How long one waits for another that migrates the same database."""
LOCK_MS: Final = 10_000
"""How long a statement of a migration waits for a lock: whatever uses the table waits behind it."""

_POST: Final = ".post"


class Phase(StrEnum):
    """Which migrations: those before the new code is rolled out, those after the old code is gone, or all in order."""

    PRE = "pre"
    POST = "post"
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Migrated:
    """Names of files, without `.sql`, in order."""

    applied: tuple[str, ...]
    waiting: tuple[str, ...]
    """What the database still lacks: only ever post, as the phase wanted it."""


class PrePendingError(Exception):
    """Post migrations were asked for, and pre ones are missing: new code cannot have been rolled out."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(names)
        super().__init__(f"pre migrations are not applied yet: {', '.join(self.names)}")


def phase_of(name: str) -> Phase:
    """That of a file's name, with or without `.sql`."""
    return Phase.POST if name.removesuffix(".sql").endswith(_POST) else Phase.PRE


def migrate(dsn: str, *, phase: Phase = Phase.ALL, folder: Path = FOLDER) -> Migrated:
    """Apply what is missing of a phase. Several at once are safe: the others wait up to ten minutes for the one that works.

    Each file and the note that it is applied are one transaction, unless the file says `-- transactional: false`: one that fails
    leaves nothing of itself behind, those before it stay, and its error is raised. A lock that cannot be had within ten seconds
    is such a failure (psycopg.errors.LockNotAvailable). PrePendingError, and nothing is applied, when the phase is post and a pre
    migration is missing.
    """
    with _alone(dsn), _backend(dsn) as backend:
        missing = sorted(backend.to_apply(yoyo.read_migrations(str(folder))), key=lambda one: str(one.id))
        wanted = [one for one in missing if phase in (Phase.ALL, phase_of(one.id))]
        if phase is Phase.POST and (early := [one.id for one in missing if one not in wanted]):
            raise PrePendingError(early)
        for one in wanted:
            _apply(backend, one)
    return Migrated(applied=_names(wanted), waiting=_names(one for one in missing if one not in wanted))


def _names(migrations: Iterable[Any]) -> tuple[str, ...]:
    return tuple(one.id for one in migrations)


@contextmanager
def _alone(dsn: str) -> Iterator[None]:
    """Nobody else migrates this database meanwhile. The lock goes with its connection, so that none is left by whoever dies."""
    with psycopg.connect(_told(dsn, OTHERS_MS), autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(hashtextextended('parley.migrations', 0))")
        yield


@contextmanager
def _backend(dsn: str) -> Iterator[Any]:
    backend = yoyo.get_backend(_url(_told(dsn, LOCK_MS)))
    try:
        backend.break_lock()  # yoyo's own, a row, outlives whoever is killed; here everybody is alone already
        yield backend
    finally:
        backend.connection.close()


def _apply(backend: Any, migration: Any) -> None:
    """yoyo notes that a migration is applied in a transaction after the migration's own, and may die between the two."""
    with backend.copy() as session:
        if migration.use_transactions:
            with session.transaction():
                _note(session, migration)  # first: a migration may set a search_path, in which the tables of notes are not found
                migration.process_steps(session, "apply")
        else:
            migration.process_steps(session, "apply")
            with backend.transaction():
                _note(backend, migration)


def _note(session: Any, migration: Any) -> None:
    session.log_migration(migration, "apply")
    session.mark_one(migration, log=False)


def _told(dsn: str, lock_ms: int) -> str:
    options = conninfo_to_dict(dsn).get("options", "")
    return make_conninfo(dsn, options=f"{options} -c lock_timeout={lock_ms}".strip())


def _url(dsn: str) -> str:
    """yoyo wants a URL that names the driver in its scheme; what follows are parameters of the connection, by their names."""
    parts = {key: str(value) for key, value in conninfo_to_dict(dsn).items() if value is not None}
    return f"postgresql+psycopg:///?{urlencode(parts, quote_via=quote)}"
