from __future__ import annotations

import unicodedata
from functools import reduce
from itertools import chain, permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.domain.consent import (
    ConsentCategory,
    ConsentDecision,
    ConsentReason,
    ConsentState,
    decide,
    keyword,
    merge,
)
from services.common.domain.consent_keywords import START_WORDS, STOP_WORDS

INSTANTS = (None, 0, 1, 2)
STATES = [ConsentState(granted_at=granted, withdrawn_at=withdrawn) for granted, withdrawn in product(INSTANTS, repeat=2)]
NOTHING = ConsentState()


def test_any_order_and_repetition_of_evidence_ends_in_the_same_state() -> None:
    for seen in product(STATES, repeat=3):
        assert len({reduce(merge, order) for order in permutations(seen)}) == 1
        known = reduce(merge, seen)
        assert all(merge(known, again) == known for again in (*seen, NOTHING))


def expected(evidence: list[tuple[int, bool]], category: ConsentCategory) -> bool:
    """The rule as one would say it: the latest evidence decides, and in a tie the withdrawal is the later."""
    if not evidence:
        return category in (ConsentCategory.UTILITY, ConsentCategory.AUTHENTICATION)
    _, withdrawn = max(evidence)
    return not withdrawn


@pytest.mark.parametrize("category", ConsentCategory)
def test_the_latest_evidence_about_all_or_the_category_decides(category: ConsentCategory) -> None:
    for state_all, state_category in product(STATES, repeat=2):
        evidence = [
            (at, withdrawn)
            for state in (state_all, state_category)
            for at, withdrawn in ((state.granted_at, False), (state.withdrawn_at, True))
            if at is not None
        ]
        decision = decide(state_all, state_category, category)
        assert decision.allowed is expected(evidence, category)
        assert decision.allowed is (decision.reason in (ConsentReason.GRANTED, ConsentReason.NOT_WITHDRAWN))


@pytest.mark.parametrize("category", ConsentCategory)
def test_more_evidence_of_withdrawal_never_allows_what_was_refused(category: ConsentCategory) -> None:
    for state_all, state_category, at in product(STATES, STATES, (0, 1, 2)):
        before = decide(state_all, state_category, category)
        after = decide(merge(state_all, ConsentState(withdrawn_at=at)), state_category, category)
        assert before.allowed or not after.allowed


@pytest.mark.parametrize(
    ("state_all", "state_category", "category", "allowed", "reason"),
    [
        pytest.param(NOTHING, NOTHING, "marketing", False, "never_granted", id="marketing without opt-in"),
        pytest.param(NOTHING, NOTHING, "utility", True, "not_withdrawn", id="utility without evidence"),
        pytest.param(NOTHING, NOTHING, "authentication", True, "not_withdrawn", id="authentication without evidence"),
        pytest.param(
            ConsentState(withdrawn_at=5),
            NOTHING,
            "authentication",
            False,
            "withdrawn",
            id="stop stops codes too",
        ),
        pytest.param(
            ConsentState(withdrawn_at=5),
            ConsentState(granted_at=4),
            "marketing",
            False,
            "withdrawn",
            id="stop after opt-in",
        ),
        pytest.param(
            ConsentState(withdrawn_at=5),
            ConsentState(granted_at=6),
            "marketing",
            True,
            "granted",
            id="opt-in after stop",
        ),
        pytest.param(
            ConsentState(granted_at=5),
            ConsentState(withdrawn_at=5),
            "utility",
            False,
            "withdrawn",
            id="a tie",
        ),
    ],
)
def test_a_decision_says_why(
    state_all: ConsentState, state_category: ConsentState, category: str, allowed: bool, reason: str
) -> None:
    assert decide(state_all, state_category, ConsentCategory(category)) == ConsentDecision(
        allowed=allowed, reason=ConsentReason(reason)
    )


def spellings(word: str) -> list[str]:
    return [
        word,
        word.upper(),
        word.title(),
        f"  {word}\n",
        f"{word}!!!",
        f"«{word}»",
        f"\u200b\u201c{word}.\u201d",
        f"¡{word}!",
        unicodedata.normalize("NFD", word),
        word.replace(" ", " \t\u00a0"),
    ]


@pytest.mark.parametrize("word", sorted(set(chain(*STOP_WORDS.values()))))
def test_a_stop_word_alone_is_a_stop_however_it_is_typed(word: str) -> None:
    assert {keyword(spelling) for spelling in spellings(word)} == {"stop"}


@pytest.mark.parametrize("word", sorted(set(chain(*START_WORDS.values()))))
def test_a_start_word_alone_is_a_start_however_it_is_typed(word: str) -> None:
    assert {keyword(spelling) for spelling in spellings(word)} == {"start"}


@pytest.mark.parametrize(
    "text",
    [
        *("", "   ", "...", "👍", "st op", "s.t.o.p", "stop 1", "stop it", "please stop", "don't stop"),
        *("bus stop", "non-stop", "nonstop", "starting", "Baja California", "sair de casa", "cancel", "end"),
    ],
)
def test_conversation_is_not_a_keyword(text: str) -> None:
    assert keyword(text) is None


@given(st.sampled_from(sorted({"", "bus", *chain(*STOP_WORDS.values(), *START_WORDS.values())})), st.data())
def test_plain_text_is_read_like_any_other(word: str, data: st.DataObject) -> None:
    """An invisible character at the end takes the text off the short way for ASCII, and means nothing."""
    plain = st.text(st.characters(max_codepoint=127), max_size=3)
    text = data.draw(plain) + word.replace(" ", data.draw(plain)) + data.draw(plain)
    assert keyword(text) == keyword(f"{text}\u200b")


def test_full_width_letters_are_letters() -> None:
    assert keyword("\uff33\uff34\uff2f\uff30") == "stop"


def test_no_word_both_stops_and_starts() -> None:
    assert not set(chain(*STOP_WORDS.values())) & set(chain(*START_WORDS.values()))
