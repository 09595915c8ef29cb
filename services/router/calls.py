"""What happened to a call? Elements of `calls`, and of `statuses` beside them."""

from __future__ import annotations

from services.common.domain.events import CallChanged
from services.common.domain.reasons import Reason
from services.router.reading import (
    FROM,
    RECIPIENT,
    TO,
    Object,
    Person,
    Scope,
    child,
    first_error,
    flags_text,
    identifier,
    instant,
    integer,
    optional,
    optional_instant,
    person,
    raw_text,
)


def call(element: Object, scope: Scope, pointer: str) -> CallChanged:
    """A step of a call. That an end has a start is the sign that somebody answered."""
    names = TO if element.get("direction") == "BUSINESS_INITIATED" else FROM
    who = person(element, names, scope, pointer)
    return _changed(element, scope, pointer, who, identifier(element, "event", Reason.ELEMENT_SHAPE, pointer))


def status(element: Object, scope: Scope, pointer: str) -> CallChanged:
    """Ringing, accepted or rejected: of a call that the business makes."""
    who = person(element, RECIPIENT, scope, pointer)
    identifier(element, "status", Reason.ELEMENT_SHAPE, pointer)
    return _changed(element, scope, pointer, who, "status")


def _changed(element: Object, scope: Scope, pointer: str, who: Person, event: str) -> CallChanged:
    flags: list[str] = []
    raw, error = raw_text(element, pointer), first_error(element)
    media = child(child(element, "call_recording"), "audio") or child(child(element, "call_transcript"), "document")
    return CallChanged(
        event_id=scope.event_id(pointer),
        occurred_at=instant(element, scope, pointer, flags),
        recorded_at=scope.at.received_at,
        waba_id=scope.waba_id or "",
        phone_number_id=scope.phone_number_id(pointer),
        wacid=identifier(element, "id", Reason.MESSAGE_ID, pointer),
        event=event,
        raw=raw,
        field=scope.field,
        status=optional(element, "status"),
        direction=optional(element, "direction"),
        contact=who.contact,
        wa_id=who.wa_id,
        bsuid=who.bsuid,
        parent_bsuid=who.parent_bsuid,
        started_at=optional_instant(element, "start_time"),
        ended_at=optional_instant(element, "end_time"),
        duration_seconds=integer(element, "duration"),
        biz_opaque_callback_data=optional(element, "biz_opaque_callback_data"),
        cta_payload=optional(element, "cta_payload"),
        deeplink_payload=optional(element, "deeplink_payload"),
        media_id=optional(media, "id"),
        media_mime_type=optional(media, "mime_type"),
        error_code=integer(error, "code"),
        error_title=optional(error, "title"),
        flags=flags_text(flags, raw),
    )
