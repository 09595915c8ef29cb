"""What does a webhook say? One POST of Meta becomes one event or one dead letter per element; nothing vanishes."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from services.common.domain.failure import Unprocessable
from services.common.domain.ids import contact_key, event_id_of_element
from services.common.domain.reasons import Reason
from services.common.domain.records import MessageReceived, MessageStatusChanged, UnrecognizedChange

MAX_DEPTH: Final = 64
MAX_INFLATED_BYTES: Final = 8 * 1024 * 1024
_FUTURE_MS: Final = 2 * 24 * 3600 * 1000
_TIMESTAMP: Final = re.compile(r"[0-9]{1,13}", re.ASCII)
_BSUID: Final = re.compile(r"[A-Z]{2}\.[A-Za-z0-9.]{1,133}")
_ENCODING_HINTS: Final = ("utf-8", "surrogate", "encoding")

Event = MessageReceived | MessageStatusChanged | UnrecognizedChange


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where the raw record stands in the log, and when ingest received it (milliseconds)."""

    topic: str
    partition: int
    offset: int
    received_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """An element that cannot become an event: why, where in the webhook, and its bytes."""

    problem: Unprocessable
    value: bytes


def inflated(body: bytes, content_encoding: bytes | None) -> bytes:
    """The body as JSON text. Ingest stores the wire bytes; only here are they inflated, up to 8 MiB."""
    if content_encoding in (None, b"", b"identity"):
        return body
    if content_encoding not in (b"gzip", b"deflate"):
        raise Unprocessable(Reason.JSON_ENCODING, detail="content-encoding is neither gzip nor deflate")
    inflater = zlib.decompressobj(wbits=47)  # 32 + 15: gzip and zlib headers are told apart by themselves
    try:
        text = inflater.decompress(body, MAX_INFLATED_BYTES)
    except zlib.error:
        raise Unprocessable(Reason.JSON_ENCODING, detail="not the content-encoding it says") from None
    if inflater.unconsumed_tail:
        raise Unprocessable(Reason.DECOMPRESS_LIMIT, detail=f"more than {MAX_INFLATED_BYTES} bytes")
    return text


def split(body: bytes, position: Position) -> list[Event | SetAside]:
    """Every element of a webhook, in order: an event, or set aside alone while its siblings go on.

    Raises Unprocessable only when the body as a whole is no webhook. The same bytes at the same position give the same events.
    """
    document = _document(body)
    entries = document.get("entry")
    if not isinstance(entries, list):
        raise Unprocessable(Reason.ENTRY_SHAPE, pointer="/entry")
    found: list[Event | SetAside] = []
    for i, entry in enumerate(entries):
        pointer = f"/entry/{i}"
        changes = entry.get("changes") if isinstance(entry, dict) else None
        if not isinstance(changes, list):
            found.append(_set_aside(entry, Reason.CHANGES_SHAPE, pointer))
            continue
        for j, change in enumerate(changes):
            found.extend(_elements(change, _Place(entry, position), f"{pointer}/changes/{j}"))
    return found


def _document(body: bytes) -> dict[str, Any]:
    if not body:
        raise Unprocessable(Reason.EMPTY_BODY)
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as problem:
        raise Unprocessable(_syntax_reason(problem), detail="not a JSON document") from None
    if not isinstance(document, dict):
        raise Unprocessable(Reason.NOT_OBJECT)
    if document.get("object") != "whatsapp_business_account":
        raise Unprocessable(Reason.OBJECT_UNKNOWN, pointer="/object")
    return document


def _syntax_reason(problem: orjson.JSONDecodeError) -> Reason:
    text = str(problem).lower()
    if "depth limit" in text:
        return Reason.JSON_DEPTH
    return Reason.JSON_ENCODING if any(hint in text for hint in _ENCODING_HINTS) else Reason.JSON_SYNTAX


class _Place:
    """What an element inherits from its entry and its raw record."""

    __slots__ = ("at", "entry_at", "waba_id")

    def __init__(self, entry: dict[str, Any], position: Position) -> None:
        waba_id, entry_time = entry.get("id"), entry.get("time")
        self.at = position
        self.waba_id = waba_id if isinstance(waba_id, str) else None
        self.entry_at = entry_time * 1000 if type(entry_time) is int and 0 < entry_time < 10**11 else None

    def event_id(self, pointer: str) -> str:
        return event_id_of_element(self.at.topic, self.at.partition, self.at.offset, pointer)


