"""How many people a day may a portfolio write to first? Meta's words for it, as a number.

Unique people in moving 24 hours that the business writes to outside an open window; one count for all numbers of a portfolio.
Source: messaging-limits, webhooks/reference/business_capability_update.
"""

from __future__ import annotations

import re
from typing import Final

WINDOW_SECONDS: Final = 24 * 3600.0
_TIER: Final = re.compile(r"(?:TIER_)?([0-9]+)(K?)")
_LARGEST: Final = 2_000_000_000


def limit_of(word: str | None) -> int | None:
    """`TIER_250`, `TIER_2K` and plain numbers are limits; None is no limit, and so is a word that is not known."""
    found = _TIER.fullmatch((word or "").strip().upper())
    if found is None:
        return None
    return min(_LARGEST, int(found[1]) * (1000 if found[2] else 1))
