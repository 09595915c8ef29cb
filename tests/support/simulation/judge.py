"""Is every promise kept, now that all is at rest? Asked of the log, the tables and Meta's own books, never of a process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Final

from services.common.domain import topics
from services.common.domain.events import WebhookEvent
from services.common.domain.failure import Unprocessable
from services.common.domain.records import SendMessage, SendOutcome
from services.common.platform.avro import Codec
from services.common.platform.envelope import dead_letter_origin, header
from services.projector.fold import TABLES, Rows, fold
from services.router.reading import Position
from services.router.webhook import SetAside, split
from tests.support.read_models import events_of
from tests.support.simulation.ledger import ENDED, Command, Tables
from tests.support.simulation.log import Log
from tests.support.simulation.machine import World
from tests.support.simulation.meta import Arrival, Meta
from tests.support.simulation.plan import PAIR_SECONDS, PEOPLE, Kind
from tests.support.simulation.read_models import ReadModels
from tests.support.simulation.workers import Servers

_CODEC: Final = Codec()
_LATE_WRITES: Final = (Kind.PAUSE,)
"""A process that the machine stops between its last look at the clock and its write keeps no rate; see docs of the limiter."""


def judge(servers: Servers, published: Iterable[str]) -> Iterator[str]:
    """Every broken promise, in words. `published`: the ids of all commands."""
    yield from _routed(servers.log)
    yield from _projected(servers.log, servers.read_models)
    yield from _told_by_meta(servers.read_models.rows(), servers.meta)
    yield from _commands(servers.ledger, servers.meta, set(published))
    yield from _outcomes(servers.log, servers.ledger)
    yield from _pace(servers.world, servers.meta.arrivals)
    for command in servers.ledger.commands.values():
        servers.world.saw(f"command: {command.state}{' after doubt' if command.possible_duplicate else ''}")
        servers.world.saw(f"attempts: {min(len(command.attempts), 4)}")


def _routed(log: Log) -> Iterator[str]:
    """Each element of each webhook in the log is its event, under its id, or a dead letter; and nothing else is there."""
    wanted: dict[str, WebhookEvent] = {}
    dead: set[tuple[str, str]] = set()
    for record in log.of(topics.WEBHOOKS):
        place = f"{record.topic}/{record.partition}/{record.offset}"
        try:
            found = split(record.value or b"", Position(place, int(header(record, "parley-received-at") or b"0")))
        except Unprocessable as problem:
            dead.add((place, problem.pointer))
            continue
        for element in found:
            if isinstance(element, SetAside):
                dead.add((place, element.problem.pointer))
            else:
                wanted[element.event_id] = element
    routed = [_CODEC.decode(record.value or b"") for record in log.of(*topics.WEBHOOK_EVENTS)]
    there = {event.event_id: event for event in routed if isinstance(event, WebhookEvent)}
    if wanted.keys() - there.keys():
        yield "lost: an element of a webhook is no event"
    if there.keys() - wanted.keys():
        yield "phantom: an event of no webhook"
    if any(there[event_id] != event for event_id, event in wanted.items() if event_id in there):
        yield "distorted: an event is not what its webhook says"
    origins = [dead_letter_origin(record) for record in log.of(topics.ROUTER_DEAD_LETTERS)]
    if {(f"{one['topic']}/{one['partition']}/{one['offset']}", one["pointer"]) for one in origins} != dead:
        yield "lost: what is no event is no dead letter"
    published = [_CODEC.decode(record.value or b"") for record in log.of(topics.SEND_COMMANDS)]
    commands = {header(record, "ce_id") for name in topics.SENDER_SOURCES for record in log.of(name)}
    if len(commands) < len({one.command_id for one in published if isinstance(one, SendMessage)}):
        yield "lost: a command is in no lane"


def _projected(log: Log, read_models: ReadModels) -> Iterator[str]:
    """Each record is applied once, and the rows are those of the log, whatever the order."""
    records = log.of(*topics.PROJECTOR_SOURCES)
    wanted = {record[:3] for record in records}
    if wanted - read_models.applied.keys():
        yield "lost: a record was not projected"
    if read_models.applied.keys() - wanted:
        yield "phantom: a record was projected that is not there"
    if any(count > 1 for count in read_models.applied.values()):
        yield "doubled: a record was projected twice"
    if fold(events_of(reversed(records))) != read_models.rows():
        yield "order: the rows are not those of a replay"


def _told_by_meta(rows: Rows, meta: Meta) -> Iterator[str]:
    """What Meta got a 200 for is a row, and no other."""
    statuses = {(row["wamid"], row["status"]) for row in _named(rows, "message_statuses")}
    inbound = {row["wamid"] for row in _named(rows, "messages") if row["direction"] == "inbound"}
    if statuses < meta.told or inbound < meta.said:
        yield "lost: a webhook that was answered with 200 is no row"
    if not statuses <= meta.told or not inbound <= meta.said:
        yield "phantom: a row of no webhook"


def _commands(ledger: Tables, meta: Meta, published: set[str]) -> Iterator[str]:
    """Each command has ended as what Meta made of it; one that is held is accepted once."""
    if published - ledger.commands.keys():
        yield "lost: a command is no row"
    if ledger.commands.keys() - published:
        yield "phantom: a row of no command"
    for command in ledger.commands.values():
        yield from _command(command, meta)


def _command(command: Command, meta: Meta) -> Iterator[str]:
    taken = [one.attempt_id for one in command.attempts if one.attempt_id in meta.taken]
    lied = any(one in meta.lied_about for one in taken)
    if command.state not in ENDED:
        yield f"stuck: a command is {command.state}"
    if len(taken) > 1 and command.taken.message.policy == "hold" and not lied:
        yield "doubled: Meta accepted a command twice that is held"
    if len(taken) > 2 and not lied:
        yield "doubled: Meta accepted a command more than twice"
    if taken and command.state != "accepted":
        yield f"false failure: Meta has it, and it is told as {command.state}"
    if not taken and command.state == "accepted":
        yield "phantom: accepted, and Meta does not have it"
    if (len(taken) > 1) is not command.is_duplicate and command.state == "accepted":
        yield "untold: a second acceptance and its mark are not one"
    if command.wamid is not None and command.wamid not in meta.taken.values():
        yield "phantom: an id that Meta did not give"
    if taken and command.taken.message.to == f"+{PEOPLE[2]}":
        yield "gate: a message to somebody who never wrote"


def _outcomes(log: Log, ledger: Tables) -> Iterator[str]:
    """The log is told of each end, under an id that stands for one thing, and of nothing that is not."""
    told: dict[str, SendOutcome] = {}
    for record in log.of(topics.SEND_OUTCOMES):
        outcome = _CODEC.decode(record.value or b"")
        if not isinstance(outcome, SendOutcome):
            yield "phantom: something else among the outcomes"
            continue
        known = told.setdefault(outcome.event_id, outcome)
        if known.kind != outcome.kind or known.command_id != outcome.command_id:
            yield "distorted: two outcomes under one id"
    kinds: dict[str, Counter[str]] = {}
    for outcome in told.values():
        kinds.setdefault(outcome.command_id, Counter())[outcome.kind] += 1
    if kinds.keys() - ledger.commands.keys():
        yield "phantom: an outcome of no command"
    for command in ledger.commands.values():
        found = kinds.get(command.id, Counter())
        if command.state in ENDED and not found[command.state]:
            yield f"untold: a command is {command.state}, and the log is not told"
        if found["duplicate_confirmed"] != command.is_duplicate:
            yield "untold: a second acceptance and its event are not one"
    if any(not failure["told"] for failure in ledger.failures.values()):
        yield "untold: a late failure"


def _pace(world: World, arrivals: Sequence[Arrival]) -> Iterator[str]:
    """No sliding second above the limit, no pair faster than it may be."""
    if any(one.kind in _LATE_WRITES for one in world.plan.troubles):
        return
    numbers: dict[str, list[float]] = {}
    for one in arrivals:
        numbers.setdefault(one.number, []).append(one.at)
    for instants in numbers.values():
        instants.sort()
        limit = world.plan.limit
        if any(later - earlier < 1.0 - 1e-6 for earlier, later in zip(instants, instants[limit:], strict=False)):
            yield "pace: more in a second than the number may send"
        if len(instants) > limit:
            world.saw("pace: more to send than a second allows")
    pairs: dict[tuple[str, str], list[float]] = {}
    for one in arrivals:
        pairs.setdefault((one.number, one.person), []).append(one.at)
    for instants in pairs.values():
        if any(later - earlier < PAIR_SECONDS - 1e-6 for earlier, later in pairwise(sorted(instants))):
            yield "pace: a pair faster than it may be"
        if len(instants) > 1:
            world.saw("pace: a pair twice")


def _named(rows: Rows, name: str) -> Iterator[dict[str, Any]]:
    columns = next(table.columns for table in TABLES if table.name == name)
    for row in rows.get(name, ()):
        yield dict(zip(columns, row, strict=True))
