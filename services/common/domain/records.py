"""What may be in the log? Commands and outcomes here, what Meta tells in `events`; a contract test compares with `schemas/`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from services.common.domain import topics
from services.common.domain.events import (
    WEBHOOK_EVENTS,
    AccountChanged,
    CallChanged,
    ContactChanged,
    ErrorReported,
    FlowChanged,
    GroupChanged,
    MessageCopied,
    MessageReceived,
    MessageStatusChanged,
    PhoneNumberChanged,
    TemplateChanged,
    ThreadHandedOver,
    UnrecognizedChange,
    UserActionReported,
    UserPreferenceChanged,
    WebhookEvent,
)
from services.common.domain.logged import logged


@logged
class SendMessage:
    """Send this, at most once. `command_id` is the producer's idempotency key, honoured for at least 30 days.

    `type` is Meta's word ("text", "template"); `content` is what Meta's API wants under that word, as JSON text.
    `to` is a phone number (E.164), `recipient` a BSUID; at least one. `expires_at` is exclusive.
    """

    command_id: str
    phone_number_id: str
    type: str
    content: str
    to: str | None = None
    recipient: str | None = None
    lane: str = "transactional"
    policy: str = "hold"
    context_wamid: str | None = None
    created_at: int | None = None
    expires_at: int | None = None


@logged
class SendOutcome:
    """What became of a command. `kind`: accepted, refused, rejected, unknown, unresolved.

    `refused`: our gate said no, nothing was sent. `rejected`: Meta said no. `unknown`: the bytes may have reached Meta and
    no answer came; a status webhook settles it as `accepted` with `source` "webhook". `unresolved`: no evidence came in time.
    """

    event_id: str
    occurred_at: int
    command_id: str
    attempt_no: int
    phone_number_id: str
    kind: str
    lane: str
    type: str
    waba_id: str | None = None
    attempt_id: str | None = None
    contact: str | None = None
    to: str | None = None
    wa_id: str | None = None
    bsuid: str | None = None
    wamid: str | None = None
    template_name: str | None = None
    reason: str | None = None
    detail: str | None = None
    error_code: int | None = None
    source: str = "response"


@logged
class RecordConsent:
    """Evidence that a contact allowed or withdrew a category of business-initiated messages.

    `consent_id` is the producer's idempotency key. `contact` is a BSUID, a wa_id or an E.164 number.
    `category`: marketing, utility, authentication, all. `decision`: granted, withdrawn.
    """

    consent_id: str
    occurred_at: int
    phone_number_id: str
    contact: str
    category: str
    decision: str
    source: str
    wording: str | None = None


Record = WebhookEvent | SendMessage | SendOutcome | RecordConsent

FULL_NAMES: Final[dict[type[Record], str]] = {
    **{cls: f"parley.events.{cls.__name__}" for cls in WEBHOOK_EVENTS},
    SendOutcome: "parley.events.SendOutcome",
    SendMessage: "parley.commands.SendMessage",
    RecordConsent: "parley.commands.RecordConsent",
}

TOPIC_OF: Final[Mapping[type[Record], str]] = {
    MessageReceived: topics.INBOUND_MESSAGES,
    MessageCopied: topics.MESSAGE_COPIES,
    MessageStatusChanged: topics.MESSAGE_STATUSES,
    CallChanged: topics.CONTACT_EVENTS,
    ContactChanged: topics.CONTACT_EVENTS,
    UserPreferenceChanged: topics.CONTACT_EVENTS,
    UserActionReported: topics.CONTACT_EVENTS,
    ThreadHandedOver: topics.CONTACT_EVENTS,
    AccountChanged: topics.ACCOUNT_EVENTS,
    PhoneNumberChanged: topics.ACCOUNT_EVENTS,
    TemplateChanged: topics.ACCOUNT_EVENTS,
    FlowChanged: topics.ACCOUNT_EVENTS,
    GroupChanged: topics.ACCOUNT_EVENTS,
    ErrorReported: topics.ACCOUNT_EVENTS,
    UnrecognizedChange: topics.ACCOUNT_EVENTS,
    SendOutcome: topics.SEND_OUTCOMES,
    RecordConsent: topics.CONSENT_RECORDS,
}
"""Where each record stands. Commands stand where their producers write them, then in a lane."""
