"""Does every webhook that Meta publishes become exactly what stands beside its sample?"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from services.common.domain import topics
from services.common.domain.events import WEBHOOK_EVENTS, UnrecognizedChange
from services.common.domain.ids import event_id_of_element
from services.common.platform.avro import Codec
from services.common.platform.kafka import NewRecord
from services.projector.decode import Decoder
from services.projector.fold import TABLES, Event, fold
from services.router import body
from services.router.webhook import FIELDS
from services.sandbox.webhook_elements import LISTS, elements
from tests.support import samples
from tests.support.read_models import comparable

CODEC = Codec()
NAMES = samples.names()


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_becomes_what_stands_beside_it(name: str) -> None:
    raw = samples.record(samples.body(name))
    assert samples.told(raw) == samples.expected(name)
    for one in samples.routed(raw):
        if one.topic == topics.ROUTER_DEAD_LETTERS:
            continue
        event: Any = CODEC.decode(one.value or b"")
        pointer = next(
            found.pointer
            for found in elements(samples.body(name))
            if event_id_of_element(f"{raw.topic}/{raw.partition}/{raw.offset}", found.pointer) == event.event_id
        )
        assert json.loads(event.raw) == element_at(samples.document(name), pointer)
        assert event.recorded_at == samples.RECEIVED


def element_at(document: Any, pointer: str) -> Any:
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        document = document[int(name)] if isinstance(document, list) else document[name]
    return document


def test_there_is_a_sample_of_every_field_and_every_event() -> None:
    told = [one for name in NAMES for one in samples.expected(name)]
    assert len(NAMES) >= 150
    assert {one["record"] for one in told if "record" in one} == {cls.__name__ for cls in WEBHOOK_EVENTS}
    assert {change["field"] for name in NAMES for change in changes(name) if "field" in change} >= FIELDS
    assert set(LISTS) <= FIELDS


def changes(name: str) -> Iterator[dict[str, Any]]:
    document = samples.document(name)
    for entry in document.get("entry", []):
        yield from entry["changes"]


def test_no_known_field_falls_back_to_unrecognized() -> None:
    """Except what the samples plant: empty values, and keys and fields of tomorrow."""
    planted = ("empty_", "unknown_field", "message_text_with_unknown_keys", "batch_one_good_and_one_odd_change")
    for name in NAMES:
        if any(one.get("record") == UnrecognizedChange.__name__ for one in samples.expected(name)):
            assert name.startswith(planted), name


def test_every_event_of_a_sample_can_be_projected() -> None:
    decoder = Decoder(CODEC)
    for name in NAMES:
        fold(decoder.decode(log_record(one)) for one in samples.routed(samples.record(samples.body(name))))


def log_record(one: NewRecord) -> Any:
    return samples.record(one.value)._replace(topic=one.topic, key=one.key, headers=one.headers)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.failure("R13")
def test_the_same_content_regrouped_and_written_anew_ends_in_the_same_rows(seed: int) -> None:
    """Meta repeats without an id: other batches, other bytes, other offsets. Only ids and times of receipt may differ."""
    bodies = list(regrouped(random.Random(seed)))
    once, again = as_published(), events(bodies, len(NAMES))
    assert len(bodies) < len(NAMES) - len(UNGROUPED)
    assert rows([*once, *again]) == rows(again) == rows(once)


UNGROUPED = {"dashboard_sample_bare_change", "object_page", "object_instagram"}
_OURS = {"event_id", "recorded_at", "pointer"}


@cache
def as_published() -> list[Event]:
    return events([samples.body(name) for name in NAMES if name not in UNGROUPED], 0)


def events(bodies: list[bytes], first: int) -> list[Event]:
    """What these webhooks say when they are appended from an offset on."""
    decoder = Decoder(CODEC)
    records = (one for offset, one_body in enumerate(bodies, first) for one in samples.routed(samples.record(one_body, offset)))
    return [decoder.decode(log_record(one)) for one in records]


def rows(events: list[Event]) -> dict[str, list[tuple[Any, ...]]]:
    """Their read models, without what tells one delivery from another."""
    tables = comparable(fold(events))
    del tables["dead_letters"]
    kept = {table.name: [n for n, column in enumerate(table.columns) if column not in _OURS] for table in TABLES}
    return {name: sorted({tuple(row[n] for n in kept[name]) for row in found}, key=repr) for name, found in tables.items()}


def regrouped(rng: random.Random) -> Iterator[bytes]:
    """Every change of every sample, in other companies, lists cut elsewhere, keys in another order, other escapes and blanks."""
    entries = []
    for name in NAMES:
        if name in UNGROUPED:
            continue
        for entry in samples.document(name)["entry"]:
            around = {key: found for key, found in entry.items() if key not in ("changes", "object")}
            for change in entry["changes"]:
                entries += [(around, part) for part in parted(change, rng)]
    rng.shuffle(entries)
    while entries:
        taken = [entries.pop() for _ in range(min(len(entries), rng.randrange(1, 9)))]
        document = {
            "object": "whatsapp_business_account",
            "entry": [{**around, "changes": [change]} for around, change in taken],
        }
        text = json.dumps(
            shuffled(document, rng), ensure_ascii=rng.random() < 0.5, separators=rng.choice([(",", ":"), (", ", ": ")])
        )
        yield text.encode()


def parted(change: dict[str, Any], rng: random.Random) -> Iterator[dict[str, Any]]:
    """A list of messages or statuses, one item a change."""
    value = change.get("value")
    lists = [name for name in ("messages", "statuses") if isinstance(value, dict) and len(value.get(name) or []) > 1]
    if change.get("field") != "messages" or not lists or rng.random() < 0.3 or not isinstance(value, dict):
        yield change
        return
    around = {name: found for name, found in value.items() if name in ("messaging_product", "metadata", "contacts")}
    for name, found in value.items():
        if name in around:
            continue
        for part in found if isinstance(found, list) else [found]:
            yield {**change, "value": {**around, name: [part] if isinstance(found, list) else part}}


def shuffled(node: Any, rng: random.Random) -> Any:
    if isinstance(node, list):
        return [shuffled(part, rng) for part in node]
    if not isinstance(node, dict):
        return node
    keys = list(node)
    rng.shuffle(keys)
    return {key: shuffled(node[key], rng) for key in keys}


def test_no_sample_is_mistaken_for_a_damaged_body(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids of twenty digits, escaped slashes and accents are usual: reading piece by piece is for what is not."""

    def piecewise(text: bytes) -> None:
        raise AssertionError(text[:200])

    monkeypatch.setattr(body, "_Pieces", piecewise)
    for name in set(NAMES) - {"message_text_unicode_and_newlines"}:  # a quote and a blank in a text: looked at twice
        samples.routed(samples.record(samples.body(name)))
