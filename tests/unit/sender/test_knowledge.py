"""Is looked up what the gate needs and nothing else, and does a room let in as many as it has?"""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sender.knowledge import Knowledge, Place, Room, TemplateName, Wanted, name_of, place_of, wanted
from tests.support.candidates import TEMPLATE, candidate


def test_an_answer_needs_nothing_looked_up() -> None:
    found = wanted([candidate(content={"body": "x"})])
    assert found == Wanted(templates=frozenset(), topics=frozenset(), people=frozenset())


def test_a_template_a_fallback_and_direct_send_may_begin_a_conversation() -> None:
    name = TemplateName("order_update", "en")
    sent = wanted([candidate("template", TEMPLATE)])
    fallback = wanted([candidate(fallback_template=orjson.dumps(TEMPLATE).decode())])
    for found in (sent, fallback):
        assert found == Wanted(templates=frozenset({name}), topics=frozenset(), people=frozenset({"491700000001"}))
    direct = wanted([candidate(category="utility")])
    assert direct == Wanted(templates=frozenset(), topics=frozenset(), people=frozenset({"491700000001"}))


def test_a_template_has_no_use_for_a_fallback() -> None:
    other = orjson.dumps({**TEMPLATE, "name": "other"}).decode()
    assert wanted([candidate("template", TEMPLATE, fallback_template=other)]).templates == {TemplateName("order_update", "en")}


def test_the_topic_of_a_cause_is_asked_for_its_positions() -> None:
    found = wanted([candidate(caused_by="parley.inbound-messages.v1/3/77"), candidate(caused_by="nothing")])
    assert found.topics == {"parley.inbound-messages.v1"}


@pytest.mark.parametrize(
    "content",
    [None, [], {}, {"name": "x"}, {"name": 1, "language": {"code": "en"}}, {"name": "x", "language": "en"},
     {"name": "a\0", "language": {"code": "en"}}, {"name": "a", "language": {"code": "\ud800"}}],
)  # fmt: skip
def test_what_cannot_be_a_template_is_not_looked_up(content: object) -> None:
    assert name_of(content) is None


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("parley.inbound-messages.v1/0/0", Place("parley.inbound-messages.v1", 0, 0)),
        ("parley.contact-events.v1/23/9000000000", Place("parley.contact-events.v1", 23, 9_000_000_000)),
        ("parley.consent-records.v1/1/2", Place("parley.consent-records.v1", 1, 2)),
        ("parley.webhooks.v1/0/0", None),
        ("parley.inbound-messages.v1/0", None),
        ("parley.inbound-messages.v1/0/-1", None),
        ("parley.inbound-messages.v1/00/1", None),
        ("parley.inbound-messages.v1/0/1/2", None),
        ("parley.inbound-messages.v1/0/" + "9" * 30, None),
        ("", None),
    ],
)
def test_a_cause_is_a_place_in_a_topic_about_contacts(text: str, place: Place | None) -> None:
    assert place_of(text) == place


def test_a_place_is_passed_when_the_next_offset_is_beyond_it() -> None:
    known = Knowledge(positions={("parley.inbound-messages.v1", 0): 5})
    passed = {offset: known.has_passed(Place("parley.inbound-messages.v1", 0, offset)) for offset in (4, 5)}
    assert passed == {4: True, 5: False}
    assert not known.has_passed(Place("parley.inbound-messages.v1", 1, 0))


people = st.sampled_from(["a", "b", "c", "d", "e"])


@given(left=st.integers(-1, 4), counted=st.sets(people), asked=st.lists(people))
def test_a_room_takes_as_many_new_people_as_are_left_and_those_who_count_already(
    left: int, counted: set[str], asked: list[str]
) -> None:
    room = Room(left=left, counted=set(counted))
    let_in = [person for person in asked if room.admits(person)]
    new = set(let_in) - counted
    assert len(new) == sum(room.begun.values()) <= max(0, left)
    assert room.begun.keys() == set(let_in)
    refused = set(asked) - set(let_in)
    assert not refused & counted
    assert not refused or len(new) == max(0, left)


@given(asked=st.lists(people))
def test_without_a_limit_everybody_is_let_in_and_takes_nothing(asked: list[str]) -> None:
    room = Room()
    assert all(room.admits(person) for person in asked)
    assert not any(room.begun.values())
