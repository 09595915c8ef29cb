"""`parley rates`: what does a message cost? Meta's rate card, loaded from a CSV file, for the costs in `analytics`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from services.cli import show
from services.cli.database import in_database
from services.cli.problem import USAGE, CommandError
from services.common.domain import rate_card
from services.common.domain.rate_card import Rate
from services.common.platform.registry import Connection
from services.common.platform.statements import queries

app = typer.Typer(no_args_is_help=True, help="What messages cost, by country, category and day.")

_SQL: Final = queries("services.cli")
_TOLD: Final = 20
"""Problems of a file that are shown; the rest are counted."""


@app.command()
def load(
    file: Annotated[Path, typer.Argument(help=f"A CSV file with the columns {','.join(rate_card.COLUMNS)}.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
) -> None:
    """Take over the rates of a file: all of them or, where a line is wrong, none. Rates it does not name stay."""
    rates = _read(file)

    async def keep(connection: Connection) -> tuple[int, int]:
        known = {one.key: one for one in await _listed(connection)}
        added = sum(one.key not in known for one in rates)
        changed = sum(one.key in known and known[one.key] != one for one in rates)
        if not dry_run:
            await connection.execute(_SQL["keep_rates"], _columns(rates))
        return added, changed

    added, changed = in_database(keep)
    same = len(rates) - added - changed
    show.line(f"{'Would be added' if dry_run else 'Added'}: {added}, changed: {changed}, as before: {same}.")


@app.command("list")
def list_all(
    country: Annotated[str | None, typer.Option(help="Two letters: only this country.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Show the rates that are loaded; prices as text, so that no digit is lost."""
    rates = [one for one in in_database(_listed) if country is None or one.country == country.upper()]
    if as_json:
        for one in rates:
            show.as_json({name: str(getattr(one, name)) for name in rate_card.COLUMNS})
    else:
        cells = [tuple(str(getattr(one, name)) for name in rate_card.COLUMNS) for one in rates]
        show.table([("COUNTRY", "CATEGORY", "VALID FROM", "PRICE", "CURRENCY"), *cells])


def _read(file: Path) -> tuple[Rate, ...]:
    try:
        return rate_card.parse(file.read_text(encoding="utf-8-sig"))
    except OSError as problem:
        raise CommandError(f"{file}: {problem.strerror}.", exit_code=USAGE) from None
    except UnicodeDecodeError:
        raise CommandError(f"{file}: not UTF-8.", hint="Save it as CSV UTF-8.", exit_code=USAGE) from None
    except rate_card.RateCardError as problem:
        for one in problem.problems[:_TOLD]:
            show.aside(f"{file}: {one}")
        more = len(problem.problems) - _TOLD
        also = f" {more} more are not shown." if more > 0 else ""
        raise CommandError(f"Nothing was loaded.{also}", exit_code=USAGE) from None


async def _listed(connection: Connection) -> list[Rate]:
    rows = await (await connection.execute(_SQL["rates"])).fetchall()
    return [Rate(**dict(zip(rate_card.COLUMNS, row, strict=True))) for row in rows]


def _columns(rates: tuple[Rate, ...]) -> dict[str, list[Any]]:
    return {name: [getattr(one, name) for one in rates] for name in rate_card.COLUMNS}
