"""Do the same events and answers end in the same stops in any order, and does each stop exactly what it forbids?"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.domain import account_state
from services.common.domain.account_state import (
    ACCESS_TOKEN,
    LONGEST_PROBE_SECONDS,
    OPERATOR,
    RESTRICTIONS,
    STOPPING_EVENTS,
    AccountEvent,
    Entry,
    Evidence,
    Key,
    Source,
    Standing,
    State,
    cleared,
    fold,
    index,
    of_answer,
    of_event,
    of_registry,
    standing,
    untold,
)
from services.common.domain.covers import Covers, Sent, area_of, covers
from services.common.domain.graph_codes import CODES, Scope
from services.common.domain.reasons import Reason

NOW = 1_800_000_000_000
HOUR = 3_600_000
NUMBER, OTHER, WABA = "1", "2", "9"
OTHER_TYPES = (
    "RESTRICTED_ADD_PHONE_NUMBER_ACTION",
    "RESTRICTED_BUSINESS_INITIATED_CALLING",
    "RESTRICTED_USER_INITIATED_CALLING",
    "RESTRICTED_USER_INITIATED_CALLING_CALL_BUTTON_HIDDEN",
    "RESTRICTED_BIZ_INITIATED_AND_USER_INITIATED_CALLING",
    "RESTRICTED_SOMETHING_OF_TOMORROW",
)
HARMLESS = (
    "ACCOUNT_VIOLATION",
    "VERIFIED_ACCOUNT",
    "PARTNER_APP_INSTALLED",
    "PARTNER_APP_UNINSTALLED",
    "VOLUME_BASED_PRICING_TIER_UPDATE",
    "MM_LITE_TERMS_SIGNED",
    "SOMETHING_OF_TOMORROW",
)
TEMPLATE = Sent(is_template=True, category="utility", is_window_open=False, for_marketing_messages=False, area="+49")
REPLY = Sent(is_template=False, category=None, is_window_open=True, for_marketing_messages=False, area="+49")


def folded(told: Iterable[dict[Key, Evidence]], state: State | None = None, now: int = NOW) -> dict[Key, Entry]:
    """One after another, as they come."""
    state = dict(state or {})
    for one in told:
        state.update(fold(state, one, now=now))
    return dict(state)


def event(word: str, at: int = NOW, **more: object) -> AccountEvent:
    return replace(AccountEvent(waba_id=WABA, event=word, at=at), **more)  # type: ignore[arg-type]  # values of several fields


def stopped(state: State, sent: Sent, now: int = NOW, number: str = NUMBER, waba: str | None = WABA) -> set[str]:
    """The causes that hold a message of a number."""
    return {key.cause for key, _ in standing(index(state, now=NOW), phone_number_id=number, waba_id=waba).covering(sent, now)}


EVENTS = st.builds(
    AccountEvent,
    waba_id=st.sampled_from([WABA, "8"]),
    event=st.sampled_from([*STOPPING_EVENTS, *HARMLESS]),
    at=st.integers(NOW - 5, NOW),
    ban_state=st.sampled_from([None, "SCHEDULE_FOR_DISABLE", "DISABLE", "REINSTATE", "?"]),
    restrictions=st.lists(
        st.tuples(
            st.sampled_from([*RESTRICTIONS, *OTHER_TYPES]), st.sampled_from([None, NOW - HOUR, NOW + HOUR, NOW + 2 * HOUR])
        ),
        max_size=3,
    ).map(tuple),
)


@given(st.lists(EVENTS, max_size=12), st.randoms(use_true_random=False))
def test_events_in_any_order_and_any_number_of_times_give_the_same_state(events: list[AccountEvent], chance: Random) -> None:
    shuffled = [*events, *events]
    chance.shuffle(shuffled)
    assert folded(map(of_event, shuffled)) == folded(map(of_event, events))
    assert folded([account_state.merged(map(of_event, shuffled))]) == folded(map(of_event, events))


@given(st.lists(EVENTS, max_size=8), st.randoms(use_true_random=False))
def test_telling_the_log_between_events_ends_in_the_same_stops(events: list[AccountEvent], chance: Random) -> None:
    shuffled = list(events)
    chance.shuffle(shuffled)
    state: dict[Key, Entry] = {}
    for one in shuffled:
        state.update(fold(state, of_event(one), now=NOW))
        state.update(untold(state, now=NOW))
    at_once = folded(map(of_event, events))
    assert {key: entry.evidence for key, entry in state.items()} == {key: entry.evidence for key, entry in at_once.items()}
    assert all(entry.is_told == entry.is_in_force(NOW) for entry in state.values())


@pytest.mark.parametrize("word", HARMLESS)
def test_a_word_that_stops_nothing_or_is_not_known_stops_nothing(word: str) -> None:
    assert of_event(event(word, ban_state="DISABLE", restrictions=((next(iter(RESTRICTIONS)), None),))) == {}


@pytest.mark.parametrize("word", OTHER_TYPES)
def test_a_restriction_of_calls_or_of_tomorrow_stops_no_message(word: str) -> None:
    assert of_event(event("ACCOUNT_RESTRICTION", restrictions=((word, NOW + HOUR),))) == {}


def test_a_restriction_stops_what_it_names_until_its_end() -> None:
    word = "RESTRICTED_BIZ_INITIATED_MESSAGING"
    state = folded([of_event(event("ACCOUNT_RESTRICTION", restrictions=((word, NOW + HOUR),)))])
    assert (stopped(state, TEMPLATE), stopped(state, REPLY)) == ({word}, set())
    assert stopped(state, TEMPLATE, now=NOW + HOUR) == set()
    assert standing(index(state, now=NOW + HOUR), phone_number_id=NUMBER, waba_id=WABA) == Standing()
    assert stopped(state, TEMPLATE, number=OTHER) == {word}
    assert stopped(state, TEMPLATE, waba="8") == set()


def test_a_scheduled_ban_stops_nothing_a_ban_everything_and_a_reinstatement_ends_it() -> None:
    states = ["SCHEDULE_FOR_DISABLE", "DISABLE", "REINSTATE"]
    told = [of_event(event("DISABLED_UPDATE", at=NOW + n, ban_state=word)) for n, word in enumerate(states)]
    seen = [stopped(folded(told[:n]), REPLY) for n in (1, 2, 3)]
    assert seen == [set(), {"DISABLED_UPDATE"}, set()]


@pytest.mark.parametrize(
    ("stop", "end"),
    [("PARTNER_REMOVED", "PARTNER_ADDED"), ("ACCOUNT_OFFBOARDED", "ACCOUNT_RECONNECTED"), ("ACCOUNT_DELETED", None)],
)
def test_an_account_that_is_gone_sends_nothing_until_it_is_back(stop: str, end: str | None) -> None:
    state = folded([of_event(event(stop))])
    assert stopped(state, REPLY) == {stop}
    if end is not None:
        assert stopped(folded([of_event(event(end, at=NOW + 1))], state), REPLY) == set()


STOPPING_CODES = {
    **dict.fromkeys((0, 3, 10, 190, 200, 299, 131005), (Scope.NUMBER, ACCESS_TOKEN, Covers.EVERYTHING)),
    **{code: (Scope.WABA, str(code), Covers.EVERYTHING) for code in (368, 131031, 131042)},
    **{code: (Scope.NUMBER, str(code), Covers.EVERYTHING) for code in (131037, 131045, 133010)},
    130497: (Scope.WABA, "130497 +49", Covers.COUNTRY),
    131048: (Scope.NUMBER, "131048", Covers.BUSINESS_INITIATED),
    131064: (Scope.WABA, "131064", Covers.TEMPLATES),
    131063: (Scope.WABA, "131063", Covers.MARKETING),
}


def answered(code: int, at: int = NOW, area: str | None = "+49", waba: str | None = WABA) -> dict[Key, Evidence]:
    return of_answer(code, phone_number_id=NUMBER, waba_id=waba, area=area, at=at)


@pytest.mark.parametrize("code", STOPPING_CODES)
def test_a_code_stops_what_it_is_about(code: int) -> None:
    scope, cause, what = STOPPING_CODES[code]
    [(key, evidence)] = answered(code).items()
    assert key == Key(scope, WABA if scope is Scope.WABA else NUMBER, cause)
    assert (evidence.covers, evidence.error_code, evidence.until) == (what, code, None)


@pytest.mark.parametrize("code", sorted(CODES))
def test_any_other_code_stops_nothing(code: int) -> None:
    assert bool(answered(code)) == (code in STOPPING_CODES or 200 <= code < 300)


def test_without_its_account_a_number_is_stopped_alone_and_without_a_country_nothing() -> None:
    assert [key.scope for key in answered(368, waba=None)] == [Scope.NUMBER]
    assert answered(130497, area=None) == {}


def test_a_stop_that_is_found_again_goes_on_and_its_probes_are_counted_on() -> None:
    state = folded([answered(368)])
    [(key, first)] = state.items()
    assert (first.since, first.probe_at, first.probes) == (NOW, NOW + 60_000, 0)
    state = {key: replace(first, probe_at=NOW + 180_000, probes=1)}
    [again] = folded([answered(368, at=NOW + 61_000)], state, now=NOW + 61_000).values()
    assert (again.since, again.probe_at, again.probes, again.evidence.at) == (NOW, NOW + 180_000, 1, NOW + 61_000)


def test_what_goes_through_ends_the_stop_that_it_tried_and_no_newer_one() -> None:
    state = folded([answered(368), answered(131042), answered(190)])
    keys = [key for key in state if key.cause == "368"]
    through = folded([cleared(state, keys, at=NOW + 5, source=Source.PROBE)], state)
    assert stopped(through, REPLY) == {"131042", ACCESS_TOKEN}
    before = folded([cleared(state, keys, at=NOW - 1, source=Source.PROBE)], state)
    assert stopped(before, REPLY) == {"368", "131042", ACCESS_TOKEN}
    assert cleared(through, keys, at=NOW + 6, source=Source.PROBE) == {}


def test_probes_come_less_often_and_never_less_than_a_quarter_of_an_hour_apart() -> None:
    [entry] = folded([answered(368)]).values()
    waits = [account_state.probe_seconds(replace(entry, probes=n)) for n in range(30)]
    assert waits[:5] == [60, 120, 240, 480, LONGEST_PROBE_SECONDS]
    assert set(waits[4:]) == {LONGEST_PROBE_SECONDS}
    [token] = folded([answered(190)]).values()
    assert {account_state.probe_seconds(replace(token, probes=n)) for n in range(30)} == {30}
    [spam] = folded([answered(131048)]).values()
    assert {account_state.probe_seconds(replace(spam, probes=n)) for n in range(30)} == {900}


def test_each_change_is_told_once_and_an_end_in_time_too() -> None:
    word = "RESTRICTED_UTILITY_TEMPLATES"
    state = folded([of_event(event("ACCOUNT_RESTRICTION", restrictions=((word, NOW + HOUR),)))])
    told = untold(state, now=NOW)
    assert [entry.is_told for entry in told.values()] == [True]
    state = {**state, **told}
    assert untold(state, now=NOW + HOUR - 1) == {}
    over = untold(state, now=NOW + HOUR)
    assert [entry.is_told for entry in over.values()] == [False]
    assert untold({**state, **over}, now=NOW + HOUR) == {}
    longer = of_event(event("ACCOUNT_RESTRICTION", at=NOW + 1, restrictions=((word, NOW + 2 * HOUR),)))
    assert len(untold({**state, **fold(state, longer, now=NOW)}, now=NOW)) == 1
    same = of_event(event("ACCOUNT_RESTRICTION", at=NOW + 1, restrictions=((word, NOW + HOUR),)))
    assert untold({**state, **fold(state, same, now=NOW)}, now=NOW) == {}


def test_what_was_over_before_it_was_heard_of_is_not_told() -> None:
    past = of_event(event("ACCOUNT_RESTRICTION", restrictions=(("RESTRICTED_UTILITY_TEMPLATES", NOW - 1),)))
    assert untold(folded([past]), now=NOW) == {}


def test_an_operators_pause_is_told_and_not_probed_and_the_registry_is_asked_for_it() -> None:
    state = folded([of_registry(NUMBER, "paused", at=NOW)])
    [(key, entry)] = state.items()
    assert (key.cause, entry.probe_at, entry.evidence.reason) == (OPERATOR, None, Reason.PHONE_PAUSED)
    assert standing(index(state, now=NOW), phone_number_id=NUMBER, waba_id=WABA) == Standing()
    assert len(untold(state, now=NOW)) == 1
    active = folded([of_registry(NUMBER, "active", at=NOW + 1)], state)
    assert not active[key].is_in_force(NOW + 1)


def test_several_stops_are_tried_together_or_waited_for() -> None:
    token, ban = folded([answered(190)]), folded([answered(368)])
    both = tuple({**token, **ban}.items())
    assert account_state.due(both, NOW + 30_000) == frozenset()
    assert account_state.due(both, NOW + 60_000) == frozenset(key for key, _ in both)
    assert account_state.look_at(both) == NOW + 60_000
    ends = folded(
        [of_event(event("ACCOUNT_RESTRICTION", restrictions=(("RESTRICTED_CUSTOMER_INITIATED_MESSAGING", NOW + HOUR),)))]
    )
    assert account_state.due([*both, *ends.items()], NOW + 60_000) == frozenset()
    assert account_state.look_at([*both, *ends.items()]) == NOW + HOUR


SENT = [
    Sent(is_template=t, category=c, is_window_open=w, for_marketing_messages=m, area=a)
    for t, c, w, m, a in itertools.product(
        (True, False), ("marketing", "utility", "authentication", None), (True, False), (True, False), ("+49", "+55", None)
    )
]


@pytest.mark.parametrize("what", Covers)
def test_a_stop_covers_exactly_what_it_forbids(what: Covers) -> None:
    expected: dict[Covers, Callable[[Sent], bool]] = {
        Covers.EVERYTHING: lambda s: s in SENT,
        Covers.BUSINESS_INITIATED: lambda s: s.is_template or not s.is_window_open,
        Covers.REPLIES: lambda s: not s.is_template,
        Covers.TEMPLATES: lambda s: s.is_template,
        Covers.UTILITY_TEMPLATES: lambda s: s.is_template and s.category == "utility",
        Covers.DIRECT_SEND_UTILITY: lambda s: not s.is_template and s.category == "utility",
        Covers.MARKETING: lambda s: s.is_template and s.category == "marketing" and not s.for_marketing_messages,
        Covers.COUNTRY: lambda s: s.area == "+49",
    }
    assert [covers(what, "+49", sent) for sent in SENT] == list(map(expected[what], SENT))
    assert not any(covers(Covers.COUNTRY, None, sent) for sent in SENT)


@pytest.mark.parametrize(
    ("digits", "bsuid", "area"),
    [
        ("491700000001", None, "+49"),
        ("5511987654321", None, "+55"),
        ("16505551234", None, "+1650"),
        ("79161234567", None, "+79"),
        ("77011234567", None, "+77"),
        ("35312345678", None, "+353"),
        ("2341234567890", None, "+234"),
        (None, "DE.1234567890", "DE"),
        ("491700000001", "DE.1", "+49"),
        (None, None, None),
    ],
)
def test_the_country_of_a_recipient(digits: str | None, bsuid: str | None, area: str | None) -> None:
    assert area_of(digits=digits, bsuid=bsuid) == area
