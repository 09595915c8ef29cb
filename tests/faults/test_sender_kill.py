"""Does a sender that is killed lose a command, or send one twice? And does the limit hold while ownership changes?"""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator, Sequence

import pytest

from services.common.domain.records import SendMessage
from services.sandbox.providers import Kafka
from services.sandbox.simulator.policy import worst_second
from tests.support.processes import ServiceProcess
from tests.support.sending import NUMBER, Scene, scene, text
from tests.support.waiting import wait_for

CYCLES = 3
COMMANDS = 8
QUICK = {
    "PARLEY_SENDER_TRANSACTIONAL_HORIZON_SECONDS": "4",
    "PARLEY_SENDER_BULK_HORIZON_SECONDS": "4",
    "PARLEY_SENDER_SETTLE_SECONDS": "0.1",
}
ENDED = {"accepted", "unresolved"}
POINTS = (
    "sender.on_assign",
    "sender.after_intake_before_commit",
    "sender.after_gate",
    "sender.before_started",
    "sender.after_started",
    "sender.before_write",
    "sender.after_write",
    "sender.after_response",
    "sender.before_outcome_commit",
    "sender.after_outcome_commit",
    "sender.after_emit_before_commit",
)
NEVER_WRITTEN = ("sender.on_assign", "sender.after_intake_before_commit", "sender.after_gate", "sender.before_started")


@pytest.fixture
def stage(cluster: Kafka, postgres: str) -> Iterator[Scene]:
    """A registered number and a simulated Meta that judges nothing but the message."""
    with scene(cluster, postgres, pair_limit="false") as made:
        made.register(limit=80)
        yield made


def people(stage: Scene, count: int, prefix: str) -> list[SendMessage]:
    """A command for each of so many people who wrote lately."""
    found = [f"49170{prefix}{number:05d}" for number in range(count)]
    for person in found:
        stage.open_window(person)
    return [text(to=f"+{person}") for person in found]


def acceptances(stage: Scene) -> Counter[str]:
    """How often Meta took each command."""
    command_of = dict(stage.sql("SELECT attempt_id, command_id FROM sender.send_attempts"))
    return Counter(command_of[arrival.opaque] for arrival in stage.accepted())


def wait_until_ended(stage: Scene, commands: Sequence[SendMessage], seconds: float) -> None:
    """Return when the ledger has ended all of them; status webhooks arrive meanwhile."""

    def have_ended() -> bool:
        stage.settle_everything()
        states = stage.states()
        return all(states.get(command.command_id) in ENDED for command in commands)

    wait_for(have_ended, seconds, "every command to end")


def assert_each_once_and_told(stage: Scene, commands: Sequence[SendMessage]) -> None:
    taken, states = acceptances(stage), stage.states()
    assert set(states) == {command.command_id for command in commands}
    assert all(count == 1 for count in taken.values()), "a command was accepted twice"
    assert {one for one, state in states.items() if state == "accepted"} == set(taken)
    wait_for(lambda: stage.sql("SELECT count(*) FROM sender.outbox") == [(0,)], 20.0, "the outbox to be told")
    told: dict[str, set[str]] = {}
    for outcome in stage.outcomes():
        told.setdefault(outcome.command_id, set()).add(outcome.kind)
    assert all(states[one] in kinds for one, kinds in told.items())
    assert set(told) == set(states)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("point", POINTS)
def test_a_sender_killed_at_any_moment_loses_nothing_and_sends_nothing_twice(stage: Scene, point: str) -> None:
    commands: list[SendMessage] = []
    with stage.sender(**QUICK) as sender:
        sender.kill()
        for cycle in range(CYCLES):
            sender.start(PARLEY_FAULT=f"{point}:1:kill")
            batch = people(stage, COMMANDS, f"{cycle}")
            commands += batch
            stage.put(*batch)
            assert sender.wait_exit(40.0) == -signal.SIGKILL
            sender.start()
            wait_until_ended(stage, commands, 40.0)
            sender.kill()
        sender.start()
        assert_each_once_and_told(stage, commands)
    if point in NEVER_WRITTEN:
        assert set(stage.states().values()) == {"accepted"}


@pytest.mark.timeout(180)
def test_the_limit_holds_in_every_sliding_second_while_the_owner_is_killed(stage: Scene) -> None:
    limit, count = 20, 150
    stage.register(limit=limit, throughput=1000)
    commands = people(stage, count, "9")
    env = QUICK
    with stage.sender(**env, PARLEY_INSTANCE="a") as one, stage.sender(**env, PARLEY_INSTANCE="b") as two:
        for sender in (one, two):
            sender.wait_ready()
        stage.put(*commands)
        wait_for(lambda: len(stage.arrivals()) >= count // 3, 60.0, "a third to arrive")
        owner, other = _owner(stage, one, two)
        owner.kill()
        wait_until_ended(stage, commands, 90.0)
        assert other.alive
        assert_each_once_and_told(stage, commands)
    stamps = [arrival.read_monotonic for arrival in stage.arrivals()]
    assert worst_second(stamps) <= limit
    assert len(stamps) >= count - limit


def _owner(stage: Scene, one: ServiceProcess, two: ServiceProcess) -> tuple[ServiceProcess, ServiceProcess]:
    """Which of two processes sends for the number, and the other one."""
    [(instance,)] = stage.sql(
        "SELECT s.instance FROM sender.shards AS s JOIN sender.send_commands AS c ON c.shard = s.shard"
        " WHERE c.phone_number_id = %s LIMIT 1",
        NUMBER,
    )
    return (one, two) if instance == "a" else (two, one)
