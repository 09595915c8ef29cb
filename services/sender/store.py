"""Which statements does the sender run? The only place of it that talks to Postgres; every method is one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import psycopg

from services.common.domain.account_state import Key
from services.common.domain.consent import ConsentCategory, ConsentState
from services.common.domain.ids import record_key
from services.common.domain.lane_shares import Order
from services.common.domain.lanes import LANES
from services.common.domain.pair_limit import PairPolicy
from services.common.domain.reasons import Reason
from services.common.domain.records import SendOutcome
from services.common.domain.resending import BY_OPERATOR, Lost
from services.common.domain.send_policy import UNDELIVERABLE_IN_A_ROW, Facts
from services.common.platform import postgres
from services.common.platform.avro import Codec
from services.common.platform.faults import fault
from services.common.platform.statements import queries
from services.sender import options
from services.sender.commands import TakenIn
from services.sender.content.json import parsed
from services.sender.findings import Evidence, Finding
from services.sender.knowledge import Candidate, Knowledge, Wanted, wanted
from services.sender.media import facts as media_facts
from services.sender.media import ledger
from services.sender.media.facts import Want
from services.sender.media.references import HOLDERS
from services.sender.outcomes import Attempt
from services.sender.pacer import Past, RefusedPair, Start
from services.sender.template_store import find_definitions, hold_room, take_room

SQL: Final = queries("services.sender")
_BATCH: Final = 500
_LOOKED_AT: Final = 30
"""Due commands of a lane that one pick looks at, and some more for each that is wanted: most wait for nobody."""
_EXPIRED: Final = 20
"""Commands that expired, beside those that are to be sent: a backlog that expires at once must not stop the number."""
_NO_CODE: Final = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is kept of a command that came again."""

    fingerprint: bytes
    outcome: SendOutcome | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An outcome or another event in the outbox, as bytes."""

    seq: int
    topic: str
    key: bytes
    value: bytes
    event_id: str
    occurred_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Park:
    """A command that is looked at again in so many seconds.

    `reason`: why it waits, where its producer may want to know. `is_for_read_models` and `is_for_list`: what it waits for is to
    be brought up to date. `wants`: the media that it waits for. `is_stopped`: a stop of its number or account holds it,
    and releases it when it is over.
    """

    attempt: Attempt
    seconds: float
    reason: Reason | None = None
    is_for_read_models: bool = False
    is_for_list: bool = False
    wants: Sequence[Want] = ()
    is_stopped: bool = False

    @property
    def held_by(self) -> str | None:
        """The reason, of what a stop holds."""
        return str(self.reason) if self.is_stopped and self.reason is not None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """How many commands are wanted, and how the lanes share them. Not `sending`: only what expired."""

    limit: int
    sending: bool
    orders: Sequence[Order]
    pairs: PairPolicy

    def values(self) -> dict[str, Any]:
        """The parameters of `pick` that say so."""
        return {
            "limit": self.limit,
            "looked_at": 2 * self.limit + _LOOKED_AT,
            "expired": _EXPIRED,
            "sending": self.sending,
            "burst": self.pairs.burst,
            "pair_seconds": self.pairs.interval_seconds,
            "lane": [LANES.index(order.lane) for order in self.orders],
            "urgent": [order.urgent for order in self.orders],
            "place": [order.offset for order in self.orders],
            "step": [order.step for order in self.orders],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What the gate made of candidates. The kind of the outcome is the state of those given up. `wanted`: stops to be tried."""

    start: Sequence[Attempt]
    give_up: Sequence[tuple[Attempt, SendOutcome]]
    park: Sequence[Park]
    defer: Sequence[tuple[Attempt, SendOutcome]] = ()
    wanted: frozenset[Key] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """An attempt that Meta has, and what the log is told: `duplicate` when another attempt of its command was accepted before."""

    attempt: Attempt
    evidence: Evidence
    wamid: str | None
    accepted: SendOutcome
    duplicate: SendOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A command that an operator wants sent again."""

    resend_id: int
    attempt: Attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An accepted message that Meta did not deliver after all."""

    attempt: Attempt
    wamid: str
    error_code: int | None


@dataclass(frozen=True, slots=True)
class Looked:
    """A look at failures: how many, when the last of them was written, the clock of these instants, and the table's own id."""

    count: int
    last: datetime | None
    now: datetime
    relation: int

    @property
    def is_full(self) -> bool:
        """True when there may be more."""
        return self.count == _BATCH


