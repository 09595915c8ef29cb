"""Is a storm the same for the same seed, never more than the system promises to bear, and over when it says so?"""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import pytest

from tests.faults.storm.schedule import ALL, BROKERS, LEADER, SERVICES, WAYS, Fault, Kind, Storm, draw, in_turn, part_of
from tests.faults.storm.toxics import ToxicKind

HOUR = 3600.0
SEEDS = range(200)
NO_TIME = {Kind.KILL, Kind.TERM, Kind.POSTGRES_CRASH}


def storms(seconds: float = 300.0) -> list[Storm]:
    return [draw(seed=seed, seconds=seconds) for seed in SEEDS]


def test_the_same_seed_gives_the_same_storm() -> None:
    assert draw(seed=7, seconds=HOUR) == draw(seed=7, seconds=HOUR)
    assert len({draw(seed=seed, seconds=60.0).faults for seed in SEEDS}) == len(SEEDS)


def test_a_seed_means_today_what_it_meant_when_it_was_reported() -> None:
    first = draw(seed=1, seconds=120.0).faults[:3]
    assert [(fault.kind, fault.target, round(fault.at, 3), round(fault.seconds, 3)) for fault in first] == [
        (Kind.TERM, "router-2", 2.403, 0.0),
        (Kind.BROKER_FREEZE, "broker-1", 13.713, 2.29),
        (Kind.KILL, "sender", 15.499, 0.0),
    ]


def test_the_kinds_asked_for_are_drawn_alike_in_whatever_order_they_are_named() -> None:
    kinds = [Kind.CUT, Kind.KILL, Kind.STANDBY_AWAY]
    assert draw(seed=3, seconds=600.0, kinds=kinds) == draw(seed=3, seconds=600.0, kinds=[*reversed(kinds), Kind.CUT])


def test_everything_is_over_by_the_end() -> None:
    for storm in storms():
        assert all(0.0 < fault.at <= fault.ends_at < storm.seconds for fault in storm.faults)
        assert [fault.at for fault in storm.faults] == sorted(fault.at for fault in storm.faults)


def test_no_part_is_struck_again_before_it_could_recover() -> None:
    for storm in storms():
        for one, other in combinations(storm.faults, 2):
            assert one.part != other.part or other.at > one.ends_at + 1.0


def test_all_brokers_are_one_part_and_so_are_both_servers_of_postgres() -> None:
    assert {part_of(target) for target in (*BROKERS, LEADER)} == {"kafka"}
    assert {part_of(target) for target in ("primary", "standby", "postgres")} == {"postgres"}
    assert len({part_of(target) for target in SERVICES}) == len(SERVICES)


def test_some_faults_meet() -> None:
    met = sum(other.at < one.ends_at for storm in storms() for one, other in combinations(storm.faults, 2) if one.at <= other.at)
    assert met > len(SEEDS)


def test_an_hour_has_every_kind_on_every_kind_of_target() -> None:
    faults = draw(seed=5, seconds=HOUR).faults
    assert {fault.kind for fault in faults} == set(ALL)
    assert {fault.target for fault in faults} >= {*SERVICES, *WAYS, LEADER, "primary", "standby"}
    count = Counter(fault.kind for fault in faults)
    assert min(count.values()) >= 5
    assert count[Kind.KILL] > 2 * count[Kind.CUT]


def test_a_short_storm_has_every_kind_once_before_any_comes_again() -> None:
    for seed in SEEDS:
        kinds = [fault.kind for fault in draw(seed=seed, seconds=HOUR).faults[: len(ALL)]]
        assert len(set(kinds)) == len(ALL)


def test_only_the_kinds_asked_for_come() -> None:
    kinds = {Kind.BLACK_HOLE, Kind.BROKER_KILL}
    assert {fault.kind for fault in draw(seed=2, seconds=600.0, kinds=kinds).faults} == kinds


@pytest.mark.parametrize("kinds", [(), []])
def test_without_a_kind_there_is_traffic_alone(kinds: tuple[Kind, ...]) -> None:
    storm = draw(seed=2, seconds=60.0, kinds=kinds)
    assert not storm.faults
    assert storm.stretches


def test_tempo_makes_faults_and_calms_shorter() -> None:
    slow, fast = draw(seed=4, seconds=HOUR), draw(seed=4, seconds=HOUR / 4, tempo=0.25)
    assert [fault.kind for fault in fast.faults[:20]] == [fault.kind for fault in slow.faults[:20]]
    assert fast.faults[10].seconds == pytest.approx(slow.faults[10].seconds / 4)
    assert fast.faults[10].at == pytest.approx(slow.faults[10].at / 4)


def test_what_is_done_to_a_process_lasts_as_it_should_and_what_is_done_to_a_way_is_a_toxic() -> None:
    for fault in (fault for storm in storms() for fault in storm.faults):
        assert (fault.seconds == 0.0) == (fault.kind in NO_TIME)
        assert (fault.toxic is not None) == (fault.kind.value in {kind.value for kind in ToxicKind})
        assert fault.toxic is None or fault.target in WAYS


def test_the_traffic_of_a_moment_is_that_of_its_stretch() -> None:
    storm = draw(seed=9, seconds=300.0)
    assert storm.stretches[0].at == 0.0
    for stretch in storm.stretches:
        assert storm.at(stretch.at) == stretch
        assert 0 < stretch.commands <= 20
        assert 0 < stretch.messages <= 30
    assert storm.at(HOUR) == storm.stretches[-1]


def test_in_turn_each_kind_strikes_each_of_its_targets_once_and_a_calm_follows() -> None:
    storm = in_turn(seed=3)
    struck = Counter((fault.kind, fault.target) for fault in storm.faults)
    drawn = {(fault.kind, fault.target) for seed in SEEDS for fault in draw(seed=seed, seconds=HOUR).faults}
    assert struck.keys() == drawn
    assert set(struck.values()) == {1}
    ends = [fault.ends_at for fault in storm.faults]
    begins = [*(fault.at for fault in storm.faults[1:]), storm.seconds]
    assert all(begin - end >= 20.0 for begin, end in zip(begins, ends, strict=True))
    assert storm == in_turn(seed=3)
    assert {fault.kind for fault in in_turn(seed=3, kinds=[Kind.RESET]).faults} == {Kind.RESET}


def test_the_command_that_is_told_does_the_same_again() -> None:
    assert draw(seed=4, seconds=90.0).replay == "make storm MINUTES=1.5 SEED=4"
    assert in_turn(seed=4).replay == 'make storm SEED=4 ARGS="--in-turn"'
    assert in_turn(seed=4, kinds=[Kind.BLACK_HOLE, Kind.FREEZE]).replay == 'make storm SEED=4 ARGS="--in-turn freeze black_hole"'


def test_a_way_without_strength_is_refused_before_anything_begins() -> None:
    with pytest.raises(ValueError, match="strength"):
        assert Fault(at=0.0, kind=Kind.SLOW, target="graph").toxic
