"""What was set aside, by which service and why? Each place in the log once, though the topics may repeat it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from hashlib import sha256
from typing import Final, NamedTuple

from services.projector.projections.table import Kind, Table

POINTER_BYTES: Final = 512


class DeadLetterRow(NamedTuple):
    """One record, or one element of it."""

    topic: str
    partition: int
    offset: int
    pointer: str
    recorded_at: int
    consumer_group: str
    reason: str
    error: str
    record_key: bytes | None
    record_value: bytes | None
    headers: str


def bounded_pointer(pointer: str) -> str:
    """Fit for an index: a pointer of attacker's length keeps its beginning and a digest."""
    plain = without_nul(pointer)
    if len(plain.encode()) <= POINTER_BYTES:
        return plain
    digest = sha256(plain.encode()).hexdigest()
    return f"{plain.encode()[: POINTER_BYTES // 2].decode('utf-8', 'ignore')}…{digest}"


def without_nul(text: str) -> str:
    """Text as Postgres can hold it."""
    return text.replace("\0", "\ufffd")


def headers_json(headers: Iterable[tuple[str, bytes | None]]) -> str:
    """`[[name, text]]`, or `[[name, null, base64]]` for bytes that are no text, in their order."""
    return json.dumps([_header(without_nul(name), value) for name, value in headers], ensure_ascii=False)


def _header(name: str, value: bytes | None) -> list[str | None]:
    if value is None:
        return [name, None]
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = "\0"
    return [name, text] if "\0" not in text else [name, None, base64.b64encode(value).decode()]


def merge(known: DeadLetterRow, reported: DeadLetterRow) -> DeadLetterRow:
    """The first one recorded; repeats differ in the instant at most, and are compared whole to be sure."""
    return min(known, reported, key=_order)


def _order(row: DeadLetterRow) -> tuple[int, str, str, str]:
    return (row.recorded_at, row.consumer_group, row.reason, row.error)


TABLE: Final = Table(
    name="dead_letters",
    columns={
        "topic": Kind.TEXT,
        "partition": Kind.INT4,
        "offset": Kind.INT8,
        "pointer": Kind.TEXT,
        "recorded_at": Kind.INSTANT,
        "consumer_group": Kind.TEXT,
        "reason": Kind.TEXT,
        "error": Kind.TEXT,
        "record_key": Kind.BYTES,
        "record_value": Kind.BYTES,
        "headers": Kind.TEXT,
    },
    key=4,
    merge=merge,
)
