"""Would Meta take this content? What can be known before asking: the shape and limits of each message type. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, NamedTuple

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from services.common.domain.reasons import Reason
from services.common.domain.send_policy import READ
from services.sender.content.fields import within
from services.sender.content.interactive import Interactive
from services.sender.content.marketing import KEYS, Marketing
from services.sender.content.media import Audio, Document, Image, Sticker, Video
from services.sender.content.simple import Card, Location, Reaction, Read, Text
from services.sender.content.template import Template

_ADAPTERS: Final[Mapping[str, TypeAdapter[Any]]] = {
    "text": TypeAdapter(Text),
    "image": TypeAdapter(Image),
    "video": TypeAdapter(Video),
    "audio": TypeAdapter(Audio),
    "document": TypeAdapter(Document),
    "sticker": TypeAdapter(Sticker),
    "location": TypeAdapter(Location),
    "contacts": TypeAdapter(Annotated[list[Card], within("contacts")]),
    "reaction": TypeAdapter(Reaction),
    READ: TypeAdapter(Read),
    "interactive": TypeAdapter(Interactive),
    "template": TypeAdapter(Template),
}
TYPES: Final = frozenset(_ADAPTERS)
"""What can be sent: Meta's words."""
_MARKETING: Final = TypeAdapter(Marketing)
DEEPEST: Final = 64
"""Levels that a content may have: what reads it does not go deeper."""
_MEDIA: Final = frozenset({"image", "video", "audio", "document", "sticker"})
_KEY: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


class Wrong(NamedTuple):
    """Why a content is refused: the reason, and the field with what is wrong about it. The content itself is never quoted."""

    reason: Reason
    detail: str


def problem(message_type: str, content: object) -> Wrong | None:
    """What is wrong first, in the order of Meta's fields; None when Meta's own rules find nothing.

    `interactive.action.buttons[2].reply.title: 23 characters, at most 20`. Keys that are not known pass: Meta may be newer.
    """
    adapter = _ADAPTERS.get(message_type)
    if adapter is None:
        return Wrong(Reason.TYPE_UNSUPPORTED, "type: not one that can be sent" if message_type else "type: missing")
    if not isinstance(content, list if message_type == "contacts" else dict):
        return Wrong(Reason.SHAPE, f"{message_type}: not {'a list' if message_type == 'contacts' else 'an object'}")
    return _first(adapter, message_type, content)


def marketing_problem(value: object) -> Wrong | None:
    """The same of `marketing_messages`."""
    name = "marketing_messages"
    if not isinstance(value, dict):
        return Wrong(Reason.SHAPE, f"{name}: not an object")
    strange = next((key for key in value if key not in KEYS), None)
    if strange is not None:
        return Wrong(Reason.SHAPE, f"{name}{f'.{strange}' if _is_plain(strange) else ''}: not one that Meta takes here")
    return _first(_MARKETING, name, value)


def _first(adapter: TypeAdapter[Any], name: str, value: object) -> Wrong | None:
    unreadable = _unreadable(value, name)
    if unreadable is not None:
        return unreadable
    try:
        adapter.validate_python(value)
    except ValidationError as found:
        return _told(name, value, found.errors(include_url=False, include_context=True, include_input=True)[0])
    return None


def _unreadable(content: object, message_type: str) -> Wrong | None:
    """A character that no reader can take, or more levels than one should have to follow."""
    level: list[tuple[str, object]] = [(message_type, content)]
    for _ in range(DEEPEST):
        below: list[tuple[str, object]] = []
        for path, value in level:
            if isinstance(value, str) and ("\0" in value or any("\ud800" <= one <= "\udfff" for one in value)):
                return Wrong(Reason.ENCODING, f"{path}: has a NUL or half of a character")
            if isinstance(value, dict):
                below += [(f"{path}.{name}" if _is_plain(name) else path, part) for name, part in value.items()]
                below += [(path, name) for name in value if not _is_plain(name)]
            elif isinstance(value, list):
                below += [(f"{path}[{place}]", part) for place, part in enumerate(value)]
        if not below:
            return None
        level = below
    return Wrong(Reason.SHAPE, f"{message_type}: more than {DEEPEST} levels")


