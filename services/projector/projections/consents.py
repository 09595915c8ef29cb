"""What did a contact allow or withdraw? The evidence one by one, and its two maxima a category."""

from __future__ import annotations

from typing import Final, NamedTuple

from services.common.domain import consent
from services.common.domain.consent import ConsentCategory, ConsentState
from services.common.domain.records import MessageReceived, RecordConsent
from services.projector.projections.conversations import speaks_to_us
from services.projector.projections.table import Kind, Row, Table

GRANTED: Final = "granted"
WITHDRAWN: Final = "withdrawn"
KEYWORD: Final = "keyword"


class ConsentRow(NamedTuple):
    """What all evidence says for one category."""

    phone_number_id: str
    contact: str
    category: str
    state: ConsentState


class ConsentEventRow(NamedTuple):
    """One piece of evidence."""

    consent_id: str
    phone_number_id: str
    contact: str
    category: str
    decision: str
    source: str
    wording: str | None
    occurred_at: int


def events_of_record(event: RecordConsent) -> tuple[ConsentEventRow, ...]:
    """A producer's record is evidence as it is."""
    return (
        ConsentEventRow(
            event.consent_id,
            event.phone_number_id,
            event.contact,
            event.category,
            event.decision,
            event.source,
            event.wording,
            event.occurred_at,
        ),
    )


def events_of_received(event: MessageReceived) -> tuple[ConsentEventRow, ...]:
    """A keyword as the whole text or as the payload of a tapped button; where they differ, the one that stops."""
    if not speaks_to_us(event):
        return ()
    words = [word for word in (event.text, event.payload) if word]
    meant = {consent.keyword(word): word for word in reversed(words)}
    word = meant.get("stop") or meant.get("start")
    if word is None:
        return ()
    return (
        ConsentEventRow(
            f"{KEYWORD}:{event.wamid}",
            event.phone_number_id,
            event.contact,
            ConsentCategory.ALL.value,
            WITHDRAWN if "stop" in meant else GRANTED,
            KEYWORD,
            word,
            event.occurred_at,
        ),
    )


def of_record(event: RecordConsent) -> tuple[ConsentRow, ...]:
    """What a producer's record says."""
    return tuple(_row(row) for row in events_of_record(event))


def of_received(event: MessageReceived) -> tuple[ConsentRow, ...]:
    """What a keyword says."""
    return tuple(_row(row) for row in events_of_received(event))


def _row(evidence: ConsentEventRow) -> ConsentRow:
    at = evidence.occurred_at
    state = ConsentState(granted_at=at) if evidence.decision == GRANTED else ConsentState(withdrawn_at=at)
    return ConsentRow(evidence.phone_number_id, evidence.contact, evidence.category, state)


def merge(known: ConsentRow, reported: ConsentRow) -> ConsentRow:
    """The domain decides."""
    return known._replace(state=consent.merge(known.state, reported.state))


def merge_events(known: ConsentEventRow, reported: ConsentEventRow) -> ConsentEventRow:
    """The earliest under one id; a producer that gives one id to two contents keeps one of them, always the same."""
    return min(known, reported, key=_order)


def _order(row: ConsentEventRow) -> tuple[int, str, str, str, str, str, bool, str]:
    """As `upsert_consent_events` orders them."""
    parts = (row.phone_number_id, row.contact, row.category, row.decision, row.source)
    return (row.occurred_at, *parts, row.wording is None, row.wording or "")


def _flat(row: ConsentRow) -> Row:
    return (row.phone_number_id, row.contact, row.category, row.state.granted_at, row.state.withdrawn_at)


CONSENTS: Final = Table(
    name="consents",
    columns={
        "phone_number_id": Kind.TEXT,
        "contact": Kind.TEXT,
        "category": Kind.TEXT,
        "granted_at": Kind.INSTANT,
        "withdrawn_at": Kind.INSTANT,
    },
    key=3,
    merge=merge,
    flat=_flat,
)
CONSENT_EVENTS: Final = Table(
    name="consent_events",
    columns={
        "consent_id": Kind.TEXT,
        "phone_number_id": Kind.TEXT,
        "contact": Kind.TEXT,
        "category": Kind.TEXT,
        "decision": Kind.TEXT,
        "source": Kind.TEXT,
        "wording": Kind.TEXT,
        "occurred_at": Kind.INSTANT,
    },
    key=1,
    merge=merge_events,
)
