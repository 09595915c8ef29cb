"""What must the router have written? What the raw log means by the pure function alone, and what its topics really hold."""

from __future__ import annotations

from collections import Counter
from typing import cast

from services.common.domain import topics
from services.common.domain.events import WebhookEvent
from services.common.platform.avro import Codec
from services.common.platform.envelope import dead_letter_origin
from services.common.platform.kafka import LogRecord
from services.router.reading import Position
from services.router.webhook import SetAside, split
from services.sandbox.providers import Kafka
from tests.support import log
from tests.support.webhooks import body, message, raw_record, status

POSTS = 60
EVENTS_A_POST = 2
DAMAGED = 20
"""One POST of so many is no JSON; the counts that tests append are multiples of it."""
KEYS = tuple(str(n).encode() for n in range(11))
"""Of all that is posted here."""
EVENTS = topics.WEBHOOK_EVENTS
CODEC = Codec()


def post(cycle: str, number: int) -> bytes:
    """Two elements a POST; one of DAMAGED is no JSON."""
    if number % DAMAGED == 7:
        return f"not json {cycle} {number}".encode()
    name = f"wamid.{cycle}.{number}"
    return body(messages=[message(name, sender=f"55119999{number:05d}")], statuses=[status(f"{name}.status")])


def append_posts(kafka: Kafka, cycle: str, count: int = POSTS) -> None:
    log.append(kafka.bootstrap_servers, [raw_record(post(cycle, n), key=KEYS[n % len(KEYS)]) for n in range(count)])


def expected(raw: list[LogRecord]) -> tuple[dict[str, WebhookEvent], Counter[str]]:
    """What the raw log means, by the pure function alone: events by id, and raw records that are dead letters."""
    events: dict[str, WebhookEvent] = {}
    dead: Counter[str] = Counter()
    for record in raw:
        if (record.value or b"").startswith(b"not json"):
            dead[f"{record.topic}/{record.partition}/{record.offset}"] += 1
            continue
        received = int(dict(record.headers)["parley-received-at"])
        at = Position(place=f"{record.topic}/{record.partition}/{record.offset}", received_at=received)
        for element in split(record.value or b"", at):
            assert not isinstance(element, SetAside)
            events[element.event_id] = element
    return events, dead


def assert_nothing_lost_or_distorted(kafka: Kafka) -> None:
    events, dead = expected(log.read(kafka.bootstrap_servers, topics.WEBHOOKS))
    assert {event.event_id: event for event in written(kafka)} == events
    origins = [dead_letter_origin(record) for record in log.read(kafka.bootstrap_servers, topics.ROUTER_DEAD_LETTERS)]
    assert {f"{o['topic']}/{o['partition']}/{o['offset']}" for o in origins} == set(dead)
    assert all(o["reason"] == "json_syntax" for o in origins)


def written(kafka: Kafka) -> list[WebhookEvent]:
    return [cast("WebhookEvent", CODEC.decode(record.value or b"")) for record in log.read(kafka.bootstrap_servers, *EVENTS)]


def all_events_there(kafka: Kafka) -> bool:
    """Tests ask it all the time, so the log is read only when it has as many records as it must."""
    posts = log.end_offsets(kafka.bootstrap_servers, topics.WEBHOOKS)
    if log.end_offsets(kafka.bootstrap_servers, *EVENTS) < EVENTS_A_POST * (posts - posts // DAMAGED):
        return False
    events, dead = expected(log.read(kafka.bootstrap_servers, topics.WEBHOOKS))
    there = {event.event_id for event in written(kafka)}
    return there >= set(events) and log.end_offsets(kafka.bootstrap_servers, topics.ROUTER_DEAD_LETTERS) >= len(dead)