def _is_plain(name: str) -> bool:
    """A word such as Meta's keys are, and nothing that a person wrote or is called by."""
    return _KEY.fullmatch(name) is not None


def _told(message_type: str, content: object, error: ErrorDetails) -> Wrong:
    kind, context = error["type"], error.get("ctx", {})
    path = _path(message_type, content, error["loc"], is_missing=kind == "missing")
    if kind == "refused":
        reason = Reason(context["reason"])
        is_blank_text = path == "text.body"
        return Wrong(Reason.TEXT_EMPTY if is_blank_text else reason, f"{path}: {context['text']}")
    if kind in _LENGTHS:
        return Wrong(_reason_of_length(path, kind), f"{path}: {_length(kind, context, error['input'])}")
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        return Wrong(Reason.LIMIT, f"{path}: {words} {_digits(context[name])}")
    if kind in ("missing", "union_tag_not_found"):
        return Wrong(_reason_of_shape(path), f"{path}{'' if kind == 'missing' else '.type'}: missing")
    if kind in ("union_tag_invalid", "literal_error"):
        where = f"{path}.type" if kind == "union_tag_invalid" else path
        return Wrong(_reason_of_shape(path), f"{where}: not one that Meta knows here")
    return Wrong(_reason_of_shape(path), f"{path}: {_WANTED.get(kind, 'not what Meta takes here')}")


_BOUNDS: Final = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than_equal": ("le", "at most"),
}
_LENGTHS: Final = frozenset({"string_too_long", "string_too_short", "too_long", "too_short"})
_WANTED: Final = {
    "string_type": "not a text",
    "bool_type": "not true or false",
    "bool_parsing": "not true or false",
    "list_type": "not a list",
    "tuple_type": "not a list",
    "model_type": "not an object",
    "model_attributes_type": "not an object",
    "dict_type": "not an object",
    "int_type": "not a whole number",
    "int_parsing": "not a whole number",
    "int_from_float": "not a whole number",
    "float_type": "not a number",
    "float_parsing": "not a number",
    "finite_number": "not a number",
}


def _length(kind: str, context: Mapping[str, Any], value: Any) -> str:
    unit = "characters" if kind.startswith("string") else "items"
    bound = f"at least {context['min_length']}" if kind.endswith("short") else f"at most {context['max_length']}"
    return f"{len(value)} {unit}, {bound}"


def _digits(bound: float) -> str:
    return f"{bound:g}"


def _reason_of_length(path: str, kind: str) -> Reason:
    if path == "text.body":
        return Reason.TEXT_EMPTY if kind.endswith("short") else Reason.TEXT_LONG
    if path.startswith("template.components"):
        return Reason.TEMPLATE_PARAMS
    return Reason.INTERACTIVE if path.startswith("interactive.") and not kind.startswith("string") else Reason.LIMIT


def _reason_of_shape(path: str) -> Reason:
    head = path.partition(".")[0].partition("[")[0]
    if path.startswith("template.language"):
        return Reason.TEMPLATE_LANG
    if path.startswith("template.components"):
        return Reason.TEMPLATE_PARAMS
    if head == "template":
        return Reason.TEMPLATE
    if head == "interactive":
        return Reason.INTERACTIVE
    return Reason.MEDIA if head in _MEDIA else Reason.SHAPE


def _path(message_type: str, content: object, places: Sequence[int | str], *, is_missing: bool) -> str:
    """Where it is in the content. Beside keys and places the validator names alternatives, which the content does not have."""
    path, here = message_type, content
    for number, place in enumerate(places):
        is_last = is_missing and number == len(places) - 1
        if isinstance(place, int):
            path += f"[{place}]"
            here = here[place] if isinstance(here, list) and place < len(here) else None
        elif isinstance(here, dict) and (place in here or is_last):
            path += f".{place}"
            here = here.get(place)
    return path
