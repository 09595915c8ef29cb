"""`parley hours`: when does a business answer people? Its business hours, for how long people wait in `analytics`."""

from __future__ import annotations

from itertools import groupby
from typing import Annotated, Any, Final

import typer

from services.cli import show
from services.cli.database import in_database
from services.cli.problem import USAGE, CommandError
from services.common.domain import business_hours
from services.common.domain.business_hours import BusinessHoursError, Opening
from services.common.platform.registry import Connection
from services.common.platform.statements import queries

app = typer.Typer(no_args_is_help=True, help="Business hours, for how long people wait for an answer.")

_SQL: Final = queries("services.cli")
Number = Annotated[str | None, typer.Option("--number", help="Meta's id of a number: its own, before those of its tenant.")]
Tenant = Annotated[str | None, typer.Option("--tenant", help="For all numbers of a tenant: see parley tenant list.")]


@app.command("set")
def set_hours(
    hours: Annotated[list[str], typer.Argument(help="As mon-fri=09:00-12:00,13:00-18:00 sat=10:00-13:00.")],
    zone: Annotated[str, typer.Option(help="The clock they are meant by: Europe/Berlin.")],
    number: Number = None,
    tenant: Tenant = None,
) -> None:
    """Give a number or a tenant these hours and no others. They count for what was written before, too."""
    whose = _whose(number, tenant)
    try:
        openings = business_hours.parse(hours)
    except BusinessHoursError as problem:
        raise CommandError(str(problem), exit_code=USAGE) from None

    async def keep(connection: Connection) -> None:
        if await _one(connection, "zone_is_known", time_zone=zone) != (True,):
            raise CommandError(f"Postgres knows no time zone {zone}.", hint="Names are as Europe/Berlin.", exit_code=USAGE)
        if await _one(connection, "keep_calendar", **whose, time_zone=zone) is None:
            raise CommandError(f"There is no {whose['scope']} {whose['scope_id']}.", exit_code=USAGE)
        await connection.execute(_SQL["clear_hours"], whose)
        columns = dict(zip(Opening._fields, map(list, zip(*openings, strict=True)), strict=True))
        await connection.execute(_SQL["keep_hours"], {**whose, **columns})

    in_database(keep)
    show.line(f"{whose['scope']} {whose['scope_id']}: {business_hours.in_words(openings)} ({zone}).")


@app.command()
def clear(number: Number = None, tenant: Tenant = None) -> None:
    """Take the hours of a number or a tenant away."""
    whose = _whose(number, tenant)

    async def forget(connection: Connection) -> bool:
        return await _one(connection, "clear_calendar", **whose) is not None

    if not in_database(forget):
        raise CommandError(f"{whose['scope']} {whose['scope_id']} has no business hours.", exit_code=USAGE)
    show.line(f"{whose['scope']} {whose['scope_id']}: no business hours.")


@app.command("list")
def list_all(as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False) -> None:
    """Show the hours of numbers and tenants."""

    async def listed(connection: Connection) -> list[tuple[Any, ...]]:
        return await (await connection.execute(_SQL["business_hours"])).fetchall()

    known = groupby(in_database(listed), key=lambda row: row[:3])
    rows = [(*whose, business_hours.in_words(Opening(*row[3:]) for row in openings)) for whose, openings in known]
    if as_json:
        for row in rows:
            show.as_json(dict(zip(("scope", "scope_id", "time_zone", "hours"), row, strict=True)))
    else:
        show.table([("SCOPE", "ID", "TIME ZONE", "HOURS"), *rows])


def _whose(number: str | None, tenant: str | None) -> dict[str, str]:
    if (number is None) == (tenant is None):
        raise CommandError("Whose hours: one of --number and --tenant is needed.", exit_code=USAGE)
    return {"scope": "tenant", "scope_id": tenant} if tenant is not None else {"scope": "number", "scope_id": number or ""}


async def _one(connection: Connection, statement: str, **parameters: str) -> tuple[Any, ...] | None:
    return await (await connection.execute(_SQL[statement], parameters)).fetchone()
