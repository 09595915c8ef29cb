"""Is a twin told from a group that forgets us because the network paused?"""

from __future__ import annotations

from services.common.platform.kafka import Memberships


def test_three_memberships_lost_within_a_minute_tell_of_a_twin() -> None:
    memberships = Memberships()
    assert [memberships.lost(at, was_member=True) for at in (0.0, 2.0, 4.0)] == [False, False, True]


def test_a_membership_lost_now_and_then_does_not() -> None:
    memberships = Memberships()
    assert not any(memberships.lost(40.0 * nth, was_member=True) for nth in range(100))


def test_what_many_partitions_of_a_commit_are_answered_is_one_loss() -> None:
    memberships = Memberships()
    answers = [memberships.lost(10.0 + nth / 1000, was_member=nth == 0) for nth in range(50)]
    assert not any(answers)
    assert not memberships.lost(20.0, was_member=True)
    assert memberships.lost(30.0, was_member=True)


def test_who_is_pushed_out_before_it_is_a_member_at_all_has_a_twin_too() -> None:
    memberships = Memberships()
    assert [memberships.lost(float(at), was_member=False) for at in (1, 2, 3)] == [False, False, True]
