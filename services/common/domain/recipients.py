"""Whom does a command go to? A phone number as people write it, a business-scoped user id, or a group."""

from __future__ import annotations

import re
from dataclasses import dataclass

_BLANKS = str.maketrans("", "", " -().\u00a0\u2011")
_DIGITS = re.compile(r"[1-9][0-9]{6,14}")
_BSUID = re.compile(r"[A-Z]{2}\.(?:ENT\.)?[A-Za-z0-9]{1,128}")
_GROUP = re.compile(r"[A-Za-z0-9+/=_.@:-]{1,256}")
"""Meta calls it opaque; its examples are base64."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """A person as Meta's API can be told: digits of a phone number, a BSUID, or both. Or a group. Never none of them."""

    digits: str | None
    bsuid: str | None
    group_id: str | None = None


def phone_digits(text: str) -> str | None:
    """The digits of a phone number in international form, 7 to 15 of them; None when it is not one.

    `+`, blanks, dashes, dots and parentheses are how people write it. A leading zero is a national number, whose country
    we would have to guess; a digit is never added or taken away.
    """
    written = text.strip().translate(_BLANKS)
    digits = written.removeprefix("+")
    return digits if digits.isascii() and _DIGITS.fullmatch(digits) else None


def parse(*, to: str | None, bsuid: str | None, group_id: str | None = None) -> Recipient | None:
    """The recipient of a command, or None when what it names is not one, nothing is named, or a person and a group are."""
    if group_id is not None:
        is_one = to is None and bsuid is None and _GROUP.fullmatch(group_id) is not None
        return Recipient(digits=None, bsuid=None, group_id=group_id) if is_one else None
    digits = None if to is None else phone_digits(to)
    if to is not None and digits is None:
        return None
    if bsuid is not None and not _BSUID.fullmatch(bsuid):
        return None
    return None if digits is None and bsuid is None else Recipient(digits=digits, bsuid=bsuid)


def pair_of(*, to: str | None, bsuid: str | None, group_id: str | None = None) -> str:
    """What the order per recipient is kept by; the text as given where it is no recipient at all. A group is one recipient."""
    if group_id is not None:
        return group_id
    return (phone_digits(to) or to if to is not None else bsuid) or ""
