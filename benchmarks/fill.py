"""How do the topics get what is to be drained? Raw webhooks as ingest appends them, and what the router makes of them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
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
_ID_END: Final = 42
"""Of an encoded event: five bytes of frame, one that tells the length, and a UUID as text."""
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


def copies(records: Sequence[NewRecord], tag: str, numbers: range) -> Iterator[NewRecord]:
    """The same records once for each number, of other messages, templates and events each time.

    To route millions would take longer than what is measured. `tag` is what they were made with, and ends with as many zeros as
    the numbers have digits; of the event id, the first field, the last digits are replaced.
    """
    width = len(tag) - len(tag.rstrip("0"))
    stem, old = tag[:-width].encode(), tag.encode()
    for number in numbers:
        digits = b"%0*d" % (width, number)
        for topic, key, value, headers in records:
            told = value or b""
            event_id = told[: _ID_END - width] + digits + told[_ID_END:]
            yield NewRecord(topic, key, event_id.replace(old, stem + digits), headers)


def append(bootstrap_servers: str, records: Iterable[NewRecord]) -> None:
    """Append all and return when the brokers have them."""
    asyncio.run(_append(bootstrap_servers, iter(records)))


async def _append(bootstrap_servers: str, records: Iterator[NewRecord]) -> None:
    stopping = asyncio.Event()
    partitions = await wait_for_topics(bootstrap_servers, topics.ALL, stopping)
    producer = Producer(bootstrap_servers=bootstrap_servers, client_id="parley-bench-fill")
    await producer.start(stopping)
    try:
        while chunk := list(islice(records, _CHUNK)):
            await producer.append_all(chunk, partitions)
    finally:
        await producer.stop()


def _refuse(problem: Exception) -> None:
    raise BenchmarkError("the router set a benchmark's webhook aside") from problem
