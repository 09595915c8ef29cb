"""Was every promise kept? Two independent records of one run are compared; no counter of a service is believed.

One side is the world: what the simulated Meta saw and posted, and what our producers published. The other side is what the system
made of it: the log and Postgres. `judge` is pure; `ledger_reader.read` fills a `Ledger` from the real things.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import Final, NamedTuple

from services.common.domain import topics
from services.common.domain.consent import said
from services.common.domain.ids import attempt_id
from services.common.domain.reasons import Reason
from services.common.domain.records import SendOutcome
from services.sandbox.simulator.policy import worst_second
from services.sandbox.simulator.records import Arrival, WebhookView
from services.sandbox.webhook_elements import Element, Identity

MAX_ATTEMPTS: Final = 32
"""Attempt ids are derived here from the command ids, so that an attempt nobody recorded is recognised, too."""
PARKED: Final = frozenset({"unknown", "unresolved"})
TERMINAL: Final = frozenset({"accepted", "refused", "rejected", "expired"})
DENIED: Final = TERMINAL - {"accepted"}
"""What a command that Meta accepted must never be told as."""
OURS: Final = frozenset({"refused", "expired"})
"""Ended without Meta being asked: our gate said no, or there was no time left."""

MESSAGE_STATUSES: Final = ("sent", "delivered", "read", "played", "failed")
"""Words that move a message, in the order in which `Delivered` has their instants."""

Place = tuple[str, int, int]
"""Topic, partition, offset."""
Delivered = tuple[int | None, ...]
"""When each of MESSAGE_STATUSES was first true, in milliseconds by Meta's clock."""
Conversation = tuple[str, str]
"""Business number, and contact or group."""


class Kind(StrEnum):
    """How a promise can be broken."""

    DOUBLE_SEND = "double send"
    LOST = "lost"
    PHANTOM = "phantom"
    FALSE_FAIL = "false fail"
    FALSE_200 = "false 200"
    DOUBLE_EFFECT = "double effect"
    OVER_LIMIT = "over limit"
    AGAINST_POLICY = "against policy"
    UNFINISHED = "unfinished"
    REORDER = "reorder"


