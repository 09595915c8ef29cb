"""What says by its mere sight that something of a person got out? Words that are nowhere else, and webhooks made of them."""

from __future__ import annotations

from typing import Any, Final

PHONE: Final = "491750009911"
"""Of a person. Meta's ids of business numbers are no secret."""
NAME: Final = "Canaria Zwitscherling"
TEXT: Final = "the canary sings ünheard \U0001f424"
WORDS: Final = (PHONE, NAME, TEXT)
_KEPT: Final = frozenset(
    [
        "id",
        "type",
        "status",
        "event",
        "field",
        "object",
        "timestamp",
        "message_status",
        "messaging_product",
        "phone_number_id",
        "wamid",
        "mime_type",
        "sha256",
    ]
)
_NAMES: Final = frozenset(["name", "first_name", "formatted_name", "verified_name", "profile", "username"])


def disguised(document: Any, key: str = "") -> Any:
    """A webhook about our person: every number, name and text in it is a canary; what decides how it is read stays."""
    if isinstance(document, dict):
        return {name: disguised(value, name) for name, value in document.items()}
    if isinstance(document, list):
        return [disguised(value, key) for value in document]
    if not isinstance(document, str) or key in _KEPT or not document:
        return document
    if document.lstrip("+").isdigit() and len(document) >= 9:
        return PHONE
    return NAME if key in _NAMES else TEXT if key in ("body", "text", "caption", "title", "description", "url") else document


def spoiled(body: bytes) -> list[bytes]:
    """The same made unreadable in several ways, each with its content still in it."""
    return [
        body[: len(body) * 2 // 3],
        body.replace(b'"from":"', b'"from":["', 1),
        body.replace(b'"timestamp":"', b'"timestamp":"x', 1),
        body.replace(b'"messages":[', b'"messages":["' + PHONE.encode() + b'",', 1),
        b'["' + TEXT.encode() + b'",' + body + b"]",
        body.replace(b'"type":"', b'"type":"\\ud800', 1),
    ]
