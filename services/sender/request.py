"""How does a command look to Meta? Pure: a command and its attempt in, the body of a POST out, and to which edge it goes."""

from __future__ import annotations

from typing import Any, Final, cast

import orjson

from services.common.domain.recipients import Recipient
from services.common.domain.send_policy import TEMPLATE
from services.sender.content.json import parsed
from services.sender.options import NONE, Options

MESSAGES: Final = "messages"
MARKETING_MESSAGES: Final = "marketing_messages"


def edge(options: Options) -> str:
    """The last part of the path. Which one it is, is the producer's choice: the two differ in price and in what they report."""
    return MESSAGES if options.marketing_messages is None else MARKETING_MESSAGES


def template_name(message_type: str, content: object) -> str | None:
    """The name of the template a command sends, where it sends one."""
    name = content.get("name") if message_type == "template" and isinstance(content, dict) else None
    return name if isinstance(name, str) else None


def body(
    *,
    message_type: str,
    content: object,
    recipient: Recipient | None,
    attempt_id: str,
    context_wamid: str | None,
    options: Options = NONE,
) -> bytes:
    """The request body. A number always goes with its `+`: without it Meta may put our own country code before it.

    A category makes it Direct Send: a message that is no template and needs no open window.
    """
    if recipient is None:
        # What is no message: the content stands beside the product and its status.
        return orjson.dumps({**cast("dict[str, Any]", content), "messaging_product": "whatsapp", "status": message_type})
    message: dict[str, Any] = {"messaging_product": "whatsapp", "recipient_type": "individual"}
    if recipient.group_id is not None:
        message |= {"recipient_type": "group", "to": recipient.group_id}
    if recipient.digits is not None:
        message["to"] = f"+{recipient.digits}"
    if recipient.bsuid is not None:
        message["recipient"] = recipient.bsuid
    if options.recipient_identity_key_hash is not None:
        message["recipient_identity_key_hash"] = options.recipient_identity_key_hash
    message["type"] = message_type
    message[message_type] = content
    if context_wamid is not None:
        message["context"] = {"message_id": context_wamid}
    if options.category is not None and message_type != TEMPLATE:
        message["category"] = options.category
    if options.message_activity_sharing is not None:
        message["message_activity_sharing"] = options.message_activity_sharing
    if options.marketing_messages is not None:
        message = {**cast("dict[str, Any]", parsed(options.marketing_messages)), **message}
    message["biz_opaque_callback_data"] = attempt_id
    return orjson.dumps(message)
