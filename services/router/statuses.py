"""What became of a message that was sent? Elements of `statuses` beside messages."""

from __future__ import annotations

from typing import Final

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
_NO_PAYMENT: Final[tuple[None, ...]] = (None,) * 6


def changed(element: Object, scope: Scope, pointer: str) -> MessageStatusChanged:
    """One status of one message; for a message to a group, of one participant. A payment's notice is one too, by its type."""
    flags: list[str] = []
    raw = raw_text(element, pointer)
    is_group = element.get("recipient_type") == "group"
    names = RECIPIENT
    if is_group:  # Meta's text has one name, its example the other
        names = _PARTICIPANT_OF_EXAMPLE if "participant_recipient_id" in element else _PARTICIPANT
    who = person(element, names, scope, pointer)
    error = first_error(element) if "errors" in element else {}
    conversation = child(element, "conversation") if "conversation" in element else {}
    pricing = child(element, "pricing")
    model, pricing_type, category = texts(pricing, _PRICING)
    status = identifier(element, "status", Reason.ELEMENT_SHAPE, pointer)
    kind = (optional(element, "type") if "type" in element else None) or "message"
    if kind == "message" and status not in _KNOWN:
        flags.append(Flag.STATUS_UNKNOWN)
    billable = pricing.get("billable")
    reference, transaction, transaction_status, amount, offset, currency = (
        _payment(element) if "payment" in element else _NO_PAYMENT
    )
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
        biz_opaque_callback_data=optional(element, "biz_opaque_callback_data"),
        error_code=integer(error, "code") if error else None,
        error_title=optional(error, "title") if error else None,
        pricing_model=model,
        pricing_type=pricing_type,
        pricing_category=category,
        conversation_id=optional(conversation, "id") if conversation else None,
        group_id=optional(element, "recipient_id") if is_group else None,
        parent_bsuid=who.parent_bsuid,
        error_details=optional(child(error, "error_data"), "details") if error else None,
        pricing_billable=billable if isinstance(billable, bool) else None,
        conversation_origin_type=optional(child(conversation, "origin"), "type") if conversation else None,
        conversation_expires_at=optional_instant(conversation, "expiration_timestamp") if conversation else None,
        payment_reference_id=reference,
        payment_transaction_id=transaction,
        payment_transaction_status=transaction_status,
        payment_amount_value=amount,
        payment_amount_offset=offset,
        payment_currency=currency,
        field=scope.field,
        flags=flags_text(flags, raw),
    )


def _payment(element: Object) -> tuple[str | None, str | None, str | None, int | None, int | None, str | None]:
    payment = child(element, "payment")
    transaction, amount = child(payment, "transaction"), child(payment, "amount")
    return (
        optional(payment, "reference_id"),
        optional(transaction, "id"),
        optional(transaction, "status"),
        long_integer(amount, "value"),
        integer(amount, "offset"),
        optional(payment, "currency"),
    )
