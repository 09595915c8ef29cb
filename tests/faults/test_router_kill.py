"""Does the router lose or distort anything when it raises, shares and takes over work, or loses its broker?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count

import pytest

from services.common.domain.topics import ACCOUNT_EVENTS, ROUTER_DEAD_LETTERS, WEBHOOKS
from services.common.platform.kafka import SESSION_SECONDS, partition_of
from services.sandbox.providers import Kafka
from services.sandbox.topics import read_topics
from tests.support import log, read_models
from tests.support.processes import ServiceProcess
from tests.support.routed import (
    DAMAGED,
    EVENTS,
    EVENTS_A_POST,
    KEYS,
    all_events_there,
    append_posts,
    assert_nothing_lost_or_distorted,
)
from tests.support.waiting import wait_for
from tests.support.webhooks import WABA_ID, raw_record

BACKLOG = 40_000


@pytest.fixture
def router(cluster: Kafka) -> Iterator[ServiceProcess]:
    with ServiceProcess("router", {"PARLEY_KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap_servers}) as process:
        process.kill()
        yield process


@pytest.mark.failure("R2", "R3")
def test_an_exception_ends_the_process_and_the_next_life_does_the_work(cluster: Kafka, router: ServiceProcess) -> None:
    append_posts(cluster, "raise")
    router.start(PARLEY_FAULT="router.mid_batch_emit:1:raise")
    assert router.wait_exit(30) == 70
    router.start().wait_until(lambda: all_events_there(cluster), 30, "route everything")
    assert_nothing_lost_or_distorted(cluster)


@pytest.mark.failure("R6")
def test_two_workers_share_the_work_and_one_takes_over_from_the_other(cluster: Kafka, router: ServiceProcess) -> None:
    env = {"PARLEY_KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap_servers, "PARLEY_INSTANCE": "2"}
    with ServiceProcess("router", env) as second:
        router.start().wait_ready()
        second.wait_ready()
        append_posts(cluster, "shared")
        router.wait_until(lambda: all_events_there(cluster), 30, "route everything together")
        router.kill()
        append_posts(cluster, "alone")
        second.wait_until(lambda: all_events_there(cluster), 40, "route everything alone")
    assert_nothing_lost_or_distorted(cluster)


@pytest.mark.timeout(300)
@pytest.mark.failure("R6", "R18", "R19")
def test_a_rebalance_while_the_buffer_is_full_loses_nothing_and_a_partition_without_backlog_is_not_behind_it(
    cluster: Kafka,
) -> None:
    env = {
        "PARLEY_KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap_servers,
        "PARLEY_STREAM_BUFFER_BYTES": "65536",
        **read_models.ALL_OF_IT,
    }
    before, letters = (
        log.end_offsets(cluster.bootstrap_servers, *EVENTS),
        log.end_offsets(cluster.bootstrap_servers, ROUTER_DEAD_LETTERS),
    )
    append_posts(cluster, "full", BACKLOG)
    append_quiet(cluster)

    def routed() -> int:
        return log.end_offsets(cluster.bootstrap_servers, *EVENTS) - before

    def set_aside() -> int:
        return log.end_offsets(cluster.bootstrap_servers, ROUTER_DEAD_LETTERS) - letters

    with ServiceProcess("router", {**env, "PARLEY_INSTANCE": "1"}) as first:
        first.wait_until(lambda: log.end_offsets(cluster.bootstrap_servers, ACCOUNT_EVENTS) == 1, 30, "route what came last")
        assert routed() < EVENTS_A_POST * BACKLOG / 2, "it waited for the backlog of other partitions"
        with ServiceProcess("router", {**env, "PARLEY_INSTANCE": "2"}) as second:
            second.wait_until(lambda: second.metric("parley_records_processed_total") > 0, 30, "get its part")
            assert routed() < EVENTS_A_POST * BACKLOG, "the rebalance came too late to matter"
            damaged = BACKLOG // DAMAGED
            events = EVENTS_A_POST * (BACKLOG - damaged) + 1
            both = (first, second)
            second.wait_until(lambda: all(one.metric("parley_consumer_lag_records") == 0 for one in both), 180, "have no lag")
            assert (routed(), set_aside()) == (events, damaged), "what changes hands is done once"
            assert not any(one.events("stream.careful") for one in both), "who lives was taken for dead"
    assert_nothing_lost_or_distorted(cluster)


def append_quiet(cluster: Kafka) -> None:
    """One webhook about an account, in a partition where nothing else is."""
    partitions = next(topic.partitions for topic in read_topics() if topic.name == WEBHOOKS)
    busy = {partition_of(key, partitions) for key in KEYS}
    key = next(key for n in count() if partition_of(key := f"quiet {n}".encode(), partitions) not in busy)
    change = {"field": "account_alerts", "value": {"entity_type": "WABA"}}
    document = {"object": "whatsapp_business_account", "entry": [{"id": WABA_ID, "changes": [change]}]}
    log.append(cluster.bootstrap_servers, [raw_record(json.dumps(document).encode(), key=key)])


def test_a_killed_worker_is_back_before_its_session_could_have_ended(cluster: Kafka, router: ServiceProcess) -> None:
    env = {"PARLEY_KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap_servers, "PARLEY_INSTANCE": "2"}
    with ServiceProcess("router", env) as second:
        router.start().wait_ready()
        second.wait_ready()
        append_posts(cluster, "before")
        router.wait_until(lambda: all_events_there(cluster), 30, "route everything")
        router.kill()
        append_posts(cluster, "after")
        router.start().wait_until(lambda: all_events_there(cluster), SESSION_SECONDS, "take its partitions again")
    assert_nothing_lost_or_distorted(cluster)


@pytest.mark.failure("R22", "R24")
def test_a_broker_killed_under_traffic_costs_nothing(cluster: Kafka, router: ServiceProcess) -> None:
    router.start().wait_ready()
    append_posts(cluster, "before")
    router.wait_until(lambda: router.metric("parley_records_processed_total") > 0, 20, "begin")
    cluster.kill()
    cluster.restart()
    append_posts(cluster, "after")
    if not router.alive:
        router.start()
    router.wait_until(lambda: all_events_there(cluster), 60, "route everything after the broker's return")
    assert_nothing_lost_or_distorted(cluster)


def test_a_second_process_with_the_same_instance_is_told_apart_and_one_ends(router: ServiceProcess) -> None:
    router.start().wait_ready()
    with ServiceProcess("router", router.env) as twin:
        both = (router, twin)
        wait_for(lambda: any(p.returncode == 76 for p in both), 30, "one of the twins to end")
        ended = next(p for p in both if p.returncode == 76)
        assert "PARLEY_INSTANCE=1" in ended.events("instance.duplicate")[0]["hint"]


@pytest.mark.failure("R25")
def test_sigterm_ends_it_within_ten_seconds_also_when_kafka_is_away(cluster: Kafka, router: ServiceProcess) -> None:
    router.start().wait_ready()
    append_posts(cluster, "some")
    cluster.kill()
    router.terminate()
    assert router.wait_exit(10) == 0
    cluster.restart()
