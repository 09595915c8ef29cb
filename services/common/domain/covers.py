"""What does a stop of Meta's forbid, and is this message among it? Everything else goes on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_TWO_DIGITS: Final = frozenset(
    map(
        str,
        (
            *(20, 27, 30, 31, 32, 33, 34, 36, 39, 40, 41, 43, 44, 45, 46, 47, 48, 49, 51, 52, 53, 54, 55, 56, 57, 58),
            *(60, 61, 62, 63, 64, 65, 66, 81, 82, 84, 86, 90, 91, 92, 93, 94, 95, 98),
        ),
    )
)
"""Country codes of two digits; 1 and 7 stand alone, all others have three. ITU-T E.164, list of assigned codes."""


class Covers(StrEnum):
    """What of a number or an account is stopped."""

    EVERYTHING = "everything"
    BUSINESS_INITIATED = "business_initiated"
    """What the business begins: templates, and whatever goes out while the customer's window is closed."""
    REPLIES = "replies"
    """Free-form messages: the answers to customers who wrote."""
    TEMPLATES = "templates"
    UTILITY_TEMPLATES = "utility_templates"
    DIRECT_SEND_UTILITY = "direct_send_utility"
    """Utility messages without a template (Direct Send)."""
    MARKETING = "marketing"
    """Marketing templates that go the way of all messages; those for the Marketing Messages API go on."""
    COUNTRY = "country"
    """Everything to people of one country."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What of a message decides whether a stop covers it. `category` is Meta's word in lower case; `area` as `area_of` has it."""

    is_template: bool
    category: str | None
    is_window_open: bool
    for_marketing_messages: bool
    area: str | None


def covers(what: Covers, area: str | None, sent: Sent) -> bool:
    """True for what may not be sent while this is stopped; `area` is that of the stop."""
    is_template, category = sent.is_template, sent.category
    forbidden = {
        Covers.EVERYTHING: True,
        Covers.BUSINESS_INITIATED: is_template or not sent.is_window_open,
        Covers.REPLIES: not is_template,
        Covers.TEMPLATES: is_template,
        Covers.UTILITY_TEMPLATES: is_template and category == "utility",
        Covers.DIRECT_SEND_UTILITY: not is_template and category == "utility",
        Covers.MARKETING: is_template and category == "marketing" and not sent.for_marketing_messages,
        Covers.COUNTRY: area is not None and area == sent.area,
    }
    return forbidden[what]


def area_of(*, digits: str | None, bsuid: str | None) -> str | None:
    """The country a recipient is of: its country code with `+`, of a BSUID the two letters before the dot.

    Codes 1 and 7 belong to several countries: there it is as much of the number as tells them apart, which may be less than the
    country, never more.
    """
    if digits:
        length = {"1": 4, "7": 2}.get(digits[0]) or (2 if digits[:2] in _TWO_DIGITS else 3)
        return f"+{digits[:length]}"
    return bsuid[:2] if bsuid else None
