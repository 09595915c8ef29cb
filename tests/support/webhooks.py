"""What does Meta post? Bodies with defaults; a test says only what it is about."""

from __future__ import annotations

import time
from typing import Any

import orjson

from services.common.domain import topics
from services.common.platform.kafka import NewRecord

PHONE_NUMBER_ID = "106540352242922"
WABA_ID = "102290129340398"


def message(wamid: str, sender: str = "5511999990001", **changes: Any) -> dict[str, Any]:
    """An inbound text message, sent a second ago."""
    at = str(int(time.time()) - 1)
    return {"from": sender, "id": wamid, "timestamp": at, "type": "text", "text": {"body": "Olá"}, **changes}


def status(wamid: str, word: str = "sent", recipient: str = "5511999990001", **changes: Any) -> dict[str, Any]:
    """A delivery status."""
    return {"id": wamid, "status": word, "timestamp": str(int(time.time()) - 1), "recipient_id": recipient, **changes}


def body(
    *, messages: list[Any] | None = None, statuses: list[Any] | None = None, phone_number_id: str = PHONE_NUMBER_ID
) -> bytes:
    """One POST of the `messages` field."""
    value: dict[str, Any] = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550783881", "phone_number_id": phone_number_id},
    }
    value |= {"messages": messages} if messages is not None else {}
    value |= {"statuses": statuses} if statuses is not None else {}
    change = {"field": "messages", "value": value}
    return orjson.dumps({"object": "whatsapp_business_account", "entry": [{"id": WABA_ID, "changes": [change]}]})


def raw_record(value: bytes, *, key: bytes | None = None) -> NewRecord:
    """A webhook as ingest would have appended it."""
    received = str(int(time.time() * 1000)).encode()
    return NewRecord(topics.WEBHOOKS, key or str(hash(value)).encode(), value, [("parley-received-at", received)])