def _elements(change: Any, place: _Place, pointer: str) -> Iterator[Event | SetAside]:
    if not isinstance(change, dict) or not isinstance(change.get("field"), str):
        yield _set_aside(change, Reason.CHANGES_SHAPE, pointer)
        return
    value = change.get("value")
    if not isinstance(value, dict):
        yield _set_aside(change, Reason.VALUE_SHAPE, f"{pointer}/value")
        return
    if change["field"] != "messages":
        yield _unrecognized(value, place, f"{pointer}/value", change["field"], value)
        return
    yield from _messages_field(value, place, f"{pointer}/value")


def _messages_field(value: dict[str, Any], place: _Place, pointer: str) -> Iterator[Event | SetAside]:
    lists = [name for name in value if name not in ("messaging_product", "metadata", "contacts")]
    if not lists:
        yield _unrecognized(value, place, pointer, "messages", value)
    for name in lists:
        elements = value[name]
        if not isinstance(elements, list):
            yield _unrecognized(elements, place, f"{pointer}/{name}", "messages", value)
            continue
        for k, element in enumerate(elements):
            where = f"{pointer}/{name}/{k}"
            if name not in ("messages", "statuses"):
                yield _unrecognized(element, place, where, "messages", value)
                continue
            try:
                if not isinstance(element, dict):
                    raise Unprocessable(Reason.ELEMENT_SHAPE, pointer=where)
                typed = _message if name == "messages" else _status
                yield typed(element, value, place, where)
            except Unprocessable as problem:
                yield SetAside(problem=problem, value=_raw(element))


def _message(element: dict[str, Any], value: dict[str, Any], place: _Place, pointer: str) -> MessageReceived:
    wa_id, bsuid = _person(element, "from", "from_user_id", pointer)
    contact = contact_key(bsuid=bsuid, wa_id=wa_id)
    if contact is None:
        raise Unprocessable(Reason.SENDER_MISSING, pointer=pointer)
    kind = element.get("type")
    text, payload = _words(element, kind)
    return MessageReceived(
        event_id=place.event_id(pointer),
        occurred_at=_timestamp(element, place, pointer),
        recorded_at=place.at.received_at,
        waba_id=place.waba_id or "",
        phone_number_id=_phone_number_id(value, pointer),
        contact=contact,
        wamid=_identifier(element, "id", Reason.MESSAGE_ID, pointer),
        type=_clean(kind) or "unknown",
        raw=_text_of(element, pointer),
        wa_id=wa_id,
        bsuid=bsuid,
        profile_name=_profile_name(value, wa_id, bsuid),
        text=text,
        payload=payload,
        context_wamid=_optional(_object(element, "context"), "id"),
        group_id=_optional(element, "group_id"),
    )


def _status(element: dict[str, Any], value: dict[str, Any], place: _Place, pointer: str) -> MessageStatusChanged:
    wa_id, bsuid = _person(element, "recipient_id", "recipient_user_id", pointer)
    errors = element.get("errors")
    error = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    pricing = _object(element, "pricing")
    code = error.get("code")
    return MessageStatusChanged(
        event_id=place.event_id(pointer),
        occurred_at=_timestamp(element, place, pointer),
        recorded_at=place.at.received_at,
        waba_id=place.waba_id or "",
        phone_number_id=_phone_number_id(value, pointer),
        wamid=_identifier(element, "id", Reason.MESSAGE_ID, pointer),
        status=_identifier(element, "status", Reason.ELEMENT_SHAPE, pointer),
        raw=_text_of(element, pointer),
        type=_optional(element, "type") or "message",
        contact=contact_key(bsuid=bsuid, wa_id=wa_id),
        wa_id=wa_id,
        bsuid=bsuid,
        biz_opaque_callback_data=_optional(element, "biz_opaque_callback_data"),
        error_code=code if type(code) is int and -(2**31) <= code < 2**31 else None,
        error_title=_optional(error, "title"),
        pricing_model=_optional(pricing, "pricing_model"),
        pricing_type=_optional(pricing, "type"),
        pricing_category=_optional(pricing, "category"),
        conversation_id=_optional(_object(element, "conversation"), "id"),
    )


def _unrecognized(element: Any, place: _Place, pointer: str, field: str, value: dict[str, Any]) -> UnrecognizedChange | SetAside:
    try:
        raw = _text_of(element, pointer)
    except Unprocessable as problem:
        return SetAside(problem=problem, value=_raw(element))
    return UnrecognizedChange(
        event_id=place.event_id(pointer),
        recorded_at=place.at.received_at,
        pointer=pointer,
        raw=raw,
        occurred_at=place.entry_at,
        waba_id=place.waba_id,
        phone_number_id=_optional(_object(value, "metadata"), "phone_number_id"),
        field=_clean(field),
    )


def _set_aside(element: Any, reason: Reason, pointer: str) -> SetAside:
    return SetAside(problem=Unprocessable(reason, pointer=pointer), value=_raw(element))


