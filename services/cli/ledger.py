"""What does the sender's ledger say of commands? Reads only, and never the recipient or the content."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from psycopg import IsolationLevel

from services.cli.overview import LOOKED_AT_AGAIN, Count, Listed, State, shown_type
from services.cli.story import Attempt, Command, Resend, Status, Story, Untold, outcome_ids
from services.common.domain.lanes import LANES
from services.common.domain.resending import BY_OPERATOR
from services.common.platform.registry import Connection
from services.common.platform.statements import queries

SQL: Final = queries("services.cli")


async def as_of_one_moment(connection: Connection) -> int:
    """What is read after this is of one moment, so that no two answers contradict each other; that moment."""
    await connection.set_read_only(True)
    await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
    [(moment,)] = await _rows(connection, "moment")
    now: int = moment
    return now


async def counts(connection: Connection, number: str | None) -> list[Count]:
    """By state and lane, of one number or of all."""
    return [
        Count(state=State(state), lane=LANES[lane], count=count)
        for state, lane, count in await _rows(connection, "counts", number=number)
    ]


async def listed(connection: Connection, state: State, number: str | None, limit: int) -> list[Listed]:
    """Those that are looked at next first; without a next look the newest first."""
    name = "soonest" if state in LOOKED_AT_AGAIN else "newest"
    return [
        Listed(
            command_id=row[0],
            phone_number_id=row[1],
            lane=LANES[row[2]],
            type=shown_type(row[3]),
            state=state,
            reason=row[4],
            error_code=row[5],
            attempts=row[6],
            appended_at=row[7],
            next_look_at=row[8],
        )
        for row in await _rows(connection, name, state=str(state), number=number, limit=limit)
    ]


class Stop(NamedTuple):
    """Something that Meta does not let a number send, by itself or with its account. Instants are milliseconds."""

    cause: str
    covers: str
    area: str | None
    is_of_account: bool
    reason: str
    error_code: int | None
    source: str
    since_at: int
    until_at: int | None
    next_probe_at: int | None


async def stops(connection: Connection) -> dict[str, list[Stop]]:
    """By number, those that hold now; the oldest first."""
    found: dict[str, list[Stop]] = {}
    for number, *stop in await _rows(connection, "number_stops"):
        found.setdefault(number, []).append(Stop(*stop))
    return found


async def story(connection: Connection, command_id: str) -> Story | None:
    """All that is known of a command; None when no command has this id."""
    found = await _rows(connection, "command", command_id=command_id)
    if not found:
        return None
    command = _command(command_id, found[0])
    attempts = tuple(_attempt(row) for row in await _rows(connection, "attempts", command_id=command_id))
    wamids = {wamid for wamid in (command.wamid, *(one.wamid for one in attempts)) if wamid is not None}
    statuses = await _rows(
        connection,
        "statuses",
        phone_number_id=command.phone_number_id,
        attempt_id=[one.attempt_id for one in attempts],
        wamid=list(wamids),
    )
    resends = await _rows(connection, "resends", command_id=command_id)
    possible = outcome_ids(command_id, command.attempts)
    untold = await _rows(connection, "untold", event_id=list(possible))
    return Story(
        command=command,
        attempts=attempts,
        statuses=tuple(_status(row) for row in statuses),
        outbox=tuple(Untold(attempt_no=possible[row[0]][0], kind=possible[row[0]][1], occurred_at=row[1]) for row in untold),
        resends=tuple(Resend(asked_at=row[0], asked_by=row[1], why=row[2], is_sent=row[3]) for row in resends),
    )


async def ask_resend(connection: Connection, command_id: str, *, asked_by: str, why: str) -> int | None:
    """Let the sender try it again; the number of the request, None when the command is in no state for it. The caller commits."""
    found = await _rows(connection, "ask_resend", command_id=command_id, asked_by=asked_by, why=why, states=list(BY_OPERATOR))
    return found[0][0] if found else None


async def resend_done(connection: Connection, resend_id: int) -> bool | None:
    """None while the sender has not come to it; then whether the command is sent again."""
    [(is_done, is_sent)] = await _rows(connection, "resend_done", resend_id=resend_id)
    return bool(is_sent) if is_done else None


async def _rows(connection: Connection, name: str, **values: Any) -> list[tuple[Any, ...]]:
    return await (await connection.execute(SQL[name], values)).fetchall()


def _command(command_id: str, row: tuple[Any, ...]) -> Command:
    return Command(
        command_id=command_id,
        phone_number_id=row[0],
        lane=LANES[row[1]],
        type=shown_type(row[2]),
        state=State(row[3]),
        reason=row[4],
        error_code=row[5],
        wamid=row[6],
        attempts=row[7],
        has_outcome=row[8],
        policy=row[9],
        possible_duplicate=row[10],
        is_duplicate=row[11],
        appended_at=row[12],
        received_at=row[13],
        expires_at=row[14],
        next_action_at=row[15],
        updated_at=row[16],
        paused_until_at=row[17],
        earlier=row[18],
    )


def _attempt(row: tuple[Any, ...]) -> Attempt:
    return Attempt(
        attempt_no=row[0],
        attempt_id=row[1],
        started_at=row[2],
        finished_at=row[3],
        outcome=row[4],
        reason=row[5],
        error_code=row[6],
        wamid=row[7],
        trace_id=row[8],
    )


def _status(row: tuple[Any, ...]) -> Status:
    return Status(
        status=row[0],
        type=row[1],
        wamid=row[2],
        attempt_id=row[3],
        error_code=row[4],
        occurred_at=row[5],
        recorded_at=row[6],
    )
