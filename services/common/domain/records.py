"""What do the records in the log say? One dataclass for each `schemas/*.avsc`; a contract test proves they agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageReceived:
    """A customer's message, as Meta told it. Content identity: `(phone_number_id, wamid)`."""

    event_id: str
    occurred_at: int
    recorded_at: int
    waba_id: str
    phone_number_id: str
    contact: str
    wamid: str
    type: str
    raw: str
    wa_id: str | None = None
    bsuid: str | None = None
    profile_name: str | None = None
    text: str | None = None
    payload: str | None = None
    context_wamid: str | None = None
    group_id: str | None = None
    field: str = "messages"


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageStatusChanged:
    """Meta's word on a message of ours. Content identity: `(wamid, status, occurred_at, contact)`.

    Only `type` "message" moves delivery; "payment" and "call" rows are kept and leave it alone.
    """

    event_id: str
    occurred_at: int
    recorded_at: int
    waba_id: str
    phone_number_id: str
    wamid: str
    status: str
    raw: str
    type: str = "message"
    contact: str | None = None
    wa_id: str | None = None
    bsuid: str | None = None
    biz_opaque_callback_data: str | None = None
    error_code: int | None = None
    error_title: str | None = None
    pricing_model: str | None = None
    pricing_type: str | None = None
    pricing_category: str | None = None
    conversation_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnrecognizedChange:
    """An element that has no type here yet: kept whole, with where it stood in the webhook.

    `occurred_at` is Meta's time of the entry, where it gave one. Content identity: `(waba_id, field, raw, occurred_at)`.
    """

    event_id: str
    recorded_at: int
    pointer: str
    raw: str
    occurred_at: int | None = None
    waba_id: str | None = None
    phone_number_id: str | None = None
    field: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True, kw_only=True)
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


Record = MessageReceived | MessageStatusChanged | UnrecognizedChange | SendMessage | SendOutcome | RecordConsent

FULL_NAMES: Final[dict[type[Record], str]] = {
    MessageReceived: "parley.events.MessageReceived",
    MessageStatusChanged: "parley.events.MessageStatusChanged",
    UnrecognizedChange: "parley.events.UnrecognizedChange",
    SendOutcome: "parley.events.SendOutcome",
    SendMessage: "parley.commands.SendMessage",
    RecordConsent: "parley.commands.RecordConsent",
}
