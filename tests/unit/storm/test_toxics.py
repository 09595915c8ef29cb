"""Does each trouble of the network do what its name says, and nothing else?"""

from __future__ import annotations

import pytest

from tests.faults.storm.toxics import (
    FREE,
    PIECE_BYTES,
    Passage,
    Toxic,
    ToxicKind,
    ends_open_ones,
    holds,
    passage,
    piece_bytes,
    refuses,
)

CUT, BLACK_HOLE, RESET = (Toxic(kind=kind) for kind in (ToxicKind.CUT, ToxicKind.BLACK_HOLE, ToxicKind.RESET))
LATENCY = Toxic(kind=ToxicKind.LATENCY, strength=0.25)
SLOW = Toxic(kind=ToxicKind.SLOW, strength=1000.0)


@pytest.mark.parametrize("is_answer", [True, False])
def test_without_trouble_everything_passes_at_once(is_answer: bool) -> None:
    assert passage(None, 100, is_answer=is_answer) == FREE == Passage()


@pytest.mark.parametrize("is_answer", [True, False])
def test_latency_makes_late_and_keeps_nothing_else_waiting(is_answer: bool) -> None:
    assert passage(LATENCY, 100, is_answer=is_answer) == Passage(late_seconds=0.25)


@pytest.mark.parametrize("is_answer", [True, False])
def test_a_slow_way_is_busy_as_long_as_its_bytes_take(is_answer: bool) -> None:
    assert passage(SLOW, 500, is_answer=is_answer) == Passage(busy_seconds=0.5)


def test_a_reset_lets_the_request_through_and_ends_at_the_answer() -> None:
    assert passage(RESET, 100, is_answer=False) == FREE
    assert passage(RESET, 100, is_answer=True).is_reset


@pytest.mark.parametrize(("toxic", "size"), [(None, PIECE_BYTES), (LATENCY, PIECE_BYTES), (SLOW, 100)])
def test_a_slow_way_takes_small_pieces(toxic: Toxic | None, size: int) -> None:
    assert piece_bytes(toxic) == size


def test_a_very_slow_way_still_takes_a_byte_and_a_fast_one_no_more_than_others() -> None:
    assert piece_bytes(Toxic(kind=ToxicKind.SLOW, strength=0.5)) == 1
    assert piece_bytes(Toxic(kind=ToxicKind.SLOW, strength=1e9)) == PIECE_BYTES


def test_who_holds_who_refuses_and_who_ends_what_is_open() -> None:
    every = [None, CUT, BLACK_HOLE, LATENCY, SLOW, RESET]
    assert [toxic for toxic in every if holds(toxic)] == [BLACK_HOLE]
    assert [toxic for toxic in every if refuses(toxic)] == [CUT]
    assert [toxic for toxic in every if ends_open_ones(toxic)] == [CUT, RESET]


@pytest.mark.parametrize("kind", [ToxicKind.LATENCY, ToxicKind.SLOW])
def test_what_has_a_degree_needs_it(kind: ToxicKind) -> None:
    with pytest.raises(ValueError, match="strength above 0"):
        Toxic(kind=kind)
