"""Does a sender that is told to stop while Postgres or Kafka is away end in time, and does the next one go on exactly there?"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.sandbox.providers import Kafka, Postgres
from services.sandbox.simulator.rules import Delay
from tests.support.processes import ServiceProcess
from tests.support.sending import Scene, scene
from tests.support.sent_once import QUICK, assert_each_once_and_told, people, wait_until_ended
from tests.support.waiting import wait_for

LIMIT = 10
COMMANDS = 60
STOP_SECONDS = 10.0
NEVER = 60.0
"""An answer this late comes after the end of the process that waits for it."""
AWAY = pytest.mark.parametrize("away", ["postgres", "kafka"])


@pytest.fixture
def stage(cluster: Kafka, postgres: str) -> Iterator[Scene]:
    """A slow number: what is put for it stays under way for seconds."""
    with scene(cluster, postgres, pair_limit="false") as made:
        made.register(limit=LIMIT, throughput=1000)
        yield made


class Outage:
    """One of the servers, killed and brought back."""

    def __init__(self, away: str, kafka: Kafka, postgres: Postgres) -> None:
        self.begin = kafka.kill if away == "kafka" else postgres.stop_immediate
        self.end = kafka.restart if away == "kafka" else postgres.start


@pytest.fixture
def outage(away: str, cluster: Kafka, postgres_server: Postgres) -> Iterator[Outage]:
    made = Outage(away, cluster, postgres_server)
    yield made
    made.end()


def assert_stops_in_time(sender: ServiceProcess) -> None:
    """SIGTERM; the code says that this was a clean end, and no part of the process broke on the way."""
    assert sender.terminate(STOP_SECONDS) == 0, sender.log[-6000:]
    assert not sender.events("sender.fatal")


@AWAY
def test_sigterm_ends_an_idle_sender_in_time(stage: Scene, outage: Outage) -> None:
    with stage.sender(**QUICK) as sender:
        sender.wait_ready()
        outage.begin()
        assert_stops_in_time(sender)


@AWAY
def test_sigterm_ends_a_sender_in_time_that_never_found_its_servers(stage: Scene, outage: Outage) -> None:
    outage.begin()
    with stage.sender(**QUICK) as sender:
        assert sender.get("/ready")[0] == 503
        assert_stops_in_time(sender)


@pytest.mark.timeout(120)
@AWAY
@pytest.mark.parametrize("answer_seconds", [1.0, NEVER], ids=["answered_while_it_stops", "never_answered"])
@pytest.mark.failure("S10", "S11", "S16")
def test_sigterm_ends_a_busy_sender_in_time_and_the_next_one_goes_on(stage: Scene, outage: Outage, answer_seconds: float) -> None:
    stage.misbehave(Delay(seconds=answer_seconds), times=LIMIT)
    commands = people(stage, COMMANDS, "5")
    stage.put(*commands)
    with stage.sender(**QUICK) as sender:
        wait_for(lambda: len(stage.arrivals()) >= LIMIT // 2, 30.0, "calls to be under way")
        outage.begin()
        assert_stops_in_time(sender)
        arrived = len(stage.arrivals())
        outage.end()
        assert LIMIT // 2 <= arrived < COMMANDS
        assert "waiting" in stage.states().values() or len(stage.states()) < COMMANDS
        sender.start()
        wait_until_ended(stage, commands, 60.0)
        assert_each_once_and_told(stage, commands)
    assert len(stage.accepted()) >= COMMANDS - LIMIT // 2, "only what stood between its row and its write is given up"
