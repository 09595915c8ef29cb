"""What JSON is in this body? All that can be read; of the rest, which values are damaged, and why.

The fast parser takes nearly every body. What it refuses (an encoding, a number, a depth) or takes with a loss that it does not
tell (the first of two equal keys, digits of an integer beyond 64 bits) is read again piece by piece, so that one damaged
element is set aside with its own bytes while its siblings go on. Time is bounded: each of `LEVELS` levels looks at every byte
a few times.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator
from typing import Any, Final

import orjson

from services.common.domain.failure import Unprocessable
from services.common.domain.reasons import Reason

MAX_INFLATED_BYTES: Final = 8 * 1024 * 1024
LEVELS: Final = 13
"""From the document down to a message in a thread of a history chunk, the deepest element that there is."""

_ENCODING_HINTS: Final = ("utf-8", "surrogate", "encoding")
# Every digit a zero, every blank a space: what is looked for in a body is then found by plain search.
_SHAPE: Final = bytes(0x30 if 0x30 <= byte <= 0x39 else 0x20 if byte in b" \t\r\n" else byte for byte in range(256))
_LONG_NUMBER: Final = b"0" * 19
_LEAST, _GREATEST = -(2**63), 2**64

_UNREADABLE: Final = "\N{REPLACEMENT CHARACTER}"
_BLANK: Final = re.compile(rb"[ \t\r\n]*")
_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_SCALAR: Final = re.compile(rb"[^ \t\r\n,\]}:]+")
_BRACKET_OR_QUOTE: Final = re.compile(rb'["\[\]{}]')
_NUMBER: Final = re.compile(rb"[-+]?(?:[0-9.][0-9.eE+-]*|nan|inf(?:inity)?)", re.IGNORECASE)


class Damaged:
    """A value that cannot be read, or not without loss."""

    __slots__ = ("raw", "reason")

    def __init__(self, reason: Reason, raw: bytes) -> None:
        self.reason, self.raw = reason, raw


class TornObject(dict[str, Any]):
    """An object of which some value is damaged; the others can be used."""

    __slots__ = ("raw", "reason")
    raw: bytes
    reason: Reason


class TornArray(list[Any]):
    """An array of which some item is damaged; the others can be used."""

    __slots__ = ("raw", "reason")
    raw: bytes
    reason: Reason


BROKEN: Final = (Damaged, TornObject, TornArray)


def inflated(body: bytes, content_encoding: bytes | None) -> bytes:
    """The body as JSON text. Ingest stores the wire bytes; only here are they inflated, up to 8 MiB."""
    if content_encoding in (None, b"", b"identity"):
        return body
    if content_encoding not in (b"gzip", b"deflate"):
        raise Unprocessable(Reason.JSON_ENCODING, detail="content-encoding is neither gzip nor deflate")
    inflater = zlib.decompressobj(wbits=47)  # 32 + 15: gzip and zlib headers are told apart by themselves
    try:
        text = inflater.decompress(body, MAX_INFLATED_BYTES)
    except zlib.error:
        raise Unprocessable(Reason.JSON_ENCODING, detail="not the content-encoding it says") from None
    if inflater.unconsumed_tail:
        raise Unprocessable(Reason.DECOMPRESS_LIMIT, detail=f"more than {MAX_INFLATED_BYTES} bytes")
    return text


def document(body: bytes) -> dict[str, Any]:
    """The object that the body is, torn where something in it is damaged. Unprocessable when the body as a whole is none."""
    if not body:
        raise Unprocessable(Reason.EMPTY_BODY)
    try:
        found = orjson.loads(body)
        is_whole = _is_taken_without_loss(body, found)
    except orjson.JSONDecodeError:
        is_whole = False
    if not is_whole:
        found = _salvaged(body, LEVELS)
    if isinstance(found, Damaged):
        raise Unprocessable(found.reason, detail="not a JSON document that can be read")
    if not isinstance(found, dict):
        raise Unprocessable(Reason.NOT_OBJECT)
    return found


def _is_taken_without_loss(body: bytes, found: Any) -> bool:
    """False for every body with a key twice or an integer that became a float, and for some that have neither."""
    shape = body.translate(_SHAPE)
    if _LONG_NUMBER in shape or b'" ' in shape or b"\\u0022" in body:
        return False
    try:
        # Each key has a quote and a colon behind it; in texts, too, they stand in both.
        return shape.count(b'":') == orjson.dumps(found).count(b'":')
    except orjson.JSONEncodeError:
        return False  # it writes less deeply than it reads


def _salvaged(text: bytes, level: int) -> Any:
    """The value in `text`: as it is, torn, or damaged."""
    try:
        found = orjson.loads(text)
        reason = _loss(text)
    except orjson.JSONDecodeError as problem:
        reason = _refusal(text, problem)
    if reason is None:
        return found
    kind = text.lstrip()[:1]
    if level == 0 or kind not in (b"{", b"["):
        return Damaged(reason, text)
    try:
        return _object(text, reason, level) if kind == b"{" else _array(text, reason, level)
    except _MalformedError:
        return Damaged(reason, text)


def _object(text: bytes, reason: Reason, level: int) -> Any:
    torn = TornObject()
    for key, value in _members(text):
        try:
            name, found = orjson.loads(key), _salvaged(value, level - 1)
        except orjson.JSONDecodeError as problem:
            name, found = _UNREADABLE, Damaged(_refusal(key, problem), key + b":" + value)
        if name in torn:
            return Damaged(Reason.JSON_DUP_KEY, text)
        torn[name] = found
    return _named(torn, torn.values(), text, reason)


def _array(text: bytes, reason: Reason, level: int) -> Any:
    torn = TornArray(_salvaged(value, level - 1) for value in _items(text))
    return _named(torn, torn, text, reason)


def _named(torn: TornObject | TornArray, parts: Any, text: bytes, reason: Reason) -> Any:
    torn.raw = text
    torn.reason = next((part.reason for part in parts if isinstance(part, BROKEN)), reason)
    return torn


def _loss(text: bytes) -> Reason | None:
    """What a parser that took `text` would lose of it."""
    try:
        json.loads(text, object_pairs_hook=_unique, parse_int=_bounded)
    except _LossError as problem:
        return problem.reason
    except (RecursionError, ValueError):
        return Reason.JSON_DEPTH
    return None


def _unique(pairs: list[tuple[str, Any]]) -> None:
    if len({key for key, _ in pairs}) != len(pairs):
        raise _LossError(Reason.JSON_DUP_KEY)


def _bounded(digits: str) -> None:
    if len(digits) > 20 or not _LEAST <= int(digits) < _GREATEST:
        raise _LossError(Reason.JSON_NUMBER)


class _LossError(Exception):
    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


def _refusal(text: bytes, problem: orjson.JSONDecodeError) -> Reason:
    """Why the parser refused it."""
    told = str(problem).lower()
    if "depth limit" in told or "recursion" in told:
        return Reason.JSON_DEPTH
    if any(hint in told for hint in _ENCODING_HINTS) or text[:3] == b"\xef\xbb\xbf" or b"\0" in text[:64]:
        return Reason.JSON_ENCODING
    return Reason.JSON_NUMBER if _NUMBER.fullmatch(text.strip()) else Reason.JSON_SYNTAX


class _MalformedError(Exception):
    """Brackets and commas are not where an object or array has them, so that its parts cannot be told apart."""


def _members(text: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = _skip(text, 0, b"{")
    if text[at : at + 1] == b"}":
        return _end(text, at + 1)
    while True:
        key = _STRING.match(text, at)
        if key is None:
            raise _MalformedError
        start = _skip(text, _blank(text, key.end()), b":")
        stop = _value_end(text, start)
        yield key[0], text[start:stop]
        at = _blank(text, stop)
        if text[at : at + 1] == b"}":
            return _end(text, at + 1)
        at = _skip(text, at, b",")


def _items(text: bytes) -> Iterator[bytes]:
    at = _skip(text, 0, b"[")
    if text[at : at + 1] == b"]":
        return _end(text, at + 1)
    while True:
        stop = _value_end(text, at)
        yield text[at:stop]
        at = _blank(text, stop)
        if text[at : at + 1] == b"]":
            return _end(text, at + 1)
        at = _skip(text, at, b",")


def _blank(text: bytes, at: int) -> int:
    found = _BLANK.match(text, at)
    return found.end() if found else at


def _skip(text: bytes, at: int, sign: bytes) -> int:
    """Behind the sign that must stand here, and behind the blanks that may follow it."""
    at = _blank(text, at)
    if text[at : at + 1] != sign:
        raise _MalformedError
    return _blank(text, at + 1)


def _end(text: bytes, at: int) -> None:
    if _blank(text, at) != len(text):
        raise _MalformedError


def _value_end(text: bytes, at: int) -> int:
    first = text[at : at + 1]
    if first not in (b"{", b"["):
        scalar = _STRING.match(text, at) if first == b'"' else _SCALAR.match(text, at)
        if scalar is None:
            raise _MalformedError
        return scalar.end()
    depth = 0
    while True:
        sign = _BRACKET_OR_QUOTE.search(text, at)
        if sign is None:
            raise _MalformedError
        at = sign.end()
        if sign[0] == b'"':
            string = _STRING.match(text, sign.start())
            if string is None:
                raise _MalformedError
            at = string.end()
        else:
            depth += 1 if sign[0] in b"{[" else -1
            if depth == 0:
                return at
