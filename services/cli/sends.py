"""`parley sends`: how do the commands stand, and which are in a state?"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from services.cli import ledger, overview, show
from services.cli.database import in_database
from services.cli.overview import Count, Listed, State
from services.common.platform.registry import Connection


def sends(
    state: Annotated[State | None, typer.Option(help="List the commands in this state.")] = None,
    number: Annotated[str | None, typer.Option(help="Only of this phone number id.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many --state lists at most.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Count the commands by state and lane, or list those in a state. Neither recipients nor contents are shown.

    A list begins with what the sender looks at next (waiting, retry, unknown), else with the newest command.
    """
    is_empty = _count(number, as_json=as_json) if state is None else _list(state, number, limit, as_json=as_json)
    if is_empty:
        show.aside(overview.nothing(state, number))


def _count(number: str | None, *, as_json: bool) -> bool:
    async def read(connection: Connection) -> list[Count]:
        return await ledger.counts(connection, number)

    counts = in_database(read)
    if as_json:
        for one in overview.in_order(counts):
            show.as_json(asdict(one))
    elif counts:
        show.table([overview.COUNTS_HEAD, *overview.count_rows(counts)])
    return not counts


def _list(state: State, number: str | None, limit: int, *, as_json: bool) -> bool:
    async def read(connection: Connection) -> tuple[int, list[Listed]]:
        now = await ledger.as_of_one_moment(connection)
        return now, await ledger.listed(connection, state, number, limit)

    now, found = in_database(read)
    if as_json:
        for one in found:
            show.as_json(overview.as_object(one, now=now))
    elif found:
        show.table([overview.HEAD, *(overview.row(one, now=now) for one in found)])
    return not found
