"""What does the gate of a sender say whose read models are up to date, of a number that nothing stops?"""

from __future__ import annotations

from collections.abc import Sequence

from services.common.domain.account_state import Standing
from services.common.platform.clock import now_ms
from services.sender import judging
from services.sender.judging import Call
from services.sender.knowledge import Candidate, Knowledge
from services.sender.store import Batch
from tests.support.sending import WABA


def gated(candidates: Sequence[Candidate], known: Knowledge, *, retries_left: int) -> tuple[Batch, list[Call]]:
    """As of now, with a token, and no pair waiting for its turn."""
    return judging.judge(
        candidates,
        known,
        now=now_ms(),
        has_token=True,
        waba_id=WABA,
        caught_up_at=now_ms(),
        standing=Standing(),
        may_try=False,
        failures={},
        pair_ready_in=lambda _: 0.0,
        retries_left=retries_left,
    )
