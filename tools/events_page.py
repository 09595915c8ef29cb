"""What does a newcomer read about the records? The page `docs/events.md`: every record, every field, and a real example."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from services.common.domain import topics
from services.common.domain.records import Record, RecordConsent, SendMessage
from tools import examples, json_schemas
from tools.contract import (
    COMMAND_HEADERS,
    DEAD_LETTER_HEADERS,
    EVENT_HEADERS,
    TOPICS,
    Described,
    declared,
    described,
    item_record,
    plain_type,
)
from tools.examples import Example

PATH: Final = "docs/events.md"

_RAW_CHARACTERS: Final = 60
_DAY_MS: Final = 24 * 3600 * 1000
_TYPES: Final = {
    "string": "text",
    "int": "whole number",
    "long": "whole number",
    "timestamp-millis": "instant (ms)",
    "double": "number",
    "boolean": "true/false",
    "array": "list",
}
_INTRODUCTION: Final = """\
<!-- Written by `make docs` from schemas/, services/common/domain/topics.py and deploy/kafka/topics.yaml. Edit those. -->

# Every record of the log

Meta posts webhooks. Parley keeps each one as it came (in `{webhooks}`) and makes typed records of it, one for each
message, status, call or notice. This page lists every record with its topic, its key, its fields, and where in Meta's webhook a
field comes from. The examples of webhook events are real: what the router makes of a sample in `tests/samples/webhooks`, without
the fields that have no value, and with `raw` cut short.

How records become bytes, and how to write and read them, stands in [schemas/README.md](../schemas/README.md).
A description of all topics for machines is [asyncapi.yaml](asyncapi.yaml).
"""
_READING: Final = """\
## How to read the tables

- **text** may be any text. Where a meaning names words, Meta or a later Parley may add others: treat them as an open set.
- **instant (ms)** is a whole number: milliseconds since 1970-01-01 UTC. Meta's seconds are already converted.
- **… or null** may be missing. **default** is what holds where a command, or a record older than the field, does not give it.
  Every other field is always there, and must be given in a command.
- **From Meta** names the key in Meta's webhook: `entry[]…` and `changes[]…` from the top, everything else within the `value` of
  the change or within the element that the record is made of. A dash is Parley's own.
- **Content identity**: Meta repeats webhooks, and each repeat is a new record with another `event_id`. Two records that are equal
  in these fields tell the same.
- **Key** is the record's key in Kafka: records of one key are in one partition, in order. A part that a record does not tell is
  empty.
