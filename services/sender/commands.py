"""What does a record of a lane say, once it is taken apart? Pure: bytes and where they stood in, a row to keep out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import orjson

from services.common.domain import sublanes as sublane_keys
from services.common.domain.failure import Unprocessable
from services.common.domain.lanes import Lane
from services.common.domain.reasons import Reason
from services.common.domain.records import SendMessage
from services.common.domain.send_policy import LATE_SCHEDULE_SECONDS, LONGEST_LIFETIME_SECONDS
from services.common.domain.topics import SENDS
from services.common.platform.avro import Codec
from services.common.platform.envelope import published_at
from services.common.platform.kafka import LogRecord, partition_of
from services.sender import options
from services.sender.options import Options

MAX_COMMAND_BYTES: Final = 64 * 1024
_FIRST_FIELDS: Final = frozenset(
    [
        "command_id",
        "phone_number_id",
        "type",
        "content",
        "to",
        "recipient",
        "lane",
        "policy",
        "context_wamid",
        "created_at",
        "expires_at",
    ]
)
"""What commands had from the beginning. Later fields count where they are said: a command is the same under every version."""
_LONGEST_MS: Final = int(LONGEST_LIFETIME_SECONDS * 1000)
_LANE_OF_TOPIC: Final = {topic: lane for lane, topic in SENDS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenIn:
    """A command as it becomes a row.

    Instants that no row can hold are brought to the nearest one that means the same. `not_before`: when the gate looks first; it
    is the time of sending, unless that one is to be refused.
    """

    message: SendMessage
    shard: int
    lane: Lane
    fingerprint: bytes
    pair: str
    appended_at: int
    expires_at: int
    send_at: int | None
    not_before: int | None
    options: Options


def read(
    record: LogRecord, codec: Codec, *, partitions: int, sublanes: Mapping[str, int], now: int, lifetimes: Mapping[Lane, float]
) -> TakenIn | None:
    """The command in a record; None for a tombstone; Unprocessable for what can never be sent and has nobody to be told."""
    if record.value is None:
        return None
    if len(record.value) > MAX_COMMAND_BYTES:
        raise Unprocessable(Reason.COMMAND_SIZE, detail=f"more than {MAX_COMMAND_BYTES} bytes")
    message = codec.decode(record.value)
    if not isinstance(message, SendMessage):
        raise Unprocessable(Reason.RECORD_TYPE, detail=type(message).__name__)
    _check(message, record, partitions, sublanes)
    lane = _LANE_OF_TOPIC[record.topic]
    appended_at = record.appended_at if 0 < record.appended_at <= now else now
    send_at = _send_at(message.send_at, published_at=published_at(record) or appended_at, appended_at=appended_at)
    expires_at = _expires_at(message.expires_at, appended_at, max(appended_at, send_at or 0), lifetimes[lane])
    is_in_time = send_at is not None and send_at <= appended_at + _LONGEST_MS and send_at < expires_at
    return TakenIn(
        message=message,
        shard=record.partition,
        lane=lane,
        fingerprint=fingerprint(message),
        pair=sublane_keys.turn_of(message),
        appended_at=appended_at,
        expires_at=expires_at,
        send_at=send_at,
        not_before=send_at if is_in_time else None,
        options=options.of(message),
    )


def fingerprint(message: SendMessage) -> bytes:
    """The same for the same command, whoever wrote its bytes; any other content gives another."""
    said = vars(message)
    # Every field is a plain value: nothing has to be copied, as asdict would.
    fields = {name: getattr(message, name) for name in _FIRST_FIELDS | said.keys()}
    return hashlib.sha256(orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)).digest()


def _check(message: SendMessage, record: LogRecord, partitions: int, sublanes: Mapping[str, int]) -> None:
    """What must hold for a row and an outcome to be possible at all.

    One number is one partition, or one for each of its sub-lanes, and one recipient is one of these: the limiters depend on it.
    """
    try:
        UUID(message.command_id)
    except ValueError:
        raise Unprocessable(Reason.COMMAND_ID, pointer="/command_id", detail="not a UUID") from None
    if any(isinstance(value, str) and "\0" in value for value in vars(message).values()):
        raise Unprocessable(Reason.TEXT_NUL, detail="a NUL in a text")
    key = sublane_keys.key_of(message, sublanes)
    if record.key != key or record.partition != partition_of(key, partitions):
        raise Unprocessable(
            Reason.KEY_MISMATCH, pointer="/phone_number_id", detail="key or partition is not the number's or its sub-lane's"
        )
    if SENDS.get(_lane(message.lane)) != record.topic:
        raise Unprocessable(Reason.LANE_UNKNOWN, pointer="/lane", detail="not the lane of its topic")


def _lane(text: str) -> Lane:
    try:
        return Lane(text)
    except ValueError:
        raise Unprocessable(Reason.LANE_UNKNOWN, pointer="/lane", detail="unknown") from None


def _send_at(send_at: int | None, *, published_at: int, appended_at: int) -> int | None:
    """What was in time when the producer wrote it stays so, however long the way into the lane took."""
    if send_at is None:
        return None
    if send_at < published_at - LATE_SCHEDULE_SECONDS * 1000:
        return max(0, min(send_at, appended_at - int(LATE_SCHEDULE_SECONDS * 1000) - 1))
    return max(appended_at, min(send_at, appended_at + _LONGEST_MS + 1))


def _expires_at(expires_at: int | None, appended_at: int, from_: int, lifetime_seconds: float) -> int:
    """One beyond the longest lifetime stays beyond it: the gate refuses it."""
    if expires_at is None:
        return min(appended_at + _LONGEST_MS, from_ + int(lifetime_seconds * 1000))
    return max(0, min(appended_at + _LONGEST_MS + 1, expires_at))
