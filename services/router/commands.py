"""Is this a send-command, and in which lane does it go? Producers may write Avro or JSON, under any key."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import orjson

from services.common.domain.failure import Unprocessable
from services.common.domain.lanes import Lane
from services.common.domain.reasons import Reason
from services.common.domain.records import SendMessage
from services.common.platform.avro import Codec
from services.router.body import whole

JSON: Final = b"application/json"
"""The content type of a command that is not Avro."""
MAX_COMMAND_BYTES: Final = 64 * 1024
DEEPEST: Final = 64
"""Levels of a JSON command, as many as a content may have: what reads it does not go deeper."""
_DOCUMENTS: Final = ("content", "fallback_template", "marketing_messages")
"""Fields that are JSON in Avro, and the value itself in JSON."""
_INSTANTS: Final = ("created_at", "expires_at", "send_at")
_FIELDS: Final = frozenset(field.name for field in dataclasses.fields(SendMessage))
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TOLD_AS_IT_IS: Final = frozenset({Reason.JSON_DEPTH, Reason.JSON_DUP_KEY, Reason.JSON_NUMBER})
"""What else can be wrong with JSON makes it none: `command_syntax`."""

OnIgnored = Callable[[int], None]
"""Takes how many fields of a command no schema has."""


def decode(value: bytes, content_type: bytes | None, codec: Codec, *, on_ignored: OnIgnored = lambda _: None) -> SendMessage:
    """The command in a record. Both forms of the same command give the same result; Unprocessable says what is wrong.

    What stands inside `content` is the gate's business: a command that gets here has an outcome its producer can read. `version`:
    nothing is wrong, but the schema is a later one.
    """
    if len(value) > MAX_COMMAND_BYTES:
        raise Unprocessable(Reason.COMMAND_SIZE, detail=f"{len(value)} bytes, at most {MAX_COMMAND_BYTES}")
    as_json = (content_type or b"").strip().lower().startswith(JSON) or value[:1] == b"{"
    return _checked(_from_json(value, codec, on_ignored) if as_json else _from_avro(value, codec))


def _from_avro(value: bytes, codec: Codec) -> SendMessage:
    if codec.is_newer(value):
        raise Unprocessable(Reason.VERSION, detail="its schema has a later id than any known here")
    try:
        record = codec.decode(value)
    except Unprocessable as problem:
        if problem.reason is not Reason.AVRO_SYNTAX:
            raise
        raise Unprocessable(Reason.COMMAND_SYNTAX, detail=problem.detail) from None
    if not isinstance(record, SendMessage):
        raise Unprocessable(Reason.RECORD_TYPE, detail=type(record).__name__)
    return record


def _from_json(value: bytes, codec: Codec, on_ignored: OnIgnored) -> SendMessage:
    fields = _document(value)
    if not isinstance(fields, dict):
        raise Unprocessable(Reason.COMMAND_SYNTAX, detail="not a JSON object")
    if not isinstance(fields.get("command_id"), str):
        raise Unprocessable(Reason.COMMAND_ID, pointer="/command_id", detail="missing, or not a text")
    for name in _INSTANTS:
        if isinstance(fields.get(name), float):
            raise Unprocessable(Reason.JSON_NUMBER, pointer=f"/{name}", detail="not a whole number")
    if ignored := fields.keys() - _FIELDS:
        on_ignored(len(ignored))
    # Without them it is a command that the gate refuses.
    said = {**fields, "type": fields.get("type") or "", "content": fields.get("content")}
    documents = {name: _dumped(said[name]) for name in _DOCUMENTS if name in said and _is_document(name, said[name])}
    record = codec.validated(SendMessage, {**said, **documents})
    assert isinstance(record, SendMessage)  # noqa: S101 - what `validated` was asked for
    try:
        "".join(text for text in vars(record).values() if isinstance(text, str)).encode()
    except UnicodeEncodeError:
        raise Unprocessable(Reason.JSON_ENCODING, detail="half of a character outside the content") from None
    return record


def _document(value: bytes) -> Any:
    try:
        found = whole(value)
    except Unprocessable as problem:
        if problem.reason is Reason.JSON_ENCODING:
            found = _with_halves(value)
        else:
            reason = problem.reason if problem.reason in _TOLD_AS_IT_IS else Reason.COMMAND_SYNTAX
            raise Unprocessable(reason, detail="not a JSON document that can be read") from None
    if _is_deeper(found, DEEPEST):
        raise Unprocessable(Reason.JSON_DEPTH, detail=f"more than {DEEPEST} levels")
    return found


def _with_halves(value: bytes) -> Any:
    """A document with half of a character, written as an escape. In a content the gate finds it, and tells the producer."""
    try:
        return json.loads(value.decode(), object_pairs_hook=_unique, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise Unprocessable(Reason.COMMAND_SYNTAX, detail="not a JSON document in UTF-8") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Unprocessable(Reason.JSON_DUP_KEY)
    return found


def _no_number(_word: str) -> None:
    raise Unprocessable(Reason.JSON_NUMBER)


def _is_deeper(value: object, levels: int) -> bool:
    level = [value]
    for _ in range(levels):
        level = [
            part
            for one in level
            if isinstance(one, dict | list)
            for part in (one.values() if isinstance(one, dict) else one)
            if isinstance(part, dict | list)
        ]
        if not level:
            return False
    return True


def _is_document(name: str, value: object) -> bool:
    """A content that is no text is written as what it is: the gate tells what it should be."""
    return isinstance(value, dict | list) or (name == "content" and not isinstance(value, str))


def _dumped(document: object) -> str:
    try:
        return orjson.dumps(document).decode()
    except orjson.JSONEncodeError:
        return json.dumps(document, separators=(",", ":"))


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
