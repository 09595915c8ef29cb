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
    `to` is a phone number (E.164), `recipient` a BSUID, `group_id` a group; a group stands alone. `expires_at` is exclusive.
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
    group_id: str | None = None
    recipient_identity_key_hash: str | None = None
    fallback_template: str | None = None
    caused_by: str | None = None
    send_at: int | None = None
    category: str | None = None
    marketing_messages: str | None = None
    message_activity_sharing: bool | None = None
    oversize: str = "refuse"
    tenant_id: str | None = None
    biz_opaque_callback_data: str | None = None


@logged
class SendOutcome:
    """What became of a command. `kind` says it in one word.

    `refused`: our gate said no, nothing was sent. `rejected`: Meta said no. `expired`: its time was over before it could be sent.
    `deferred`: not before `not_before_at`, told once for each cause. `unknown`: the bytes may have reached Meta and no answer
    came; a status webhook settles it as `accepted` with `source` "webhook". `unresolved`: no evidence came in time. `resent`: nor
    did it, and the policy is to send once more. `late_failure`: accepted, and Meta told later that it was not delivered.
    `duplicate_confirmed`: two attempts of the command turned out to be accepted.
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
    trace_id: str | None = None
    not_before_at: int | None = None
    group_id: str | None = None
    possible_duplicate: bool | None = None
    biz_opaque_callback_data: str | None = None


@logged
class SendingStateChanged:
    """What a business number or account may send has changed: something is stopped, goes on again, or has another limit.

    `phone_number_id` is null where it is about all numbers of the account. `cause` and those two name what has changed; stops of
    several causes hold beside each other, and each ends for itself. `state`: stopped, sending, limit.
    """

    event_id: str
    occurred_at: int
    waba_id: str
    state: str
    source: str
    phone_number_id: str | None = None
    cause: str | None = None
    covers: str | None = None
    area: str | None = None
    reason: str | None = None
    error_code: int | None = None
    trace_id: str | None = None
    since_at: int | None = None
    until_at: int | None = None
    messages_per_second: int | None = None


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


Record = WebhookEvent | SendMessage | SendOutcome | SendingStateChanged | RecordConsent

FULL_NAMES: Final[dict[type[Record], str]] = {
    **{cls: f"parley.events.{cls.__name__}" for cls in WEBHOOK_EVENTS},
    SendOutcome: "parley.events.SendOutcome",
    SendingStateChanged: "parley.events.SendingStateChanged",
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
    SendingStateChanged: topics.ACCOUNT_EVENTS,
    SendOutcome: topics.SEND_OUTCOMES,
    RecordConsent: topics.CONSENT_RECORDS,
}
"""Where each record stands. Commands stand where their producers write them, then in a lane."""
