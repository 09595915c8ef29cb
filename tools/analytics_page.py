"""`python -m tools.analytics_page`: what do the named questions answer? Writes `docs/analytics.md`, after a demo.

The demo takes a minute and a half. Its traffic is the same each time, its instants are not: a test holds the questions and
statements of the page against the code, and never its answers.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import psycopg

from services.cli.named_queries import NamedQuery
from services.cli.sql import CATALOGUE
from services.sandbox.postgres_native import NativePostgres
from services.sandbox.roles import ANALYTICS, role_dsns
from tools.contract import ROOT

PATH: Final = "docs/analytics.md"
ROWS: Final = 4
"""Of each answer as many are shown."""
_DIGEST: Final = 64
_SHOWN: Final = 8
_SEED: Final = 20
_SECONDS: Final = 60
_RATES: Final = """\
country,category,valid_from,price,currency
DE,marketing,2025-07-01,0.1131,EUR
DE,utility,2025-07-01,0.0456,EUR
BR,marketing,2025-07-01,0.0500,EUR
"""
"""Made up. Other countries and categories are left out, to show how that is told."""

_HEAD: Final = """\
<!-- Written by `python -m tools.analytics_page` from services/cli/analytics.sql and a demo. Edit that. -->
# Questions that can be asked by name

`parley sql` lists them, `parley sql NAME` asks one, `-p NAME=VALUE` narrows it, `--format table|json|csv` says how it is
answered. Each is a statement over the views of schema `analytics` ([what they hold](entities.md)), asked as the role
`parley_analytics`: it reads these views and nothing else, changes nothing, and none of its statements takes longer than its
`statement_timeout`. People are keys that nobody can count back to a number.

A range of a message's `occurred_at`, of `opened_at` or `started_at` reads the rows of that range and little else; one of a
status' `occurred_at` those of its months. A range of another time of messages, or of the days and hours of the `agg_…` views,
reads all there ever was, as does no range.

How fresh an answer is: `parley sql freshness`. Instants are UTC. Those of statuses are Meta's, in whole seconds.

Below, each question with its statement and the first rows of its answer after a minute of the demo's made-up traffic, in
which Meta and the services have accidents, with a made-up rate card of three lines and business hours all day. Keys are cut
to eight characters here.
"""


class Answer(NamedTuple):
    """The columns, the first rows, and whether there are more."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    has_more: bool


def text(answers: Mapping[str, Answer]) -> str:
    """The page."""
    return "\n".join([_HEAD, *_contents(), *(line for query in CATALOGUE for line in _section(query, answers[query.name]))])


def _contents() -> Iterable[str]:
    for query in CATALOGUE:
        yield f"- [{query.name}](#{query.name}): {query.question}"
    yield ""


def _section(query: NamedQuery, answer: Answer) -> Iterable[str]:
    yield from heading(query)
    if answer.rows:
        yield _line(answer.columns)
        yield _line("---" for _ in answer.columns)
        yield from (_line(map(_cell, row)) for row in answer.rows)
        yield ""
    yield "… and more." if answer.has_more else "That is all of it." if answer.rows else "No row."
    yield ""


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def heading(query: NamedQuery) -> Iterable[str]:
    """What the page says of a question without its answer."""
    yield f"## {query.name}"
    yield ""
    yield query.question
    yield ""
    for one in query.parameters:
        yield f"- `-p {one.name}={one.default}` {one.meaning}"
    if query.parameters:
        yield ""
    yield "```sql"
    yield "\n".join(line for line in query.statement.splitlines() if not line.startswith("-- "))
    yield "```"
    yield ""


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(sep=" ", timespec="seconds").removesuffix("+00:00")
    shown = str(value).replace("|", "\\|")
    return f"{shown[:_SHOWN]}…" if len(shown) == _DIGEST else shown


def _parley(*arguments: str, **env: str) -> None:
    subprocess.run([sys.executable, "-m", "services.cli", *arguments], cwd=ROOT, env=env, check=True, timeout=600)


def _answers(dsn: str) -> dict[str, Answer]:
    found = {}
    with psycopg.connect(role_dsns(dsn)[ANALYTICS], autocommit=True) as connection:
        for query in CATALOGUE:
            cursor = connection.execute(query.statement, query.values({}))
            rows = cursor.fetchmany(ROWS + 1)
            columns = [column.name for column in cursor.description or ()]
            found[query.name] = Answer(columns, rows[:ROWS], len(rows) > ROWS)
    return found


def main() -> int:
    """0 when the page is written."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")}
    with tempfile.TemporaryDirectory(prefix="parley-page-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        demo = ("demo", "--plain", "--seed", str(_SEED), "--seconds", str(_SECONDS), "--keep", str(folder / "demo"))
        _parley(*demo, **env, PARLEY_SANDBOX_POSTGRES="native")
        server = NativePostgres(folder / "demo" / "postgres")
        server.start()
        try:
            (folder / "rates.csv").write_text(_RATES, "utf-8")
            asked = {**env, "PARLEY_POSTGRES_DSN": server.dsn}
            _parley("rates", "load", str(folder / "rates.csv"), **asked)
            _parley("hours", "set", "mon-sun=00:00-24:00", "--zone", "UTC", "--tenant", "default", **asked)
            (ROOT / PATH).write_text(text(_answers(server.dsn)), "utf-8")
        finally:
            server.stop()
    print(f"wrote {PATH}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
