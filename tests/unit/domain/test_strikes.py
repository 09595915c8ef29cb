"""Is the record that kills its reader found within three lives, and no other one set aside?"""

from __future__ import annotations

from itertools import count

import pytest

from services.common.domain.strikes import OUT, Mark, Strikes, read_mark

REACH = 10
A, B = "a", "b"


class Log:
    """One partition, and a group's position in it with what stands beside that. Reading it dies of the records in `kill`."""

    def __init__(self, end: int, *, kill: set[int], reach: int = REACH) -> None:
        self.end, self.kill, self.reach = end, kill, reach
        self.position, self.beside = 0, ""
        self.used: list[int] = []
        self.aside: list[int] = []
        self.singles = 0

    def live(self, life: str) -> bool:
        """A life: batch after batch, as a reader does it that commits after each fourth; True when it came to the end."""
        strikes: Strikes[str] = Strikes(life=life, reach=self.reach)
        strikes.assigned({A: (self.position, self.beside)}, {A: self.end})
        offset = self.position
        for nth in count(1):
            if offset >= self.end:
                self.position, self.beside = offset, ""
                return True
            size = 1 if strikes.is_single(A, offset) else self.reach
            batch = list(range(offset, min(offset + size, self.end)))
            self.singles += size == 1
            is_apart = strikes.are_apart({A: offset})
            for at, text in strikes.begin({A: offset}).values():
                self.position, self.beside = at, text
            if strikes.is_out(A, offset):
                self.aside += batch
            elif self.kill & set(batch):
                return False
            else:
                self.used += batch
            offset = batch[-1] + 1
            strikes.done([A])
            if is_apart or nth % 4 == 0:
                self.position, self.beside = offset, strikes.beside(A, offset)
        raise AssertionError


@pytest.mark.parametrize("killer", [0, 1, 7, 10, 35, 99])
def test_the_record_that_kills_three_lives_is_set_aside_by_the_fourth(killer: int) -> None:
    log = Log(100, kill={killer})
    lives = next(nth for nth in count(1) if log.live(f"life{nth}"))
    assert lives == 1 + OUT + (killer == 99)  # the first life had committed what is before that, the second had nothing to narrow
    assert log.aside == [killer]
    assert set(log.used) == set(range(100)) - {killer}
    assert log.singles <= 2 * REACH


def test_one_at_the_position_costs_three_lives_and_its_neighbour_one_more() -> None:
    log = Log(30, kill={4, 6})
    assert [log.live(f"life{nth}") for nth in range(5)] == [False, False, False, False, True]
    assert log.aside == [4, 6]


def test_a_life_that_gets_on_leaves_nothing_behind() -> None:
    log = Log(30, kill=set())
    assert log.live("one")
    assert log.beside == ""
    assert log.singles == 0


def begun(found: dict[str, tuple[int, str]], life: str) -> Strikes[str]:
    strikes: Strikes[str] = Strikes(life=life, reach=REACH)
    strikes.assigned(found, dict.fromkeys(found, 100))
    return strikes


def test_only_a_record_alone_in_hand_gets_the_last_strike() -> None:
    """The others of the batch that died with it have two, however often it dies."""
    found: dict[str, tuple[int, str]] = {A: (5, ""), B: (7, "")}
    for nth in range(2):
        found = begun(found, f"life{nth}").begin({A: 5, B: 7})
    third = begun(found, "life2")
    assert third.is_single(A, 5)
    assert third.is_single(B, 7)
    found |= third.begin({A: 5})
    fourth = begun(found, "life3")
    assert fourth.is_out(A, 5)
    assert not fourth.is_out(B, 7)


def test_what_its_own_life_wrote_is_no_strike() -> None:
    strikes = begun({A: (5, "")}, "one")
    for _ in range(5):
        found = strikes.begin({A: 5})
        strikes.assigned(found, {A: 100})
        assert not strikes.are_apart({A: 5})


def test_a_mark_that_is_withdrawn_counts_no_more_than_before() -> None:
    found = {A: (5, str(Mark(2, 0, "one")))}
    for nth in range(5):
        strikes = begun(found, f"life{nth}")
        assert strikes.begin({A: 5})[A][1].startswith(f"parley-strikes/{OUT}/")
        found = strikes.withdraw()
        assert strikes.withdraw() == found
        assert strikes.beside(A, 5) == found[A][1]
        assert not begun(found, "next").is_out(A, 5)


def test_it_says_where_lives_have_ended() -> None:
    strikes: Strikes[str] = Strikes(life="two", reach=REACH)
    found = {A: (5, str(Mark(2, 0, "one"))), B: (7, str(Mark(1, 0, "two"))), "c": (9, "")}
    assert strikes.assigned(found, dict.fromkeys(found, 100)) == {A: 2}
    assert Strikes[str](life="two", reach=REACH, is_on=False).assigned(found, {}) == {}


def test_a_mark_of_another_position_says_nothing() -> None:
    strikes = begun({A: (5, str(Mark(OUT, 9, "one")))}, "two")
    assert not strikes.is_out(A, 6)
    assert strikes.is_out(A, 5)


def test_nothing_is_written_before_it_is_known_what_stands_there() -> None:
    strikes: Strikes[str] = Strikes(life="one", reach=REACH)
    assert strikes.begin({A: 5}) == {}


@pytest.mark.parametrize(
    "text", ["", "parley-strikes", "parley-strikes/1/2", "parley-strikes/x/2/y", "other/1/2/y", "parley-strikes/1/-2/y"]
)
def test_text_of_others_is_no_mark(text: str) -> None:
    assert read_mark(text) is None


def test_a_mark_is_read_as_it_was_written() -> None:
    assert read_mark(str(Mark(2, 17, "abc"))) == Mark(2, 17, "abc")
