"""How does a command look to Meta? Pure: a command and its attempt in, the body of `POST /{phone_number_id}/messages` out."""

from __future__ import annotations

from typing import Any, cast

import orjson

from services.common.domain.recipients import Recipient


def parse_content(text: str) -> object:
    """The content of a command as a value; None when it is not JSON, which no message type accepts."""
    try:
        value: object = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return value


def template_name(message_type: str, content: object) -> str | None:
    """The name of the template a command sends, where it sends one."""
    name = content.get("name") if message_type == "template" and isinstance(content, dict) else None
    return name if isinstance(name, str) else None


def body(*, message_type: str, content: object, recipient: Recipient | None, attempt_id: str, context_wamid: str | None) -> bytes:
    """The request body. A number always goes with its `+`: without it Meta may put our own country code before it."""
    if recipient is None:
        # What is no message: the content stands beside the product and its status.
        return orjson.dumps({**cast("dict[str, Any]", content), "messaging_product": "whatsapp", "status": message_type})
    message: dict[str, Any] = {"messaging_product": "whatsapp", "recipient_type": "individual"}
    if recipient.digits is not None:
        message["to"] = f"+{recipient.digits}"
    if recipient.bsuid is not None:
        message["recipient"] = recipient.bsuid
    message["type"] = message_type
    message[message_type] = content
    if context_wamid is not None:
        message["context"] = {"message_id": context_wamid}
    message["biz_opaque_callback_data"] = attempt_id
    return orjson.dumps(message)
