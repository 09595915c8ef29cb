"""Do the parts of a command fit together: its type, its recipient, and what it says beside its content? Pure.

Sources: groups, groups/groups-messaging, marketing-messages/send-marketing-messages; below the root of `content.limits`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from services.common.domain.reasons import Reason
from services.common.domain.send_policy import READ
from services.sender.content.check import Wrong, marketing_problem
from services.sender.content.json import parsed
from services.sender.options import Options

GROUP_TYPES: Final = frozenset({"text", "image", "video", "audio", "document", "sticker", "template"})
"""What may go to a group: texts, media, and templates of them. Calls, orders, forms and other interactive messages may not."""


def problem(message_type: str, content: object, options: Options, *, to: str | None, bsuid: str | None) -> Wrong | None:
    """What does not fit first; None when everything does. `content` is one that its type allows."""
    if message_type == READ:
        return None
    wrong = None if options.group_id is None else _of_group(message_type, options, is_to_person=(to or bsuid) is not None)
    if wrong is None and options.recipient_identity_key_hash is not None and not options.recipient_identity_key_hash.strip():
        wrong = Wrong(Reason.RECIPIENT, "recipient_identity_key_hash: blank")
    if wrong is not None:
        return wrong
    if options.marketing_messages is None:
        return _gif(content) if message_type == "template" else None
    return _of_marketing(message_type, options, both=to is not None and bsuid is not None)


def _of_group(message_type: str, options: Options, *, is_to_person: bool) -> Wrong | None:
    if is_to_person:
        return Wrong(Reason.RECIPIENT, "group_id: not together with to or recipient")
    if message_type not in GROUP_TYPES:
        return Wrong(Reason.TYPE_UNSUPPORTED, "type: not one that groups take")
    if options.recipient_identity_key_hash is not None:
        return Wrong(Reason.RECIPIENT, "recipient_identity_key_hash: a group has none")
    if options.marketing_messages is not None:
        return Wrong(Reason.RECIPIENT, "group_id: not with marketing_messages")
    return None


def _of_marketing(message_type: str, options: Options, *, both: bool) -> Wrong | None:
    if message_type != "template":
        return Wrong(Reason.SHAPE, "type: only template with marketing_messages")
    if both:
        return Wrong(Reason.RECIPIENT, "recipient: not together with to where marketing_messages are given")
    return marketing_problem(parsed(options.marketing_messages or ""))


def _gif(content: object) -> Wrong | None:
    for path, parameter in _parameters(content, "template"):
        if parameter.get("type") == "gif":
            return Wrong(Reason.TEMPLATE_PARAMS, f"{path}: gif only with marketing_messages")
    return None


def _parameters(part: object, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The parameters of all components, those of cards too."""
    for name in ("components", "cards", "parameters"):
        items = part.get(name) if isinstance(part, dict) else None
        for place, item in enumerate(items if isinstance(items, list) else ()):
            where = f"{path}.{name}[{place}]"
            if name == "parameters" and isinstance(item, dict):
                yield where, item
            else:
                yield from _parameters(item, where)
