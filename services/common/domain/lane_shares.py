"""Which lanes do a number's next messages come from? Otp first; what is left is shared 3 : 1 by transactional and bulk.

Otp goes first up to 90 % of the messages, transactional and bulk share the rest 3 : 1, and bulk has 5 % of all at the least. A
share that its lane has no use for is the others', so a lane alone has everything.

Nobody here knows which lanes have something. So a lane's k-th candidate has a place in a common order, and the first `count` of
all candidates are sent: `orders` says where they stand, `served` what came of it. What a lane did not use it does not save up: of
its unused share at most one message is made up for later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from services.common.domain.lanes import Lane

OTP_SHARE: Final = 0.9
BULK_SHARE: Final = 0.05
TRANSACTIONAL_PER_BULK: Final = 3
_LAST: Final = 1e6
"""Behind every place that the other lanes have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Where the candidates of a lane stand.

    The first `urgent` of them go before all others, lane by lane; of those that are not, the k-th stands at `offset + step * k`,
    and the lowest goes first.
    """

    lane: Lane
    urgent: int
    offset: float
    step: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """What lanes have coming to them, in messages."""

    otp: float = 1.0
    """How many more otp may send at once before another lane's turn."""
    bulk: float = 0.0
    """What bulk has coming of its 5 %."""
    bulk_ahead: float = 0.0
    """How far bulk is ahead in the rest, counted in messages of bulk."""


def orders(shares: Shares, count: int) -> tuple[Order, Order, Order]:
    """The order of the candidates for the next `count` messages."""
    return (
        Order(lane=Lane.OTP, urgent=int(shares.otp + OTP_SHARE * count), offset=_LAST, step=1.0),
        Order(lane=Lane.TRANSACTIONAL, urgent=0, offset=0.0, step=1 / TRANSACTIONAL_PER_BULK),
        Order(lane=Lane.BULK, urgent=int(shares.bulk + BULK_SHARE * count), offset=shares.bulk_ahead, step=1.0),
    )


def served(shares: Shares, counts: Mapping[Lane, int]) -> Shares:
    """What is coming to them after so many messages of each lane."""
    otp, transactional, bulk = (counts.get(lane, 0) for lane in (Lane.OTP, Lane.TRANSACTIONAL, Lane.BULK))
    count = otp + transactional + bulk
    ahead = shares.bulk_ahead + bulk - transactional / TRANSACTIONAL_PER_BULK
    return Shares(
        otp=min(1.0, max(0.0, shares.otp + OTP_SHARE * count - otp)),
        bulk=min(1.0, max(0.0, shares.bulk + BULK_SHARE * count - bulk)),
        bulk_ahead=min(1.0, max(-1.0, ahead)),
    )
