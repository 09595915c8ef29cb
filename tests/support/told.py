"""What is told of messages of one number: sent for a command, Meta's statuses, and what people write."""

from __future__ import annotations

from typing import Any, Final

from services.common.domain.events import MessageReceived, MessageStatusChanged
from services.common.domain.records import SendOutcome

NUMBER: Final = "100"
BRAZILIAN: Final = "5511999990000"
GERMAN: Final = "4915112345678"
JULY: Final = 1_783_000_800_000
"""2 July 2026, 14:00 UTC."""
_OF_NUMBER: Final = {"waba_id": "1", "phone_number_id": NUMBER, "raw": "{}"}
_REGULAR: Final = {"pricing_model": "PMP", "pricing_type": "regular", "pricing_category": "marketing"}


def sent(name: str, contact: str = BRAZILIAN, at: int = JULY, **fields: Any) -> SendOutcome:
    """The template `offer` was accepted for the command `c NAME`."""
    values: dict[str, Any] = {
        "event_id": f"accepted {name}",
        "command_id": f"c {name}",
        "attempt_no": 1,
        "phone_number_id": NUMBER,
        "kind": "accepted",
        "lane": "bulk",
        "type": "template",
        "waba_id": "1",
        "wamid": f"wamid.{name}",
        "template_name": "offer",
    }
    return SendOutcome(**{**values, **fields}, occurred_at=at, contact=contact, wa_id=contact)


def status(name: str, word: str, contact: str = BRAZILIAN, at: int = JULY, **fields: Any) -> MessageStatusChanged:
    """Meta says so of it, and that it is billed as marketing."""
    values: dict[str, Any] = {**_OF_NUMBER, **_REGULAR, "event_id": f"{word} {name}", **fields}
    return MessageStatusChanged(**values, wamid=f"wamid.{name}", status=word, contact=contact, occurred_at=at, recorded_at=at)


def received(name: str, contact: str = BRAZILIAN, at: int = JULY, **fields: Any) -> MessageReceived:
    """Somebody wrote."""
    values: dict[str, Any] = {**_OF_NUMBER, "type": "text", "text": "hello", "event_id": f"received {name}", **fields}
    return MessageReceived(**values, wamid=f"wamid.{name}", contact=contact, wa_id=contact, occurred_at=at, recorded_at=at)