FIGURES: Final[Mapping[str, tuple[Kind, ...]]] = {
    "lost": (Kind.LOST, Kind.UNFINISHED),
    "phantom": (Kind.PHANTOM,),
    "dup_effect": (Kind.DOUBLE_EFFECT,),
    "dup_send": (Kind.DOUBLE_SEND,),
    "false_fail": (Kind.FALSE_FAIL,),
    "reorder": (Kind.REORDER,),
    "false_200": (Kind.FALSE_200,),
    "over_limit": (Kind.OVER_LIMIT,),
    "against_policy": (Kind.AGAINST_POLICY,),
}
"""The figures of a report, and the kinds of findings that each counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """A record that a producer appended to send-commands: where its acknowledged copies stand.

    `must_refuse`: the reason for which our own gate has to refuse it. `readable` is False for what is no command at all.
    `may_repeat` is True where its policy is to send once more after a lost answer: a second acceptance is then no broken promise.
    """

    command_id: str
    phone_number_id: str
    places: tuple[Place, ...]
    must_refuse: str | None = None
    readable: bool = True
    may_repeat: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedWebhook:
    """A record of the webhooks topic: where it stands, whose bytes it has, and what they say."""

    place: Place
    sha256: str
    elements: tuple[Element, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """Something set aside, by where it stood."""

    place: Place
    pointer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRow:
    """sender.send_commands."""

    state: str
    reason: str | None = None
    wamid: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SentRow:
    """An outbound row of projector.messages."""

    command_id: str | None
    is_accepted: bool


class Advance(NamedTuple):
    """One transaction moved a read model's position in one partition: it applied the records from `before` up to `after`."""

    topic: str
    partition: int
    before: int
    after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """Everything a verdict is made of."""

    limits: Mapping[str, int]
    published: Sequence[Publication] = ()
    consents: frozenset[str] = frozenset()
    """Ids of consent records that the brokers acknowledged."""
    arrivals: Sequence[Arrival] = ()
    webhooks: Sequence[WebhookView] = ()

    logged: Sequence[LoggedWebhook] = ()
    outcomes: Sequence[SendOutcome] = ()
    dead_letters: Sequence[DeadLetter] = ()
    """From the dead-letter topics."""

    rows: Mapping[Identity, int] = field(default_factory=dict)
    """Inbound messages, statuses and account events in Postgres: how many rows each content has."""
    sent_rows: Mapping[str, SentRow] = field(default_factory=dict)
    consent_rows: frozenset[str] = frozenset()
    command_rows: Mapping[str, CommandRow] = field(default_factory=dict)
    dead_letter_rows: frozenset[Place] = frozenset()
    outbox_rows: int = 0
    delivered: Mapping[str, Delivered] = field(default_factory=dict)
    """Of every row of projector.messages."""
    windows: Mapping[Conversation, int] = field(default_factory=dict)
    """When the contact last wrote, in milliseconds, for every row of projector.conversations that says so."""
    advances: Sequence[Advance] = ()
    """In their order. None where no witness was installed: then that no record was applied twice is seen by the rows alone."""
    begins: Mapping[tuple[str, int], int] = field(default_factory=dict)
    """The first offset that the log has in a partition; 0 where none is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One broken promise; `what` is an identifier, never a number or a text of a person."""

    kind: Kind
    what: str
    why: str
    weight: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """How often a promise was broken, of how many things that were looked at."""

    name: str
    found: int
    n: int

    def __str__(self) -> str:
        return f"{self.name} {self.found} of {self.n}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberVerdict:
    """One business number against its limit, by the arrival stamps of the other side."""

    phone_number_id: str
    limit: int
    arrivals: int
    accepted: int
    worst_second: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the run was worth."""

    events: int
    duplicates_absorbed: int
    commands: int
    accepted: int
    rejected: int
    refused: Mapping[str, int]
    surprises: int
    """Refused although no rule asked for it: read models that were more than the gate's patience behind."""
    dead_letters: int
    unresolved: int
    numbers: tuple[NumberVerdict, ...]
    findings: tuple[Finding, ...]
    checked: Mapping[str, int] = field(default_factory=dict)
    """By the names of FIGURES: how many things were looked at."""

    def count(self, kind: Kind) -> int:
        """How often a promise was broken in this way."""
        return sum(finding.weight for finding in self.findings if finding.kind is kind)

    @property
    def figures(self) -> tuple[Figure, ...]:
        """Every figure with its n, in the order of FIGURES."""
        return tuple(
            Figure(name=name, found=sum(self.count(kind) for kind in kinds), n=self.checked.get(name, 0))
            for name, kinds in FIGURES.items()
        )

    @property
    def is_clean(self) -> bool:
        """True when nothing was found."""
        return not self.findings

    @property
    def line(self) -> str:
        """The one honest line."""
        figures = {
            "events": self.events,
            "duplicates absorbed": self.duplicates_absorbed,
            "double sends": self.count(Kind.DOUBLE_SEND),
            "lost": self.count(Kind.LOST) + self.count(Kind.FALSE_200),
        }
        return " · ".join(f"{name} {grouped(figure)}" for name, figure in figures.items())


def grouped(figure: int) -> str:
    """A number in groups of three, kept apart by narrow spaces."""
    return f"{figure:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def judge(ledger: Ledger) -> Verdict:
    """Compare both sides; everything that is on one and ought to be on the other is a finding."""
    sends = _Sends(ledger)
    numbers = tuple(_numbers(ledger))
    replay = _Replay(ledger)
    findings = [
        *_unlogged(ledger),
        *_unprojected(ledger),
        *_invented_rows(ledger),
        *_consents(ledger),
        *_dead_letter_rows(ledger),
        *uneven(ledger.advances, ledger.begins),
        *replay.findings(),
        *sends.findings(),
        *_over_limit(numbers),
    ]
    deliveries = [element.identity for record in ledger.logged for element in record.elements]
    acknowledged = [publication for publication in ledger.published if publication.places]
    repeated = sum(len(publication.places) for publication in acknowledged) - len(acknowledged)
    states = Counter(row.state for row in sends.rows.values())
    return Verdict(
        events=len(set(deliveries)) + len(ledger.consents) + len({outcome.event_id for outcome in ledger.outcomes}),
        duplicates_absorbed=len(deliveries) - len(set(deliveries)) + repeated,
        commands=len(acknowledged),
        accepted=states["accepted"],
        rejected=states["rejected"],
        refused=dict(Counter(row.reason or "?" for row in sends.rows.values() if row.state in OURS).most_common()),
        surprises=sends.surprises(),
        dead_letters=len(ledger.dead_letters),
        unresolved=sum(states[state] for state in PARKED),
        numbers=numbers,
        findings=tuple(findings),
        checked=_checked(ledger, sends, replay),
    )


