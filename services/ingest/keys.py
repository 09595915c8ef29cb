"""Which partition does a webhook belong to? Found by looking for names in the bytes, never by parsing them.

The key only keeps one conversation in one partition. A wrong guess costs locality and nothing else, so hostile bytes may lie.
"""

from __future__ import annotations

import re
from typing import Final

WINDOW: Final = 64 * 1024
"""Bytes that are looked at. A body beyond it is a batch, and names its number at its start."""
_TRIES: Final = 4

_VALUE: Final = re.compile(rb'[ \t\r\n]{0,16}:[ \t\r\n]{0,16}"([A-Za-z0-9._-]{1,140})"')
_PHONE: Final = b'"phone_number_id"'
_ELEMENT: Final = b'"timestamp"'
# The business-scoped user id first, then the number. `from` is last because a reply's context has one too, of the other side.
_CONTACTS: Final = (
    b'"user_id"',
    b'"from_user_id"',
    b'"recipient_user_id"',
    b'"wa_id"',
    b'"recipient_id"',
    b'"from"',
)


def record_key(body: bytes) -> bytes | None:
    """`phone_number_id/contact` when the body has one message or status, `phone_number_id` when it has more, else None."""
    phone = _text_of(_PHONE, body)
    if phone is None:
        return None
    if len(body) > WINDOW or body.count(_ELEMENT) != 1 or body.count(_PHONE) != 1:
        return phone
    for name in _CONTACTS:
        contact = _text_of(name, body)
        if contact is not None:
            return phone + b"/" + contact
    return phone


def _text_of(name: bytes, body: bytes) -> bytes | None:
    """The text value of the first key of this name. Inside a JSON string the quotes are escaped, so a text is never a key."""
    at = 0
    for _ in range(_TRIES):
        at = body.find(name, at, WINDOW)
        if at < 0:
            return None
        at += len(name)
        found = _VALUE.match(body, at)
        if found is not None:
            return found.group(1)
    return None
