"""Is this a send-command, and in which lane does it go? Producers may write Avro or JSON, under any key."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Final

import orjson

from services.common.domain.failure import Unprocessable
from services.common.domain.lanes import Lane
from services.common.domain.reasons import Reason
from services.common.domain.records import SendMessage
from services.common.platform.avro import Codec

JSON: Final = b"application/json"
"""The content type of a command that is not Avro."""
MAX_COMMAND_BYTES: Final = 64 * 1024
_DOCUMENTS: Final = ("content", "fallback_template", "marketing_messages")
"""Fields that are JSON in Avro, and the value itself in JSON."""
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def decode(value: bytes | None, content_type: bytes | None, codec: Codec) -> SendMessage:
    """The command in a record. Both forms of the same command give the same result; Unprocessable says what is wrong.

    What stands inside `content` is the gate's business: a command that gets here has an outcome its producer can read.
    """
    if value is None:
        raise Unprocessable(Reason.TOMBSTONE)
    if len(value) > MAX_COMMAND_BYTES:
        raise Unprocessable(Reason.COMMAND_SIZE, detail=f"{len(value)} bytes, at most {MAX_COMMAND_BYTES}")
    as_json = (content_type or b"").strip().lower().startswith(JSON) or value[:1] == b"{"
    return _checked(_from_json(value, codec) if as_json else _from_avro(value, codec))


def _from_avro(value: bytes, codec: Codec) -> SendMessage:
    record = codec.decode(value)
    if not isinstance(record, SendMessage):
        raise Unprocessable(Reason.RECORD_TYPE, detail=type(record).__name__)
    return record


def _from_json(value: bytes, codec: Codec) -> SendMessage:
    try:
        fields: Any = orjson.loads(value)
    except orjson.JSONDecodeError:
        raise Unprocessable(Reason.COMMAND_SYNTAX, detail="not a JSON document") from None
    if not isinstance(fields, dict):
        raise Unprocessable(Reason.COMMAND_SYNTAX, detail="not a JSON object")
    documents = {name: _dumped(fields[name], name) for name in _DOCUMENTS if isinstance(fields.get(name), dict | list)}
    record = codec.validated(SendMessage, {**fields, **documents})
    assert isinstance(record, SendMessage)  # noqa: S101 - what `validated` was asked for
    return record


def _dumped(document: dict[str, Any] | list[Any], name: str) -> str:
    try:
        return orjson.dumps(document).decode()
    except orjson.JSONEncodeError:
        raise Unprocessable(Reason.JSON_DEPTH, pointer=f"/{name}") from None


def _checked(command: SendMessage) -> SendMessage:
    command_id = command.command_id.strip().lower()
    if not _UUID.fullmatch(command_id):
        raise Unprocessable(Reason.COMMAND_ID, detail="command_id is not a UUID")
    if command.lane not in tuple(Lane):
        raise Unprocessable(Reason.LANE_UNKNOWN, detail="lane is none of otp, transactional, bulk")
    if not command.phone_number_id:
        raise Unprocessable(Reason.PHONE_MISSING, detail="phone_number_id is empty")
    if any(isinstance(value, str) and "\0" in value for value in vars(command).values()):
        raise Unprocessable(Reason.TEXT_NUL)
    return replace(command, command_id=command_id)
