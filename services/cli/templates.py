"""`parley template`: which templates does Meta list for our accounts, in what state, and with which parameters?"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Annotated, Any, Final

import aiohttp
import orjson
import psycopg
import typer
from psycopg_pool import PoolTimeout

from services.cli import show
from services.cli.database import in_database
from services.cli.numbers import token_box
from services.cli.problem import CommandError
from services.cli.surroundings import operator_dsn
from services.common.platform import postgres
from services.common.platform.registry import Connection, list_numbers
from services.common.platform.tokens import TokenUnreadable
from services.sender.content import definition
from services.sender.template_list import ListUnread, TemplateList
from services.sender.template_poller import TemplatePoller
from services.sender.template_store import KnownTemplate, TemplateStore, known_templates

app = typer.Typer(no_args_is_help=True, help="Message templates, as Meta lists them and tells of them.")
Waba = Annotated[str | None, typer.Option("--waba", help="Only of this WhatsApp Business account.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
_HEAD: Final = ("NAME", "LANGUAGE", "CATEGORY", "STATUS", "PARAMETERS", "ACCOUNT")
_GRAPH: Final = "https://graph.facebook.com"
_VERSION: Final = "v25.0"
_EVERY_SECONDS: Final = 600.0


@app.command("list")
def list_all(
    waba: Waba = None,
    status: Annotated[str | None, typer.Option(help="Only in this state: APPROVED, PAUSED, REJECTED …")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what the gate knows of templates: category and state as told last, parameters as listed last."""
    found = [one for one in _known(waba) if status is None or _state(one) == status.upper()]
    if as_json:
        for one in found:
            show.as_json(_public(one))
    elif found:
        show.table([_HEAD, *(tuple(str(value or "-") for value in _row(one)) for one in found)])
    else:
        show.aside("No template is known: parley template sync reads Meta's list.")


@app.command("show")
def show_one(
    name: Annotated[str, typer.Argument(help="Name of the template.")],
    language: Annotated[str | None, typer.Option(help="Only in this language.")] = None,
    waba: Waba = None,
    as_json: AsJson = False,
) -> None:
    """Show one template in each of its languages, with its components as Meta lists them."""
    found = [one for one in _known(waba, name) if language is None or one.name.language == language]
    if not found:
        raise CommandError("There is no such template.", hint="See: parley template list.")
    for place, one in enumerate(found):
        if as_json:
            show.as_json({**_public(one), "components": orjson.loads(one.definition.components)})
            continue
        if place:
            show.line()
        for title, value in _public(one).items():
            show.line(f"{title.replace('_', ' ')}: {'-' if value is None else value}")
        for component in orjson.loads(one.definition.components):
            show.line(f"  {orjson.dumps(component).decode()}")


@app.command()
def sync(waba: Waba = None) -> None:
    """Read Meta's list now, as the sender does every ten minutes. Exit code 1 when one account's list could not be read."""
    try:
        read = asyncio.run(_sync(waba))
    except (psycopg.OperationalError, PoolTimeout):
        raise CommandError("Postgres does not answer.", hint="Is the stack running? `make up` starts it.") from None
    except psycopg.errors.UndefinedTable:
        raise CommandError("The database has no tables yet.", hint="`parley migrate` makes them.") from None
    if not read:
        raise CommandError("No number is registered that has such an account.", hint="See: parley number list.")
    for waba_id, outcome in read.items():
        show.line(f"{waba_id}: {outcome}" if isinstance(outcome, str) else f"{waba_id}: {outcome} templates")
    if any(isinstance(outcome, str) for outcome in read.values()):
        raise typer.Exit(1)


async def _sync(waba: str | None) -> dict[str, int | str]:
    """Account -> how many templates, or why its list was not read."""
    tokens = token_box()
    pool = postgres.pool(operator_dsn(), service="cli", size=1)
    await pool.open(wait=True, timeout=5.0)
    try:
        accounts: dict[str, list[str]] = {}
        async with pool.connection() as connection:
            for number in await list_numbers(connection):
                if waba in (None, number.waba_id):
                    given = accounts.setdefault(number.waba_id, [])
                    try:
                        given.append(tokens.open(number.sealed_token, phone_number_id=number.phone_number_id))
                    except TokenUnreadable:
                        continue
        async with aiohttp.ClientSession(headers={"User-Agent": "parley"}) as session:
            poller = TemplatePoller(
                TemplateStore(pool),
                TemplateList(
                    session,
                    base_url=os.environ.get("PARLEY_GRAPH_URL", _GRAPH),
                    version=os.environ.get("PARLEY_GRAPH_VERSION", _VERSION),
                ),
                accounts=lambda: accounts,
                every_seconds=_EVERY_SECONDS,
                demand_seconds=_EVERY_SECONDS,
            )
            return {waba_id: await _read(poller, waba_id, given) for waba_id, given in accounts.items()}
    finally:
        await pool.close()


async def _read(poller: TemplatePoller, waba_id: str, tokens: list[str]) -> int | str:
    if not tokens:
        return "not read. No access token of its numbers opens with PARLEY_TOKEN_KEY."
    try:
        count = await poller.poll(waba_id, tokens)
    except ListUnread as unread:
        code = "" if unread.error_code is None else f" (error {unread.error_code})"
        return f"not read. {unread.told}{code}"
    return "not read. A sender is reading it at this moment." if count is None else count


def _known(waba: str | None, name: str | None = None) -> list[KnownTemplate]:
    async def read(connection: Connection) -> list[KnownTemplate]:
        return [one for one in await known_templates(connection, waba_id=waba, name=name) if one.current is not None]

    return in_database(read)


def _state(one: KnownTemplate) -> str | None:
    return None if one.current is None else one.current.status


def _row(one: KnownTemplate) -> tuple[str | None, ...]:
    public = _public(one)
    return (one.name.name, one.name.language, public["category"], public["status"], public["parameters"], one.waba_id)


def _public(one: KnownTemplate) -> Mapping[str, Any]:
    current, listed = one.current, one.definition.listed
    defined = definition.definition_of(one.definition.parameter_format, one.definition.components)
    return {
        "name": one.name.name,
        "language": one.name.language,
        "waba_id": one.waba_id,
        "template_id": one.template_id,
        "category": None if current is None or current.category is None else current.category.upper(),
        "status": _state(one),
        "quality_score": one.quality_score,
        "parameter_format": one.definition.parameter_format,
        "parameters": None if listed is None else definition.needs(defined) or "none",
        "listed_at": None if listed is None else show.instant(listed.polled_at),
    }
