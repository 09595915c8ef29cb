"""What does Meta tell, in our records? One dataclass for each schema of an event that comes from a webhook.

Every field says in its schema which key of Meta's it comes from; `docs/events.md` shows them all. Instants are milliseconds.
"""

from __future__ import annotations

from typing import Final, get_args

from services.common.domain.logged import logged


@logged
class ProductItem:
    """One line of an order."""

    product_retailer_id: str
    quantity: float | None = None
    item_price: float | None = None
    currency: str | None = None


@logged
class Restriction:
    """Something an account may not do."""

    restriction_type: str
    expires_at: int | None = None


@logged
class Participant:
    """Somebody who came into a group, left it, or could not be added."""

    change: str
    wa_id: str | None = None
    bsuid: str | None = None
    parent_bsuid: str | None = None
    username: str | None = None
    input: str | None = None
    error_code: int | None = None


@logged
class ContactCard:
    """A card of somebody, with the first number and address on it."""

    formatted_name: str | None = None
    phone: str | None = None
    wa_id: str | None = None
    email: str | None = None
    company: str | None = None
    origin: str | None = None


@logged
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
    parent_bsuid: str | None = None
    username: str | None = None
    identity_key_hash: str | None = None
    context_from: str | None = None
    forwarded: str | None = None
    catalog_id: str | None = None
    product_retailer_id: str | None = None
    product_items: tuple[ProductItem, ...] = ()
    referral_source_type: str | None = None
    referral_source_id: str | None = None
    referral_source_url: str | None = None
    ctwa_clid: str | None = None
    interactive_type: str | None = None
    target_wamid: str | None = None
    media_id: str | None = None
    media_mime_type: str | None = None
    media_sha256: str | None = None
    media_filename: str | None = None
    media_is_voice: bool | None = None
    latitude: float | None = None
    longitude: float | None = None
    location_name: str | None = None
    location_address: str | None = None
    contact_cards: tuple[ContactCard, ...] = ()
    unsupported_type: str | None = None
    error_code: int | None = None
    error_title: str | None = None
    contact_raw: str | None = None
    flags: str | None = None


@logged
class MessageStatusChanged:
    """Meta's word on a message of ours. Content identity: `(wamid, status, occurred_at, contact)`."""

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
    group_id: str | None = None
    parent_bsuid: str | None = None
    error_details: str | None = None
    pricing_billable: bool | None = None
    conversation_origin_type: str | None = None
    conversation_expires_at: int | None = None
    payment_reference_id: str | None = None
    payment_transaction_id: str | None = None
    payment_transaction_status: str | None = None
    payment_amount_value: int | None = None
    payment_amount_offset: int | None = None
    payment_currency: str | None = None
    field: str = "messages"
    flags: str | None = None


@logged
class MessageCopied:
    """A message that reached us otherwise than as new work.

    An echo of what somebody else sent, history, or a conversation that another app handles. Opens no window.
    Content identity: `(phone_number_id, field, wamid)`.
    """

    event_id: str
    occurred_at: int
    recorded_at: int
    waba_id: str
    phone_number_id: str
    field: str
    direction: str
    wamid: str
    type: str
    raw: str
    contact: str | None = None
    wa_id: str | None = None
    bsuid: str | None = None
    parent_bsuid: str | None = None
    profile_name: str | None = None
    username: str | None = None
    text: str | None = None
    payload: str | None = None
    context_wamid: str | None = None
    target_wamid: str | None = None
    group_id: str | None = None
    template_name: str | None = None
    media_id: str | None = None
    media_mime_type: str | None = None
    media_sha256: str | None = None
    media_filename: str | None = None
    history_status: str | None = None
    history_phase: int | None = None
    history_chunk_order: int | None = None
    history_progress: int | None = None
    error_code: int | None = None
    error_title: str | None = None
    flags: str | None = None


