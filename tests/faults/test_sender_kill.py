"""Does a sender that is killed lose a command, or send one twice? And does the limit hold while ownership changes?"""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from contextlib import suppress
from functools import partial

import pytest

from services.common.domain.records import SendMessage
from services.sandbox.providers import Kafka
from services.sandbox.simulator.policy import worst_second
from services.sandbox.simulator.rules import Delay
from tests.support.processes import ServiceProcess
from tests.support.sending import NUMBER, Scene, scene
from tests.support.sent_once import QUICK, acceptances, assert_each_once_and_told, people, wait_until_ended
from tests.support.waiting import wait_for

CYCLES = 3
COMMANDS = 8
ON_REVOKE = "sender.on_revoke:2"
"""The first pass is before a process ever had a shard."""
NEVER_WRITTEN = ("sender.on_assign", "sender.after_intake_before_commit", "sender.after_gate", "sender.before_started")


@pytest.fixture
def stage(cluster: Kafka, postgres: str) -> Iterator[Scene]:
    """A registered number and a simulated Meta that judges nothing but the message."""
    with scene(cluster, postgres, pair_limit="false") as made:
        made.register(limit=80)
        yield made


@pytest.mark.timeout(240)
@pytest.mark.parametrize("point", NEVER_WRITTEN)
@pytest.mark.failure("S1")
def test_a_sender_killed_before_it_started_anything_sends_everything_later(stage: Scene, point: str) -> None:
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
    assert set(stage.states().values()) == {"accepted"}


@pytest.mark.timeout(240)
@pytest.mark.failure("S3")
def test_a_sender_killed_in_the_middle_of_a_write_never_writes_that_message_again(stage: Scene) -> None:
    commands: list[SendMessage] = []
    with stage.sender(**QUICK) as sender:
        sender.kill()
        for cycle in range(CYCLES):
            before = stage.sql("SELECT count(*) FROM sender.send_attempts")[0][0]
            batch = people(stage, COMMANDS, f"{cycle}")
            commands += batch
            stage.put(*batch)
            assert sender.start(PARLEY_FAULT=f"sender.mid_write:{cycle + 1}:kill").wait_exit(40.0) == -signal.SIGKILL
            started = stage.sql("SELECT count(*) FROM sender.send_attempts")[0][0] - before
            sender.start()
            wait_until_ended(stage, commands, 40.0)
            states = stage.states()
            cut = [one.command_id for one in batch if states[one.command_id] == "unresolved"]
            assert stage.sql("SELECT max(attempt_no) FROM sender.send_attempts WHERE command_id = ANY(%s)", cut) == [(1,)]
            assert len(cut) == started - cycle > 0, "what was cut short is held, what was written before it was accepted"
            assert not set(cut) & set(acceptances(stage)), "half a message was accepted"
            sender.kill()
        sender.start()
        assert_each_once_and_told(stage, commands)


def test_half_of_the_request_is_on_the_wire_in_the_middle_of_the_write(stage: Scene) -> None:
    with socket.create_server(("127.0.0.1", 0)) as meta:
        meta.settimeout(30.0)
        url = f"http://127.0.0.1:{meta.getsockname()[1]}"
        with stage.sender(**QUICK, PARLEY_GRAPH_URL=url, PARLEY_FAULT="sender.mid_write:1:kill") as sender:
            stage.put(*people(stage, 1, "7"))
            arrived = b""
            while not arrived.startswith(b"POST "):  # the sender also asks about templates and numbers
                connection, _ = meta.accept()
                with connection:
                    connection.settimeout(30.0)
                    arrived = connection.recv(65536)
                    if arrived.startswith(b"POST "):
                        arrived += until_reset(connection)
            assert sender.wait_exit() == -signal.SIGKILL
    head, _, body = arrived.partition(b"\r\n\r\n")
    [length] = [int(line.split(b":")[1]) for line in head.splitlines() if line.lower().startswith(b"content-length:")]
    assert b"chunked" not in head.lower()
    assert len(body) == length // 2 > 0


def until_reset(connection: socket.socket) -> bytes:
    """What else came before the sender's socket was closed: the dead take back what was not received."""
    parts: list[bytes] = []
    with suppress(ConnectionResetError):
        parts.extend(iter(partial(connection.recv, 65536), b""))
    return b"".join(parts)


