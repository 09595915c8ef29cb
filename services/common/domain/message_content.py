"""Is this content one that Meta can take? What can be known before asking: shape and limits of each message type.

https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/send-messages
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

TEXT_MAX_CHARACTERS: Final = 4096
TEMPLATE_NAME_MAX_CHARACTERS: Final = 512
BUTTONS_MAX: Final = 10

_NAME = re.compile(r"[a-z0-9_]+")
_LANGUAGE = re.compile(r"[a-z]{2,3}(_[A-Za-z0-9]{2,4})?")
_INDEX = re.compile(r"[0-9]")
_COMPONENTS = frozenset(
    {"header", "body", "button", "carousel", "limited_time_offer", "tap_target_configuration", "order_status", "footer"}
)


def problem(message_type: str, content: object) -> str | None:
    """What is wrong, in words that never quote the content; None when Meta's own rules find nothing. Unknown types: None.

    Call it for types that `is_supported`.
    """
    if not isinstance(content, dict):
        return "content is not an object"
    checked = _CHECKS.get(message_type)
    return None if checked is None else checked(content)


def is_supported(message_type: str) -> bool:
    """True for the types that can be sent today."""
    return message_type in _CHECKS


def _text(content: Mapping[str, object]) -> str | None:
    body = content.get("body")
    if not isinstance(body, str):
        return "text.body is not a text"
    if not body.strip():
        return "text.body is blank"
    if len(body) > TEXT_MAX_CHARACTERS:
        return f"text.body has more than {TEXT_MAX_CHARACTERS} characters"
    if not _is_encodable(body):
        return "text.body has a NUL or a lone surrogate"
    if not isinstance(content.get("preview_url", False), bool):
        return "text.preview_url is not true or false"
    return None


def _template(content: Mapping[str, object]) -> str | None:
    name = content.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name) or len(name) > TEMPLATE_NAME_MAX_CHARACTERS:
        return "template.name is not a template name"
    language = content.get("language")
    code = language.get("code") if isinstance(language, dict) else None
    if not isinstance(code, str) or not _LANGUAGE.fullmatch(code):
        return "template.language.code is missing or not a language"
    components = content.get("components", [])
    if not isinstance(components, list):
        return "template.components is not a list"
    return _first(components, _component, "template.components")


def _component(component: object) -> str | None:
    if not isinstance(component, dict):
        return "is not an object"
    kind = component.get("type")
    if not isinstance(kind, str) or kind.lower() not in _COMPONENTS:
        return "has no known type"
    if kind.lower() == "button" and (wrong := _button(component)):
        return wrong
    if kind.lower() == "carousel":
        return _carousel(component.get("cards"))
    parameters = component.get("parameters", [])
    if not isinstance(parameters, list):
        return "has parameters that are not a list"
    return _first(parameters, _parameter, "parameters")


def _button(component: Mapping[str, object]) -> str | None:
    if not isinstance(component.get("sub_type"), str):
        return "has no sub_type"
    index = component.get("index")
    is_index = isinstance(index, int) and not isinstance(index, bool) and 0 <= index < BUTTONS_MAX
    return None if is_index or (isinstance(index, str) and _INDEX.fullmatch(index)) else "has no index from 0 to 9"


def _carousel(cards: object) -> str | None:
    if not isinstance(cards, list) or not cards:
        return "has no cards"
    for number, card in enumerate(cards):
        components = card.get("components") if isinstance(card, dict) else None
        if not isinstance(components, list):
            return f"cards[{number}] has no components"
        if wrong := _first(components, _component, f"cards[{number}].components"):
            return wrong
    return None


def _parameter(parameter: object) -> str | None:
    if not isinstance(parameter, dict):
        return "is not an object"
    kind = parameter.get("type")
    if not isinstance(kind, str):
        return "has no type"
    if kind != "text":
        return None if kind in parameter else f"has no {kind}" if _NAME.fullmatch(kind) else "has no known type"
    text = parameter.get("text")
    if not isinstance(text, str) or not text.strip():
        return "is empty"
    if any(bad in text for bad in ("\n", "\t", "\r", "     ")):
        return "has a newline, a tab or more than 4 blanks in a row"
    return None if _is_encodable(text) else "has a NUL or a lone surrogate"


def _first(items: list[object], check: Callable[[object], str | None], where: str) -> str | None:
    for number, item in enumerate(items):
        if wrong := check(item):
            return f"{where}[{number}] {wrong}"
    return None


def _is_encodable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


_CHECKS: Final[dict[str, Callable[[Mapping[str, object]], str | None]]] = {"text": _text, "template": _template}