@logged
class CallChanged:
    """A call and what became of it. Opens no window. Content identity: `(wacid, event, status, occurred_at)`."""

    event_id: str
    occurred_at: int
    recorded_at: int
    waba_id: str
    phone_number_id: str
    wacid: str
    event: str
    raw: str
    field: str = "calls"
    status: str | None = None
    direction: str | None = None
    contact: str | None = None
    wa_id: str | None = None
    bsuid: str | None = None
    parent_bsuid: str | None = None
    started_at: int | None = None
    ended_at: int | None = None
    duration_seconds: int | None = None
    biz_opaque_callback_data: str | None = None
    cta_payload: str | None = None
    deeplink_payload: str | None = None
    media_id: str | None = None
    media_mime_type: str | None = None
    error_code: int | None = None
    error_title: str | None = None
    flags: str | None = None


@logged
class ContactChanged:
    """Meta's notice about a person.

    Another number or user id (then both sides stand here), changed keys, or an entry of the business' own contact book.
    Content identity: `(waba_id, field, raw, occurred_at)`.
    """

    event_id: str
    recorded_at: int
    waba_id: str
    field: str
    type: str
    raw: str
    occurred_at: int | None = None
    phone_number_id: str | None = None
    contact: str | None = None
    wa_id: str | None = None
    bsuid: str | None = None
    parent_bsuid: str | None = None
    previous_wa_id: str | None = None
    previous_bsuid: str | None = None
    previous_parent_bsuid: str | None = None
    wamid: str | None = None
    identity_key_hash: str | None = None
    action: str | None = None
    full_name: str | None = None
    first_name: str | None = None
    text: str | None = None
    flags: str | None = None


@logged
class UserPreferenceChanged:
    """A person switched a category of messages off or on at WhatsApp itself.

    Content identity: `(phone_number_id, contact, category, occurred_at, value)`.
    """

    event_id: str
    occurred_at: int
    recorded_at: int
    waba_id: str
    phone_number_id: str
    field: str
    contact: str
    category: str
    value: str
    raw: str
    wa_id: str | None = None
    bsuid: str | None = None
    parent_bsuid: str | None = None
    detail: str | None = None
    signup_id: str | None = None
    wamid: str | None = None
    flags: str | None = None


@logged
class UserActionReported:
    """A click, a visit or a conversion that Meta attributes to a message.

    Content identity: `(waba_id, field, raw, occurred_at)`.
    """

    event_id: str
    occurred_at: int
    recorded_at: int
    waba_id: str
    phone_number_id: str
    field: str
    action: str
    raw: str
    wamid: str | None = None
    click_id: str | None = None
    tracking_token: str | None = None
    click_component: str | None = None
    product_id: str | None = None
    ctwa_clid: str | None = None
    currency: str | None = None
    amount_1000: int | None = None
    flags: str | None = None


@logged
class ThreadHandedOver:
    """Who answers a conversation from now on, or what the one before knew of it.

    Content identity: `(waba_id, field, raw, occurred_at)`.
    """

    event_id: str
    recorded_at: int
    waba_id: str
    phone_number_id: str
    field: str
    type: str
    raw: str
    occurred_at: int | None = None
    contact: str | None = None
    wa_id: str | None = None
    bsuid: str | None = None
    previous_owner_app_id: str | None = None
    previous_owner_role: str | None = None
    new_owner_app_id: str | None = None
    new_owner_role: str | None = None
    metadata: str | None = None
    summary: str | None = None
    flags: str | None = None


@logged
class AccountChanged:
    """Something about a business account, its rights, limits or partners.

    Content identity: `(waba_id, field, raw, occurred_at)`.
    """

    event_id: str
    recorded_at: int
    field: str
    event: str
    raw: str
    occurred_at: int | None = None
    waba_id: str | None = None
    phone_number_id: str | None = None
    display_phone_number: str | None = None
    status: str | None = None
    entity_type: str | None = None
    entity_id: str | None = None
    severity: str | None = None
    description: str | None = None
    country: str | None = None
    violation_type: str | None = None
    ban_state: str | None = None
    ban_date: str | None = None
    restrictions: tuple[Restriction, ...] = ()
    reason: str | None = None
    initiated_by: str | None = None
    owner_business_id: str | None = None
    subject_waba_id: str | None = None
    partner_app_id: str | None = None
    solution_id: str | None = None
    messaging_limit: str | None = None
    max_phone_numbers_per_business: int | None = None
    max_phone_numbers_per_waba: int | None = None
    pricing_category: str | None = None
    pricing_tier: str | None = None
    effective_month: str | None = None
    region: str | None = None
    configuration_name: str | None = None


