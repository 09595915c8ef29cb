"""May a command whose answer was lost be sent once more? The only place that answers.

A time-out leaves open whether Meta has the message. Evidence comes by webhook; when none came in time, a second message is the
price of not losing the first. Who pays it says so twice: the command by its policy, and its tenant for the lane.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from services.common.domain.lanes import Lane
from services.common.domain.reasons import Reason

HOLD: Final = "hold"
RESEND_ONCE: Final = "resend_once"
POLICIES: Final = (HOLD, RESEND_ONCE)
OPEN_TO_TENANTS: Final = (Lane.OTP, Lane.TRANSACTIONAL)
"""Marketing is never sent twice: each message costs, and counts against the number's quality."""
BY_OPERATOR: Final = ("unresolved", "rejected", "expired")
"""States that an operator may end with one more attempt: nothing else will."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A command whose last attempt has no answer, nor evidence until its horizon.

    `opted_in`: lanes for which the number's tenant accepts duplicates. `reason`: why the attempt is unknown.
    `is_possible_duplicate`: Meta may have an earlier attempt, too.
    """

    policy: str
    lane: Lane
    opted_in: Collection[str]
    reason: str | None
    is_possible_duplicate: bool
    expires_at: int


def is_sent_once_more(lost: Lost, *, now: int) -> bool:
    """Once, where command and tenant both want it, while there is time; never what Meta took without a readable id."""
    return (
        lost.policy == RESEND_ONCE
        and lost.lane in OPEN_TO_TENANTS
        and lost.lane in lost.opted_in
        and lost.reason != Reason.ID_UNREADABLE
        and not lost.is_possible_duplicate
        and now < lost.expires_at
    )
