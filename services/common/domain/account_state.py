"""What may a number not send now, and why? A fold of what Meta tells in webhooks and answers: any order ends in the same state.

For each cause the newest evidence holds: that it stops something, or that it does so no longer. A word that is not known here
stops nothing.

Events: https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/account_update
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from operator import itemgetter
from typing import Final, NamedTuple

from services.common.domain import graph_codes
from services.common.domain.covers import Covers, Sent, covers
from services.common.domain.graph_codes import Scope
from services.common.domain.reasons import Reason


class Source(StrEnum):
    """Who told."""

    RESPONSE = "response"
    """Meta, in an answer to a message of ours."""
    WEBHOOK = "webhook"
    OPERATOR = "operator"
    """`parley number`."""
    PROBE = "probe"
    """A message that was sent to find out."""


class Key(NamedTuple):
    """One cause of a stop. `scope` is number or waba and `scope_id` its id; `cause` is Meta's word or code, or ours."""

    scope: Scope
    scope_id: str
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was told about a cause at `at`. `until`: when it ends by itself, where that was told. Both in milliseconds."""

    at: int
    is_stopped: bool
    source: Source
    covers: Covers = Covers.EVERYTHING
    area: str | None = None
    reason: Reason = Reason.ACCOUNT_STOPPED
    error_code: int | None = None
    trace_id: str | None = None
    until: int | None = None

    @property
    def is_late(self) -> bool:
        """True for a code that Meta told after it had accepted: such an answer proves nothing about it."""
        return self.source is Source.WEBHOOK and self.error_code is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """The newest evidence of a cause, since when it has been so, and how often it was probed. `probe_at`: when it may be next.

    Of account webhooks `since` is the newest one's instant, for they come in any order; of codes it is the one first heard of.
    """

    evidence: Evidence
    since: int
    probe_at: int | None = None
    probes: int = 0
    is_told: bool = False
    """Whether the log was told of this stop: its end is told of then."""

    def is_in_force(self, now: int) -> bool:
        """True while something is stopped."""
        return self.evidence.is_stopped and (self.evidence.until is None or now < self.evidence.until)

    def is_due(self, now: int) -> bool:
        """True when one message may be sent to find out whether it still holds. What has an end is waited for."""
        return self.probe_at is not None and now >= self.probe_at and self.evidence.until is None


State = Mapping[Key, Entry]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What of one number is stopped, by itself or with its account, and which of these stops one message may try."""

    stops: tuple[tuple[Key, Entry], ...] = ()
    probing: frozenset[Key] = frozenset()

    def covering(self, sent: Sent, now: int) -> tuple[tuple[Key, Entry], ...]:
        """The stops in force that cover a message."""
        return tuple(
            (key, entry)
            for key, entry in self.stops
            if entry.is_in_force(now) and covers(entry.evidence.covers, entry.evidence.area, sent)
        )

    def whole(self, now: int) -> tuple[tuple[Key, Entry], ...]:
        """The stops in force that cover everything."""
        return tuple((key, entry) for key, entry in self.stops if entry.is_in_force(now) and entry.evidence.covers is _ALL)


def look_at(stops: Iterable[tuple[Key, Entry]]) -> int | None:
    """When all of these may be over or tried; None when one of them waits for somebody."""
    instants = [entry.probe_at if entry.evidence.until is None else entry.evidence.until for _, entry in stops]
    return max((at for at in instants if at is not None), default=0) if None not in instants else None


def due(stops: Iterable[tuple[Key, Entry]], now: int) -> frozenset[Key]:
    """The keys of stops of which every one may be tried now; empty where one of them may not."""
    given = tuple(stops)
    return frozenset(key for key, _ in given) if all(entry.is_due(now) for _, entry in given) else frozenset()


Index = Mapping[tuple[Scope, str], tuple[tuple[Key, Entry], ...]]
"""The stops in force by what they are of."""


def index(state: State, *, now: int) -> Index:
    """What holds now. What an operator holds back stands in the registry, and is asked there."""
    found: dict[tuple[Scope, str], list[tuple[Key, Entry]]] = {}
    for key, entry in sorted(state.items(), key=itemgetter(0)):
        if entry.is_in_force(now) and key.cause != OPERATOR:
            found.setdefault((key.scope, key.scope_id), []).append((key, entry))
    return {place: tuple(stops) for place, stops in found.items()}


