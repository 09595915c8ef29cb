"""Does a code that comes after the answer stop what the same answer would, and only while it is news?"""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.domain import account_state, graph_codes
from services.common.domain.account_state import LATE_MS, Entry, Evidence, Key, Source, cleared, fold, untold
from services.common.domain.graph_codes import Scope
from services.common.domain.late_codes import CODES, LateCode, told_late

NOW = 1_800_000_000_000
MINUTE = 60_000
NUMBER, SECOND, STRANGER, WABA, OTHER_WABA = "1", "2", "3", "9", "8"
OURS = {NUMBER: WABA, SECOND: WABA, STRANGER: OTHER_WABA}


def told(*given: LateCode, now: int = NOW, sent: dict[str, int] | None = None) -> dict[Key, Evidence]:
    return account_state.merged(told_late(given, now=now, sent=sent or {}, waba_of=OURS))


def late(code: int, at: int = NOW - MINUTE, **more: str | None) -> LateCode:
    return LateCode(code=code, at=at, contact=str(more.pop("contact", "4917")), **{"phone_number_id": NUMBER, **more})


def folded(*given: dict[Key, Evidence], state: dict[Key, Entry] | None = None, now: int = NOW) -> dict[Key, Entry]:
    state = dict(state or {})
    for one in given:
        state.update(fold(state, one, now=now))
    return state


@pytest.mark.parametrize("code", sorted(graph_codes.CODES))
def test_a_code_stops_later_what_its_answer_would_and_only_a_stop_does(code: int) -> None:
    row = graph_codes.row_of(code)
    answered = account_state.of_answer(code, phone_number_id=NUMBER, waba_id=WABA, area="+49", at=NOW)
    if row.scope is Scope.TOKEN:
        answered = {}
    seen = told(late(code))
    assert seen.keys() == answered.keys()
    assert [(one.covers, one.area, one.reason) for one in seen.values()] == [
        (one.covers, one.area, one.reason) for one in answered.values()
    ]
    assert bool(seen) == (code in CODES)


@pytest.mark.parametrize(
    ("age", "counts"), [(-1_000, False), (0, False), (999, True), (MINUTE, True), (LATE_MS + 999, True), (LATE_MS + 1_000, False)]
)
def test_a_second_counts_once_it_is_over_and_until_it_is_old(age: int, counts: bool) -> None:
    assert bool(told(late(131042, NOW - age))) is counts


@pytest.mark.parametrize(
    ("code", "sender", "after", "stops"),
    [
        (131042, NUMBER, 1_000, False),
        (131042, SECOND, 1_000, False),
        (131042, STRANGER, 1_000, True),
        (131042, NUMBER, 0, True),
        (131042, NUMBER, -1_000, True),
        (131037, NUMBER, 1_000, False),
        (131037, SECOND, 1_000, True),
        (131048, NUMBER, 1_000, True),
        (131064, SECOND, 1_000, True),
    ],
)
def test_what_was_sent_later_proves_that_its_scope_sends(code: int, sender: str, after: int, stops: bool) -> None:
    assert bool(told(late(code), sent={sender: NOW - MINUTE + after})) is stops


@pytest.mark.parametrize(
    ("code", "phone_number_id", "waba_id", "key"),
    [
        (131042, None, WABA, (Scope.WABA, WABA)),
        (131042, SECOND, None, (Scope.WABA, WABA)),
        (131042, None, "7", None),
        (131042, "7", WABA, None),
        (131042, None, None, None),
        (131045, None, WABA, None),
        (131045, SECOND, WABA, (Scope.NUMBER, SECOND)),
    ],
)
def test_only_what_is_ours_is_stopped(
    code: int, phone_number_id: str | None, waba_id: str | None, key: tuple[Scope, str] | None
) -> None:
    found = told(late(code, phone_number_id=phone_number_id, waba_id=waba_id))
    assert [(one.scope, one.scope_id) for one in found] == ([] if key is None else [key])


def test_a_country_is_that_of_the_recipient_and_without_one_nothing_stops() -> None:
    assert [key.cause for key in told(late(130497, contact="DE.1"), late(130497, contact="1650"), late(130497, contact=""))] == [
        "130497 DE",
        "130497 +1650",
    ]


LATE = st.builds(
    LateCode,
    code=st.sampled_from([*CODES, 131026]),
    at=st.integers(NOW - 5 * MINUTE, NOW).map(lambda at: at // 1_000 * 1_000),
    phone_number_id=st.sampled_from([NUMBER, SECOND]),
    contact=st.sampled_from(["4917", "5511"]),
)
RESUMES = st.tuples(st.sampled_from(CODES), st.integers(NOW - 5 * MINUTE, NOW))


def resumed(code: int, at: int) -> dict[Key, Evidence]:
    """What an accepted probe of every stop of this code says."""
    stops = folded(told(late(code), late(code, phone_number_id=SECOND)))
    return cleared(stops, stops, at=at, source=Source.PROBE)


@given(st.lists(LATE, max_size=8), st.lists(RESUMES, max_size=4), st.randoms(use_true_random=False))
def test_failures_and_resumes_in_any_order_and_any_number_of_times_end_in_the_same_stops(
    failures: list[LateCode], resumes: list[tuple[int, int]], chance: Random
) -> None:
    each = [*(told(one) for one in failures), *(resumed(*one) for one in resumes)]
    shuffled = [*each, *each]
    chance.shuffle(shuffled)
    state: dict[Key, Entry] = {}
    for one in shuffled:
        state = folded(one, state=state)
        state.update(untold(state, now=NOW))
    expected = account_state.merged(each)
    assert {key: (one.evidence.at, one.evidence.is_stopped) for key, one in state.items()} == {
        key: (one.at, one.is_stopped) for key, one in expected.items()
    }
    assert all(entry.is_told == entry.is_in_force(NOW) for entry in state.values())


def test_the_failure_of_a_probe_that_was_accepted_stops_again_and_the_next_waits_longer() -> None:
    [(key, first)] = folded(told(late(131042))).items()
    begun = NOW + MINUTE + 400
    through = folded(cleared({key: first}, [key], at=begun, source=Source.PROBE), state={key: _tried(first)}, now=begun + 100)
    assert not through[key].is_in_force(begun + 100)
    again = folded(told(late(131042, NOW + MINUTE), now=begun + 1_000), state=through, now=begun + 1_000)[key]
    assert again.is_in_force(begun + 1_000)
    assert (again.probes, again.probe_at) == (1, begun + 1_000 + 2 * MINUTE)
    assert folded(told(late(131042)), state=through)[key] == through[key], "the failure that the probe was for"


def test_more_failures_of_one_stop_do_not_put_its_probe_off() -> None:
    [(key, first)] = folded(told(late(131042))).items()
    again = folded(told(late(131042, NOW - 2_000)), state={key: _tried(first)}, now=NOW + 5_000)[key]
    assert (again.since, again.probe_at, again.probes) == (first.since, first.probe_at, 1)


def _tried(entry: Entry) -> Entry:
    return Entry(evidence=entry.evidence, since=entry.since, probe_at=entry.probe_at, probes=1, is_told=True)