@logged
class PhoneNumberChanged:
    """Something about one business number: name, limit, throughput, username, settings, PIN.

    Content identity: `(waba_id, field, raw, occurred_at)`.
    """

    event_id: str
    recorded_at: int
    field: str
    event: str
    raw: str
    occurred_at: int | None = None
    waba_id: str | None = None
    phone_number_id: str | None = None
    display_phone_number: str | None = None
    decision: str | None = None
    requested_verified_name: str | None = None
    rejection_reason: str | None = None
    old_limit: str | None = None
    current_limit: str | None = None
    messaging_limit: str | None = None
    username: str | None = None
    status: str | None = None
    requester: str | None = None
    calling_status: str | None = None
    history_phase: int | None = None
    history_chunk_order: int | None = None
    history_progress: int | None = None


@logged
class TemplateChanged:
    """Status, category, quality or content of a template. Content identity: `(waba_id, field, raw, occurred_at)`."""

    event_id: str
    recorded_at: int
    field: str
    event: str
    template_id: str
    raw: str
    occurred_at: int | None = None
    waba_id: str | None = None
    template_name: str | None = None
    template_language: str | None = None
    category: str | None = None
    previous_category: str | None = None
    correct_category: str | None = None
    category_update_at: int | None = None
    previous_quality_score: str | None = None
    new_quality_score: str | None = None
    reason: str | None = None
    recommendation: str | None = None
    disable_date: str | None = None
    title: str | None = None
    description: str | None = None


@logged
class FlowChanged:
    """State or health of a flow. Content identity: `(waba_id, field, raw, occurred_at)`."""

    event_id: str
    recorded_at: int
    event: str
    raw: str
    field: str = "flows"
    flow_id: str | None = None
    occurred_at: int | None = None
    waba_id: str | None = None
    message: str | None = None
    old_status: str | None = None
    new_status: str | None = None
    alert_state: str | None = None
    threshold: float | None = None
    error_rate: float | None = None
    availability: float | None = None
    p50_latency: float | None = None
    p90_latency: float | None = None
    requests_count: int | None = None


@logged
class GroupChanged:
    """A group, its settings or its participants. Content identity: `(waba_id, field, raw, occurred_at)`."""

    event_id: str
    occurred_at: int
    recorded_at: int
    waba_id: str
    phone_number_id: str
    field: str
    type: str
    raw: str
    group_id: str | None = None
    request_id: str | None = None
    subject: str | None = None
    description: str | None = None
    invite_link: str | None = None
    join_approval_mode: str | None = None
    join_request_id: str | None = None
    reason: str | None = None
    initiated_by: str | None = None
    participants: tuple[Participant, ...] = ()
    error_code: int | None = None
    error_title: str | None = None
    flags: str | None = None


@logged
class ErrorReported:
    """An error about a number or account and not about one message. Content identity: `(waba_id, field, raw, occurred_at)`."""

    event_id: str
    recorded_at: int
    field: str
    raw: str
    code: int | None = None
    occurred_at: int | None = None
    waba_id: str | None = None
    phone_number_id: str | None = None
    title: str | None = None
    message: str | None = None
    details: str | None = None


@logged
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


WebhookEvent = (
    MessageReceived
    | MessageStatusChanged
    | MessageCopied
    | CallChanged
    | ContactChanged
    | UserPreferenceChanged
    | UserActionReported
    | ThreadHandedOver
    | AccountChanged
    | PhoneNumberChanged
    | TemplateChanged
    | FlowChanged
    | GroupChanged
    | ErrorReported
    | UnrecognizedChange
)

WEBHOOK_EVENTS: Final[tuple[type[WebhookEvent], ...]] = get_args(WebhookEvent)
