"""What does Meta tell about a person: another number or id, a preference, a click, another one who answers?"""

from __future__ import annotations

from typing import Final, NamedTuple

from services.common.domain.events import ContactChanged, ThreadHandedOver, UserActionReported, UserPreferenceChanged
from services.common.domain.failure import Unprocessable
from services.common.domain.ids import contact_key
from services.common.domain.reasons import Reason
from services.router.reading import (
    FROM,
    Names,
    Object,
    Scope,
    child,
    flags_text,
    identifier,
    instant,
    long_integer,
    name_of_person,
    named_person,
    optional,
    person,
    raw_text,
    word,
)

_USER: Final = Names("wa_id", "user_id", ("parent_user_id",))
MARKETING: Final = "marketing_messages"
_CHANGES: Final = frozenset({"user_changed_number", "user_changed_user_id", "customer_changed_number"})
_TOLD_BEFORE: Final = frozenset({"previous_user_id", "previous_parent_user_id", "new_wa_id", "customer"})


def system(element: Object, scope: Scope, pointer: str) -> ContactChanged | UserPreferenceChanged:
    """Meta's own notice in the place of a message. Names of before and of now stand on both sides of one event."""
    notice = child(element, "system")
    if notice.get("type") == "user_preference_changed" and optional(notice, "marketing"):
        return _preference_notice(element, notice, scope, pointer)
    flags: list[str] = []
    raw, where = raw_text(element, pointer), f"{pointer}/system"
    wa_id, bsuid = named_person(notice, "wa_id", "user_id", where)
    wa_id = wa_id or name_of_person(notice, "new_wa_id", where)
    sender, sender_bsuid = named_person(element, "from", "from_user_id", pointer)
    before_wa_id = name_of_person(notice, "customer", where) or sender
    before_bsuid = name_of_person(notice, "previous_user_id", where) or sender_bsuid
    contact = bsuid or wa_id or before_bsuid or before_wa_id
    if contact is None:
        raise Unprocessable(Reason.SENDER_MISSING, pointer=pointer)
    # Only a change has two sides. Of any other notice the sender is the person as of now.
    has_moved = bool(wa_id or bsuid) and (optional(notice, "type") in _CHANGES or not _TOLD_BEFORE.isdisjoint(notice))
    wa_id, bsuid = (wa_id, bsuid) if has_moved else (wa_id or before_wa_id, bsuid or before_bsuid)
    return ContactChanged(
        event_id=scope.event_id(pointer),
        occurred_at=instant(element, scope, pointer, flags),
        recorded_at=scope.at.received_at,
        waba_id=scope.waba_id or "",
        field=scope.field,
        type=optional(notice, "type") or "unknown",
        raw=raw,
        phone_number_id=scope.phone_number_id(pointer),
        contact=contact,
        wa_id=wa_id,
        bsuid=bsuid,
        parent_bsuid=optional(notice, "parent_user_id"),
        previous_wa_id=_other(before_wa_id, wa_id) if has_moved else None,
        previous_bsuid=_other(before_bsuid, bsuid) if has_moved else None,
        previous_parent_bsuid=optional(notice, "previous_parent_user_id"),
        wamid=identifier(element, "id", Reason.MESSAGE_ID, pointer),
        identity_key_hash=optional(child(notice, "identity"), "hash"),
        text=optional(notice, "body"),
        flags=flags_text(flags, raw),
    )


def _other(before: str | None, now: str | None) -> str | None:
    return None if before == now else before


