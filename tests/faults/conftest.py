"""Where do the cycles of a test file happen? In one world of its own, on the Kafka and Postgres of the session."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from services.sandbox.postgres_dsn import drop_database, make_database, with_database
from services.sandbox.providers import Kafka, Postgres
from tests.faults.cycles.world import World
from tests.support.clean_broker import fresh_topics


class Inhabited(NamedTuple):
    """A world and the loop that it lives on."""

    world: World
    loop: asyncio.Runner


@pytest.fixture(scope="module")
def inhabited(
    kafka: Kafka, postgres_server: Postgres, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Inhabited]:
    """Fresh, with everything running; its tests leave it settled."""
    kafka.start()
    postgres_server.start()
    fresh_topics(kafka.bootstrap_servers)
    dsn = with_database(postgres_server.dsn, f"parley_cycles_{uuid.uuid4().hex[:12]}")
    make_database(dsn, template=migrated_template)
    directory: Path = tmp_path_factory.mktemp("cycles")
    try:
        with asyncio.Runner() as loop:
            world = World(bootstrap_servers=kafka.bootstrap_servers, dsn=dsn, directory=directory)
            loop.run(world.__aenter__())
            try:
                yield Inhabited(world, loop)
            finally:
                loop.run(world.__aexit__(None, None, None))
    finally:
        postgres_server.start()
        drop_database(dsn)