class OwnerLost(Exception):  # noqa: N818 - what happened to us
    """Another process has taken the shard over: nothing of it may be started here."""


class Store:
    """Statements by purpose. Errors pass through; callers wrap in `postgres.retrying`."""

    def __init__(self, pool: postgres.Pool, codec: Codec) -> None:
        self._pool, self._codec = pool, codec
        self._positions: dict[tuple[str, int], int] = {}
        """As last read. They only grow, so facts that are read later know at least as much."""

    async def take_in(self, commands: Sequence[TakenIn]) -> set[str]:
        """Make rows; returns the ids that are new, in whatever period they might stand.

        The locks come with a statement of their own: the next one then sees what their last holders committed.
        """
        messages = [taken.message for taken in commands]
        command_ids = [message.command_id for message in messages]
        values = {
            "command_id": command_ids,
            "shard": [taken.shard for taken in commands],
            "fingerprint": [taken.fingerprint for taken in commands],
            "phone_number_id": [message.phone_number_id for message in messages],
            "lane": [LANES.index(taken.lane) for taken in commands],
            "policy": [message.policy for message in messages],
            "type": [message.type for message in messages],
            "content": [message.content for message in messages],
            "to_number": [message.to for message in messages],
            "bsuid": [message.recipient for message in messages],
            "pair": [taken.pair for taken in commands],
            "context_wamid": [message.context_wamid for message in messages],
            "appended_at": [taken.appended_at for taken in commands],
            "expires_at": [taken.expires_at for taken in commands],
            "send_at": [taken.send_at for taken in commands],
            "not_before": [taken.not_before for taken in commands],
            "options": [options.dumped(taken.options) for taken in commands],
        }
        async with self._pool.connection() as connection, connection.transaction():
            await _execute(connection, "lock_ids", command_id=command_ids)
            rows = await (await _execute(connection, "take_in", **values)).fetchall()
        return {row[0] for row in rows}

    async def known(self, command_ids: Iterable[str]) -> dict[str, Known]:
        """What is kept of these commands."""
        rows = await self._rows("known", command_id=list(command_ids))
        return {row[0]: Known(fingerprint=bytes(row[1]), outcome=self._decoded(row[2])) for row in rows}

    async def tell(self, outcomes: Sequence[tuple[int, SendOutcome]]) -> None:
        """Put outcomes, each of a shard, into the outbox."""
        await self._run("tell", shard=[shard for shard, _ in outcomes], **self._boxed([outcome for _, outcome in outcomes]))

    async def untold(self, shards: Sequence[int]) -> list[Told]:
        """The oldest of what the log does not have yet."""
        rows = await self._rows("untold", shards=list(shards), limit=_BATCH)
        return [
            Told(seq=row[0], topic=row[1], key=bytes(row[2]), value=bytes(row[3]), event_id=row[4], occurred_at=row[5])
            for row in rows
        ]

    async def told(self, seqs: Sequence[int]) -> None:
        """The log has them."""
        await self._run("told", seq=list(seqs))

    async def take_over(self, shards: Sequence[int], instance: str) -> dict[int, int]:
        """Become the owner; shard -> epoch."""
        return dict(await self._rows("take_over", shards=sorted(shards), instance=instance))

    async def orphans(self, shards: Sequence[int], started_seconds: float) -> list[Attempt]:
        """Attempts without an outcome of earlier owners, or started longer ago than that; at most a batch."""
        rows = await self._rows("orphans", shards=list(shards), started_seconds=started_seconds, limit=_BATCH)
        return [_attempt(row) for row in rows]

    async def past(self, shards: Sequence[int], seconds: float) -> dict[tuple[str, int], Past]:
        """(number, shard) -> what was started in the last seconds, and whom Meta refused."""
        starts: dict[tuple[str, int], list[Start]] = {}
        for number, shard, age, over, recipient in await self._rows("recent_starts", shards=list(shards), seconds=seconds):
            starts.setdefault((number, shard), []).append(Start(age_seconds=age, over_seconds=over, recipient=recipient))
        refused: dict[tuple[str, int], list[RefusedPair]] = {}
        for number, shard, recipient, left, refusals in await self._rows("refused_pairs", shards=list(shards)):
            one = RefusedPair(recipient=recipient, seconds=left, refusals=refusals)
            refused.setdefault((number, shard), []).append(one)
        return {place: Past(starts=starts.get(place, ()), refused=refused.get(place, ())) for place in {*starts, *refused}}

    async def backlog(self, shards: Sequence[int]) -> dict[tuple[str, int], int]:
        """(number, shard) -> how many commands wait, of every number with something to do."""
        return {(row[0], row[1]): row[2] for row in await self._rows("backlog", shards=list(shards))}

    async def start(
        self,
        phone_number_id: str,
        shard: int,
        epoch: int,
        *,
        pick: Pick,
        judge: Callable[[Sequence[Candidate], Knowledge], Batch],
    ) -> Batch:
        """Pick, judge and record in one transaction; OwnerLost when the epoch has moved, and then nothing is recorded."""
        target = {"phone_number_id": phone_number_id, "shard": shard, "epoch": epoch}
        async with self._pool.connection() as connection, connection.transaction():
            values = {**target, **pick.values(), "undeliverable": UNDELIVERABLE_IN_A_ROW}
            rows = await (await _execute(connection, "pick", **values)).fetchall()
            if not rows:
                raise OwnerLost(f"shard {shard}")
            candidates = [_candidate(row, shard) for row in rows if row[0] is not None]
            known = await self._known(connection, phone_number_id, wanted(candidates))
            batch = judge(await self._with_media(connection, phone_number_id, candidates), known)
            fault("sender.after_gate")
            if batch.start:
                before = {one.attempt.command_id: one.attempt for one in candidates}
                await _execute(connection, "start", **target, **_started(batch.start, before))
            await take_room(connection, phone_number_id, known.room)
            if batch.give_up:
                given_up = {
                    **_places([attempt for attempt, _ in batch.give_up]),
                    "state": [outcome.kind for _, outcome in batch.give_up],
                    "reason": [outcome.reason for _, outcome in batch.give_up],
                    **self._boxed([outcome for _, outcome in batch.give_up]),
                }
                await _execute(connection, "give_up", shard=shard, **given_up)
                await _execute(connection, "release", **_places([attempt for attempt, _ in batch.give_up]))
            if batch.park:
                parked = {
                    **_places([one.attempt for one in batch.park]),
                    "seconds": [one.seconds for one in batch.park],
                    "reason": [one.reason for one in batch.park],
                    "held_by": [one.held_by for one in batch.park],
                }
                await _execute(connection, "park", **parked)
            if any(one.is_stopped for one in batch.park):
                await _execute(connection, "release", **_places([one.attempt for one in batch.park if one.is_stopped]))
            if batch.defer:
                await _execute(connection, "defer", **self._deferred(batch.defer))
            if batch.start:
                fault("sender.before_started")
        return batch

    async def _known(self, connection: postgres.Connection, phone_number_id: str, wants: Wanted) -> Knowledge:
        """Read what the gate wants, as it is in this transaction.

        Positions are those of an earlier look, for the candidates' facts were read before this: what the read models took in
        between the two would count as known and not be there.
        """
        if not (wants.templates or wants.topics or wants.people):
            return Knowledge()
        definitions, list_polled_at, is_list_unread = await find_definitions(connection, phone_number_id, wants.templates)
        positions = dict(self._positions)
        if wants.topics:
            rows = await (await _execute(connection, "positions", topics=list(wants.topics))).fetchall()
            self._positions |= {(row[0], row[1]): row[2] for row in rows}
        room = await hold_room(connection, phone_number_id, wants.people)
        return Knowledge(
            templates=definitions, list_polled_at=list_polled_at, is_list_unread=is_list_unread, positions=positions, room=room
        )

    async def _with_media(
        self, connection: postgres.Connection, phone_number_id: str, candidates: Sequence[Candidate]
    ) -> Sequence[Candidate]:
        """What is known of the media that these name; nothing is asked where none does."""
        contents = [content for one in candidates for content in _contents(one)]
        known = await ledger.facts_of(connection, phone_number_id, contents)
        return candidates if known is media_facts.NONE else [replace(one, media=known) for one in candidates]

    async def next_due(self, phone_number_id: str, shard: int) -> float | None:
        """Seconds until the next parked command; None without any."""
        rows = await self._rows("next_due", phone_number_id=phone_number_id, shard=shard)
        seconds: float | None = rows[0][0]
        return seconds

    async def kept_back(
        self, phone_number_id: str, shard: int, reason: Reason, *, after: tuple[int, int], limit: int
    ) -> tuple[list[Attempt], tuple[int, int] | None]:
        """Of the next commands of a number those whose producers do not know this reason, and after which the next look begins.

        They stand by their end and seq. None: that was the last of them.
        """
        expires_at, seq = after
        place = {"phone_number_id": phone_number_id, "shard": shard, "expires_at": expires_at, "seq": seq}
        rows = await self._rows("kept_back", **place, reason=str(reason), limit=limit)
        last = (rows[-1][16], rows[-1][14]) if len(rows) == limit else None
        return [_attempt(row) for row in rows if row[15]], last

    async def defer(self, waiting: Sequence[tuple[Attempt, SendOutcome]]) -> int:
        """Tell why they wait; how many were not told so before."""
        return len(await self._rows("defer", **self._deferred(waiting)))

    async def record(self, findings: Sequence[Finding]) -> set[str]:
        """Write findings and their outcomes; returns the commands that were changed by it."""
        found = {
            **_places([finding.attempt for finding in findings]),
            "attempt_no": [finding.attempt.attempt_no for finding in findings],
            "outcome": [finding.attempt_outcome for finding in findings],
            "state": [finding.command_state for finding in findings],
            "reason": [finding.reason for finding in findings],
            "error_code": [finding.error_code for finding in findings],
            "trace_id": [finding.trace_id for finding in findings],
            "wamid": [finding.wamid for finding in findings],
            "seconds": [finding.wait_seconds for finding in findings],
            "possible_duplicate": [finding.possible_duplicate for finding in findings],
            "deferral": [finding.deferral for finding in findings],
            **self._boxed([finding.outcome for finding in findings]),
        }
        async with self._pool.connection() as connection, connection.transaction():
            rows = await (await _execute(connection, "record", **found)).fetchall()
            changed = {row[0] for row in rows}
            done = [finding.attempt for finding in findings if finding.attempt.command_id in changed]
            await _execute(connection, "release", **_places(done))
        return changed

    async def begun(self, attempts: Sequence[Attempt], epoch: int) -> set[str]:
        """Of which commands the attempt stands as begun under this epoch, and nobody has told what came of it."""
        numbers = [attempt.attempt_no for attempt in attempts]
        rows = await self._rows("begun", **_places(attempts), attempt_no=numbers, epoch=epoch)
        return {row[0] for row in rows}

    async def ended(self, attempts: Sequence[Attempt]) -> set[str]:
        """Which of these have an outcome already."""
        rows = await self._rows("ended", **_places(attempts), attempt_no=[attempt.attempt_no for attempt in attempts])
        return {row[0] for row in rows}

    async def evidence(self, shards: Sequence[int], outcomes: Sequence[str]) -> list[tuple[Attempt, Evidence]]:
        """Attempts, thought of as one of these, whose status webhook has come; at most a batch."""
        return _proved(await self._rows("evidence", shards=list(shards), outcomes=list(outcomes), limit=_BATCH))

    async def contradictions(self, shards: Sequence[int], seconds: float) -> list[tuple[Attempt, Evidence]]:
        """Attempts of the last `seconds` that were taken for not accepted and that a status webhook proves; at most a batch."""
        return _proved(await self._rows("contradictions", shards=list(shards), seconds=seconds, limit=_BATCH))

    async def settle(self, given: Sequence[Settled]) -> dict[tuple[str, int], tuple[bool, bool]]:
        """Meta has them, and codes that said otherwise lose their trust. Nothing is done while another attempt is under way.

        (command, attempt) of those settled by it -> whether another attempt of the command was accepted before, and whether the
        log is told of this one.
        """
        contradictions = [one.evidence if one.evidence.is_contradiction else None for one in given]
        boxed = self._boxed([one.accepted for one in given])
        duplicates = self._boxed([one.duplicate for one in given])
        rows = await self._rows(
            "settle",
            **_places([one.attempt for one in given]),
            attempt_no=[one.attempt.attempt_no for one in given],
            attempt_id=[one.attempt.attempt_id for one in given],
            wamid=[one.wamid for one in given],
            error_code=[None if found is None else found.error_code for found in contradictions],
            **boxed,
            duplicate_value=duplicates["value"],
            duplicate_event_id=duplicates["event_id"],
        )
        return {(row[0], row[1]): (row[2], row[3]) for row in rows}

    async def distrusted(self) -> frozenset[int]:
        """Codes that are no proof of a refusal."""
        return frozenset(row[0] for row in await self._rows("distrusted"))

    async def overdue(self, shards: Sequence[int]) -> list[tuple[Attempt, Lost]]:
        """Attempts without an answer whose time for evidence is over."""
        rows = await self._rows("overdue", shards=list(shards), limit=_BATCH)
        return [(_attempt(row), _lost(row)) for row in rows]

    async def asked(self, shards: Sequence[int]) -> list[Asked]:
        """What operators want sent again."""
        rows = await self._rows("asked", shards=list(shards), limit=_BATCH)
        return [Asked(resend_id=row[14], attempt=_attempt(row)) for row in rows]

    async def resend(self, asked: Sequence[tuple[Asked, SendOutcome]]) -> set[str]:
        """Let them be tried again, unless they went on by themselves; the events that the log is told."""
        rows = await self._rows(
            "resend",
            resend_id=[one.resend_id for one, _ in asked],
            **_places([one.attempt for one, _ in asked]),
            possible_duplicate=[one.attempt.possible_duplicate for one, _ in asked],
            states=list(BY_OPERATOR),
            **self._boxed([outcome for _, outcome in asked]),
        )
        return {row[0] for row in rows}

    async def failures_read_to(self, shards: Sequence[int]) -> datetime | None:
        """Up to when failures were looked through for every one of these shards; None when for one of them never."""
        [(read_to, count)] = await self._rows("read_to", shards=list(shards))
        found: datetime | None = read_to
        return found if count == len(shards) else None

    async def keep_read_to(self, shards: Sequence[int], read_to: datetime, relation: int) -> None:
        """Remember it for the next owner: of this table."""
        await self._run("keep_read_to", shards=list(shards), read_to=read_to, relation=relation)

    async def find_failures(self, shards: Sequence[int], read_to: datetime) -> Looked:
        """Note the failures of our attempts among the next ones that were written; at most a batch is looked at."""
        return Looked(*(await self._rows("find_failures", shards=list(shards), read_to=read_to, limit=_BATCH))[0])

    async def untold_failures(self, shards: Sequence[int]) -> list[Failure]:
        """Failures of accepted attempts that the log was not told of."""
        rows = await self._rows("untold_failures", shards=list(shards), limit=_BATCH)
        return [
            Failure(attempt=_attempt(row), wamid=row[14], error_code=None if row[15] == _NO_CODE else row[15]) for row in rows
        ]

    async def tell_failures(self, told: Sequence[tuple[Failure, SendOutcome]]) -> set[str]:
        """Tell the log of them; the events it was not told before."""
        rows = await self._rows(
            "tell_failures",
            **_places([failure.attempt for failure, _ in told]),
            error_code=[_NO_CODE if failure.error_code is None else failure.error_code for failure, _ in told],
            **self._boxed([outcome for _, outcome in told]),
        )
        return {row[0] for row in rows}

    async def keep_periods(self) -> tuple[int, int]:
        """Make room for what comes and drop what is old; how many periods were made and dropped."""
        [(added, dropped)] = await self._rows("keep_periods")
        return added, dropped

    async def room_until(self) -> int:
        """When the last period that was made ends, in seconds of Unix time."""
        [(until,)] = await self._rows("room_until")
        return int(until)

    async def open_states(self, shards: Sequence[int]) -> dict[str, int]:
        """How many attempts are without an answer, by state."""
        return dict(await self._rows("open", shards=list(shards)))

    async def positions(self, topics: Sequence[str]) -> dict[tuple[str, int], int]:
        """(topic, partition) -> next offset the read models will take in."""
        return {(row[0], row[1]): row[2] for row in await self._rows("positions", topics=list(topics))}

    async def _rows(self, name: str, **values: Any) -> list[tuple[Any, ...]]:
        async with self._pool.connection() as connection:
            return await (await _execute(connection, name, **values)).fetchall()

    async def _run(self, name: str, **values: Any) -> None:
        async with self._pool.connection() as connection:
            await _execute(connection, name, **values)

    def _deferred(self, waiting: Sequence[tuple[Attempt, SendOutcome]]) -> dict[str, list[Any]]:
        reasons = [outcome.reason for _, outcome in waiting]
        return {**_places([attempt for attempt, _ in waiting]), "reason": reasons, **self._boxed([told for _, told in waiting])}

    def _boxed(self, outcomes: Sequence[SendOutcome | None]) -> dict[str, list[Any]]:
        return {
            "key": [None if o is None else record_key(o.phone_number_id, o.contact or o.group_id).encode() for o in outcomes],
            "value": [None if o is None else self._codec.encode(o) for o in outcomes],
            "event_id": [None if o is None else o.event_id for o in outcomes],
            "occurred_at": [None if o is None else o.occurred_at for o in outcomes],
        }

    def _decoded(self, value: bytes | None) -> SendOutcome | None:
        record = None if value is None else self._codec.decode(bytes(value))
        return record if isinstance(record, SendOutcome) else None


