"""Are Meta's words for how many people may be written to first read as numbers?"""

from __future__ import annotations

import pytest

from services.common.domain.messaging_limit import limit_of


@pytest.mark.parametrize(
    ("word", "limit"),
    [
        ("TIER_50", 50),
        ("TIER_250", 250),
        ("TIER_1K", 1000),
        ("TIER_2K", 2000),
        ("TIER_10K", 10_000),
        ("tier_100k", 100_000),
        ("2000", 2000),
        ("0", 0),
        ("9" * 20, 2_000_000_000),
        ("TIER_UNLIMITED", None),
        ("TIER_NOT_SET", None),
        ("-1", None),
        ("", None),
        (None, None),
    ],
)
def test_a_tier_is_a_number_and_everything_else_no_limit(word: str | None, limit: int | None) -> None:
    assert limit_of(word) == limit
