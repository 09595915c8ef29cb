"""Was every promise kept? Two independent records of one run are compared; no counter of a service is believed.

One side is the world: what the simulated Meta saw and posted, and what our producers published. The other side is what the system
made of it: the log and Postgres. `judge` is pure; `ledger_reader.read` fills a `Ledger` from the real things.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

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

Place = tuple[str, int, int]
"""Topic, partition, offset."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """A record that a producer appended to send-commands: where its acknowledged copies stand.

    `must_refuse`: the reason for which our own gate has to refuse it. `readable` is False for what is no command at all.
    """

    command_id: str
    phone_number_id: str
    places: tuple[Place, ...]
    must_refuse: str | None = None
    readable: bool = True


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One broken promise; `what` is an identifier, never a number or a text of a person."""

    kind: Kind
    what: str
    why: str
    weight: int = 1


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

    def count(self, kind: Kind) -> int:
        """How often a promise was broken in this way."""
        return sum(finding.weight for finding in self.findings if finding.kind is kind)

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
    findings = [
        *_unlogged(ledger),
        *_unprojected(ledger),
        *_invented_rows(ledger),
        *_consents(ledger),
        *_dead_letter_rows(ledger),
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
    )


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
    """Every row comes from the log, and the same content makes one row."""
    told = {element.identity for record in ledger.logged for element in record.elements}
    for identity, times in ledger.rows.items():
        if identity not in told:
            yield Finding(kind=Kind.PHANTOM, what=_named(identity), why="a row, and no webhook said it")
        elif times > 1:
            yield Finding(kind=Kind.DOUBLE_EFFECT, what=_named(identity), why=f"{times} rows", weight=times - 1)


def _consents(ledger: Ledger) -> Iterator[Finding]:
    """Every consent record, every word that stops or starts, every switch and every 131050 is evidence in Postgres."""
    told = [element for record in ledger.logged for element in record.elements]
    heard = [element for element in told if element.wamid is not None]
    given = ledger.consents | {one.consent_id for one in told if one.consent_id is not None}
    given |= {f"keyword:{one.wamid}" for one in heard if one.text is not None and said(one.text) is not None}
    given |= {f"131050:{one.command_id}" for one in ledger.outcomes if one.kind == "rejected" and one.error_code == 131050}
    possible = given | {f"keyword:{one.wamid}" for one in heard}
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
        self._command_of: dict[str, str] = {
            attempt_id(one, nth): one for one in self._commands for nth in range(1, MAX_ATTEMPTS + 1)
        }
        self.rows = {one: row for one, row in ledger.command_rows.items() if one in self._commands}
        self._accepted: dict[str, list[str]] = defaultdict(list)
        self._unowned: list[str] = []
        for arrival in ledger.arrivals:
            if arrival.wamid is not None:
                command_id = self._command_of.get(arrival.opaque or "")
                (self._unowned if command_id is None else self._accepted[command_id]).append(arrival.wamid)
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
        for command_id, wamids in self._accepted.items():
            if len(wamids) > 1:
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
        is_accepted = bool(self._accepted.get(command_id))
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
        accepted = {wamid for wamids in self._accepted.values() for wamid in wamids} | set(self._unowned)
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
