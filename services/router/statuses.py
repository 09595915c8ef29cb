"""What became of a message that was sent? Elements of `statuses` beside messages."""

from __future__ import annotations

from typing import Any, Final

from services.common.domain.events import MessageStatusChanged
from services.common.domain.reasons import Reason
from services.router.reading import (
    RECIPIENT,
    Flag,
    Names,
    Object,
    Scope,
    child,
    first_error,
    flags_text,
    identifier,
    instant,
    integer,
    long_integer,
    optional,
    optional_instant,
    person,
    raw_text,
    texts,
)

_PARTICIPANT: Final = Names(
    "recipient_participant_id", "recipient_participant_user_id", ("recipient_participant_parent_user_id",)
)
_PARTICIPANT_OF_EXAMPLE: Final = _PARTICIPANT._replace(number="participant_recipient_id")
_KNOWN: Final = frozenset({"accepted", "sent", "delivered", "read", "played", "failed", "deleted", "warning"})
_PRICING: Final = ("pricing_model", "type", "category")


def changed(element: Object, scope: Scope, pointer: str) -> MessageStatusChanged:
    """One status of one message; for a message to a group, of one participant. A payment's notice is one too, by its type."""
    flags: list[str] = []
    raw = raw_text(element, pointer)
    is_group = element.get("recipient_type") == "group"
    names = RECIPIENT
    if is_group:  # Meta's text has one name, its example the other
        names = _PARTICIPANT_OF_EXAMPLE if "participant_recipient_id" in element else _PARTICIPANT
    who = person(element, names, scope, pointer)
    status = identifier(element, "status", Reason.ELEMENT_SHAPE, pointer)
    kind = (optional(element, "type") if "type" in element else None) or "message"
    if kind == "message" and status not in _KNOWN:
        flags.append(Flag.STATUS_UNKNOWN)
    return MessageStatusChanged(
        event_id=scope.event_id(pointer),
        occurred_at=instant(element, scope, pointer, flags),
        recorded_at=scope.at.received_at,
        waba_id=scope.waba_id or "",
        phone_number_id=scope.phone_number_id(pointer),
        wamid=identifier(element, "id", Reason.MESSAGE_ID, pointer),
        status=status,
        raw=raw,
        type=kind,
        contact=who.contact,
        wa_id=who.wa_id,
        bsuid=who.bsuid,
        parent_bsuid=who.parent_bsuid,
        biz_opaque_callback_data=optional(element, "biz_opaque_callback_data"),
        group_id=optional(element, "recipient_id") if is_group else None,
        field=scope.field,
        **_rest(element),
        flags=flags_text(flags, raw),
    )


def _rest(element: Object) -> dict[str, Any]:
    """Columns that only some statuses have, so that only what is there is looked at."""
    columns: dict[str, Any] = {}
    if "pricing" in element:
        pricing = child(element, "pricing")
        billable = pricing.get("billable")
        columns["pricing_model"], columns["pricing_type"], columns["pricing_category"] = texts(pricing, _PRICING)
        columns["pricing_billable"] = billable if isinstance(billable, bool) else None
    if "conversation" in element:
        conversation = child(element, "conversation")
        columns["conversation_id"] = optional(conversation, "id")
        columns["conversation_origin_type"] = optional(child(conversation, "origin"), "type")
        columns["conversation_expires_at"] = optional_instant(conversation, "expiration_timestamp")
    if "errors" in element:
        error = first_error(element)
        columns["error_code"], columns["error_title"] = integer(error, "code"), optional(error, "title")
        columns["error_details"] = optional(child(error, "error_data"), "details")
    if "payment" in element:
        columns.update(_payment(child(element, "payment")))
    return columns


def _payment(payment: Object) -> dict[str, Any]:
    transaction, amount = child(payment, "transaction"), child(payment, "amount")
    return {
        "payment_reference_id": optional(payment, "reference_id"),
        "payment_transaction_id": optional(transaction, "id"),
        "payment_transaction_status": optional(transaction, "status"),
        "payment_amount_value": long_integer(amount, "value"),
        "payment_amount_offset": integer(amount, "offset"),
        "payment_currency": optional(payment, "currency"),
    }
