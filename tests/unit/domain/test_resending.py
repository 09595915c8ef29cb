"""Is a lost command sent once more only where everybody who pays for a duplicate said so?"""

from __future__ import annotations

from dataclasses import replace
from itertools import product

from services.common.domain.lanes import Lane
from services.common.domain.reasons import Reason
from services.common.domain.resending import POLICIES, RESEND_ONCE, Lost, is_sent_once_more

NOW = 1_800_000_000_000
LOST = Lost(
    policy=RESEND_ONCE,
    lane=Lane.OTP,
    opted_in=frozenset({"otp"}),
    reason=Reason.NO_ANSWER,
    is_possible_duplicate=False,
    expires_at=NOW + 1,
)


def test_every_condition_is_needed() -> None:
    assert is_sent_once_more(LOST, now=NOW)
    against: list[dict[str, object]] = [
        {"policy": "hold"},
        {"opted_in": frozenset({"transactional"})},
        {"opted_in": frozenset()},
        {"reason": Reason.ID_UNREADABLE},
        {"is_possible_duplicate": True},
        {"expires_at": NOW},
    ]
    for change in against:
        assert not is_sent_once_more(replace(LOST, **change), now=NOW), change  # type: ignore[arg-type]  # of several fields


def test_marketing_is_never_sent_twice_whatever_a_tenant_wants() -> None:
    everything = frozenset(Lane)
    for policy, lane in product(POLICIES, Lane):
        expected = policy == RESEND_ONCE and lane is not Lane.BULK
        assert is_sent_once_more(replace(LOST, policy=policy, lane=lane, opted_in=everything), now=NOW) is expected
