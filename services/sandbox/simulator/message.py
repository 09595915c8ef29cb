"""Is this a message Meta would read: which recipient, which type, which fields are missing or wrong?"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from services.sandbox.simulator.errors import INVALID_PARAMETER, REQUIRED_MISSING, VALUE_NOT_VALID, Refusal
from services.sandbox.simulator.records import JsonObject

_MEDIA = ("image", "video", "audio", "document", "sticker")
_TYPES = ("text", "template", *_MEDIA, "location", "contacts", "reaction", "interactive")
_PHONE = re.compile(r"\+?[0-9][0-9 ()-]{4,24}")
_BSUID = re.compile(r"[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]{1,128}")
_MARKETING = "marketing_messages"
_POLICIES = ("CLOUD_API_FALLBACK", "STRICT")
_TEXT_LIMIT = 4096
_OPAQUE_LIMIT = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What can be said about any request, also a broken one: enough for the arrival log and for rules."""

    body: JsonObject | None
    recipient: str | None
    opaque: str | None
    type: str | None
    edge: str = "messages"

    @property
    def is_read_receipt(self) -> bool:
        """True for a mark-as-read, which is a call but no message."""
        return self.body is not None and self.body.get("status") == "read"


def read_draft(raw: bytes, edge: str = "messages") -> Draft:
    """What the bytes say, without judging it; a body that is no JSON object has nothing to say."""
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        return Draft(body=None, recipient=None, opaque=None, type=None, edge=edge)
    return Draft(
        body=body,
        recipient=_text(body, "to") or _text(body, "recipient"),
        opaque=_text(body, "biz_opaque_callback_data"),
        type=_text(body, "type") or "text",
        edge=edge,
    )


def refuse_shape(draft: Draft) -> Refusal | None:
    """Why Meta would not read this message, if so."""
    if draft.body is None:
        return Refusal(code=INVALID_PARAMETER, details="The request body is not a JSON object.")
    if draft.body.get("messaging_product") != "whatsapp":
        return Refusal(code=INVALID_PARAMETER, details="The parameter messaging_product is required.")
    opaque = draft.body.get("biz_opaque_callback_data")
    if opaque is not None and (not isinstance(opaque, str) or len(opaque) > _OPAQUE_LIMIT):
        details = "Param biz_opaque_callback_data must be at most 512 characters long."
        return Refusal(code=INVALID_PARAMETER, details=details)
    if draft.edge == _MARKETING:
        return _refuse_marketing(draft.body) or _refuse_recipient(draft.body) or _refuse_content(draft.body, draft.type)
    if draft.is_read_receipt:
        return None if _text(draft.body, "message_id") else _missing("message_id")
    return _refuse_recipient(draft.body) or _refuse_content(draft.body, draft.type)


def _refuse_marketing(body: Mapping[str, object]) -> Refusal | None:
    """What this API does not take: anything but a template, to one name of one person."""
    if body.get("type") != "template":
        return Refusal(code=INVALID_PARAMETER, details="Param type must be template.")
    if (body.get("to") is None) == (body.get("recipient") is None) or body.get("recipient_type") == "group":
        return Refusal(code=INVALID_PARAMETER, details="Exactly one of to and recipient is required.")
    if body.get("product_policy", _POLICIES[0]) not in _POLICIES:
        return Refusal(code=INVALID_PARAMETER, details=f"Param product_policy must be one of {', '.join(_POLICIES)}.")
    return None


def _refuse_recipient(body: Mapping[str, object]) -> Refusal | None:
    if body.get("recipient_type") == "group":
        return None if _text(body, "to") and body.get("recipient") is None else _missing("to")
    if body.get("to") is None and body.get("recipient") is None:
        return _missing("to")
    to = body.get("to")
    if to is not None and not (isinstance(to, str) and _PHONE.fullmatch(to)):
        return Refusal(code=VALUE_NOT_VALID, details="Param to is not a valid phone number.")
    recipient = body.get("recipient")
    if recipient is not None and not (isinstance(recipient, str) and _BSUID.fullmatch(recipient)):
        return Refusal(code=VALUE_NOT_VALID, details="Param recipient is not a valid user id.")
    return None


def _refuse_content(body: Mapping[str, object], kind: str | None) -> Refusal | None:
    if kind not in _TYPES:
        return Refusal(code=INVALID_PARAMETER, details=f"Param type must be one of {', '.join(_TYPES)}.")
    content = body.get(kind)
    if kind == "contacts":
        return None if isinstance(content, list) and content else _missing("contacts")
    if not isinstance(content, dict):
        return _missing(kind)
    return _refuse_object(content, kind)


def _refuse_object(content: Mapping[str, object], kind: str) -> Refusal | None:
    if kind == "text":
        return _refuse_text(content)
    if kind == "template":
        return _refuse_template(content)
    return _refuse_media(content, kind) if kind in _MEDIA else None


def _refuse_text(content: Mapping[str, object]) -> Refusal | None:
    body = content.get("body")
    if body is None or body == "":
        return _missing("text['body']")
    if not isinstance(body, str):
        return Refusal(code=VALUE_NOT_VALID, details="Param text['body'] must be a string.")
    if len(body) > _TEXT_LIMIT:
        details = f"Param text['body'] must be at most {_TEXT_LIMIT} characters long."
        return Refusal(code=INVALID_PARAMETER, details=details)
    return None


def _refuse_template(content: Mapping[str, object]) -> Refusal | None:
    if not _text(content, "name"):
        return _missing("template['name']")
    language = content.get("language")
    if not isinstance(language, dict) or not _text(language, "code"):
        return _missing("template['language']['code']")
    components = content.get("components")
    if components is not None and not isinstance(components, list):
        return Refusal(code=VALUE_NOT_VALID, details="Param template['components'] must be an array.")
    return None


def _refuse_media(content: Mapping[str, object], kind: str) -> Refusal | None:
    given = [name for name in ("id", "link") if _text(content, name)]
    if not given:
        return _missing(f"{kind}['id'] or {kind}['link']")
    if len(given) == 2:
        return Refusal(code=VALUE_NOT_VALID, details=f"Params {kind}['id'] and {kind}['link'] exclude each other.")
    return None


def _missing(parameter: str) -> Refusal:
    return Refusal(code=REQUIRED_MISSING, details=f"The parameter {parameter} is required.")


def _text(body: Mapping[str, object], name: str) -> str | None:
    value = body.get(name)
    return value if isinstance(value, str) and value else None
