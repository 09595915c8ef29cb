"""What do a record's headers say? CloudEvents in binary mode, and where a dead letter came from."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, NamedTuple

from services.common.domain.failure import Unprocessable
from services.common.platform.kafka import MAX_KEPT_BYTES, Headers, LogRecord, NewRecord

AVRO: Final = b"application/avro"
JSON: Final = b"application/json"
_SPEC_VERSION: Final = ("ce_specversion", b"1.0")
_CONTENT_TYPE: Final = ("content-type", AVRO)
_PREFIX: Final = "parley-dead-letter-"
_POINTER: Final = f"{_PREFIX}pointer"
_PUBLISHED_AT: Final = "parley-published-at"
REDRIVEN_FROM: Final = "parley-redriven-from"
REDRIVEN_POINTER: Final = "parley-redriven-pointer"
REDRIVE_ID: Final = "parley-redrive-id"
_OFFSET_DIGITS: Final = 19
_REDRIVE: Final = (REDRIVEN_FROM, REDRIVEN_POINTER, REDRIVE_ID)


class Origin(NamedTuple):
    """Where a record that was appended again stood at first."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


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
    return [
        *without_origin(record.headers),
        _own("topic", record.topic),
        _own("partition", str(record.partition)),
        _own("offset", str(record.offset)),
        _own("timestamp", str(record.appended_at)),
        _own("group", group),
        _own("reason", str(problem.reason)),
        (_POINTER, problem.pointer.encode("utf-8", "replace")),
        _own("error", problem.detail),
    ]


def dead_letter(record: LogRecord, problem: Unprocessable, *, topic: str, group: str, value: bytes | None) -> NewRecord:
    """What is appended for a record, or for an element of it with the bytes `value`, that `group` cannot use.

    A producer that compresses can append more than a record may have once it is read. Then its bytes, or all of it, are left
    out, and the error says so: they stand where the headers say, for as long as that topic keeps them.
    """
    letter = NewRecord(topic, record.key, value, dead_letter_headers(record, problem, group=group))
    if letter.fits(MAX_KEPT_BYTES):
        return letter
    detail = f"{problem.detail}; too long to be kept here".removeprefix("; ")
    told = Unprocessable(problem.reason, pointer=problem.pointer, detail=detail)
    letter = NewRecord(topic, record.key, None, dead_letter_headers(record, told, group=group))
    if letter.fits(MAX_KEPT_BYTES):
        return letter
    return NewRecord(topic, None, None, dead_letter_headers(record._replace(headers=()), told, group=group))


@lru_cache(maxsize=64)
def _own(name: str, value: str) -> tuple[str, bytes]:
    """One object for all that a record becomes: thousands of dead letters may say the same in all but their pointer."""
    return _PREFIX + name, value.encode("utf-8", "replace")


def dead_letter_origin(record: LogRecord) -> dict[str, str]:
    """What `dead_letter_headers` wrote, read back; missing names are absent."""
    return {
        key.removeprefix(_PREFIX): value.decode("utf-8", "replace") for key, value in record.headers if key.startswith(_PREFIX)
    }


def redriven_headers(headers: Headers, *, origin: Origin, pointers: Iterable[str], redrive_id: str) -> list[tuple[str, bytes]]:
    """The original headers, then what makes the record known as one that stood elsewhere first.

    `pointers`: of a webhook, the elements that are meant; none when it is all of it. Those of an earlier redrive are left out.
    """
    kept = [(key, value) for key, value in headers if key not in _REDRIVE]
    meant = [(REDRIVEN_POINTER, pointer.encode()) for pointer in pointers]
    return [*kept, (REDRIVEN_FROM, str(origin).encode()), *meant, (REDRIVE_ID, redrive_id.encode())]


def redriven_from(record: LogRecord) -> Origin | None:
    """Where this record stood first; None for one that was not redriven, or does not say so truly.

    A redrive goes to the partition it came from. So only an earlier offset of the record's own partition is believed: nobody can
    take the identity of what stands in another topic or partition, or is still to come.
    """
    place = f"{record.topic}/{record.partition}/"
    told = (header(record, REDRIVEN_FROM) or b"").decode("utf-8", "replace")
    offset = told.removeprefix(place)
    if not told.startswith(place) or not (offset.isascii() and offset.isdigit()) or len(offset) > _OFFSET_DIGITS:
        return None
    return Origin(record.topic, record.partition, int(offset)) if int(offset) < record.offset else None


def redriven_pointers(record: LogRecord) -> list[str]:
    """The elements that a redriven webhook was appended again for; none when it was for all of it."""
    return [value.decode("utf-8", "replace") for key, value in record.headers if key == REDRIVEN_POINTER]
