"""What did a contact allow or withdraw? The evidence one by one, and its two maxima a category."""

from __future__ import annotations

import dataclasses
from typing import Final, NamedTuple

from services.common.domain import consent
from services.common.domain.consent import ConsentCategory, ConsentState, Decision, Said
from services.common.domain.events import MessageReceived, MessageStatusChanged, UserPreferenceChanged
from services.common.domain.records import RecordConsent, SendOutcome
from services.projector.projections.contacts import digits
from services.projector.projections.conversations import speaks_to_us
from services.projector.projections.merges import same
from services.projector.projections.table import Kind, Row, Table

KEYWORD: Final = "keyword"
STOPPED_MARKETING: Final = 131050
_PREFERENCES: Final = {"stop": Decision.WITHDRAWN, "resume": Decision.GRANTED, "signup": Decision.GRANTED}


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
    wamid: str | None = None
    """The message that says it, or whose delivery failed for it."""


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
    """A keyword as the whole text or as the payload of a tapped button; where they differ, the stricter.

    Only what a person wrote or saw can grant, and not by an edit: many buttons that mean something else have the payload `start`.
    """
    if not speaks_to_us(event):
        return ()
    words = [(consent.said(word), word, is_text) for word, is_text in ((event.text, True), (event.payload, False)) if word]
    may_grant = event.type != "edit"
    told = [
        (said, word)
        for said, word, is_text in words
        if said is not None and (said.decision is Decision.WITHDRAWN or (is_text and may_grant))
    ]
    if not told:
        return ()
    said, word = min(told, key=_strictness)
    return (
        ConsentEventRow(
            f"{KEYWORD}:{event.wamid}",
            event.phone_number_id,
            event.contact,
            said.category.value,
            said.decision.value,
            KEYWORD,
            word,
            event.occurred_at,
            event.wamid,
        ),
    )


def _strictness(told: tuple[Said, str]) -> tuple[bool, bool]:
    """Withdrawals before grants; of withdrawals the wider, of grants the narrower."""
    said, _ = told
    is_grant, is_wide = said.decision is Decision.GRANTED, said.category is ConsentCategory.ALL
    return is_grant, is_wide if is_grant else not is_wide


def events_of_preference(event: UserPreferenceChanged) -> tuple[ConsentEventRow, ...]:
    """The person's own switch at WhatsApp: for marketing, and nothing else."""
    decision = _PREFERENCES.get(event.value)
    if event.category != "marketing_messages" or decision is None:
        return ()
    return (
        ConsentEventRow(
            f"preference:{event.phone_number_id}:{event.contact}:{event.occurred_at}:{event.value}",
            event.phone_number_id,
            event.contact,
            ConsentCategory.MARKETING.value,
            decision.value,
            "user_preferences",
            event.detail,
            event.occurred_at,
        ),
    )


def events_of_status(event: MessageStatusChanged) -> tuple[ConsentEventRow, ...]:
    """Meta did not deliver because the person had stopped marketing from this number."""
    if event.error_code != STOPPED_MARKETING or event.type != "message" or not event.contact or not event.phone_number_id:
        return ()
    return (_stopped(event.wamid, event.phone_number_id, event.contact, event.occurred_at, wamid=event.wamid),)


def events_of_outcome(event: SendOutcome) -> tuple[ConsentEventRow, ...]:
    """The same, told at once."""
    contact = event.contact or event.bsuid or event.wa_id or (digits(event.to) if event.to else None)
    if event.error_code != STOPPED_MARKETING or event.kind != "rejected" or not contact:
        return ()
    return (_stopped(event.command_id, event.phone_number_id, contact, event.occurred_at),)


def _stopped(name: str, phone_number_id: str, contact: str, at: int, *, wamid: str | None = None) -> ConsentEventRow:
    category, decision = ConsentCategory.MARKETING.value, Decision.WITHDRAWN.value
    consent_id = f"{STOPPED_MARKETING}:{name}"
    return ConsentEventRow(consent_id, phone_number_id, contact, category, decision, "error_131050", None, at, wamid)


def states(row: ConsentEventRow) -> tuple[ConsentRow, ...]:
    """What a piece of evidence says."""
    at = row.occurred_at
    state = ConsentState(granted_at=at) if row.decision == Decision.GRANTED else ConsentState(withdrawn_at=at)
    return (ConsentRow(row.phone_number_id, row.contact, row.category, state),)


def merge(known: ConsentRow, reported: ConsentRow) -> ConsentRow:
    """The domain decides."""
    return known._replace(state=consent.merge(known.state, reported.state))


def merge_events(known: ConsentEventRow, reported: ConsentEventRow) -> ConsentEventRow:
    """The earliest under one id; a producer that gives one id to two contents keeps one of them, always the same."""
    return min(known, reported, key=_order)


def _order(row: ConsentEventRow) -> tuple[int, str, str, str, str, str, bool, str]:
    """As `upsert_consent_events` orders them. The id of a piece of evidence tells its message, so that orders nothing."""
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
        "wamid": Kind.TEXT,
    },
    key=1,
    merge=merge_events,
)
TOLD: Final = dataclasses.replace(CONSENT_EVENTS, name="evidence", key=len(CONSENT_EVENTS.columns), merge=same)
"""What events say word for word. No table of its own: both tables are made of it."""