async def _execute(connection: postgres.Connection, name: str, **values: Any) -> psycopg.AsyncCursor[tuple[Any, ...]]:
    """Run a statement; lists are its arrays."""
    sent = {key: postgres.array(value) if isinstance(value, list) else value for key, value in values.items()}
    return await connection.execute(SQL[name], sent, binary=True)


def _contents(candidate: Candidate) -> Iterator[tuple[str, object]]:
    """What a command may send that can have media in it: type and content."""
    if candidate.attempt.message_type in HOLDERS:
        yield candidate.attempt.message_type, candidate.content
    if candidate.has_fallback:
        yield "template", candidate.fallback


def _places(attempts: Sequence[Attempt]) -> dict[str, list[Any]]:
    return {"command_id": [attempt.command_id for attempt in attempts], "period": [attempt.period for attempt in attempts]}


def _started(attempts: Sequence[Attempt], before: Mapping[str, Attempt]) -> dict[str, list[Any]]:
    """A command that goes as its fallback template is that template from now on."""
    turned = [attempt.message_type != before[attempt.command_id].message_type for attempt in attempts]
    return {
        "type": [attempt.message_type if is_turned else None for attempt, is_turned in zip(attempts, turned, strict=True)],
        "content": [attempt.content if is_turned else None for attempt, is_turned in zip(attempts, turned, strict=True)],
        **_places(attempts),
        "attempt_no": [attempt.attempt_no for attempt in attempts],
        "attempt_id": [attempt.attempt_id for attempt in attempts],
    }


