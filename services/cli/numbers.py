"""`parley number`: from which business numbers may Parley send?"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Final

import psycopg
import typer

from services.cli import ledger, show
from services.cli.database import in_database
from services.cli.ledger import Stop
from services.cli.problem import CONFIGURATION, USAGE, CommandError
from services.cli.surroundings import need_secret, secret_of
from services.common.platform.registry import (
    COEXISTENCE_LIMIT,
    Connection,
    RegisteredNumber,
    add_number,
    limit_number,
    list_numbers,
    pause_number,
    renew_token,
)
from services.common.platform.tokens import TokenBox

_USUAL: Final = 80
_MOST: Final = 1000
_TOO_MUCH: Final = (
    f"Meta allows a number that is shared with the WhatsApp Business app {COEXISTENCE_LIMIT} messages a second, no more."
)

app = typer.Typer(no_args_is_help=True, help="Business numbers that Parley may send from.")


@app.command()
def add(
    phone_number_id: Annotated[str, typer.Argument(help="Meta's id of the number, not the number itself.")],
    waba_id: Annotated[str, typer.Option(envvar="PARLEY_WABA_ID", help="Its WhatsApp Business account.")],
    limit: Annotated[
        int | None, typer.Option(min=1, max=1000, help="Messages a second that Meta allows it: 80, or 20 with --coexistence.")
    ] = None,
    *,
    coexistence: Annotated[bool, typer.Option("--coexistence", help="It is shared with the WhatsApp Business app.")] = False,
    display: Annotated[str | None, typer.Option(help="How people read the number.")] = None,
    portfolio: Annotated[
        str | None, typer.Option(help="Business portfolio whose messaging limit it shares. Default: its account alone.")
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="Whose it is: see parley tenant list.")] = None,
    token_file: Annotated[Path | None, typer.Option(help="File with the access token; - reads it from stdin.")] = None,
) -> None:
    """Register a number, or change one. The token comes from --token-file, PARLEY_ACCESS_TOKEN or a question."""
    most = COEXISTENCE_LIMIT if coexistence else _MOST
    allowed = (COEXISTENCE_LIMIT if coexistence else _USUAL) if limit is None else limit
    if allowed > most:
        raise CommandError(_TOO_MUCH, exit_code=USAGE)
    tokens = token_box()
    token = _token(token_file)

    async def register(connection: Connection) -> None:
        await add_number(
            connection,
            tokens,
            phone_number_id=phone_number_id,
            waba_id=waba_id,
            access_token=token,
            display_phone_number=display,
            messages_per_second=allowed,
            is_coexistence=coexistence,
            portfolio_id=portfolio,
            tenant_id=tenant,
        )

    try:
        in_database(register)
    except psycopg.errors.ForeignKeyViolation:
        raise CommandError(f"There is no tenant {tenant}.", hint="parley tenant add --help") from None
    show.line(f"{phone_number_id} is registered: at most {allowed} messages a second.")


@app.command("list")
def list_all(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Show the registered numbers, and what Meta does not let them send: one line for each reason. Tokens are never shown."""

    async def read(connection: Connection) -> tuple[list[RegisteredNumber], dict[str, list[Stop]]]:
        return await list_numbers(connection), await ledger.stops(connection)

    numbers, stops = in_database(read)
    if as_json:
        for number in numbers:
            told = [stop._asdict() for stop in stops.get(number.phone_number_id, [])]
            show.as_json({**_public(number), "coexistence": number.is_coexistence, "stops": told})
    elif not numbers:
        show.aside("No number is registered: parley number add --help.")
    else:
        head = (
            *("PHONE NUMBER ID", "NUMBER", "ACCOUNT", "LIMIT/S", "STATE", "TENANT"),
            *("META STOPS", "WHY", "SINCE", "UNTIL", "NEXT PROBE"),
        )
        rows = [
            (*(str(value or "-") for value in _public(number).values()), *_shown(stop))
            for number in numbers
            for stop in stops.get(number.phone_number_id, [None])
        ]
        show.table([head, *rows])


