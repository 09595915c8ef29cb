"""What did a person write, or somebody else in our name? Elements of `messages`, echoes, history and standby."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

import orjson

from services.common.domain.events import (
    ContactCard,
    ContactChanged,
    MessageCopied,
    MessageReceived,
    ProductItem,
    UserPreferenceChanged,
)
from services.common.domain.failure import Unprocessable
from services.common.domain.ids import contact_key
from services.common.domain.reasons import Reason
from services.router import contacts
from services.router.reading import (
    FROM,
    TO,
    Flag,
    Object,
    Scope,
    child,
    clean,
    decimal,
    first_error,
    flags_text,
    identifier,
    instant,
    integer,
    named_person,
    objects,
    optional,
    person,
    raw_text,
    texts,
    unmodelled,
)

INBOUND: Final = "inbound"
OUTBOUND: Final = "outbound"
_MEDIA: Final = frozenset({"image", "video", "audio", "document", "sticker"})
_REFERRAL: Final = ("source_type", "source_id", "source_url", "ctwa_clid")
_REFERRAL_COLUMNS: Final = ("referral_source_type", "referral_source_id", "referral_source_url", "ctwa_clid")
_DEGREES: Final = {"latitude": 90.0, "longitude": 180.0}


class Words(NamedTuple):
    """What was written or tapped, the machine-readable part of it, and which message it is about."""

    text: str | None = None
    payload: str | None = None
    target_wamid: str | None = None
    interactive_type: str | None = None


_NO_WORDS: Final = Words()


def received(element: Object, scope: Scope, pointer: str) -> MessageReceived | ContactChanged | UserPreferenceChanged:
    """A customer's message. What Meta itself says of a customer comes the same way and is an event of its own."""
    kind = element.get("type")
    if kind == "system":
        return contacts.system(element, scope, pointer)
    who = person(element, FROM, scope, pointer)
    contact = who.contact
    if contact is None:
        raise Unprocessable(Reason.SENDER_MISSING, pointer=pointer)
    flags: list[str] = []
    raw = raw_text(element, pointer)
    kind = clean(kind) or "unknown"
    words = _words(element, kind, flags)
    return MessageReceived(
        event_id=scope.event_id(pointer),
        occurred_at=instant(element, scope, pointer, flags),
        recorded_at=scope.at.received_at,
        waba_id=scope.waba_id or "",
        phone_number_id=scope.phone_number_id(pointer),
        contact=contact,
        wamid=identifier(element, "id", Reason.MESSAGE_ID, pointer),
        type=kind,
        raw=raw,
        wa_id=who.wa_id,
        bsuid=who.bsuid,
        parent_bsuid=who.parent_bsuid,
        text=words.text,
        payload=words.payload,
        target_wamid=words.target_wamid,
        interactive_type=words.interactive_type,
        field=scope.field,
        **_rest(element, kind, who.entry, pointer, flags),
        flags=flags_text(flags, raw),
    )


def _rest(element: Object, kind: str, entry: Object, pointer: str, flags: list[str]) -> dict[str, Any]:
    """Columns that most messages do not have, so that only what is there is looked at."""
    columns: dict[str, Any] = {}
    if entry:
        profile = child(entry, "profile")
        columns["profile_name"] = optional(profile, "name")
        if "username" in profile:
            columns["username"] = optional(profile, "username")
        if "identity_key_hash" in entry:
            columns["identity_key_hash"] = optional(entry, "identity_key_hash")
        columns["contact_raw"] = unmodelled(entry)
    if "context" in element:
        columns.update(_context(child(element, "context")))
    if "referral" in element:
        referral = child(element, "referral")
        columns.update(zip(_REFERRAL_COLUMNS, texts(referral, _REFERRAL), strict=True))
    if "group_id" in element:
        columns["group_id"] = optional(element, "group_id")
    if "errors" in element:
        columns.update(_error(element))
    of_kind = _OF_KIND.get(kind)
    if of_kind is not None:
        columns.update(of_kind(element, pointer, flags))
    return columns


