"""How does Meta list a template, and how many parameters does it want? Pure: from the one definition a person wrote."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from services.sandbox.simulator.config import Template
from services.sandbox.simulator.records import JsonObject

_GAP = re.compile(r"\{\{(\w+)\}\}")
_ALL_FIELDS = ("id", "name", "language", "status", "category", "parameter_format", "components", "quality_score")
_ALWAYS = ("id",)
_FILTERS = ("status", "name", "category", "language")
FIRST_PAGE = 25
LARGEST_PAGE = 1000


class UnknownCursorError(Exception):
    """A cursor that no page of ours had."""


def id_of(template: Template) -> str:
    """Digits, the same for the same template."""
    name = f"{template.waba_id}/{template.name}/{template.language}"
    return str(int(hashlib.sha256(name.encode()).hexdigest()[:13], 16))


def components_of(template: Template) -> list[dict[str, Any]]:
    """As Graph lists them: those that were written down, else ones that fit the counts."""
    if template.components is not None:
        return [dict(component) for component in template.components]
    found: list[dict[str, Any]] = []
    if template.header_parameters:
        found.append({"type": "HEADER", "format": "TEXT", "text": _text("About", _numbered(template.header_parameters))})
    names = template.body_parameter_names or _numbered(template.body_parameters)
    body = _text("Hello", names)
    if template.category == "AUTHENTICATION":
        body = _text("Your code is", names)
    found.append({"type": "BODY", "text": body})
    if template.button_parameters:
        found.append({"type": "BUTTONS", "buttons": [_button(n, template) for n in range(template.button_parameters)]})
    return found


def listed(template: Template, fields: Sequence[str] = _ALL_FIELDS) -> JsonObject:
    """One element of the list, with the fields that were asked for."""
    whole: JsonObject = {
        "id": id_of(template),
        "name": template.name,
        "language": template.language,
        "status": template.status,
        "category": template.category,
        "parameter_format": "NAMED" if template.body_parameter_names else template.parameter_format,
        "components": components_of(template),
        "quality_score": {"score": template.quality_score},
    }
    return {name: whole[name] for name in whole if name in fields or name in _ALWAYS}


def page(templates: Sequence[Template], query: Mapping[str, str]) -> JsonObject:
    """One page of the list: `limit`, `after`, `fields`, and `status`, `name`, `category`, `language` to choose by."""
    chosen = [one for one in templates if all(_matches(one, name, query.get(name)) for name in _FILTERS)]
    limit = max(1, min(LARGEST_PAGE, int(query["limit"]) if query.get("limit", "").isdecimal() else FIRST_PAGE))
    start = _place(query["after"]) if "after" in query else 0
    fields = [name.strip() for name in query["fields"].split(",")] if query.get("fields") else _ALL_FIELDS
    found = chosen[start : start + limit]
    paging: JsonObject = {"cursors": {"before": _cursor(start), "after": _cursor(start + len(found))}}
    if start + len(found) < len(chosen):
        paging["next"] = f"https://graph.facebook.com/next?after={_cursor(start + len(found))}"
    return {"data": [listed(one, fields) for one in found], **({"paging": paging} if found else {})}


def expected(template: Template) -> dict[str, int]:
    """How many parameters each part must get; buttons count together, and not where Meta wants none."""
    if template.components is None:
        return {
            "header": template.header_parameters,
            "body": len(template.body_parameter_names) or template.body_parameters,
            "button": template.button_parameters,
        }
    wanted = {"header": 0, "body": 0, "button": 0}
    for component in template.components:
        kind = component.get("type")
        if kind == "HEADER" and component.get("format", "TEXT") != "TEXT":
            wanted["header"] = 1
        elif kind in ("HEADER", "BODY"):
            wanted[kind.lower()] = len(set(_GAP.findall(component.get("text", ""))))
        elif kind == "BUTTONS":
            wanted["button"] = sum(_wants(button) for button in component.get("buttons", []))
    return wanted


def status_webhook(template: Template, event: str, *, title: str | None, at: int) -> JsonObject:
    """Meta tells that a template came into another state; `at` in seconds."""
    value: JsonObject = {**_named(template), "event": event, "message_template_category": template.category, "reason": "NONE"}
    if title is not None:
        value["other_info"] = {"title": title, "description": "Asked for by the control interface."}
    return _webhook(template, "message_template_status_update", value, at)


def category_webhook(template: Template, previous: str, *, at: int) -> JsonObject:
    """Meta tells that a template has another category now; `at` in seconds."""
    value = {**_named(template), "previous_category": previous, "new_category": template.category}
    return _webhook(template, "template_category_update", value, at)


def _named(template: Template) -> JsonObject:
    return {
        "message_template_id": int(id_of(template)),
        "message_template_name": template.name,
        "message_template_language": template.language,
    }


def _webhook(template: Template, field: str, value: JsonObject, at: int) -> JsonObject:
    entry = {"id": template.waba_id, "time": at, "changes": [{"field": field, "value": value}]}
    return {"object": "whatsapp_business_account", "entry": [entry]}


def _numbered(count: int) -> tuple[str, ...]:
    return tuple(str(number) for number in range(1, count + 1))


def _text(start: str, names: Sequence[str]) -> str:
    return " ".join([start, *(f"{{{{{name}}}}}" for name in names)]) + "."


def _button(number: int, template: Template) -> dict[str, Any]:
    if template.category == "AUTHENTICATION":
        return {"type": "URL", "text": "Copy code", "url": "https://www.whatsapp.com/otp/code/?otp_type=COPY_CODE&code=otp{{1}}"}
    return {"type": "URL", "text": f"Open {number}", "url": f"https://shop.example.com/{number}/{{{{1}}}}"}


def _wants(button: Mapping[str, Any]) -> bool:
    return button.get("type") in ("COPY_CODE", "OTP") or bool(_GAP.search(button.get("url", "")))


def _matches(template: Template, name: str, wanted: str | None) -> bool:
    return wanted is None or getattr(template, name) == wanted


def _cursor(place: int) -> str:
    return base64.urlsafe_b64encode(f"place:{place}".encode()).decode().rstrip("=")


def _place(cursor: str) -> int:
    try:
        word, _, place = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise UnknownCursorError from None
    if word != "place" or not place.isdecimal():
        raise UnknownCursorError
    return int(place)
