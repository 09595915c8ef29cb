"""Do Kafka and Postgres start on this machine, keep what they confirmed when they crash, and die with whoever started them?"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import psycopg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from services.sandbox.given import GivenKafka
from services.sandbox.kafka_jars import cache_folder, find_java, jars
from services.sandbox.kafka_native import NativeKafka
from services.sandbox.kafka_probe import serves
from services.sandbox.ports import free_port, is_free
from services.sandbox.postgres_account import Account, may_enter, usable_folder
from services.sandbox.postgres_binaries import Binaries, find_system, find_wheel
from services.sandbox.postgres_native import NativePostgres
from services.sandbox.problems import ProviderError
from services.sandbox.providers import Kafka, kafka_providers, postgres_providers, start_first
from services.sandbox.topics import TopicError, apply_topics, parse_topics, read_topics
from tests.support.clean_broker import fresh_topics

TOPIC = "parley.webhooks.v1"
GONE_SECONDS = 15.0
LARGEST = 4 * 1024 * 1024


def installed() -> Iterator[Binaries]:
    for find in (find_system, find_wheel):
        with suppress(ProviderError):
            yield find()


INSTALLED = list(installed())


@contextmanager
def running(server: NativePostgres) -> Iterator[NativePostgres]:
    try:
        server.start()
        yield server
    finally:
        server.stop()


async def produce(bootstrap_servers: str, values: list[bytes]) -> None:
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap_servers, enable_idempotence=True, acks="all", max_request_size=5 * 1024 * 1024
    )
    await producer.start()
    try:
        for value in values:
            await producer.send_and_wait(TOPIC, value, partition=0)
    finally:
        await producer.stop()


async def consume(bootstrap_servers: str, count: int, *, group: str | None = None) -> list[bytes]:
    consumer = AIOKafkaConsumer(
        TOPIC,
        bootstrap_servers=bootstrap_servers,
        group_id=group,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=8 * 1024 * 1024,
    )
    await consumer.start()
    try:
        async with asyncio.timeout(30):
            values = [(await consumer.getone()).value for _ in range(count)]
        if group:
            await consumer.commit()
        return values
    finally:
        await consumer.stop()


def wait_until(condition: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + GONE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.02)


@pytest.mark.failure("I7")
def test_a_record_as_large_as_a_webhook_may_be_goes_through(cluster: Kafka) -> None:
    value = os.urandom(LARGEST)
    asyncio.run(produce(cluster.bootstrap_servers, [value]))
    assert asyncio.run(consume(cluster.bootstrap_servers, 1)) == [value]


def test_a_killed_broker_comes_back_at_the_same_address_with_what_it_confirmed(cluster: Kafka) -> None:
    values = [b"record %d" % number for number in range(100)]
    asyncio.run(produce(cluster.bootstrap_servers, values))
    cluster.kill()
    assert not serves(cluster.bootstrap_servers)
    cluster.restart()
    assert asyncio.run(consume(cluster.bootstrap_servers, 100)) == values


def test_a_clean_broker_has_no_records_and_no_offsets_of_the_test_before(cluster: Kafka) -> None:
    asyncio.run(produce(cluster.bootstrap_servers, [b"old"]))
    assert asyncio.run(consume(cluster.bootstrap_servers, 1, group="parley-router")) == [b"old"]
    fresh_topics(cluster.bootstrap_servers)
    asyncio.run(produce(cluster.bootstrap_servers, [b"new"]))
    assert asyncio.run(consume(cluster.bootstrap_servers, 1, group="parley-router")) == [b"new"]


def test_members_that_died_without_leaving_do_not_keep_a_broker_from_being_cleaned(cluster: Kafka) -> None:
    script = f"""