def _raw(element: Any) -> bytes:
    """The element's JSON; what is nested too deeply for that stands in the raw webhook, which the dead letter names."""
    try:
        return orjson.dumps(element)
    except orjson.JSONEncodeError:
        return b""


def _text_of(element: Any, pointer: str) -> str:
    text = _raw(element)
    # Counted first: what opens fewer objects and arrays than the limit cannot be deeper, and that is nearly everything.
    if not text or (text.count(b"{") + text.count(b"[") >= MAX_DEPTH and _too_deep(element)):
        raise Unprocessable(Reason.JSON_DEPTH, pointer=pointer, detail=f"more than {MAX_DEPTH} levels")
    return text.decode()


def _too_deep(element: Any) -> bool:
    level: list[Any] = [element]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in _children(node)]
        if not level:
            return False
    return True


def _children(node: Any) -> Any:
    if isinstance(node, dict):
        return node.values()
    return node if isinstance(node, list) else ()


def _phone_number_id(value: dict[str, Any], pointer: str) -> str:
    found = _object(value, "metadata").get("phone_number_id")
    if found is None:
        raise Unprocessable(Reason.PHONE_MISSING, pointer=pointer)
    if not isinstance(found, str) or not found or "\0" in found:
        raise Unprocessable(Reason.ID_TYPE, pointer=pointer, detail="phone_number_id")
    return found


def _identifier(element: Mapping[str, Any], name: str, reason: Reason, pointer: str) -> str:
    found = element.get(name)
    if not isinstance(found, str) or not found or len(found) > 1024:
        raise Unprocessable(reason, pointer=f"{pointer}/{name}")
    if "\0" in found:
        raise Unprocessable(Reason.TEXT_NUL, pointer=f"{pointer}/{name}")
    return found


def _timestamp(element: Mapping[str, Any], place: _Place, pointer: str) -> int:
    """Meta's seconds, as string or number, as milliseconds. Milliseconds are taken as such."""
    found = element.get("timestamp")
    text = str(found) if type(found) is int else found
    if not isinstance(text, str) or not _TIMESTAMP.fullmatch(text) or int(text) == 0:
        raise Unprocessable(Reason.TIMESTAMP, pointer=f"{pointer}/timestamp")
    at = int(text) if len(text) > 11 else int(text) * 1000
    if at > place.at.received_at + _FUTURE_MS:
        raise Unprocessable(Reason.TIMESTAMP, pointer=f"{pointer}/timestamp", detail="in the future")
    return at


def _person(element: Mapping[str, Any], number: str, user: str, pointer: str) -> tuple[str | None, str | None]:
    """wa_id and BSUID of an element; a BSUID has been seen where the number stands."""
    found = element.get(number), element.get(user)
    for name, value in zip((number, user), found, strict=True):
        if value is not None and not isinstance(value, str):
            raise Unprocessable(Reason.ID_TYPE, pointer=f"{pointer}/{name}")
    wa_id, bsuid = _clean(found[0]), _clean(found[1])
    if wa_id and _BSUID.fullmatch(wa_id):
        return None, bsuid or wa_id
    return wa_id, bsuid


def _profile_name(value: dict[str, Any], wa_id: str | None, bsuid: str | None) -> str | None:
    contacts = value.get("contacts")
    for contact in contacts if isinstance(contacts, list) else ():
        if isinstance(contact, dict) and (
            (wa_id and contact.get("wa_id") == wa_id) or (bsuid and contact.get("user_id") == bsuid)
        ):
            return _optional(_object(contact, "profile"), "name")
    return None


def _words(element: dict[str, Any], kind: Any) -> tuple[str | None, str | None]:
    """What the person wrote or tapped, and the machine-readable part of a tap."""
    if not isinstance(kind, str):
        return None, None
    body = _object(element, kind)
    if kind == "text":
        return _optional(body, "body"), None
    if kind == "button":
        return _optional(body, "text"), _optional(body, "payload")
    if kind == "interactive":
        inner = body.get("type")
        reply = _object(body, inner) if isinstance(inner, str) else {}
        return _optional(reply, "title"), _optional(reply, "id")
    if kind == "reaction":
        return _optional(body, "emoji"), None
    return _optional(body, "caption"), None


def _object(parent: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = parent.get(name)
    return found if isinstance(found, dict) else {}


def _optional(parent: Mapping[str, Any], name: str) -> str | None:
    return _clean(parent.get(name))


def _clean(found: Any) -> str | None:
    """A text as Postgres can hold it: NUL becomes U+FFFD (the raw JSON keeps it). Anything but a non-empty text is None."""
    if not isinstance(found, str) or not found:
        return None
    return found.replace("\0", "\N{REPLACEMENT CHARACTER}") if "\0" in found else found
