"""`parley tenant`: whose are the numbers, and who accepts that a lost answer may become a second message?"""

from __future__ import annotations

from typing import Annotated

import typer

from services.cli import show
from services.cli.database import in_database
from services.cli.problem import USAGE, CommandError
from services.common.domain.lanes import Lane
from services.common.domain.resending import OPEN_TO_TENANTS
from services.common.platform.registry import Connection, keep_tenant, list_tenants

app = typer.Typer(no_args_is_help=True, help="Whose the business numbers are.")


@app.command()
def add(
    tenant_id: Annotated[str, typer.Argument(help="What commands say in tenant_id.")],
    name: Annotated[str | None, typer.Option(help="How people call it; its id when left out.")] = None,
    resend_once: Annotated[
        list[Lane] | None, typer.Option(help="A lane in which the policy resend_once counts; may be given twice.")
    ] = None,
) -> None:
    """Add a tenant, or change one: it has the lanes of --resend-once afterwards and no others."""
    if not tenant_id.strip():
        raise CommandError("The tenant's id is empty.", exit_code=USAGE)
    lanes = [lane for lane in OPEN_TO_TENANTS if lane in (resend_once or [])]
    if Lane.BULK in (resend_once or []):
        raise CommandError("Nothing in the lane bulk is ever sent twice.", exit_code=USAGE)

    async def keep(connection: Connection) -> None:
        await keep_tenant(connection, tenant_id, name=name or tenant_id, resend_once=lanes)

    in_database(keep)
    says = f"resend_once counts in {' and '.join(lanes)}" if lanes else "a lost answer is never sent again"
    show.line(f"{tenant_id}: {says}.")


@app.command("list")
def list_all(as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False) -> None:
    """Show the tenants, how many numbers each has, and where resend_once counts."""
    tenants = in_database(list_tenants)
    if as_json:
        for one in tenants:
            show.as_json(
                {"tenant_id": one.tenant_id, "name": one.name, "numbers": one.numbers, "resend_once": list(one.resend_once)}
            )
    else:
        cells = [(one.tenant_id, one.name, str(one.numbers), ", ".join(one.resend_once) or "-") for one in tenants]
        show.table([("TENANT", "NAME", "NUMBERS", "RESEND ONCE"), *cells])