def standing(stops: Index, *, phone_number_id: str, waba_id: str | None) -> Standing:
    """What of a number is stopped."""
    own = stops.get((Scope.NUMBER, phone_number_id), ())
    return Standing(stops=own if waba_id is None else own + stops.get((Scope.WABA, waba_id), ()))


_ALL: Final = Covers.EVERYTHING
ACCESS_TOKEN: Final = "access_token"  # noqa: S105 - a cause
OPERATOR: Final = "operator"
LATE_MS: Final = 900_000
"""What Meta tells of a code after the answer stops nothing once it is older: by then a stop would have been tried again."""
LONGEST_PROBE_SECONDS: Final = 900.0
"""What nobody tells the end of is tried again at least this often, unless it begins with longer waits."""
_BAN: Final = "DISABLED_UPDATE"
_PARTNER: Final = "PARTNER_REMOVED"
_DELETED: Final = "ACCOUNT_DELETED"
_OFFBOARDED: Final = "ACCOUNT_OFFBOARDED"

RESTRICTIONS: Final[Mapping[str, Covers]] = {
    "RESTRICTED_BIZ_INITIATED_MESSAGING": Covers.BUSINESS_INITIATED,
    "RESTRICTED_CUSTOMER_INITIATED_MESSAGING": Covers.REPLIES,
    "RESTRICTED_UTILITY_TEMPLATES": Covers.UTILITY_TEMPLATES,
    "RESTRICTED_DIRECT_SEND_UTILITY_TEMPLATES": Covers.DIRECT_SEND_UTILITY,
}
"""Of Meta's nine types of restriction those that stop messages; the others are about calls and adding numbers."""

_SWITCHES: Final[Mapping[str, tuple[str, bool]]] = {
    "PARTNER_REMOVED": (_PARTNER, True),
    "PARTNER_ADDED": (_PARTNER, False),
    "ACCOUNT_DELETED": (_DELETED, True),
    "ACCOUNT_OFFBOARDED": (_OFFBOARDED, True),
    "ACCOUNT_RECONNECTED": (_OFFBOARDED, False),
}
_BAN_STATES: Final[Mapping[str, bool]] = {"DISABLE": True, "REINSTATE": False}
"""SCHEDULE_FOR_DISABLE stops nothing yet: another event tells when it does."""
STOPPING_EVENTS: Final = (*_SWITCHES, "DISABLED_UPDATE", "ACCOUNT_RESTRICTION")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountEvent:
    """An `account_update` of Meta's. `restrictions`: (type, end in milliseconds where one is told)."""

    waba_id: str
    event: str
    at: int
    ban_state: str | None = None
    restrictions: tuple[tuple[str, int | None], ...] = ()


def of_event(event: AccountEvent) -> dict[Key, Evidence]:
    """What an event says of each cause it is about; nothing where it stops and resumes nothing."""
    told: dict[Key, Evidence] = {}
    cause, is_stopped = _SWITCHES.get(event.event, (None, False))
    if event.event == _BAN and event.ban_state is not None and event.ban_state in _BAN_STATES:
        cause, is_stopped = _BAN, _BAN_STATES[event.ban_state]
    if cause is not None:
        told[Key(Scope.WABA, event.waba_id, cause)] = Evidence(at=event.at, is_stopped=is_stopped, source=Source.WEBHOOK)
    if event.event == "ACCOUNT_RESTRICTION":
        for word, until in event.restrictions:
            forbidden = RESTRICTIONS.get(word)
            if forbidden is not None:
                key = Key(Scope.WABA, event.waba_id, word)
                new = Evidence(at=event.at, is_stopped=True, source=Source.WEBHOOK, covers=forbidden, until=until)
                told[key] = max(new, told.get(key, new), key=_rank)
    return told


def of_registry(phone_number_id: str, state: str, *, at: int) -> dict[Key, Evidence]:
    """What an operator says of a number, as of `at`: that it is active, or why it is not."""
    reason = Reason.PHONE_DISABLED if state == "disabled" else Reason.PHONE_PAUSED
    key = Key(Scope.NUMBER, phone_number_id, OPERATOR)
    return {key: Evidence(at=at, is_stopped=state != "active", source=Source.OPERATOR, reason=reason)}