def _checked(ledger: Ledger, sends: _Sends, replay: _Replay) -> dict[str, int]:
    """A zero is worth as much as what could have broken it."""
    elements = {element.identity for record in ledger.logged for element in record.elements}
    commands = [publication for publication in ledger.published if publication.places]
    accepted = len(sends.accepted)
    rows = sum(ledger.rows.values()) + len(ledger.consent_rows) + len(ledger.sent_rows) + len(ledger.command_rows)
    return {
        "lost": len(elements) + len(ledger.consents) + len(ledger.dead_letters) + len(commands) + accepted,
        "phantom": rows + len(ledger.logged) + len(ledger.outcomes) + len(ledger.windows),
        "dup_effect": len(ledger.rows) + sum(one.after - one.before for one in ledger.advances),
        "dup_send": accepted,
        "false_fail": accepted,
        "reorder": replay.compared,
        "false_200": sum(answer.status == 200 for webhook in ledger.webhooks for answer in webhook.answers),
        "over_limit": len(ledger.arrivals),
        "against_policy": len(commands),
    }


def _unlogged(ledger: Ledger) -> Iterator[Finding]:
    """A 200 promises that the bytes are in the log, once for each 200; and nothing else is there."""
    logged = Counter(record.sha256 for record in ledger.logged)
    promised: Counter[str] = Counter()
    posted: set[str] = set()
    for webhook in ledger.webhooks:
        promised[webhook.sha256] += sum(answer.status == 200 for answer in webhook.answers)
        if webhook.signature == "good":
            posted.add(webhook.sha256)
        if webhook.state == "pending":
            yield Finding(kind=Kind.UNFINISHED, what=f"webhook {webhook.id}", why="still being delivered")
    for sha256, times in promised.items():
        if logged[sha256] < times:
            why = f"answered 200 {times} times, in the log {logged[sha256]} times"
            yield Finding(kind=Kind.FALSE_200, what=f"webhook {sha256[:12]}", why=why, weight=times - logged[sha256])
    for sha256 in logged.keys() - posted:
        yield Finding(kind=Kind.PHANTOM, what=f"webhook {sha256[:12]}", why="in the log, and Meta never sent it")


def _unprojected(ledger: Ledger) -> Iterator[Finding]:
    """Every element of every logged webhook is a row, or a dead letter names its place."""
    set_aside: dict[Place, list[str]] = defaultdict(list)
    for letter in ledger.dead_letters:
        set_aside[letter.place].append(letter.pointer)
    missing: dict[Identity, Place] = {}
    for record in ledger.logged:
        for element in record.elements:
            pointers = set_aside.get(record.place, ())
            if element.identity not in ledger.rows and not any(_is_about(pointer, element.pointer) for pointer in pointers):
                missing.setdefault(element.identity, record.place)
    for identity, place in missing.items():
        yield Finding(kind=Kind.LOST, what=_named(identity), why=f"in the log at {_at(place)}, neither a row nor a dead letter")


def _is_about(pointer: str, element: str) -> bool:
    return pointer == "" or pointer.startswith(element) or element.startswith(pointer)


def _invented_rows(ledger: Ledger) -> Iterator[Finding]:
    """Every row is something that Meta said, by the log or by Meta's own record, and the same content makes one row."""
    told = {element.identity for record in ledger.logged for element in record.elements}
    sent = _sent_by_meta(ledger)
    for identity, times in ledger.rows.items():
        if identity not in told and _as_meta_names_it(identity) not in sent:
            yield Finding(kind=Kind.PHANTOM, what=_named(identity), why="a row, and no webhook said it")
        elif times > 1:
            yield Finding(kind=Kind.DOUBLE_EFFECT, what=_named(identity), why=f"{times} rows", weight=times - 1)


def _sent_by_meta(ledger: Ledger) -> set[tuple[str, str | None, str | None]]:
    """By the simulator's own record of what it composed: kind, message, word of a status."""
    return {(one.kind, one.wamid, one.status) for webhook in ledger.webhooks for one in webhook.what if one.kind != "raw"}