"""


def text() -> str:
    """The whole page."""
    return "\n".join(_lines()).rstrip() + "\n"


def _lines() -> Iterator[str]:
    known, shown = described(), examples.examples()
    events = {name: [cls for cls in known if shown[cls].topic == name] for name in topics.ALL}
    yield _INTRODUCTION.format(webhooks=topics.WEBHOOKS)
    yield from _contents(events, known)
    yield from _topics(events)
    yield _READING
    yield from _headers()
    yield "## Webhook events\n"
    for name in topics.WEBHOOK_EVENTS:
        yield from _topic(name, events[name], known, shown)
    yield "## Commands\n"
    for name in (topics.SEND_COMMANDS, topics.CONSENT_RECORDS):
        yield from _topic(name, events[name], known, shown)
    yield "## Outcomes\n"
    yield from _topic(topics.SEND_OUTCOMES, events[topics.SEND_OUTCOMES], known, shown)
    yield from _dead_letters()


def _contents(events: dict[str, list[type[Record]]], known: dict[type[Record], Described]) -> Iterator[str]:
    yield "## Contents\n"
    yield "- [Topics](#topics) · [How to read the tables](#how-to-read-the-tables) · [Headers](#headers)"
    for name in (*topics.WEBHOOK_EVENTS, topics.SEND_COMMANDS, topics.CONSENT_RECORDS, topics.SEND_OUTCOMES):
        yield f"- [`{name}`](#{slug(name)}): {TOPICS[name].about}"
        for cls in events[name]:
            yield f"  - [{cls.__name__}](#{slug(cls.__name__)}): {known[cls].schema['doc'].partition(' Content identity')[0]}"
    yield "- [Dead letters](#dead-letters): what a service could not use, with why.\n"


def _topics(events: dict[str, list[type[Record]]]) -> Iterator[str]:
    manifest = declared()
    rows = []
    for name in topics.ALL:
        records = [f"[{cls.__name__}](#{slug(cls.__name__)})" for cls in events[name]]
        if name in topics.SENDS.values():
            records = [f"[{SendMessage.__name__}](#{slug(SendMessage.__name__)})"]
        kept = int(manifest[name]["config"]["retention.ms"])
        rows.append(
            (
                f"`{name}`",
                TOPICS[name].about,
                ", ".join(records) or "the original bytes",
                _key(TOPICS[name].key),
                "for ever" if kept < 0 else f"{kept // _DAY_MS} days",
            )
        )
    yield "## Topics\n"
    yield from _table(("Topic", "What is in it", "Record", "Key", "Kept"), rows)


def _headers() -> Iterator[str]:
    yield "## Headers\n"
    yield "Every typed record that Parley writes has these (CloudEvents in binary mode):\n"
    yield from _header_table(EVENT_HEADERS)
    yield "Of a record that you write these are read; others do no harm:\n"
    yield from _header_table(COMMAND_HEADERS)


def _topic(
    name: str, classes: Iterable[type[Record]], known: dict[type[Record], Described], shown: dict[type[Record], Example]
) -> Iterator[str]:
    yield f"### {name}\n"
    yield f"{TOPICS[name].about} Key: {_key(TOPICS[name].key)}.\n"
    for cls in classes:
        yield from _record(known[cls], shown[cls])


def _record(record: Described, example: Example) -> Iterator[str]:
    yield f"#### {record.name}\n"
    yield f"{record.about}\n"
    yield f"- **Schema**: [`{record.full_name}`](../schemas/{record.file}), id {record.schema_id}, version {record.version}"
    for path in (path for cls, path in json_schemas.FILES.items() if cls is record.cls):
        yield f"- **JSON Schema**: [`{path.rpartition('/')[2]}`](../{path})"
    yield f"- **Content identity**: `{record.identity}`"
    yield f"- **Topic**: `{example.topic}`, **key**: {_key(record_key(record, TOPICS[example.topic].key))}\n"
    yield from _fields(record.schema["fields"])
    key = f", under the key `{example.key}`" if example.key is not None else ""
    form = ", as JSON" if isinstance(example.record, SendMessage | RecordConsent) else ""
    yield f"Example{form}{key}:\n"
    yield _json(_shown(example.record))


def _fields(columns: list[dict[str, Any]]) -> Iterator[str]:
    rows = list(_rows(columns, ""))
    if any(origin for *_, origin in rows):
        yield from _table(("Field", "Type", "Meaning", "From Meta"), ((*row, origin or "–") for *row, origin in rows))
    else:
        yield from _table(("Field", "Type", "Meaning"), (row for *row, _ in rows))


def _rows(columns: list[dict[str, Any]], within: str) -> Iterator[tuple[str, str, str, str]]:
    for column in columns:
        name = f"{within}{column['name']}"
        indented = f"&emsp;`{name}`" if within else f"`{name}`"
        yield indented, type_words(column), column["doc"], _origin(column.get("meta", ""))
        items = item_record(column)
        if items is not None:
            yield from _rows(items["fields"], f"{name}[].")


def type_words(column: dict[str, Any]) -> str:
    """What a field holds, in human words."""
    kind, nullable = plain_type(column)
    items = item_record(column)
    words = _TYPES[kind] if items is None else f"list of {items['name']}"
    default = column.get("default")
    known = f", default `{default}`" if default is not None and default != [] else ""
    return f"{words}{' or null' if nullable else ''}{known}"


def _origin(meta: str) -> str:
    """As the schema says it: names of keys in code, a remark as it is."""
    return f"`{meta}`" if meta and (" " not in meta or re.search(r"[._<\[,]", meta)) else meta


def _dead_letters() -> Iterator[str]:
    found = examples.dead_letter()
    headers = {name: value.decode() for name, value in found.headers}
    yield "## Dead letters\n"
    yield "What a service could not use goes into a topic of its own, and nothing waits for it:\n"
    yield from (f"- `{name}`" for name in topics.DEAD_LETTERS)
    yield "\nKey, value and headers are those of the original; where only one element of a webhook could not be used, the value"
    yield "is that element's JSON. These headers are added:\n"
    yield from _header_table(DEAD_LETTER_HEADERS)
    yield f"Example in `{found.topic}`, a webhook of another product of Meta's:\n"
    yield _json({"headers": headers, "value": _cut(" ".join((found.value or b"").decode().split()))})


def _shown(record: Record) -> dict[str, Any]:
    if isinstance(record, SendMessage | RecordConsent):
        return examples.as_json(record)
    return {name: _cut(value) if name == "raw" else value for name, value in examples.valued(record).items()}


def _cut(text: str) -> str:
    return text if len(text) <= _RAW_CHARACTERS else f"{text[:_RAW_CHARACTERS]}…"


def _json(value: dict[str, Any]) -> str:
    return f"```json\n{json.dumps(value, indent=2, ensure_ascii=False)}\n```\n"


def record_key(record: Described, key: str) -> str:
    """The key of a topic as this record has it: a field that it does not have is an empty part."""
    names = {column["name"] for column in record.schema["fields"]}
    return "/".join(part if part in names else "" for part in key.split("/")) if "/" in key else key


def _key(key: str) -> str:
    return f"`{key}`" if "_" in key and " " not in key else key


def slug(heading: str) -> str:
    """The anchor that a heading has on GitHub."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _header_table(headers: dict[str, str]) -> Iterator[str]:
    return _table(("Header", "What it says"), ((f"`{name}`", words) for name, words in headers.items()))


def _table(head: tuple[str, ...], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    yield _row(head)
    yield _row("---" for _ in head)
    for row in rows:
        yield _row(row)
    yield ""


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
