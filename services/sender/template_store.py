"""Which statements are about templates and messaging limits? Those of the gate run in its transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from services.common.domain import templates
from services.common.domain.messaging_limit import WINDOW_SECONDS, limit_of
from services.common.domain.templates import Current, Listed, Told
from services.common.platform import postgres
from services.common.platform.postgres import Connection
from services.common.platform.statements import queries
from services.sender.knowledge import Definition, Room, TemplateName
from services.sender.template_list import ListedTemplate

SQL: Final = queries("services.sender", "templates.sql")
_RECOUNT_SECONDS: Final = 10.0
"""How soon people who no longer count make room."""
_MOST_DOUBLINGS: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownTemplate:
    """A template as people are shown it."""

    waba_id: str
    name: TemplateName
    template_id: str
    definition: Definition
    current: Current | None
    quality_score: str | None


async def find_definitions(
    connection: Connection, phone_number_id: str, names: Collection[TemplateName]
) -> tuple[dict[TemplateName, Definition], int | None, bool]:
    """What is known of templates of the number's account, when its list was last read as a whole, whether that failed since."""
    if not names:
        return {}, None, False
    given = {"name": [one.name for one in names], "language": [one.language for one in names]}
    rows = await _rows(connection, "definitions", phone_number_id=phone_number_id, **given)
    found = {TemplateName(row[0], row[1]): _definition(row[2:13], is_elsewhere=row[13]) for row in rows}
    return found, rows[0][14], rows[0][15]


async def hold_room(connection: Connection, phone_number_id: str, people: Collection[str]) -> Room:
    """How many people may still be written to first, held for this transaction where there is a limit."""
    if not people:
        return Room()
    rows = await _rows(connection, "portfolio", phone_number_id=phone_number_id)
    limit = limit_of(rows[0][1]) if rows else None
    if limit is None:
        return Room()
    held = {"portfolio_id": rows[0][0], "messaging_limit": limit, "window_seconds": WINDOW_SECONDS}
    [(left, is_stale, seconds)] = await _rows(connection, "hold_portfolio", seconds=_RECOUNT_SECONDS, **held)
    if is_stale:
        await connection.execute(SQL["forget_recipients"], held)
        [(left, seconds)] = await _rows(connection, "count_room", **held)
    counted = await _rows(connection, "counted_recipients", recipient=list(people), **held)
    return Room(left=left, counted={row[0] for row in counted}, seconds=seconds or 0.0)


async def take_room(connection: Connection, phone_number_id: str, room: Room) -> None:
    """Those who were let in count from now on, where there is a limit to count for."""
    if not room.begun or room.left is None:
        return
    values = {"phone_number_id": phone_number_id, "recipient": list(room.begun)}
    await connection.execute(SQL["begin_recipients"], values)
    taken = sum(room.begun.values())
    if taken:
        await connection.execute(SQL["take_room"], {"phone_number_id": phone_number_id, "taken": taken})


class TemplateStore:
    """What the poller keeps; every method is one transaction."""

    def __init__(self, pool: postgres.Pool) -> None:
        self._pool = pool

    async def due(self, accounts: Mapping[str, bool], demand_seconds: float) -> list[str]:
        """Accounts whose list is to be read now; the value says that somebody waits for it."""
        values = {"waba_id": list(accounts), "wanted": list(accounts.values()), "demand_seconds": demand_seconds}
        async with self._pool.connection() as connection:
            return [row[0] for row in await _rows(connection, "due", **values)]

    async def lease(self, waba_id: str, seconds: float) -> int | None:
        """The right to read a list, for so long; None while somebody else has it."""
        async with self._pool.connection() as connection:
            rows = await _rows(connection, "lease", waba_id=waba_id, seconds=seconds)
        return rows[0][0] if rows else None

    async def keep(self, waba_id: str, lease: int, found: Sequence[ListedTemplate], *, next_seconds: float) -> bool:
        """These are the account's templates and no others; False when the lease was lost, and then nothing changes."""
        values = {"waba_id": waba_id, "lease": lease, "seconds": next_seconds}
        async with self._pool.connection() as connection, connection.transaction():
            over = await _rows(connection, "poll_is_over", **values)
            if not over:
                return False
            polled = {"waba_id": waba_id, "polled_at": over[0][0]}
            columns = {name: [getattr(one, name) for one in found] for name in ListedTemplate.__slots__}
            await connection.execute(SQL["keep_templates"], {**polled, **columns})
            await connection.execute(SQL["drop_templates"], polled)
        return True

    async def failed(self, waba_id: str, lease: int, error_code: int | None, *, next_seconds: float) -> None:
        """It could not be read: again in so many seconds, and twice as many each time it fails again."""
        values = {"waba_id": waba_id, "lease": lease, "error_code": error_code, "seconds": next_seconds}
        async with self._pool.connection() as connection:
            await connection.execute(SQL["poll_failed"], {**values, "most_doublings": _MOST_DOUBLINGS})


async def known_templates(connection: Connection, *, waba_id: str | None, name: str | None = None) -> list[KnownTemplate]:
    """What is known of templates, by name and language."""
    found = []
    for row in await _rows(connection, "overview", waba_id=waba_id, name=name):
        definition = _definition(row[3:14], is_elsewhere=False)
        found.append(
            KnownTemplate(
                waba_id=row[0],
                name=TemplateName(row[1], row[2]),
                template_id=row[15],
                definition=definition,
                current=templates.current(definition.listed, definition.told, list_polled_at=row[14]),
                quality_score=row[16],
            )
        )
    return found


def _definition(row: Sequence[Any], *, is_elsewhere: bool) -> Definition:
    """Of columns: status, category, polled_at, format, components of the list; four of events, their content, whether any."""
    listed = None if row[2] is None else Listed(status=row[0], category=row[1], polled_at=row[2])
    told = Told(status=row[5], status_at=row[6], category=row[7], category_at=row[8], components_at=row[9]) if row[10] else None
    return Definition(
        listed=listed,
        parameter_format=row[3],
        components=row[4] or "[]",
        told=told,
        is_in_other_language=is_elsewhere,
    )


async def _rows(connection: Connection, statement: str, **values: Any) -> list[tuple[Any, ...]]:
    return await (await connection.execute(SQL[statement], values)).fetchall()
