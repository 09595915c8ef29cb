"""Does the simulated Meta enforce its limits exactly?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sandbox.simulator.config import Template
from services.sandbox.simulator.policy import (
    WINDOW_SECONDS,
    PairLimit,
    PairPolicy,
    SlidingSecond,
    Windows,
    refuse_template,
    worst_second,
)

pytestmark = pytest.mark.unit

PAIR = ("number", "person")
POLICY = PairPolicy(interval_seconds=6.0, burst=45)
STAMPS = st.lists(st.integers(min_value=0, max_value=5000).map(lambda ms: ms / 1000.0), max_size=200)


def test_a_second_holds_exactly_the_limit() -> None:
    second = SlidingSecond()
    assert [second.admits(100.0 + step / 1000.0, 3) for step in (0, 1, 2, 3)] == [True, True, True, False]


def test_a_message_exactly_one_second_later_is_in_another_second() -> None:
    second = SlidingSecond()
    assert second.admits(100.0, 1)
    assert not second.admits(100.999, 1)
    assert second.admits(101.0, 1)


def test_inbound_messages_use_up_the_throughput() -> None:
    second = SlidingSecond()
    second.count(100.0)
    second.count(100.1)
    assert second.admits(100.2, 3)
    assert not second.admits(100.3, 3)


def test_a_burst_across_a_whole_second_boundary_is_refused() -> None:
    second = SlidingSecond()
    assert all(second.admits(100.9 + step / 1000.0, 80) for step in range(80))
    assert not second.admits(101.1, 80)


def test_a_late_stamp_cannot_overfill_the_second_before_it() -> None:
    second = SlidingSecond()
    assert second.admits(100.0, 2)
    assert second.admits(100.9, 2)
    assert not second.admits(100.5, 2)


@given(stamps=STAMPS, limit=st.integers(min_value=1, max_value=10))
def test_no_order_of_arrivals_gets_more_than_the_limit_through_a_second(stamps: list[float], limit: int) -> None:
    second = SlidingSecond()
    ordered = sorted(stamps)
    admitted = [stamp for stamp in ordered if second.admits(stamp, limit)]
    assert worst_second(admitted) <= limit
    for refused in set(ordered) - set(admitted):
        assert worst_second([*admitted, refused]) > limit


@given(stamps=STAMPS, limit=st.integers(min_value=1, max_value=10))
def test_stamps_out_of_order_never_overfill_a_second_either(stamps: list[float], limit: int) -> None:
    second = SlidingSecond()
    admitted = [stamp for stamp in stamps if second.admits(stamp, limit)]
    assert worst_second(admitted) <= limit


def test_a_long_run_forgets_old_seconds_but_not_the_last_one() -> None:
    second = SlidingSecond()
    assert all(second.admits(step / 128.0, 128) for step in range(20_000))
    assert not second.admits(156.245, 128)


@given(stamps=STAMPS)
def test_the_worst_second_is_what_counting_every_second_finds(stamps: list[float]) -> None:
    expected = max((sum(1 for other in stamps if start <= other and other - start < 1.0) for start in stamps), default=0)
    assert worst_second(stamps) == expected


def test_a_pair_may_borrow_a_burst_of_45_and_pays_it_back_by_waiting() -> None:
    limit = PairLimit()
    assert all(limit.admits(PAIR, 0.0, POLICY) for _ in range(45))
    assert not limit.admits(PAIR, 0.0, POLICY)
    assert not limit.admits(PAIR, 5.9, POLICY)
    assert limit.admits(PAIR, 6.0, POLICY)
    assert not limit.admits(PAIR, 6.1, POLICY)


def test_a_refused_message_does_not_deepen_the_debt() -> None:
    limit = PairLimit()
    once = PairPolicy(interval_seconds=6.0, burst=1)
    assert limit.admits(PAIR, 0.0, once)
    assert not any(limit.admits(PAIR, 1.0 + step, once) for step in range(5))
    assert limit.admits(PAIR, 6.0, once)


def test_pairs_do_not_share_their_limit() -> None:
    limit = PairLimit()
    once = PairPolicy(interval_seconds=6.0, burst=1)
    assert limit.admits(("number", "a"), 0.0, once)
    assert limit.admits(("number", "b"), 0.0, once)
    assert limit.admits(("other", "a"), 0.0, once)


@given(gaps=st.lists(st.floats(min_value=0.0, max_value=20.0), max_size=150))
def test_a_pair_never_passes_more_than_its_burst_and_one_each_interval(gaps: list[float]) -> None:
    limit, now, admitted = PairLimit(), 0.0, list[float]()
    policy = PairPolicy(interval_seconds=6.0, burst=5)
    for gap in gaps:
        now += gap
        if limit.admits(PAIR, now, policy):
            admitted.append(now)
    for first in range(len(admitted)):
        for last in range(first, len(admitted)):
            span = admitted[last] - admitted[first]
            assert last - first + 1 <= 5 + span / 6.0 + 1e-6


def test_a_window_is_open_for_24_hours_from_the_last_message() -> None:
    windows = Windows()
    assert not windows.is_open(PAIR, 1000.0)
    windows.spoke(PAIR, 1000.0)
    assert windows.is_open(PAIR, 1000.0 + WINDOW_SECONDS - 0.001)
    assert not windows.is_open(PAIR, 1000.0 + WINDOW_SECONDS)


def test_an_older_message_that_comes_late_does_not_shorten_the_window() -> None:
    windows = Windows()
    windows.spoke(PAIR, 5000.0)
    windows.spoke(PAIR, 1000.0)
    assert windows.is_open(PAIR, 5000.0 + WINDOW_SECONDS - 1)


def body(*texts: str, **names: str) -> dict[str, object]:
    positional = [{"type": "text", "text": text} for text in texts]
    named = [{"type": "text", "parameter_name": name, "text": text} for name, text in names.items()]
    return {"name": "order", "components": [{"type": "body", "parameters": positional + named}]}


TEMPLATE = Template(waba_id="9", name="order", language="en_US", body_parameters=2)


@pytest.mark.parametrize(
    ("template", "content", "code"),
    [
        (TEMPLATE, body("a", "b"), None),
        (TEMPLATE, body("a"), 132000),
        (TEMPLATE, body("a", "b", "c"), 132000),
        (TEMPLATE, {"name": "order"}, 132000),
        (TEMPLATE, body("a", "b\nc"), 132018),
        (TEMPLATE.model_copy(update={"status": "PAUSED"}), body("a", "b"), 132015),
        (TEMPLATE.model_copy(update={"status": "DISABLED"}), body("a", "b"), 132016),
        (TEMPLATE.model_copy(update={"status": "REJECTED"}), body("a", "b"), 132001),
        (TEMPLATE.model_copy(update={"header_parameters": 1}), body("a", "b"), 132000),
        (TEMPLATE.model_copy(update={"body_parameter_names": ("x", "y")}), body(x="a", y="b"), None),
        (TEMPLATE.model_copy(update={"body_parameter_names": ("x", "y")}), body(x="a", z="b"), 132000),
    ],
)
def test_a_template_message_is_refused_with_metas_code(template: Template, content: dict[str, object], code: int | None) -> None:
    refusal = refuse_template(template, content)
    assert (None if refusal is None else refusal.code) == code
