"""How do the topics get what is to be drained? Raw webhooks as ingest appends them, and what the router makes of them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from benchmarks.bodies import bodies
from benchmarks.processes import BenchmarkError
from services.common.domain import topics
from services.common.platform.avro import Codec
from services.common.platform.kafka import LogRecord, NewRecord, Producer, partition_of, wait_for_topics
from services.ingest.keys import record_key
from services.router.routing import RECEIVED_AT, Router
from services.sandbox.simulator.payloads import encode

_CHUNK: Final = 2_000
SAMPLES: Final = Path(__file__).parents[1] / "tests" / "samples" / "webhooks"


def raw_records(count: int, *, tag: str) -> list[NewRecord]:
    """The mix of webhooks, with the headers that ingest adds."""
    return _as_ingest_appends([body.data for body in bodies("mix", count, tag=tag)], tag)


def sample_records(count: int, *, tag: str) -> list[NewRecord]:
    """Every sample webhook in turn: each field, each type, single ones and batches."""
    samples = [
        encode(json.loads(path.read_text("utf-8"))) for path in sorted(SAMPLES.glob("*.json")) if ".expected" not in path.name
    ]
    # Evenly spread: the samples are of few people, and a pile in one partition would measure how it is fetched.
    records = _as_ingest_appends([samples[n % len(samples)] for n in range(count)], tag)
    return [record._replace(key=b"%d" % n) for n, record in enumerate(records)]


def _as_ingest_appends(found: Iterable[bytes], tag: str) -> list[NewRecord]:
    received_at = b"%d" % int(time.time() * 1000)
    return [
        NewRecord(
            topics.WEBHOOKS,
            record_key(body),
            body,
            [
                ("ce_specversion", b"1.0"),
                ("ce_type", b"parley.webhook"),
                ("ce_source", b"/webhooks"),
                ("parley-app", b"default"),
                ("ce_id", f"{tag}/{n}".encode()),
                (RECEIVED_AT, received_at),
                ("content-type", b"application/json"),
            ],
        )
        for n, body in enumerate(found)
    ]


def typed_records(count: int, *, tag: str, partitions: int) -> list[NewRecord]:
    """What the router appends for as many webhooks, by the router's own code."""
    router = Router(Codec(), on_dead_letter=_refuse, on_unrecognized=lambda _: None)
    made: list[NewRecord] = []
    for offset, raw in enumerate(raw_records(count, tag=tag)):
        place = partition_of(raw.key, partitions)
        record = LogRecord(raw.topic, place, offset, int(time.time() * 1000), raw.key, raw.value, raw.headers)
        made.extend(router.route(record))
    return made


def append(bootstrap_servers: str, records: Iterable[NewRecord]) -> None:
    """Append all and return when the brokers have them."""
    asyncio.run(_append(bootstrap_servers, list(records)))


async def _append(bootstrap_servers: str, records: list[NewRecord]) -> None:
    stopping = asyncio.Event()
    partitions = await wait_for_topics(bootstrap_servers, topics.ALL, stopping)
    producer = Producer(bootstrap_servers=bootstrap_servers, client_id="parley-bench-fill")
    await producer.start(stopping)
    try:
        for start in range(0, len(records), _CHUNK):
            await producer.append_all(records[start : start + _CHUNK], partitions)
    finally:
        await producer.stop()


def _refuse(problem: Exception) -> None:
    raise BenchmarkError("the router set a benchmark's webhook aside") from problem