def _as_meta_names_it(identity: Identity) -> tuple[str, str | None, str | None]:
    """What the simulator's record says of an element that it composed itself."""
    kind, *parts = identity
    return (kind, parts[1] if kind == "message" else parts[0], parts[1] if kind == "status" else None)


def uneven(advances: Sequence[Advance], begins: Mapping[tuple[str, int], int]) -> Iterator[Finding]:
    """The advances of a partition follow each other: an overlap is records applied twice, a gap is records lost."""
    steps: dict[tuple[str, int], list[Advance]] = defaultdict(list)
    for one in advances:
        steps[one.topic, one.partition].append(one)
    for (topic, partition), found in sorted(steps.items()):
        begin = min(found[0].before, begins.get((topic, partition), 0))
        for earlier, later in pairwise([Advance(topic, partition, begin, begin), *found]):
            count, name = later.before - earlier.after, f"records of {_at((topic, partition, later.before))}"
            if count > 0:
                yield Finding(kind=Kind.LOST, what=name, why=f"{count} were passed over", weight=count)
            elif count < 0:
                yield Finding(kind=Kind.DOUBLE_EFFECT, what=name, why=f"{-count} were applied twice", weight=-count)


class _Replay:
    """What Meta said in the order of its own clock, applied by the plainest rules, beside what the read models made of it.

    What has no row is found as lost, and only as that: a read model may then be right with it or without it. What Meta sent and
    the log lacks is found as a false 200: what it said is not known here, so what it may have moved is not compared.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        set_aside: dict[Place, list[str]] = defaultdict(list)
        for letter in ledger.dead_letters:
            set_aside[letter.place].append(letter.pointer)
        said = [
            element
            for record in ledger.logged
            for element in record.elements
            if not any(_is_about(pointer, element.pointer) for pointer in set_aside.get(record.place, ()))
        ]
        kept = [element for element in said if element.identity in ledger.rows]
        self._windows, self._kept_windows = _windows(said), _windows(kept)
        self._delivered, self._kept_delivered = _delivered(said), _delivered(kept)
        unlogged = _sent_by_meta(ledger) - {_as_meta_names_it(element.identity) for element in said}
        self._unlogged_statuses = {wamid for kind, wamid, _ in unlogged if kind == "status"}
        self._lacks_messages = any(kind == "message" for kind, _, _ in unlogged)

    @property
    def compared(self) -> int:
        """How many messages and conversations."""
        return len(self._delivered) + len(self._windows)

    def findings(self) -> Iterator[Finding]:
        for wamid, told in self._delivered.items():
            found = self._ledger.delivered.get(wamid)
            if wamid in self._unlogged_statuses:
                continue
            if found is not None and found not in (told, self._kept_delivered.get(wamid)):
                why = "its statuses in the order of time say another thing than its row"
                yield Finding(kind=Kind.REORDER, what=f"message {wamid[:24]}", why=why)
        for conversation, at in self._windows.items():
            last, kept = self._ledger.windows.get(conversation), self._kept_windows.get(conversation)
            what = f"conversation of number {conversation[0]}"
            if last is None and kept is not None:
                yield Finding(kind=Kind.LOST, what=what, why="the contact wrote, and no window says so")
            elif last not in (at, kept) and not (self._lacks_messages and last is not None and last > at):
                yield Finding(kind=Kind.REORDER, what=what, why="its window is not that of the last message by Meta's clock")
        for phone_number_id, _ in self._ledger.windows.keys() - self._windows.keys():
            yield Finding(kind=Kind.PHANTOM, what=f"conversation of number {phone_number_id}", why="a window nobody opened")


def _windows(said: Sequence[Element]) -> dict[Conversation, int]:
    opening = [(one.occurred_at, one.opens) for one in said if one.occurred_at is not None and one.opens is not None]
    return {conversation: at for at, conversation in sorted(opening)}


def _delivered(said: Sequence[Element]) -> dict[str, Delivered]:
    words: dict[str, dict[str, int]] = defaultdict(dict)
    statuses = [one.identity for one in said if one.identity[0] == "status" and one.identity[-1] == "message"]
    for _, wamid, word, at, *_ in sorted(statuses, key=lambda identity: int(identity[3])):
        words[wamid].setdefault(word, int(at))
    return {wamid: tuple(first.get(word) for word in MESSAGE_STATUSES) for wamid, first in words.items()}


def _consents(ledger: Ledger) -> Iterator[Finding]:
    """Every consent record, every word that stops or starts, every switch and every 131050 is evidence in Postgres."""
    told = [element for record in ledger.logged for element in record.elements]
    heard = [element for element in told if element.wamid is not None]
    given = ledger.consents | {one.consent_id for one in told if one.consent_id is not None}
    given |= {f"keyword:{one.wamid}" for one in heard if one.text is not None and said(one.text) is not None}
    given |= {f"131050:{one.command_id}" for one in ledger.outcomes if one.kind == "rejected" and one.error_code == 131050}
    possible = given | {f"keyword:{one.wamid}" for one in heard}
    possible |= {f"keyword:{one.wamid}" for webhook in ledger.webhooks for one in webhook.what if one.kind == "message"}
    for consent_id in sorted(given - ledger.consent_rows):
        yield Finding(kind=Kind.LOST, what=f"consent {consent_id[:48]}", why="no evidence of it in Postgres")
    for consent_id in sorted(ledger.consent_rows - possible):
        yield Finding(kind=Kind.PHANTOM, what=f"consent {consent_id[:48]}", why="evidence that nobody gave")


def _dead_letter_rows(ledger: Ledger) -> Iterator[Finding]:
    """Operators look for dead letters in Postgres: each one of the log is there."""
    for place in sorted({letter.place for letter in ledger.dead_letters} - ledger.dead_letter_rows):
        yield Finding(kind=Kind.LOST, what=f"dead letter of {_at(place)}", why="in its topic, not in Postgres")


class _Sends:
    """The way of the commands: published, accepted by Meta, told to the producer, projected."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._commands = {publication.command_id for publication in ledger.published if publication.readable}
        self._may_repeat = {publication.command_id for publication in ledger.published if publication.may_repeat}
        self._command_of: dict[str, str] = {
            attempt_id(one, nth): one for one in self._commands for nth in range(1, MAX_ATTEMPTS + 1)
        }
        self.rows = {one: row for one, row in ledger.command_rows.items() if one in self._commands}
        self.accepted: dict[str, list[str]] = defaultdict(list)
        self._unowned: list[str] = []
        for arrival in ledger.arrivals:
            if arrival.wamid is not None:
                command_id = self._command_of.get(arrival.opaque or "")
                (self._unowned if command_id is None else self.accepted[command_id]).append(arrival.wamid)
        logged = (element.identity for record in ledger.logged for element in record.elements)
        self._reported = {identity[1] for identity in logged if identity[0] == "status" and identity[-1] == "message"}
        """Messages with a status in the log: another system may have sent them, then they are rows without an acceptance."""
        self._told: dict[str, set[str]] = defaultdict(set)
        for outcome in ledger.outcomes:
            if outcome.reason != Reason.IDEMPOTENCY_CONFLICT:
                self._told[outcome.command_id].add(outcome.kind)

    def findings(self) -> Iterator[Finding]:
        yield from self._acceptances()
        for publication in self._ledger.published:
            if publication.places:
                yield from self._fate(publication)
        yield from self._inventions()
        if self._ledger.outbox_rows:
            rows = self._ledger.outbox_rows
            yield Finding(kind=Kind.UNFINISHED, what="sender.outbox", why=f"{rows} outcomes not told to the log", weight=rows)

    def surprises(self) -> int:
        """How many commands were refused that had not to be."""
        meant = {one.command_id for one in self._ledger.published if one.must_refuse is not None}
        return sum(row.state in OURS and one not in meant for one, row in self.rows.items())

    def _acceptances(self) -> Iterator[Finding]:
        for command_id, wamids in self.accepted.items():
            if len(wamids) > 1 and command_id not in self._may_repeat:
                why = f"Meta accepted it {len(wamids)} times"
                yield Finding(kind=Kind.DOUBLE_SEND, what=_command(command_id), why=why, weight=len(wamids) - 1)
            for wamid in wamids:
                row = self._ledger.sent_rows.get(wamid)
                if row is None:
                    yield Finding(kind=Kind.LOST, what=_command(command_id), why="accepted by Meta, no row in projector.messages")
                elif row.command_id != command_id:
                    yield Finding(kind=Kind.LOST, what=_command(command_id), why="its message does not name its command")
        for wamid in self._unowned:
            yield Finding(kind=Kind.PHANTOM, what=wamid[:24], why="accepted by Meta, and no command asked for it")

    def _fate(self, publication: Publication) -> Iterator[Finding]:
        """An acknowledged command ends where its producer can read it, or is parked where an operator can."""
        command_id, row = publication.command_id, self.rows.get(publication.command_id)
        name = _command(command_id)
        if row is None:
            set_aside = {letter.place for letter in self._ledger.dead_letters}
            if not set_aside.issuperset(publication.places):
                yield Finding(kind=Kind.LOST, what=name, why="acknowledged by Kafka, then nothing")
            return
        is_accepted = bool(self.accepted.get(command_id))
        if is_accepted and (row.state in DENIED or self._told[command_id] & DENIED):
            yield Finding(kind=Kind.FALSE_FAIL, what=name, why=f"Meta accepted it, the outcome is {row.state}")
        elif is_accepted and row.state in PARKED:
            yield Finding(kind=Kind.LOST, what=name, why=f"Meta accepted it and told us so, it is still {row.state}")
        elif row.state not in TERMINAL | PARKED:
            yield Finding(kind=Kind.UNFINISHED, what=name, why=f"still {row.state}")
        elif row.state not in self._told[command_id]:
            yield Finding(kind=Kind.LOST, what=name, why=f"{row.state}, and the log has no such outcome")
        if row.state == "accepted" and not is_accepted:
            yield Finding(kind=Kind.PHANTOM, what=name, why="said to be accepted, and Meta knows nothing of it")
        if publication.must_refuse is not None and is_accepted:
            why = f"had to be refused: {publication.must_refuse}"
            yield Finding(kind=Kind.AGAINST_POLICY, what=name, why=why)

    def _inventions(self) -> Iterator[Finding]:
        """No outcome, no command and no message without a cause."""
        accepted = {wamid for wamids in self.accepted.values() for wamid in wamids} | set(self._unowned)
        for command_id in sorted((self._told.keys() | self._ledger.command_rows.keys()) - self._commands):
            yield Finding(kind=Kind.PHANTOM, what=_command(command_id), why="nobody published it")
        for wamid in sorted(self._ledger.sent_rows.keys() - accepted):
            if self._ledger.sent_rows[wamid].is_accepted or wamid not in self._reported:
                yield Finding(kind=Kind.PHANTOM, what=wamid[:24], why="a sent message in Postgres that Meta never accepted")
        for outcome in self._ledger.outcomes:
            if outcome.kind == "accepted" and outcome.wamid not in accepted:
                yield Finding(kind=Kind.PHANTOM, what=_command(outcome.command_id), why="an accepted outcome without acceptance")