@app.command("token")
def set_token(
    phone_number_id: Annotated[str, typer.Argument(help="Meta's id of the number.")],
    token_file: Annotated[Path | None, typer.Option(help="File with the access token; - reads it from stdin.")] = None,
) -> None:
    """Give a number another access token and change nothing else of it. It comes as that of `add`. Senders take it over within
    seconds; revoke the old one after that."""
    tokens, token = token_box(), _token(token_file)
    _change(phone_number_id, lambda connection: renew_token(connection, tokens, phone_number_id, token))
    show.line(f"{phone_number_id} has another access token. Senders use it within seconds; then the old one may be revoked.")


@app.command()
def pause(phone_number_id: Annotated[str, typer.Argument(help="Meta's id of the number.")]) -> None:
    """Send nothing from a number until it is resumed. Its commands are kept; those whose time ends meanwhile expire."""
    _change(phone_number_id, lambda connection: pause_number(connection, phone_number_id, paused=True))
    show.line(f"{phone_number_id} is paused: its commands wait. Resume it with: parley number resume {phone_number_id}")


@app.command()
def resume(phone_number_id: Annotated[str, typer.Argument(help="Meta's id of the number.")]) -> None:
    """Send again from a number that was paused."""
    _change(phone_number_id, lambda connection: pause_number(connection, phone_number_id, paused=False))
    show.line(f"{phone_number_id} sends again.")


@app.command("limit")
def set_limit(
    phone_number_id: Annotated[str, typer.Argument(help="Meta's id of the number.")],
    messages_per_second: Annotated[int, typer.Argument(min=1, max=1000, help="Messages a second that Meta allows it.")],
) -> None:
    """Change how many messages a second may go out. Senders take it over within seconds."""

    async def change(connection: Connection) -> bool:
        numbers = {number.phone_number_id: number for number in await list_numbers(connection)}
        number = numbers.get(phone_number_id)
        if number is not None and number.is_coexistence and messages_per_second > COEXISTENCE_LIMIT:
            raise CommandError(_TOO_MUCH, exit_code=USAGE)
        return await limit_number(connection, phone_number_id, messages_per_second)

    _change(phone_number_id, change)
    show.line(f"{phone_number_id}: at most {messages_per_second} messages a second.")


def _change(phone_number_id: str, work: Callable[[Connection], Awaitable[bool]]) -> None:
    if not in_database(work):
        raise CommandError(f"Number {phone_number_id} is not registered, or disabled.", hint="See: parley number list.")


def _shown(stop: Stop | None) -> tuple[str, ...]:
    """What is stopped, why, since when, until when, and when it is tried; dashes where nothing is."""
    if stop is None:
        return ("-",) * 5
    covers = stop.covers if stop.area is None else f"{stop.covers} {stop.area}"
    cause = "" if stop.cause == stop.reason else f" {stop.cause}"
    instants = (stop.since_at, stop.until_at, stop.next_probe_at)
    return (covers, f"{stop.reason}{cause}", *("-" if at is None else show.instant(at) for at in instants))


def _public(number: RegisteredNumber) -> dict[str, object]:
    return {
        "phone_number_id": number.phone_number_id,
        "display_phone_number": number.display_phone_number,
        "waba_id": number.waba_id,
        "messages_per_second": number.messages_per_second,
        "state": number.state,
        "tenant_id": number.tenant_id,
    }


def token_box() -> TokenBox:
    """What seals and opens access tokens here."""
    try:
        return TokenBox.from_base64(need_secret("PARLEY_TOKEN_KEY"))
    except ValueError as problem:
        raise CommandError(f"PARLEY_TOKEN_KEY: {problem}.", exit_code=CONFIGURATION) from None


def _token(token_file: Path | None) -> str:
    """Never from the command line, where every user of the machine can read it."""
    if token_file is not None:
        try:
            token = sys.stdin.read() if str(token_file) == "-" else token_file.read_text()
        except (OSError, UnicodeDecodeError) as problem:
            raise CommandError(f"The token file cannot be read ({type(problem).__name__}).", exit_code=USAGE) from None
    elif (given := secret_of("PARLEY_ACCESS_TOKEN")) is not None:
        token = given
    elif sys.stdin.isatty():
        token = typer.prompt("Access token", hide_input=True)
    else:
        raise CommandError("There is no access token.", hint="Give --token-file or set PARLEY_ACCESS_TOKEN.", exit_code=USAGE)
    if not token.strip():
        raise CommandError("The access token is empty.", exit_code=USAGE)
    return token.strip()