def _context(context: Object) -> dict[str, Any]:
    columns: dict[str, Any] = {
        "context_wamid": optional(context, "id"),
        "context_from": optional(context, "from"),
        "forwarded": _forwarded(context),
    }
    if "referred_product" in context:
        product = child(context, "referred_product")
        columns["catalog_id"] = optional(product, "catalog_id")
        columns["product_retailer_id"] = optional(product, "product_retailer_id")
    return columns


def _error(element: Object) -> dict[str, Any]:
    error = first_error(element)
    return {"error_code": integer(error, "code"), "error_title": optional(error, "title")}


def _media(body: Object) -> dict[str, Any]:
    return {
        "media_id": optional(body, "id"),
        "media_mime_type": optional(body, "mime_type"),
        "media_sha256": optional(body, "sha256"),
        "media_filename": optional(body, "filename"),
    }


def _received_media(kind: str, element: Object, _pointer: str, _flags: list[str]) -> dict[str, Any]:
    body = child(element, kind)
    return {**_media(body), "media_is_voice": _truth(body, "voice")}


def _location(element: Object, pointer: str, _flags: list[str]) -> dict[str, Any]:
    body = child(element, "location")
    return {
        "latitude": _degrees(body, "latitude", pointer),
        "longitude": _degrees(body, "longitude", pointer),
        "location_name": optional(body, "name"),
        "location_address": optional(body, "address"),
    }


def _ordered(element: Object, _pointer: str, flags: list[str]) -> dict[str, Any]:
    body = child(element, "order")
    return {"catalog_id": optional(body, "catalog_id"), "product_items": _product_items(body, flags)}


def _cards(element: Object, _pointer: str, _flags: list[str]) -> dict[str, Any]:
    return {"contact_cards": tuple(map(_contact_card, objects(element, "contacts")))}


def _unsupported(element: Object, _pointer: str, _flags: list[str]) -> dict[str, Any]:
    return {"unsupported_type": optional(child(element, "unsupported"), "type")}


_OF_KIND: Final[Mapping[str, Callable[[Object, str, list[str]], dict[str, Any]]]] = {
    **{kind: partial(_received_media, kind) for kind in _MEDIA},
    "location": _location,
    "order": _ordered,
    "contacts": _cards,
    "unsupported": _unsupported,
}
"""The columns that only one type of message has."""


def standby(element: Object, scope: Scope, pointer: str) -> MessageCopied | ContactChanged | UserPreferenceChanged:
    """A customer's message in a conversation that another app handles: known, but nobody's work here."""
    if element.get("type") == "system":
        return contacts.system(element, scope, pointer)
    who = person(element, FROM, scope, pointer)
    if who.contact is None:
        raise Unprocessable(Reason.SENDER_MISSING, pointer=pointer)
    return _copied(element, scope, pointer, direction=INBOUND, told=Told(*who[:3], child(who.entry, "profile")))


def echo(element: Object, scope: Scope, pointer: str) -> MessageCopied:
    """What a person of the business wrote in the app."""
    who = person(element, TO, scope, pointer)
    return _copied(element, scope, pointer, direction=OUTBOUND, told=Told(*who[:3], child(who.entry, "profile")))


def standby_echo(element: Object, scope: Scope, pointer: str) -> MessageCopied:
    """What the app that handles the conversation sent: the body of its call stands one level deeper."""
    sent = child(element, "message")
    wa_id, bsuid = named_person(sent, "to", "recipient", f"{pointer}/message")
    return _copied(
        element, scope, pointer, direction=OUTBOUND, told=Told(wa_id and wa_id.removeprefix("+"), bsuid, None, {}), content=sent
    )


class Thread(NamedTuple):
    """Of which chunk of the history, and with whom."""

    chunk: Object
    thread: Object


