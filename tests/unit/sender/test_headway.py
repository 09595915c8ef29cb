"""Does a process start only what it can write in time, and never stand still for it?"""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from services.sender.headway import FIRST, LEAST, MOST, Headway


def run_ahead(headway: Headway, count: int, *, late: bool) -> None:
    for _ in range(count):
        headway.start()
    for _ in range(count):
        headway.end(late=late)


def test_a_windowful_written_in_time_makes_room_for_one_more() -> None:
    headway = Headway()
    run_ahead(headway, FIRST + 1, late=False)
    assert headway.size == FIRST + 1


def test_what_was_ahead_at_a_late_write_halves_the_window_once() -> None:
    headway = Headway()
    run_ahead(headway, FIRST, late=True)
    assert headway.size == FIRST // 2
    run_ahead(headway, 1, late=True)
    assert headway.size == FIRST // 4


def test_the_window_has_a_floor_and_a_ceiling() -> None:
    slow, quick = Headway(), Headway()
    for _ in range(20):
        run_ahead(slow, 1, late=True)
    assert slow.size == LEAST
    run_ahead(quick, MOST * MOST, late=False)
    assert quick.size == MOST


def test_room_is_what_the_window_leaves() -> None:
    headway = Headway()
    for _ in range(FIRST):
        headway.start()
    assert headway.room == 0
    headway.end(late=False)
    assert headway.room == 1


@given(st.integers(1, 80), st.lists(st.booleans(), min_size=1, max_size=120))
def test_whoever_waits_is_woken_by_the_last_end_at_the_latest(waiters: int, ends: list[bool]) -> None:
    async def play() -> None:
        headway = Headway()
        for _ in ends:
            headway.start()
        waiting = [headway.wait() for _ in range(waiters)]
        for late in ends:
            headway.end(late=late)
        assert all(turn.done() for turn in waiting)

    asyncio.run(play())


def test_who_waits_longer_is_served_first_and_keeps_its_turn_when_the_room_was_gone() -> None:
    async def play() -> list[str]:
        headway, order = Headway(), list[str]()
        for _ in range(FIRST):
            headway.start()

        async def served(name: str, turn: asyncio.Future[None]) -> None:
            await turn
            order.append(name)

        turns = [asyncio.create_task(served(name, headway.wait())) for name in ("first", "second")]
        await asyncio.sleep(0)
        headway.end(late=False)
        await turns[0]
        turns.append(asyncio.create_task(served("first again", headway.wait(again=True))))
        await asyncio.sleep(0)
        assert headway.is_awaited
        for turn in (turns[2], turns[1]):
            headway.end(late=False)
            await turn
        assert not headway.is_awaited
        return order

    assert asyncio.run(play()) == ["first", "first again", "second"]
