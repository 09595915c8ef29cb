"""Does what was found out about templates, causes and limits reach the gate, and what it says the ledger and Meta?"""

from __future__ import annotations

import dataclasses
from typing import Any

import orjson

from services.common.domain.account_state import Standing
from services.common.domain.reasons import Reason
from services.common.domain.send_policy import Facts
from services.common.domain.templates import Listed, Told
from services.sender.judging import Call, judge
from services.sender.knowledge import Candidate, Definition, Knowledge, Room, TemplateName
from services.sender.store import Batch
from tests.support.candidates import FACTS, TEMPLATE, candidate

NOW = 1_800_000_000_000
NAME = TemplateName("order_update", "en")
BODY = [{"type": "BODY", "text": "Hi {{1}}"}]
FILLED = {**TEMPLATE, "components": [{"type": "body", "parameters": [{"type": "text", "text": "Ana"}]}]}
OPEN = dataclasses.replace(FACTS, last_inbound_at=NOW - 1000)
CLOSED = FACTS


def at_now(one: Candidate, facts: Facts = CLOSED, **changes: Any) -> Candidate:
    given = {"appended_at": NOW - 10, "received_at": NOW - 5, "expires_at": NOW + 60_000, "facts": facts}
    return dataclasses.replace(one, **{**given, **changes})


def knowing(*, polled_at: int | None = NOW, status: str = "APPROVED", category: str = "UTILITY", **more: Any) -> Knowledge:
    listed = None if polled_at is None else Listed(status=status, category=category, polled_at=polled_at)
    definition = Definition(listed=listed, parameter_format="POSITIONAL", components=orjson.dumps(BODY).decode(), **more)
    return Knowledge(templates={NAME: definition}, list_polled_at=polled_at)


def judged(one: Candidate, known: Knowledge, *, caught_up_at: int = NOW) -> tuple[Batch, list[Call]]:
    return judge(
        [one],
        known,
        now=NOW,
        has_token=True,
        waba_id="1",
        caught_up_at=caught_up_at,
        failures={},
        standing=Standing(),
        may_try=True,
        pair_ready_in=lambda _: 0.0,
        retries_left=1,
    )


def told(batch: Batch) -> tuple[str | None, str | None]:
    [(_, outcome)] = batch.give_up
    return outcome.reason, outcome.detail


def test_a_fitting_template_goes_and_one_that_does_not_fit_is_refused_by_its_component() -> None:
    batch, calls = judged(at_now(candidate("template", FILLED)), knowing())
    assert (len(batch.start), len(calls)) == (1, 1)
    batch, _ = judged(at_now(candidate("template", TEMPLATE)), knowing())
    assert told(batch) == ("template_params", "template.components: no body, the template has 1 parameter there")


def test_what_is_wrong_in_itself_is_told_before_what_the_template_wants() -> None:
    broken = {**TEMPLATE, "components": [{"type": "body", "parameters": [{"type": "text", "text": " "}]}]}
    batch, _ = judged(at_now(candidate("template", broken)), knowing())
    assert told(batch) == ("template_params", "template.components[0].parameters[0].text: empty")


def test_a_content_that_changed_since_the_list_was_read_is_not_compared() -> None:
    one = at_now(candidate("template", TEMPLATE), received_at=NOW - 95_000)
    batch, _ = judged(one, knowing(polled_at=NOW - 96_000, told=Told(components_at=NOW - 95_500)))
    assert len(batch.start) == 1


def test_a_template_without_a_list_waits_for_one() -> None:
    batch, _ = judged(at_now(candidate("template", FILLED)), knowing(polled_at=None))
    [park] = batch.park
    assert park.is_for_list
    assert not park.is_for_read_models


def test_a_closed_window_turns_the_command_into_its_fallback_template() -> None:
    one = at_now(candidate("text", {"body": "x"}, fallback_template=orjson.dumps(FILLED).decode()))
    batch, [call] = judged(one, knowing())
    [attempt] = batch.start
    assert (attempt.message_type, orjson.loads(attempt.content)) == ("template", FILLED)
    sent = orjson.loads(call.body)
    assert (sent["type"], sent["template"]) == ("template", FILLED)
    assert "text" not in sent
    again = dataclasses.replace(one, attempt=attempt, content=FILLED)
    assert judged(again, knowing())[0].start[0].message_type == "template"


def test_an_open_window_leaves_it_as_it_is() -> None:
    batch, [call] = judged(
        at_now(candidate("text", {"body": "x"}, fallback_template=orjson.dumps(FILLED).decode()), OPEN), knowing()
    )
    assert batch.start[0].message_type == "text"
    assert orjson.loads(call.body)["text"] == {"body": "x"}


def test_a_broken_fallback_is_told_even_when_it_is_not_needed() -> None:
    batch, _ = judged(at_now(candidate("text", {"body": "x"}, fallback_template='{"name": "A"}'), OPEN), knowing())
    reason, detail = told(batch)
    assert reason == Reason.TEMPLATE
    assert (detail or "").startswith("fallback_template: template.name")


def test_direct_send_goes_with_its_category_and_a_wrong_one_is_refused() -> None:
    _, [call] = judged(at_now(candidate("text", {"body": "x"}, category="utility")), Knowledge())
    assert orjson.loads(call.body)["category"] == "utility"
    batch, _ = judged(at_now(candidate("text", {"body": "x"}, category="marketing"), OPEN), Knowledge())
    assert told(batch) == ("content", "category: neither utility nor authentication")
    batch, _ = judged(at_now(candidate("template", FILLED, category="utility")), knowing())
    assert told(batch) == ("content", "category: not for a message of type template")


def test_a_cause_counts_by_its_own_position_alone() -> None:
    one = at_now(candidate("text", {"body": "x"}, caused_by="parley.inbound-messages.v1/3/77"), OPEN)
    place = ("parley.inbound-messages.v1", 3)
    batch, _ = judged(one, Knowledge(positions={place: 78}), caught_up_at=0)
    assert len(batch.start) == 1
    batch, _ = judged(one, Knowledge(positions={place: 77}), caught_up_at=NOW)
    assert batch.park[0].is_for_read_models
    malformed = at_now(candidate("text", {"body": "x"}, caused_by="somewhere"), OPEN)
    assert told(judged(malformed, Knowledge())[0])[0] == "caused_by"


def test_who_may_not_be_written_to_first_waits_and_an_answer_does_not() -> None:
    def full() -> Knowledge:
        return dataclasses.replace(knowing(), room=Room(left=0, seconds=7.0))

    batch, calls = judged(at_now(candidate("template", FILLED)), full())
    [park] = batch.park
    assert (park.reason, park.seconds, calls) == (Reason.TIER, 7.0, [])
    batch, _ = judged(at_now(candidate("template", FILLED), OPEN), full())
    assert len(batch.start) == 1