def _attempt(row: Sequence[Any]) -> Attempt:
    return Attempt(
        command_id=row[0],
        attempt_no=row[1],
        attempt_id=row[2],
        phone_number_id=row[3],
        lane=row[4],
        message_type=row[5],
        content=row[6],
        to=row[7],
        bsuid=row[8],
        shard=row[9],
        options=options.loaded(row[10]),
        period=row[11],
        possible_duplicate=row[12],
        deferred=frozenset(row[13]),
    )


def _proved(rows: Sequence[Sequence[Any]]) -> list[tuple[Attempt, Evidence]]:
    return [(_attempt(row), Evidence(wamid=row[14], outcome=row[15], error_code=row[16])) for row in rows]


def _lost(row: Sequence[Any]) -> Lost:
    return Lost(
        policy=row[14],
        lane=LANES[row[4]],
        opted_in=frozenset(row[17]),
        reason=row[15],
        is_possible_duplicate=row[12],
        expires_at=row[16],
    )


def _candidate(row: Sequence[Any], shard: int) -> Candidate:
    """`attempt.attempt_no` is the number of attempts made so far; the one that starts it counts up."""
    told = options.loaded(row[13])
    return Candidate(
        attempt=Attempt(
            command_id=row[0],
            attempt_no=row[1],
            attempt_id=None,
            phone_number_id=row[2],
            lane=row[3],
            message_type=row[4],
            content=row[5],
            to=row[6],
            bsuid=row[7],
            shard=shard,
            options=told,
            period=row[28],
            possible_duplicate=row[29],
            deferred=frozenset(row[30]),
        ),
        content=parsed(row[5]),
        fallback=None if told.fallback_template is None else parsed(told.fallback_template),
        context_wamid=row[8],
        policy=row[9],
        appended_at=row[10],
        received_at=row[11],
        expires_at=row[12],
        send_at=row[27],
        picked_at=row[32],
        facts=Facts(
            number_state=row[14],
            display_phone_number=row[15],
            last_inbound_at=row[16],
            consent_all=ConsentState(granted_at=row[17], withdrawn_at=row[18]),
            consents={
                ConsentCategory.AUTHENTICATION: ConsentState(granted_at=row[19], withdrawn_at=row[20]),
                ConsentCategory.UTILITY: ConsentState(granted_at=row[21], withdrawn_at=row[22]),
                ConsentCategory.MARKETING: ConsentState(granted_at=row[23], withdrawn_at=row[24]),
            },
            is_caught_up=False,
            is_undeliverable=row[25],
            is_context_foreign=row[26] is not None and row[26] != row[2],
            tenant_id=row[31],
        ),
    )
