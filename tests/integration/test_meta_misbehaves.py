"""Is a message sent once, whatever Meta makes of its answer and of its webhooks? Every service beside a Meta on bad days."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from services.common.domain.records import SendMessage, SendOutcome
from services.sandbox.providers import Kafka
from services.sandbox.simulator.rules import Delay, DropAfter, DropBefore, OddAnswer, OddBody, Statuses
from tests.support.processes import ServiceProcess
from tests.support.sending import NUMBER, Scene, scene, text, webhook_services

_HORIZON_SECONDS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """All of it."""

    stage: Scene
    sender: ServiceProcess

    def sent(self, count: int = 1) -> list[SendMessage]:
        """Commands to people whose window is open."""
        people = [f"4917000{n:05d}" for n in range(count)]
        for person in people:
            self.stage.open_window(person)
        commands = [text(to=f"+{person}") for person in people]
        self.stage.put(*commands)
        return commands

    def kinds(self, command: SendMessage) -> list[str]:
        return [outcome.kind for outcome in self.stage.outcomes_of(command)]


@pytest.fixture
def world(cluster: Kafka, postgres: str) -> Iterator[World]:
    """A registered number and every service, ready."""
    with ExitStack() as stack:
        ingest_url = stack.enter_context(webhook_services(cluster, postgres))
        stage = stack.enter_context(scene(cluster, postgres, ingest_url=ingest_url))
        stage.register()
        horizon = {"PARLEY_SENDER_TRANSACTIONAL_HORIZON_SECONDS": str(_HORIZON_SECONDS), "PARLEY_SENDER_SETTLE_SECONDS": "0.05"}
        sender = stack.enter_context(stage.sender(**horizon))
        yield World(stage=stage, sender=sender.wait_ready())


def by_webhook(outcome: SendOutcome) -> bool:
    return outcome.kind == "accepted" and outcome.source == "webhook"


@pytest.mark.failure("S7")
def test_nonsense_after_the_acceptance_is_unknown_until_the_webhook_says_accepted(world: World) -> None:
    odd: list[tuple[int, OddBody]] = [(502, "html"), (500, "empty"), (200, "no_messages"), (200, "empty_list"), (200, "no_id")]
    world.stage.ask(lambda client: client.behave(statuses_late_seconds=1.0))
    for status, body in odd:
        world.stage.misbehave(OddAnswer(http_status=status, body=body))
    commands = world.sent(len(odd))
    outcomes = [world.stage.wait_outcome(command, "accepted") for command in commands]
    arrivals = {arrival.opaque: arrival for arrival in world.stage.arrivals()}
    assert len(arrivals) == len(world.stage.arrivals()) == len(odd)
    for command, outcome in zip(commands, outcomes, strict=True):
        arrival = arrivals[outcome.attempt_id]
        assert by_webhook(outcome)
        assert (outcome.wamid, outcome.attempt_no, arrival.decision) == (arrival.wamid, 1, "odd_after")
        assert world.kinds(command) == ["unknown", "accepted"]


@pytest.mark.failure("S7")
def test_nonsense_before_the_acceptance_is_never_sent_again_and_ends_as_unresolved(world: World) -> None:
    world.stage.misbehave(OddAnswer(accepts=False))
    [command] = world.sent()
    world.stage.wait_outcome(command, "unresolved")
    assert world.kinds(command) == ["unknown", "unresolved"]
    [arrival] = world.stage.arrivals()
    assert (arrival.decision, arrival.is_accepted) == ("odd_before", False)


@pytest.mark.failure("R15")
def test_a_status_before_the_answer_is_the_same_acceptance(world: World) -> None:
    world.stage.ask(lambda client: client.behave(statuses="before_answer"))
    world.stage.ask(lambda client: client.rules(Delay(seconds=1.0), always=True))
    commands = world.sent(5)
    wamids = {world.stage.wait_outcome(command, "accepted").wamid for command in commands}
    assert wamids == {arrival.wamid for arrival in world.stage.arrivals()}
    assert [world.kinds(command) for command in commands] == [["accepted"]] * 5
    assert world.sender.metric("parley_duplicate_sends_total") == 0


@pytest.mark.failure("R15")
def test_a_lost_answer_whose_status_came_before_it_is_accepted(world: World) -> None:
    world.stage.ask(lambda client: client.behave(statuses="before_answer"))
    world.stage.misbehave(DropAfter())
    [command] = world.sent()
    assert by_webhook(world.stage.wait_outcome(command, "accepted"))
    assert len(world.stage.arrivals()) == 1


def test_a_status_that_comes_after_the_horizon_still_resolves_what_was_given_up(world: World) -> None:
    world.stage.ask(lambda client: client.behave(statuses_late_seconds=_HORIZON_SECONDS + 3.0))
    world.stage.misbehave(DropAfter())
    [command] = world.sent()
    world.stage.wait_outcome(command, "unresolved")
    assert by_webhook(world.stage.wait_outcome(command, "accepted"))
    assert world.kinds(command) == ["unknown", "unresolved", "accepted"]
    assert len(world.stage.arrivals()) == 1


def test_without_any_status_a_lost_answer_stays_unresolved_and_an_answer_stays_accepted(world: World) -> None:
    world.stage.misbehave(DropAfter())
    world.stage.ask(lambda client: client.behave(statuses="never"))
    [lost] = world.sent()
    assert world.stage.wait_outcome(lost, "unresolved").reason == "no_evidence"
    answered = text(to=lost.to)
    world.stage.put(answered)
    assert world.stage.wait_outcome(answered).source == "response"
    assert [arrival.decision for arrival in world.stage.arrivals()] == ["dropped_after", "accepted"]


@pytest.mark.failure("S7")
def test_connections_reset_at_random_double_nothing_and_lose_nothing(world: World) -> None:
    world.stage.ask(lambda client: client.rules(DropBefore(), always=True, share=0.1, phone_number_id=NUMBER))
    world.stage.ask(lambda client: client.rules(DropAfter(), always=True, share=0.2, phone_number_id=NUMBER))
    world.stage.ask(lambda client: client.rules(Statuses(late_seconds=0.5), always=True, share=0.5))
    commands = world.sent(60)
    ends = {c.command_id: world.stage.wait_outcome(c, "accepted", "unresolved", seconds=40.0) for c in commands}
    arrivals = world.stage.arrivals()
    taken = {arrival.opaque for arrival in arrivals if arrival.is_accepted}
    assert len(arrivals) == len({arrival.opaque for arrival in arrivals}) == 60
    assert {o.attempt_id for o in ends.values() if o.kind == "accepted"} == taken
    assert {o.attempt_id for o in ends.values() if o.kind == "unresolved"} == {a.opaque for a in arrivals} - taken
    decisions = {arrival.decision for arrival in arrivals}
    assert decisions == {"accepted", "dropped_before", "dropped_after"}
