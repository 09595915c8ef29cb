"""Is the newest word about a template the one that counts, whichever way it came?"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.common.domain.consent import ConsentCategory
from services.common.domain.templates import EVENT_LEAD_MS, STOPPED, Current, Listed, Told, category_of, current

AT = 1_800_000_000_000
LISTED = Listed(status="APPROVED", category="UTILITY", polled_at=AT)


def test_a_template_that_only_the_list_knows_is_as_listed() -> None:
    assert current(LISTED, None, list_polled_at=AT) == Current(
        status="APPROVED", category=ConsentCategory.UTILITY, is_defined=True
    )


def test_each_word_counts_for_itself() -> None:
    told = Told(status="PAUSED", status_at=AT + 1, category="MARKETING", category_at=AT - EVENT_LEAD_MS - 1)
    known = current(LISTED, told, list_polled_at=AT)
    assert known == Current(status="PAUSED", category=ConsentCategory.UTILITY, is_defined=True)
    assert known.is_stopped


def test_an_event_of_about_the_same_time_counts_against_a_poll() -> None:
    for at, status in ((AT - EVENT_LEAD_MS, "PAUSED"), (AT - EVENT_LEAD_MS - 1, "APPROVED")):
        known = current(LISTED, Told(status="PAUSED", status_at=at), list_polled_at=AT)
        assert known is not None
        assert known.status == status


def test_a_content_that_changed_after_the_poll_is_not_the_listed_one() -> None:
    for at, is_defined in ((AT, True), (AT + 1, False)):
        known = current(LISTED, Told(components_at=at), list_polled_at=AT)
        assert known is not None
        assert known.is_defined is is_defined


def test_what_a_complete_list_does_not_have_is_gone_unless_an_event_is_newer() -> None:
    told = Told(status="APPROVED", status_at=AT)
    assert current(None, None, list_polled_at=AT) is None
    assert current(None, told, list_polled_at=AT + EVENT_LEAD_MS + 1) is None
    newer = current(None, told, list_polled_at=AT + EVENT_LEAD_MS)
    assert newer == Current(status="APPROVED", category=None, is_defined=False)
    assert current(None, told, list_polled_at=None) == newer


def test_words_that_nobody_knows_are_left_to_meta() -> None:
    assert category_of("SERVICE") is category_of(None) is category_of("ALL") is None
    assert category_of("Marketing") is ConsentCategory.MARKETING
    for status in (None, "APPROVED", "FLAGGED", "REINSTATED", "UNARCHIVED", "A_WORD_OF_TOMORROW"):
        assert not Current(status=status, category=None, is_defined=True).is_stopped
    for status in STOPPED:
        assert Current(status=status, category=None, is_defined=True).is_stopped


@given(
    told=st.lists(st.tuples(st.sampled_from(["APPROVED", "PAUSED", "DISABLED"]), st.integers(0, 200_000)), min_size=1),
    polled_after=st.integers(0, 200_000),
)
def test_the_state_is_that_of_the_last_event_unless_the_poll_began_clearly_later(
    told: list[tuple[str, int]], polled_after: int
) -> None:
    status, at = max(told, key=lambda one: (one[1], one[0]))
    listed = Listed(status="PENDING", category="UTILITY", polled_at=AT + polled_after)
    known = current(listed, Told(status=status, status_at=AT + at), list_polled_at=listed.polled_at)
    assert known is not None
    assert known.status == (status if at + EVENT_LEAD_MS >= polled_after else "PENDING")