def _numbers(ledger: Ledger) -> Iterator[NumberVerdict]:
    for phone_number_id, limit in sorted(ledger.limits.items()):
        arrivals = [one for one in ledger.arrivals if one.phone_number_id == phone_number_id and one.decision != "read_receipt"]
        stamps = [one.read_monotonic for one in arrivals]
        yield NumberVerdict(
            phone_number_id=phone_number_id,
            limit=limit,
            arrivals=len(arrivals),
            accepted=sum(one.is_accepted for one in arrivals),
            worst_second=worst_second(stamps),
        )


def _over_limit(numbers: Sequence[NumberVerdict]) -> Iterator[Finding]:
    for number in numbers:
        if number.worst_second > number.limit:
            why = f"{number.worst_second} sends reached Meta within one second, the limit is {number.limit}"
            yield Finding(kind=Kind.OVER_LIMIT, what=f"number {number.phone_number_id}", why=why)


def _command(command_id: str) -> str:
    return f"command {command_id}"


def _named(identity: Identity) -> str:
    """What an element is, without who it is about."""
    kind, *parts = identity
    shown = {"message": parts[1:2], "status": parts[0:2]}.get(kind, [])
    return " ".join([kind, *(part[:32] for part in shown)])


def _at(place: Place) -> str:
    topic, partition, offset = place
    return f"{topic.removeprefix('parley.')}/{partition}/{offset}" if topic in topics.ALL else f"{topic}/{partition}/{offset}"