def of_answer(
    code: int,
    *,
    phone_number_id: str,
    waba_id: str | None,
    area: str | None,
    at: int,
    trace_id: str | None = None,
    source: Source = Source.RESPONSE,
) -> dict[Key, Evidence]:
    """What an error code, the answer to a message or told of it later, says is stopped; nothing for codes that stop nothing."""
    row = graph_codes.row_of(code)
    if row.covers is None or (row.covers is Covers.COUNTRY and area is None):
        return {}
    is_waba = row.scope is Scope.WABA and waba_id is not None
    is_country = row.covers is Covers.COUNTRY
    cause = ACCESS_TOKEN if row.scope is Scope.TOKEN else f"{code} {area}" if is_country else str(code)
    key = Key(Scope.WABA if is_waba else Scope.NUMBER, waba_id if is_waba and waba_id else phone_number_id, cause)
    evidence = Evidence(
        at=at,
        is_stopped=True,
        source=source,
        covers=row.covers,
        area=area if is_country else None,
        reason=row.reason,
        error_code=code,
        trace_id=trace_id,
    )
    return {key: evidence}


def fold(state: State, told: Mapping[Key, Evidence], *, now: int) -> dict[Key, Entry]:
    """The entries that are new or different once this was told; those that are missing stay as they are."""
    changed: dict[Key, Entry] = {}
    for key, evidence in told.items():
        known = state.get(key)
        if known is None or _rank(evidence) > _rank(known.evidence):
            changed[key] = _entry(key, known, evidence, now=now)
    return changed


def untold(state: State, *, now: int) -> dict[Key, Entry]:
    """Entries of which the log has to be told, as they are once it is: new stops, and those that are over, by news or by time."""
    return {
        key: dataclasses.replace(entry, is_told=not entry.is_told)
        for key, entry in state.items()
        if entry.is_told != entry.is_in_force(now)
    }


def merged(told: Iterable[Mapping[Key, Evidence]]) -> dict[Key, Evidence]:
    """The newest of each cause."""
    newest: dict[Key, Evidence] = {}
    for one in told:
        for key, evidence in one.items():
            newest[key] = max(evidence, newest.get(key, evidence), key=_rank)
    return newest


def cleared(state: State, keys: Iterable[Key], *, at: int, source: Source) -> dict[Key, Evidence]:
    """Evidence that these stop nothing any more: something that they cover went through."""
    told: dict[Key, Evidence] = {}
    for key in keys:
        entry = state.get(key)
        if entry is not None and entry.evidence.is_stopped:
            told[key] = dataclasses.replace(entry.evidence, is_stopped=False, at=at, source=source, until=None, trace_id=None)
    return told


def probe_seconds(entry: Entry) -> float:
    """How long after its last probe a stop is probed again: longer each time."""
    code = entry.evidence.error_code
    first, growth = 60.0, 2.0
    if code is not None:
        row = graph_codes.row_of(code)
        first, growth = row.wait_seconds, row.growth
    return min(max(first, LONGEST_PROBE_SECONDS), first * growth ** min(entry.probes, 20))


def _entry(key: Key, known: Entry | None, evidence: Evidence, *, now: int) -> Entry:
    is_told = known is not None and known.is_told
    if not evidence.is_stopped:
        probes = known.probes if known is not None and evidence.source is Source.PROBE else 0
        return Entry(evidence=evidence, since=evidence.at, is_told=is_told, probes=probes)
    if known is not None and evidence.error_code is not None and known.is_in_force(evidence.at):
        return dataclasses.replace(known, evidence=evidence)
    is_told = is_told and known is not None and known.evidence.until == evidence.until
    probes = known.probes if known is not None and _proved_nothing(known, evidence) else 0
    new = Entry(evidence=evidence, since=evidence.at, is_told=is_told, probes=probes)
    if key.cause == OPERATOR:
        return new
    return dataclasses.replace(new, probe_at=now + int(probe_seconds(new) * 1000))


def _proved_nothing(known: Entry, evidence: Evidence) -> bool:
    """True where a probe was accepted and Meta tells soon after that it still sends nothing: the next one waits longer."""
    probe = known.evidence
    return evidence.is_late and probe.source is Source.PROBE and not probe.is_stopped and evidence.at - probe.at <= LATE_MS


def _rank(evidence: Evidence) -> tuple[int, bool, float]:
    """Newer wins. Of one instant what sends, and the earlier end, wins: if that is wrong, the next answer says so."""
    return (evidence.at, not evidence.is_stopped, float("-inf") if evidence.until is None else -evidence.until)