def _preference_notice(element: Object, notice: Object, scope: Scope, pointer: str) -> UserPreferenceChanged:
    """The older form of `user_preferences`."""
    flags: list[str] = []
    raw = raw_text(element, pointer)
    who = person(element, FROM, scope, pointer)
    wa_id, bsuid = named_person(notice, "wa_id", "user_id", f"{pointer}/system")
    wa_id, bsuid = who.wa_id or wa_id, who.bsuid or bsuid
    contact = contact_key(bsuid=bsuid, wa_id=wa_id)
    if contact is None:
        raise Unprocessable(Reason.SENDER_MISSING, pointer=pointer)
    return UserPreferenceChanged(
        event_id=scope.event_id(pointer),
        occurred_at=instant(element, scope, pointer, flags),
        recorded_at=scope.at.received_at,
        waba_id=scope.waba_id or "",
        phone_number_id=scope.phone_number_id(pointer),
        field=scope.field,
        contact=contact,
        category=MARKETING,
        value=identifier(notice, "marketing", Reason.ELEMENT_SHAPE, f"{pointer}/system"),
        raw=raw,
        wa_id=wa_id,
        bsuid=bsuid,
        parent_bsuid=who.parent_bsuid or optional(notice, "parent_user_id"),
        detail=optional(notice, "body"),
        wamid=identifier(element, "id", Reason.MESSAGE_ID, pointer),
        flags=flags_text(flags, raw),
    )


def preference(element: Object, scope: Scope, pointer: str) -> UserPreferenceChanged:
    """A person's own switch at WhatsApp."""
    flags: list[str] = []
    raw = raw_text(element, pointer)
    who = person(element, _USER, scope, pointer)
    contact = who.contact
    if contact is None:
        raise Unprocessable(Reason.SENDER_MISSING, pointer=pointer)
    return UserPreferenceChanged(
        event_id=scope.event_id(pointer),
        occurred_at=instant(element, scope, pointer, flags),
        recorded_at=scope.at.received_at,
        waba_id=scope.waba_id or "",
        phone_number_id=scope.phone_number_id(pointer),
        field=scope.field,
        contact=contact,
        category=identifier(element, "category", Reason.ELEMENT_SHAPE, pointer),
        value=identifier(element, "value", Reason.ELEMENT_SHAPE, pointer),
        raw=raw,
        wa_id=who.wa_id,
        bsuid=who.bsuid,
        parent_bsuid=who.parent_bsuid,
        detail=optional(element, "detail"),
        signup_id=word(element, "signup_id"),
        flags=flags_text(flags, raw),
    )


def synced(element: Object, scope: Scope, pointer: str) -> ContactChanged:
    """An entry of the contact book in the business' app. It names a number, and says nothing of who has it."""
    flags: list[str] = []
    raw = raw_text(element, pointer)
    contact = child(element, "contact")
    number = name_of_person(contact, "phone_number", f"{pointer}/contact")
    return ContactChanged(
        event_id=scope.event_id(pointer),
        occurred_at=instant(child(element, "metadata"), scope, f"{pointer}/metadata", flags),
        recorded_at=scope.at.received_at,
        waba_id=scope.waba_id or "",
        field=scope.field,
        type=optional(element, "type") or "unknown",
        raw=raw,
        phone_number_id=scope.phone_number_id(pointer),
        contact=number and number.removeprefix("+"),
        wa_id=number and number.removeprefix("+"),
        action=optional(element, "action"),
        full_name=optional(contact, "full_name"),
        first_name=optional(contact, "first_name"),
        flags=flags_text(flags, raw),
    )


def noticed(value: Object, scope: Scope, pointer: str) -> ContactChanged:
    """A field about a person whose shape Meta has not published, or has withdrawn: kept by name."""
    flags: list[str] = []
    raw = raw_text(value, pointer)
    entry = scope.sole_entry()
    wa_id, bsuid = named_person(entry, "wa_id", "user_id", f"{pointer}/contacts/0")
    return ContactChanged(
        event_id=scope.event_id(pointer),
        occurred_at=scope.told_at(value),
        recorded_at=scope.at.received_at,
        waba_id=scope.waba_id or "",
        field=scope.field,
        type=scope.field,
        raw=raw,
        phone_number_id=scope.optional_phone_number_id(),
        contact=contact_key(bsuid=bsuid, wa_id=wa_id),
        wa_id=wa_id,
        bsuid=bsuid,
        parent_bsuid=optional(entry, "parent_user_id"),
        identity_key_hash=optional(entry, "identity_key_hash"),
        flags=flags_text(flags, raw),
    )


