"""How much of a number's limit do the messages use up that it receives? Meta counts both directions against one limit.

Meta has counted a message for some time before we hear of it, and we hear of several at once. So a second of Meta's may hold as
many more of them than a second of ours as come in one piece, and one more: while a number receives, that much is kept free beside
what has come. What came unexpectedly cannot be held back.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Final

_WINDOW_SECONDS: Final = 1.0


@dataclass(slots=True)
class Inbound:
    """What is kept free this second, and what the largest piece in it was. Changed in place."""

    since: float = -inf
    reserved: int = 0
    largest: int = 0


def charge(inbound: Inbound, *, count: int, now: float) -> int:
    """How many messages to charge for `count` that have come by `now`."""
    if now - inbound.since >= _WINDOW_SECONDS:
        was_lately = now - inbound.since < 2 * _WINDOW_SECONDS
        inbound.since, inbound.reserved, inbound.largest = now, 0, inbound.largest if was_lately else 0
    expected = max(inbound.largest, count) + 1
    more = max(0, expected - inbound.reserved)
    inbound.reserved += more
    inbound.largest = count if inbound.since == now else max(inbound.largest, count)
    return count + more