import asyncio
from aiokafka import AIOKafkaConsumer
async def main():
    consumer = AIOKafkaConsumer({TOPIC!r}, bootstrap_servers={cluster.bootstrap_servers!r}, group_id="parley-dead",
                                group_instance_id="1", session_timeout_ms=60000)
    await consumer.start()
    print("joined", flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as member:
        assert member.stdout is not None
        assert member.stdout.readline() == b"joined\n"
        member.kill()
    began = time.monotonic()
    fresh_topics(cluster.bootstrap_servers)
    assert time.monotonic() - began < 10


def test_applying_the_topics_twice_creates_nothing_the_second_time(cluster: Kafka) -> None:
    assert asyncio.run(apply_topics(cluster.bootstrap_servers)) == ()


def test_a_topic_with_another_number_of_partitions_is_refused_and_nothing_is_created(cluster: Kafka) -> None:
    fresh_topics(cluster.bootstrap_servers, partitions=2)
    more = parse_topics(
        "{apiVersion: kafka.strimzi.io/v1, kind: KafkaTopic, "
        "metadata: {name: parley.more.v1}, spec: {partitions: 1, replicas: 1}}"
    )
    with pytest.raises(TopicError, match=r"parley\.webhooks\.v1 has 2 partitions instead of 24"):
        asyncio.run(apply_topics(cluster.bootstrap_servers, [*more, *read_topics()]))
    assert asyncio.run(apply_topics(cluster.bootstrap_servers, more)) == ("parley.more.v1",)


def test_a_broker_that_stopped_starts_over_the_same_data_at_another_address(tmp_path: Path) -> None:
    first = NativeKafka(tmp_path, heap="256m")
    try:
        first.start()
        asyncio.run(apply_topics(first.bootstrap_servers))
        asyncio.run(produce(first.bootstrap_servers, [b"kept"]))
    finally:
        first.stop()
    second = NativeKafka(tmp_path, heap="256m")
    try:
        second.start()
        assert second.bootstrap_servers != first.bootstrap_servers
        assert asyncio.run(consume(second.bootstrap_servers, 1)) == [b"kept"]
    finally:
        second.stop()


def test_a_given_kafka_is_used_and_left_running(kafka: Kafka, tmp_path: Path) -> None:
    kafka.start()
    given = start_first("Kafka", kafka_providers(tmp_path, wish=kafka.bootstrap_servers))
    given.stop()
    assert given.bootstrap_servers == kafka.bootstrap_servers
    assert serves(kafka.bootstrap_servers)


def test_a_given_kafka_that_is_not_there_is_told_in_one_sentence() -> None:
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(ProviderError, match=f"no Kafka answers at {address}: start it, or unset PARLEY_SANDBOX_KAFKA"):
        GivenKafka(address, answer_seconds=0.5).start()


def test_without_java_and_daemon_each_provider_of_kafka_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{free_port()}")
    with pytest.raises(ProviderError) as told:
        start_first("Kafka", kafka_providers(tmp_path, wish="auto"))
    assert str(told.value).splitlines()[1:] == [
        "docker: no Docker daemon answers: start Docker, or set DOCKER_HOST to one that runs.",
        "native: no Java on PATH or in JAVA_HOME: install a Java runtime of version 17 or newer.",
    ]


def test_an_old_java_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "bin" / "java"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\necho 'openjdk version \"1.8.0_402\"' >&2\n")
    old.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ProviderError, match=r"Java 8 is too old: install a Java runtime of version 17 or newer\."):
        find_java()


def test_without_maven_and_cache_the_native_kafka_asks_for_maven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = find_java()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProviderError, match=r"install Maven \(mvn\)\."):
        NativeKafka(tmp_path, java=java)


def test_jars_that_maven_cannot_get_are_told_and_leave_no_half_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = tmp_path / "bin" / "mvn"
    failing.parent.mkdir()
    failing.write_text("#!/bin/sh\necho '[ERROR] Could not resolve dependencies'\nexit 1\n")
    failing.chmod(0o755)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{failing.parent}:{os.environ['PATH']}")
    with pytest.raises(ProviderError, match="look at its settings and the network: Could not resolve dependencies"):
        jars()
    assert not cache_folder().exists()


def test_two_starts_at_once_fill_the_cache_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counting = tmp_path / "bin" / "mvn"
    counting.parent.mkdir()
    counting.write_text(
        f"#!/bin/sh\necho run >> {tmp_path}/runs\n"
        'for word in "$@"; do case "$word" in -DoutputDirectory=*) folder="${word#*=}";; esac; done\n'
        'mkdir -p "$folder" && touch "$folder/kafka_2.13-4.jar"\n'
    )
    counting.chmod(0o755)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{counting.parent}:{os.environ['PATH']}")
    starts = [threading.Thread(target=jars) for _ in range(4)]
    for start in starts:
        start.start()
    for start in starts:
        start.join()
    assert (tmp_path / "runs").read_text() == "run\n"
    assert [path.name for path in cache_folder().iterdir()] == ["kafka_2.13-4.jar"]