def user_action(element: Object, scope: Scope, pointer: str) -> UserActionReported:
    """A click or a visit; Meta does not say whose."""
    data = child(element, "marketing_messages_link_click_data") or child(element, "landing_page_view_data")
    return _action(element, scope, pointer, name="action_type", data=data)


def automatic_event(element: Object, scope: Scope, pointer: str) -> UserActionReported:
    """A lead or a purchase that Meta read out of a conversation."""
    return _action(element, scope, pointer, name="event_name", data=child(element, "custom_data"))


def tracking_event(element: Object, scope: Scope, pointer: str) -> UserActionReported:
    """What the panel of the App Dashboard sends as a sample."""
    return _action(element, scope, pointer, name="event_name", data=child(element, "tracking_data"))


def _action(element: Object, scope: Scope, pointer: str, *, name: str, data: Object) -> UserActionReported:
    flags: list[str] = []
    raw = raw_text(element, pointer)
    return UserActionReported(
        event_id=scope.event_id(pointer),
        occurred_at=instant(element, scope, pointer, flags),
        recorded_at=scope.at.received_at,
        waba_id=scope.waba_id or "",
        phone_number_id=scope.phone_number_id(pointer),
        field=scope.field,
        action=identifier(element, name, Reason.ELEMENT_SHAPE, pointer),
        raw=raw,
        wamid=optional(element, "id"),
        click_id=word(data, "click_id"),
        tracking_token=optional(data, "tracking_token"),
        click_component=optional(data, "click_component"),
        product_id=word(data, "product_id"),
        ctwa_clid=optional(element, "ctwa_clid"),
        currency=optional(data, "currency"),
        amount_1000=long_integer(data, "value"),
        flags=flags_text(flags, raw),
    )


def handed_over(value: Object, scope: Scope, pointer: str) -> ThreadHandedOver:
    """Control of a conversation went to another app or role."""
    kind = identifier(value, "type", Reason.ELEMENT_SHAPE, pointer)
    flags: list[str] = []
    wa_id, bsuid = named_person(child(value, "sender"), "phone_number", "user_id", f"{pointer}/sender")
    told = _Handover(
        kind,
        optional(child(value, "recipient"), "phone_number_id") or scope.phone_number_id(pointer),
        wa_id and wa_id.removeprefix("+"),
        bsuid,
        instant(value, scope, pointer, flags) if "timestamp" in value else scope.entry_at,
        child(value, kind),
    )
    return _handover(value, scope, pointer, told, flags)


def context(element: Object, scope: Scope, pointer: str) -> ThreadHandedOver:
    """What the app before knew, beside the messages of the conversation it is about."""
    entry = scope.sole_entry()
    wa_id, bsuid = named_person(entry, "wa_id", "user_id", pointer)
    number, details = scope.phone_number_id(pointer), {"conversation_context": element}
    return _handover(
        element, scope, pointer, _Handover("conversation_context", number, wa_id, bsuid, scope.entry_at, details), []
    )


class _Handover(NamedTuple):
    kind: str
    phone_number_id: str
    wa_id: str | None
    bsuid: str | None
    at: int | None
    details: Object


def _handover(element: Object, scope: Scope, pointer: str, told: _Handover, flags: list[str]) -> ThreadHandedOver:
    raw, details = raw_text(element, pointer), told.details
    return ThreadHandedOver(
        event_id=scope.event_id(pointer),
        occurred_at=told.at,
        recorded_at=scope.at.received_at,
        waba_id=scope.waba_id or "",
        phone_number_id=told.phone_number_id,
        field=scope.field,
        type=told.kind,
        raw=raw,
        contact=contact_key(bsuid=told.bsuid, wa_id=told.wa_id),
        wa_id=told.wa_id,
        bsuid=told.bsuid,
        previous_owner_app_id=word(details, "previous_owner_app_id"),
        previous_owner_role=optional(details, "previous_owner_role") or optional(details, "previous_owner_app_role"),
        new_owner_app_id=word(details, "new_owner_app_id"),
        new_owner_role=optional(details, "new_owner_role"),
        metadata=optional(details, "metadata"),
        summary=optional(child(child(details, "conversation_context"), "summary"), "text"),
        flags=flags_text(flags, raw),
    )