def past(element: Object, scope: Scope, pointer: str, thread: Thread) -> MessageCopied:
    """A message of the history, in either direction."""
    told = child(thread.thread, "context")
    wa_id, bsuid = named_person(told, "wa_id", "user_id", pointer)
    if wa_id is None and bsuid is None:
        wa_id, bsuid = named_person(thread.thread, "id", "user_id", pointer)
    return _copied(
        element,
        scope,
        pointer,
        direction=_direction(element, scope),
        told=Told(wa_id, bsuid, optional(told, "parent_user_id"), told),
        chunk=child(thread.chunk, "metadata"),
    )


def past_media(element: Object, scope: Scope, pointer: str) -> MessageCopied:
    """Media of a message of the history, in a webhook of its own."""
    outbound = _direction(element, scope) == OUTBOUND
    who = person(element, TO if outbound else FROM, scope, pointer)
    told = Told(*who[:3], child(who.entry, "profile"))
    return _copied(element, scope, pointer, direction=OUTBOUND if outbound else INBOUND, told=told)


class Told(NamedTuple):
    """Who the other side of a copy is."""

    wa_id: str | None
    bsuid: str | None
    parent_bsuid: str | None
    profile: Object


def _copied(
    element: Object,
    scope: Scope,
    pointer: str,
    *,
    direction: str,
    told: Told,
    content: Object | None = None,
    chunk: Object | None = None,
) -> MessageCopied:
    flags: list[str] = []
    raw = raw_text(element, pointer)
    said = element if content is None else content
    kind = optional(said, "type") or "unknown"
    words = _words(said, kind, flags)
    columns = _media(child(said, kind)) if kind in _MEDIA else {}
    if kind == "template":
        columns["template_name"] = optional(child(said, kind), "name")
    if "context" in said:
        context = child(said, "context")
        columns["context_wamid"] = optional(context, "id") or optional(context, "message_id")
    if "errors" in element:
        columns.update(_error(element))
    if chunk:
        columns["history_phase"] = integer(chunk, "phase")
        columns["history_chunk_order"] = integer(chunk, "chunk_order")
        columns["history_progress"] = integer(chunk, "progress")
    return MessageCopied(
        event_id=scope.event_id(pointer),
        occurred_at=instant(element, scope, pointer, flags),
        recorded_at=scope.at.received_at,
        waba_id=scope.waba_id or "",
        phone_number_id=scope.phone_number_id(pointer),
        field=scope.field,
        direction=direction,
        wamid=identifier(element, "id", Reason.MESSAGE_ID, pointer),
        type=kind,
        raw=raw,
        contact=contact_key(bsuid=told.bsuid, wa_id=told.wa_id),
        wa_id=told.wa_id,
        bsuid=told.bsuid,
        parent_bsuid=told.parent_bsuid,
        profile_name=optional(told.profile, "name"),
        username=optional(told.profile, "username"),
        text=words.text,
        payload=words.payload,
        target_wamid=words.target_wamid,
        group_id=optional(element, "group_id"),
        history_status=optional(child(element, "history_context"), "status"),
        **columns,
        flags=flags_text(flags, raw),
    )


def _direction(element: Object, scope: Scope) -> str:
    """Only what the business wrote says to whom it went, or comes from the business' own number."""
    if element.get("to") or element.get("to_user_id"):
        return OUTBOUND
    own, sender = optional(child(scope.value, "metadata"), "display_phone_number"), optional(element, "from")
    return OUTBOUND if own and sender and _bare(own) == _bare(sender) else INBOUND


def _bare(number: str) -> str:
    return "".join(filter(str.isdigit, number))


def _forwarded(context: Object) -> str | None:
    if context.get("frequently_forwarded") is True:
        return "frequently_forwarded"
    return "forwarded" if context.get("forwarded") is True else None


def _words(element: Object, kind: str, flags: list[str]) -> Words:
    body = element.get(kind)
    return _WORDS.get(kind, _caption)(body, flags) if isinstance(body, dict) else _NO_WORDS


def _caption(body: Object, _flags: list[str]) -> Words:
    return Words(optional(body, "caption"))


