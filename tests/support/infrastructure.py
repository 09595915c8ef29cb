"""Which Kafka and Postgres do the tests use? Real ones, by the sandbox's own chain, started when the first test asks.

`PARLEY_SANDBOX_KAFKA` and `PARLEY_SANDBOX_POSTGRES` choose, as they do for the sandbox. A Kafka given by its address loses all
its `parley.*` topics and all its consumer groups: give one that is there for tests.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.common.platform.migrations import migrate
from services.sandbox.postgres_dsn import database_of, drop_database, make_database, with_database
from services.sandbox.problems import ProviderError
from services.sandbox.providers import Kafka, Postgres, choose, describe, kafka_providers, postgres_providers, start_first
from tests.support.clean_broker import fresh_topics


def pytest_configure() -> None:
    """No broker of the tests lives long enough to earn back what Java's second compiler takes: half of its processor time."""
    os.environ.setdefault("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")


def pytest_report_header() -> str:
    """The truth about what these tests run on; nothing is started for it."""
    nowhere = Path()
    try:
        kafka, postgres = choose("Kafka", kafka_providers(nowhere)), choose("Postgres", postgres_providers(nowhere))
        return describe(kafka, postgres)
    except ProviderError as reason:
        return f"tests above `unit` will fail: {reason}"


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """The broker of this session, as the test before left it: see `cluster` for an empty one."""
    broker = start_first("Kafka", kafka_providers(tmp_path_factory.mktemp("kafka")))
    try:
        yield broker
    finally:
        broker.stop()


@pytest.fixture
def cluster(kafka: Kafka) -> Kafka:
    """The broker, running, with the topics of topics.yaml empty and without consumer groups."""
    kafka.start()
    fresh_topics(kafka.bootstrap_servers)
    return kafka


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """The server of this session, to be crashed and restarted by tests that want that."""
    server = start_first("Postgres", postgres_providers(tmp_path_factory.mktemp("postgres")))
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def migrated_template(postgres_server: Postgres) -> Iterator[str]:
    """The name of a database with every migration applied and nobody connected, to be copied."""
    dsn = with_database(postgres_server.dsn, f"parley_template_{uuid.uuid4().hex[:12]}")
    make_database(dsn)
    try:
        migrate(dsn)
        yield database_of(dsn)
    finally:
        postgres_server.start()
        drop_database(dsn)


@contextmanager
def fresh_database(postgres_server: Postgres, template: str) -> Iterator[str]:
    """The DSN, as the superuser, of a database made from the template; dropped afterwards."""
    postgres_server.start()
    dsn = with_database(postgres_server.dsn, f"parley_test_{uuid.uuid4().hex[:12]}")
    make_database(dsn, template=template)
    try:
        yield dsn
    finally:
        postgres_server.start()
        drop_database(dsn)


@pytest.fixture
def postgres(postgres_server: Postgres, migrated_template: str) -> Iterator[str]:
    """The DSN, as the superuser, of a fresh database with every migration applied; dropped afterwards."""
    with fresh_database(postgres_server, migrated_template) as dsn:
        yield dsn
