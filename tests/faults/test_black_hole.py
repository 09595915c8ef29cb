"""Does a process go on as if nothing had been when nothing got through for longer than it waits, to the broker and to Meta?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from services.common.domain.ids import attempt_id
from services.common.domain.records import SendMessage
from services.common.platform.kafka import SESSION_SECONDS
from services.sandbox.kafka_cluster import NativeCluster
from services.sandbox.kafka_native import LOOPBACK, NativeKafka
from services.sandbox.kafka_probe import complete
from services.sandbox.providers import Kafka
from services.sandbox.stack_state import keep_ports
from services.sandbox.topics import apply_topics
from tests.faults.storm.proxy import Proxies, proxies
from tests.faults.storm.toxics import Toxic, ToxicKind
from tests.faults.storm.ways import running_behind_ways, way_names
from tests.support.processes import ServiceProcess
from tests.support.routed import POSTS, all_events_there, append_posts, assert_nothing_lost_or_distorted
from tests.support.sending import Scene, scene
from tests.support.sent_once import QUICK, people
from tests.support.waiting import wait_for

[BROKER] = way_names(1)
GRAPH: Final = "graph"


@pytest.fixture
def way(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Proxies, NativeCluster]]:
    """One broker behind a proxy."""
    with running_behind_ways(tmp_path_factory.mktemp("way"), brokers=1) as (told, cluster):
        complete(apply_topics(cluster.bootstrap_servers))
        yield told, cluster


def has_lost_member(broker: NativeKafka) -> bool:
    """Whether the broker gave up a member that it did not hear of."""
    return broker.log_path is not None and "has failed, removing it from the group" in broker.log_path.read_text()


@pytest.mark.failure("R24")
def test_a_black_hole_longer_than_the_session_is_no_twin(way: tuple[Proxies, NativeCluster]) -> None:
    told, cluster = way
    [broker] = cluster.brokers
    with ServiceProcess("router", {"PARLEY_KAFKA_BOOTSTRAP_SERVERS": cluster.advertised}) as router:
        router.wait_ready()
        append_posts(broker, "before")
        router.wait_until(lambda: router.metric("parley_records_processed_total") > POSTS // 2, 30, "be in the middle of it")
        told.begin(BROKER, Toxic(kind=ToxicKind.BLACK_HOLE))
        wait_for(lambda: has_lost_member(broker), 3 * SESSION_SECONDS, "the group to forget the router")
        told.end(BROKER)
        append_posts(broker, "after")
        router.wait_until(lambda: all_events_there(broker), 60, "route everything")
        assert router.alive
        assert not router.events("instance.duplicate")
    assert_nothing_lost_or_distorted(broker)


@pytest.mark.failure("S7")
def test_requests_that_were_given_up_do_not_arrive_when_the_way_is_open_again(
    cluster: Kafka, postgres: str, tmp_path: Path
) -> None:
    ports = keep_ports(tmp_path, ["way", "control"])
    with scene(cluster, postgres) as stage:
        stage.register()
        routes = {GRAPH: (ports["way"], int(stage.graph_url.rpartition(":")[2]))}
        env = {**QUICK, "PARLEY_GRAPH_URL": f"http://{LOOPBACK}:{ports['way']}", "PARLEY_SENDER_ANSWER_SECONDS": "1"}
        with proxies(routes, control_port=ports["control"], log_path=tmp_path / "log") as told, stage.sender(**env):
            send_all(stage, people(stage, 2, "4"), "accepted")
            told.begin(GRAPH, Toxic(kind=ToxicKind.BLACK_HOLE))
            given_up = people(stage, 5, "5")
            send_all(stage, given_up, "unresolved")
            told.end(GRAPH)
            send_all(stage, people(stage, 2, "6"), "accepted")
            attempts = {attempt_id(one.command_id, nth) for one in given_up for nth in (1, 2)}
            assert attempts.isdisjoint(str(arrival.opaque) for arrival in stage.arrivals())
            assert len(stage.arrivals()) == 4


def send_all(stage: Scene, commands: list[SendMessage], state: str) -> None:
    """Put them into their lane, and return when the ledger has all of them in that state."""
    stage.put(*commands)
    wanted = {one.command_id for one in commands}
    wait_for(lambda: {one for one, now in stage.states().items() if now == state} >= wanted, 30, f"all to be {state}")