def _text(body: Object, _flags: list[str]) -> Words:
    return Words(optional(body, "body"))


def _tap(body: Object, _flags: list[str]) -> Words:
    return Words(optional(body, "text"), optional(body, "payload"))


def _reaction(body: Object, _flags: list[str]) -> Words:
    return Words(optional(body, "emoji"), target_wamid=optional(body, "message_id"))


def _order(body: Object, _flags: list[str]) -> Words:
    return Words(optional(body, "text"))


def _edit(body: Object, flags: list[str]) -> Words:
    edited = child(body, "message")
    kind = optional(edited, "type") or ""
    words = _NO_WORDS if kind == "edit" else _words(edited, kind, flags)
    return words._replace(target_wamid=optional(body, "original_message_id"))


def _revoke(body: Object, _flags: list[str]) -> Words:
    return Words(target_wamid=optional(body, "original_message_id"))


def _reply(body: Object, flags: list[str]) -> Words:
    """An answer to an interactive message. The title is what the person saw; the id is what to act on."""
    kind = optional(body, "type")
    reply = child(body, kind or "")
    if kind == "nfm_reply":
        return Words(payload=_flow_answers(reply, flags), interactive_type=kind)
    if kind == "call_permission_reply":
        return Words(payload=optional(reply, "response"), interactive_type=kind)
    if kind == "payment_method":
        return Words(payload=optional(reply, "payment_method"), interactive_type=kind)
    return Words(optional(reply, "title"), optional(reply, "id"), None, kind)


_WORDS: Final[Mapping[str, Callable[[Object, list[str]], Words]]] = {
    "text": _text,
    "interactive": _reply,
    "button": _tap,
    "reaction": _reaction,
    "order": _order,
    "edit": _edit,
    "revoke": _revoke,
}


def _flow_answers(reply: Object, flags: list[str]) -> str | None:
    """JSON within a text, written by the flow and not by Meta: passed on only when it is an object."""
    text = optional(reply, "response_json")
    try:
        answers: Any = orjson.loads(text) if text else None
    except orjson.JSONDecodeError:
        answers = None
    if isinstance(answers, dict):
        return text
    flags.append(Flag.RESPONSE_JSON)
    return None


def _product_items(order: Object, flags: list[str]) -> tuple[ProductItem, ...]:
    """All lines of an order or none: part of an order would be another order."""
    items = order.get("product_items")
    lines = [_product_item(item) for item in items] if isinstance(items, list) else [None]
    whole = [line for line in lines if line is not None]
    if len(whole) != len(lines):
        flags.append(Flag.PRODUCT_ITEMS)
        return ()
    return tuple(whole)


def _product_item(item: Any) -> ProductItem | None:
    product = optional(item, "product_retailer_id") if isinstance(item, dict) else None
    if product is None:
        return None
    return ProductItem(
        product_retailer_id=product,
        quantity=decimal(item, "quantity"),
        item_price=decimal(item, "item_price"),
        currency=optional(item, "currency"),
    )


def _contact_card(card: Object) -> ContactCard:
    phone, email = next(iter(objects(card, "phones")), {}), next(iter(objects(card, "emails")), {})
    return ContactCard(
        formatted_name=optional(child(card, "name"), "formatted_name"),
        phone=optional(phone, "phone"),
        wa_id=optional(phone, "wa_id"),
        email=optional(email, "email"),
        company=optional(child(card, "org"), "company"),
        origin=optional(card, "origin"),
    )


def _truth(parent: Object, name: str) -> bool | None:
    found = parent.get(name)
    return found if isinstance(found, bool) else None


def _degrees(location: Object, name: str, pointer: str) -> float | None:
    if location.get(name) is None:
        return None
    found = decimal(location, name)
    if found is None or not abs(found) <= _DEGREES[name]:
        raise Unprocessable(Reason.VALUE_RANGE, pointer=f"{pointer}/location/{name}")
    return found