@pytest.mark.timeout(240)
@pytest.mark.parametrize(("action", "code"), [("kill", -signal.SIGKILL), ("raise", 70)])
def test_a_sender_that_dies_when_it_gives_its_shards_back_loses_and_doubles_nothing(stage: Scene, action: str, code: int) -> None:
    """It is joined by another one, and dies of it with calls under way."""
    stage.register(limit=10, throughput=1000)
    stage.misbehave(Delay(seconds=1.0), seconds=600.0)
    commands = people(stage, 10 * COMMANDS, "1")
    with (
        stage.sender(**QUICK, PARLEY_INSTANCE="owner", PARLEY_FAULT=f"{ON_REVOKE}:{action}") as owner,
        stage.sender(**QUICK, PARLEY_INSTANCE="joiner") as joiner,
    ):
        joiner.kill()
        owner.wait_ready()
        before = len(stage.arrivals())
        stage.put(*commands)
        wait_for_more_than(stage, before)
        joiner.start()
        assert owner.wait_exit(40.0) == code
        assert len(acceptances(stage)) < len(commands), "nothing was left to lose"
        wait_until_ended(stage, commands, 60.0)
        joiner.wait_ready()
        assert_each_once_and_told(stage, commands)
    assert list(stage.states().values()).count("unresolved") <= 2, "two stand between row and write"


@pytest.mark.timeout(240)
@pytest.mark.failure("S12")
def test_a_sender_that_stands_still_when_it_gives_its_shards_back_goes_on_without_sending_again(stage: Scene) -> None:
    stage.register(limit=10, throughput=1000)
    stage.misbehave(Delay(seconds=1.0), seconds=600.0)
    commands = people(stage, 10 * COMMANDS, "1")
    with stage.sender(**QUICK, PARLEY_INSTANCE="owner", PARLEY_FAULT=f"{ON_REVOKE}:stop") as owner:
        owner.wait_ready()
        before = len(stage.arrivals())
        stage.put(*commands)
        wait_for_more_than(stage, before)
        with stage.sender(**QUICK, PARLEY_INSTANCE="joiner") as joiner:
            joiner.wait_ready(60.0)
            assert len(acceptances(stage)) < len(commands), "nothing was left to double"
            assert owners(stage) == {"joiner"}
            owner.signal(signal.SIGCONT)
            wait_until_ended(stage, commands, 60.0)
            wait_for(lambda: len(owners(stage)) == 2, 30.0, "both to share the shards")
            assert_each_once_and_told(stage, commands)
    assert list(stage.states().values()).count("unresolved") <= 2, "two stand between row and write"


@pytest.mark.failure("S16")
def test_a_sender_that_is_told_to_stop_in_the_middle_hands_over_without_a_message_in_doubt(stage: Scene) -> None:
    stage.register(limit=20, throughput=1000)
    stage.misbehave(Delay(seconds=0.5), seconds=600.0)
    commands = people(stage, 40, "8")
    stage.put(*commands)
    with stage.sender(**QUICK) as sender:
        for arrived in (5, 20):
            wait_for_more_than(stage, arrived)
            assert sender.terminate(10.0) == 0
            assert len(stage.arrivals()) < len(commands), "there was nothing left to hand over"
            assert set(stage.states().values()) <= {"accepted", "waiting", "retry"}
            sender.start()
        wait_until_ended(stage, commands, 30.0)
        assert_each_once_and_told(stage, commands)
    assert set(stage.states().values()) == {"accepted"}
    assert stage.outcomes("unknown", "unresolved") == []


@pytest.mark.timeout(180)
@pytest.mark.failure("S12")
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


def wait_for_more_than(stage: Scene, before: int) -> None:
    """Return when another message has reached Meta."""
    wait_for(lambda: len(stage.arrivals()) > before, 30.0, "the first to arrive")


def owners(stage: Scene) -> set[str]:
    """Who sends for at least one shard."""
    return {row[0] for row in stage.sql("SELECT instance FROM sender.shards")}


def _owner(stage: Scene, one: ServiceProcess, two: ServiceProcess) -> tuple[ServiceProcess, ServiceProcess]:
    """Which of two processes sends for the number, and the other one."""
    [(instance,)] = stage.sql(
        "SELECT s.instance FROM sender.shards AS s JOIN sender.send_commands AS c ON c.shard = s.shard"
        " WHERE c.phone_number_id = %s LIMIT 1",
        NUMBER,
    )
    return (one, two) if instance == "a" else (two, one)