@pytest.mark.parametrize("binaries", INSTALLED, ids=lambda binaries: binaries.origin)
def test_postgres_keeps_what_it_confirmed_through_an_immediate_stop(tmp_path: Path, binaries: Binaries) -> None:
    with running(NativePostgres(tmp_path, binaries=binaries)) as server:
        with psycopg.connect(server.dsn) as connection:
            connection.execute("create table kept (value text)")
            connection.execute("insert into kept values ('Grüße')")
        server.restart_immediate()
        with psycopg.connect(server.dsn) as connection:
            assert connection.execute("select value from kept").fetchall() == [("Grüße",)]
            facts = "select current_user, current_setting('server_encoding'), current_setting('timezone')"
            assert connection.execute(facts).fetchone() == ("operator", "UTF8", "UTC")


def test_a_durable_postgres_flushes_and_the_other_does_not(tmp_path: Path) -> None:
    def fsync_of(server: NativePostgres) -> object:
        with running(server), psycopg.connect(server.dsn) as connection:
            (value,) = connection.execute("show fsync").fetchone() or (None,)
            return value

    assert fsync_of(NativePostgres(tmp_path / "durable", durable=True)) == "on"
    assert fsync_of(NativePostgres(tmp_path / "quick")) == "off"


def test_postgres_listens_on_the_loopback_interface_only(tmp_path: Path) -> None:
    with running(NativePostgres(tmp_path)) as server:
        assert server.pid is not None
        addresses = {here.laddr.ip for here in psutil.Process(server.pid).net_connections() if here.status == "LISTEN"}
        assert addresses == {"127.0.0.1"}


@pytest.mark.parametrize("binaries", INSTALLED[:1], ids=lambda binaries: binaries.origin)
def test_postgres_of_another_account_belongs_to_it_and_survives_a_crash(binaries: Binaries) -> None:
    """What root falls back to where user namespaces are forbidden."""
    who = Account(user="nobody") if os.geteuid() == 0 else Account()
    expected = who.user or psutil.Process().username()
    with tempfile.TemporaryDirectory() as open_to_all:
        Path(open_to_all).chmod(0o755)
        with running(NativePostgres(Path(open_to_all), binaries=binaries, account=who)) as server:
            assert server.pid is not None
            assert psutil.Process(server.pid).username() == expected
            server.restart_immediate()
            assert psutil.Process(server.pid).username() == expected


def test_data_goes_where_the_account_can_reach_it_and_always_to_the_same_place(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    who = Account(user="nobody") if os.geteuid() == 0 else Account()
    folder = usable_folder(tmp_path / "data", who)
    try:
        assert usable_folder(tmp_path / "data", who) == folder
        assert folder.owner() == (who.user or psutil.Process().username())
        assert who.user is None or may_enter(folder, who.user)
    finally:
        folder.rmdir()


def test_a_given_postgres_is_used_and_left_running(postgres: str, tmp_path: Path) -> None:
    given = start_first("Postgres", postgres_providers(tmp_path, wish=postgres))
    given.stop()
    with psycopg.connect(given.dsn) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def test_a_fresh_database_has_the_tables_and_no_rows_of_the_test_before(postgres: str) -> None:
    with psycopg.connect(postgres) as connection:
        schemas = {name for (name,) in connection.execute("select nspname from pg_namespace").fetchall()}
        assert {"registry", "projector", "analytics"} <= schemas
        connection.execute("create table left_behind ()")
        count = connection.execute("select count(*) from pg_class where relname = 'left_behind'").fetchone()
    assert count == (1,)


def test_a_server_dies_with_the_process_that_started_it_even_after_kill_9(tmp_path: Path) -> None:
    port = free_port()
    script = f"""
import time
from pathlib import Path
from services.sandbox.postgres_native import NativePostgres
server = NativePostgres(Path({str(tmp_path)!r}), port={port})
server.start()
print(server.pid, flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as supervisor:
        assert supervisor.stdout is not None
        pid = int(supervisor.stdout.readline())
        assert psutil.pid_exists(pid)
        supervisor.send_signal(signal.SIGKILL)
    wait_until(lambda: is_free(port), "Postgres outlived the process that started it")


def test_a_server_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    server = NativePostgres(tmp_path)
    starter = threading.Thread(target=server.start)
    starter.start()
    starter.join()
    try:
        with psycopg.connect(server.dsn) as connection:
            assert connection.execute("select 1").fetchone() == (1,)
        assert server.pid is not None
    finally:
        server.stop()
    assert server.pid is None


def test_a_server_that_does_not_start_shows_the_end_of_its_log(tmp_path: Path) -> None:
    with running(NativePostgres(tmp_path)):
        pass
    (tmp_path / "data" / "postgresql.conf").write_text("no_such_setting = on\n")
    with pytest.raises(ProviderError, match=r"(?s)Postgres did not start, its log ends with:.*no_such_setting"):
        NativePostgres(tmp_path).start()
