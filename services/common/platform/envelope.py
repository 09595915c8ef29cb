"""What do a record's headers say? CloudEvents in binary mode, and where a dead letter came from."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from services.common.domain.failure import Unprocessable
from services.common.platform.kafka import LogRecord

AVRO: Final = b"application/avro"
JSON: Final = b"application/json"
_SPEC_VERSION: Final = ("ce_specversion", b"1.0")
_CONTENT_TYPE: Final = ("content-type", AVRO)
_PREFIX: Final = "parley-dead-letter-"
_PUBLISHED_AT: Final = "parley-published-at"


@lru_cache(maxsize=1024)
def rfc3339(at: int) -> bytes:
    """An instant in milliseconds as CloudEvents wants it; out-of-range instants as plain digits."""
    try:
        return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z").encode()
    except (ValueError, OverflowError, OSError):
        return str(at).encode()


def cloud_event(
    *, event_id: str, event_type: str, source: str, at: int, subject: str = "", traceparent: bytes | None = None
) -> list[tuple[str, bytes]]:
    """Headers of a typed event. `subject` must not carry a phone number."""
    headers = [
        _SPEC_VERSION,
        ("ce_id", event_id.encode()),
        ("ce_type", event_type.encode()),
        ("ce_source", source.encode()),
        ("ce_time", rfc3339(at)),
        _CONTENT_TYPE,
    ]
    if subject:
        headers.append(("ce_subject", subject.encode()))
    if traceparent is not None:
        headers.append(("traceparent", traceparent))
    return headers


def header(record: LogRecord, name: str) -> bytes | None:
    """The last value of a header, as later ones win in Kafka's own clients."""
    return dict(record.headers).get(name)


def published(at: int) -> tuple[str, bytes]:
    """The header that says when a producer appended what goes on in another topic. Milliseconds."""
    return _PUBLISHED_AT, str(at).encode()


def published_at(record: LogRecord) -> int | None:
    """What `published` wrote."""
    at = header(record, _PUBLISHED_AT)
    return int(at) if at and at.isdigit() and len(at) <= 13 else None


def without_origin(headers: Iterable[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """The headers without what `dead_letter_headers` added."""
    return [(key, value) for key, value in headers if not key.startswith(_PREFIX)]


def dead_letter_headers(record: LogRecord, problem: Unprocessable, *, group: str) -> list[tuple[str, bytes]]:
    """The original headers, then where the record stood and why it was set aside. `error` never quotes the content."""
    own = {
        "topic": record.topic,
        "partition": str(record.partition),
        "offset": str(record.offset),
        "timestamp": str(record.appended_at),
        "group": group,
        "reason": str(problem.reason),
        "pointer": problem.pointer,
        "error": problem.detail,
    }
    return [*without_origin(record.headers), *((_PREFIX + name, value.encode("utf-8", "replace")) for name, value in own.items())]


def dead_letter_origin(record: LogRecord) -> dict[str, str]:
    """What `dead_letter_headers` wrote, read back; missing names are absent."""
    return {
        key.removeprefix(_PREFIX): value.decode("utf-8", "replace") for key, value in record.headers if key.startswith(_PREFIX)
    }
