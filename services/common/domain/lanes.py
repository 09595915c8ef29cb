"""How urgent is a send? Three lanes, the most urgent first; how they share a number says `lane_shares`."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Lane(StrEnum):
    """Named by the command; each is a topic of its own, so a bulk backlog cannot stand before a one-time code."""

    OTP = "otp"
    TRANSACTIONAL = "transactional"
    BULK = "bulk"


RANK = {Lane.OTP: 0, Lane.TRANSACTIONAL: 1, Lane.BULK: 2}
LANES: Final = tuple(sorted(RANK, key=RANK.__getitem__))
"""Lane of a rank."""
