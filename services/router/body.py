"""What JSON is in this body? All that can be read; of the rest, which values are damaged, and why.

The fast parser takes nearly every body. What it refuses (an encoding, a number, a depth) or takes with a loss that it does not
tell (the first of two equal keys, digits of an integer beyond 64 bits) is read again piece by piece, so that one damaged
element is set aside with its own bytes while its siblings go on. Time is bounded: brackets are matched in one pass, and every
byte is parsed once more. Memory is bounded: values are counted before they are made.
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
MAX_VALUES: Final = 250_000
"""Of one body. Each becomes an object of up to 230 bytes: four megabytes of `[[` or `{"a":` were 300 to 500 of memory. Meta's
largest body, three megabytes of the shortest messages, has 150,000.
"""
_LEVELS: Final = 7
"""From the document by way of entry, changes and value down to the items of a list: these are read one by one."""
_VALUE: Final = 2
_MORE_LEVELS: Final = {"standby": 1, "history": 4}
"""Under a value: what has its elements deeper than its siblings."""
DEEPEST: Final = _LEVELS + max(_MORE_LEVELS.values())

_ENCODING_HINTS: Final = ("utf-8", "surrogate", "encoding")
# Every digit a zero, every blank a space: what is looked for in a body is then found by plain search.
_SHAPE: Final = bytes(0x30 if 0x30 <= byte <= 0x39 else 0x20 if byte in b" \t\r\n" else byte for byte in range(256))
_DIGITS: Final = b"0" * 19
_LONG_NUMBERS: Final = tuple(sign + _DIGITS for sign in (b":", b"[", b",", b" ", b"-"))
"""Behind what a number can stand; ids in texts are as long and stand behind other signs."""
_LEAST, _GREATEST = -(2**63), 2**64

_UNREADABLE: Final = "\N{REPLACEMENT CHARACTER}"
_BLANK: Final = re.compile(rb"[ \t\r\n]*")
_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_SCALAR: Final = re.compile(rb"[^ \t\r\n,\]}:]+")
_BRACKETS_OR_QUOTE: Final = re.compile(rb'"|[\[{]+|[\]}]+')
_COMMAS: Final = bytes.maketrans(b"[{", b",,")
_NEITHER_COMMA_NOR_QUOTE: Final = bytes(set(range(256)) - set(b',[{"'))
_STRETCH: Final = 64 * 1024


class Damaged:
    """A value that cannot be read, or not without loss."""

    __slots__ = ("raw", "reason")

    def __init__(self, reason: Reason, raw: bytes) -> None:
        self.reason, self.raw = reason, raw


class TornObject(dict[str, Any]):
    """An object of which some value is damaged; the others can be used."""

    __slots__ = ("reason", "span")
    span: memoryview
    reason: Reason

    @property
    def raw(self) -> bytes:
        """As it came. Not kept: what is around it is torn, too, up to the document."""
        return bytes(self.span)


class TornArray(list[Any]):
    """An array of which some item is damaged; the others can be used."""

    __slots__ = ("reason", "span")
    span: memoryview
    reason: Reason

    @property
    def raw(self) -> bytes:
        """As an object's."""
        return bytes(self.span)


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
    if _has_too_many(body):
        raise _too_many()
    try:
        found = orjson.loads(body)
        is_whole = _is_taken_without_loss(body, found)
    except orjson.JSONDecodeError:
        is_whole = False
    if not is_whole:
        found = None  # not beside what is read anew
        found = _Pieces(body).read()
    if isinstance(found, Damaged):
        raise Unprocessable(found.reason, detail="not a JSON document that can be read")
    if not isinstance(found, dict):
        raise Unprocessable(Reason.NOT_OBJECT)
    return found


def _has_too_many(text: bytes) -> bool:
    """Nearly always a body is too short for that, or does not even have as many commas and brackets, be it in strings."""
    if len(text) <= MAX_VALUES or text.count(b",") + text.count(b"[") + text.count(b"{") <= MAX_VALUES:
        return False
    return values(text, MAX_VALUES) > MAX_VALUES


def values(text: bytes, enough: int) -> int:
    """How many commas and opening brackets stand outside of strings, of any bytes; when more than `enough`, at least one more.

    So many values a parser makes at most before it meets an error, besides the first; keys are none. What stands in strings never
    counts: no text that somebody writes is too many. Memory is that of a stretch; a stretch has no more strings with a comma than
    commas between them, so that four megabytes take 30 ms whatever they are.
    """
    count = is_inside = at = 0
    while at < len(text) and count <= enough:
        # Behind a comma no escape goes on.
        end = text.find(b",", at + _STRETCH) + 1 or len(text)
        part = text[at:end]
        if b"\\" in part:
            part = part.replace(b"\\\\", b"").replace(b'\\"', b"")
        # Two quotes side by side change nothing of what is inside and what outside. What is left are strings with a comma.
        parts = part.translate(_COMMAS, _NEITHER_COMMA_NOR_QUOTE).replace(b'""', b"").split(b'"')
        count += sum(map(len, parts[is_inside::2]))
        is_inside ^= (len(parts) - 1) & 1
        at = end
    return count


def _too_many() -> Unprocessable:
    return Unprocessable(Reason.TOO_MANY, detail=f"more than {MAX_VALUES} values")


def whole(text: bytes) -> Any:
    """The value that a text is, all of it. Unprocessable names what cannot be read of it, or would be lost."""
    found = _leaf(text)
    if isinstance(found, Damaged):
        raise Unprocessable(found.reason)
    return found


def _is_taken_without_loss(body: bytes, found: Any) -> bool:
    """False for every body with a key twice or an integer that became a float, and for some that have neither."""
    try:
        again = orjson.dumps(found)
    except orjson.JSONEncodeError:
        return False  # it writes less deeply than it reads
    # What reads the same written anew has lost nothing. Meta escapes slashes.
    if again == body or again == body.replace(b"\\/", b"/"):
        return True
    shape = body.translate(_SHAPE)
    if b'" ' in shape or b"\\u0022" in body or (_DIGITS in shape and any(number in shape for number in _LONG_NUMBERS)):
        return False
    # Each key has a quote and a colon behind it; in texts, too, they stand in both.
    return shape.count(b'":') == again.count(b'":')


def _loss(text: bytes) -> Reason | None:
    """What a parser that took `text` would lose of it; the standard one takes more, and tells what it meets."""
    try:
        json.loads(text, object_pairs_hook=_unique, parse_int=_bounded, parse_float=_finite, parse_constant=_no_number)
    except _LossError as problem:
        return problem.reason
    except RecursionError:
        return Reason.JSON_DEPTH
    except ValueError:
        return Reason.JSON_SYNTAX
    return None


def _unique(pairs: list[tuple[str, Any]]) -> None:
    if len({key for key, _ in pairs}) != len(pairs):
        raise _LossError(Reason.JSON_DUP_KEY)


def _bounded(digits: str) -> None:
    if len(digits) > 20 or not _LEAST <= int(digits) < _GREATEST:
        raise _LossError(Reason.JSON_NUMBER)


def _finite(digits: str) -> None:
    if abs(float(digits)) == float("inf"):
        raise _LossError(Reason.JSON_NUMBER)


def _no_number(_word: str) -> None:
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
    return Reason.JSON_SYNTAX


class _MalformedError(Exception):
    """Brackets and commas are not where an object or array has them, so that its parts cannot be told apart."""


class _Pieces:
    """A body of which the parser cannot or must not take the whole: its structure by bytes, its leaves by the parser."""

    def __init__(self, text: bytes) -> None:
        self._text, self._ends, self._values = text, dict[int, int](), 0

    def read(self) -> Any:
        """The value that the body is: as it is, torn, or damaged."""
        text = self._text
        try:
            self._match_brackets()
            start = _blank(text, 0)
            stop = self._end(start)
            if _blank(text, stop) != len(text):
                raise _MalformedError
        except _MalformedError:
            return Damaged(_why_not(text), text)
        return self._value(start, stop, _LEVELS)

    def _match_brackets(self) -> None:
        """Where each object and array ends that is not too deep to be looked into."""
        text, ends, open_at, depth, at = self._text, self._ends, [0] * (DEEPEST + 1), 0, 0
        while (found := _BRACKETS_OR_QUOTE.search(text, at)) is not None:
            self._count(at, *found.span())
            start, at = found.span()
            if text[start] == 0x22:
                string = _STRING.match(text, start)
                if string is None:
                    raise _MalformedError
                at = string.end()
            elif text[start] in b"[{":
                for place in range(start, min(at, start + DEEPEST - depth + 1)):
                    open_at[depth + place - start] = place
                depth += at - start
            else:
                for place in range(max(start, start + depth - DEEPEST - 1), at):
                    level = depth - 1 - (place - start)
                    if level < 0:
                        raise _MalformedError
                    ends[open_at[level]] = place + 1
                depth -= at - start
        if depth != 0:
            raise _MalformedError

    def _count(self, before: int, start: int, end: int) -> None:
        """Once more: where a backslash stands outside of strings, other strings are found here than by `values`."""
        self._values += self._text.count(b",", before, start) + (end - start if self._text[start] in b"[{" else 0)
        if self._values > MAX_VALUES:
            raise _too_many()

    def _value(self, start: int, stop: int, level: int) -> Any:
        kind = self._text[start]
        if level == 0 or kind not in b"{[":
            return _leaf(self._text[start:stop])
        try:
            return self._object(start, stop, level) if kind == 0x7B else self._array(start, stop, level)
        except _MalformedError:
            return _leaf(self._text[start:stop])

    def _object(self, start: int, stop: int, level: int) -> Any:
        found: dict[str, Any] = {}
        for key, (begin, end) in self._members(start, stop):
            try:
                name = orjson.loads(key)
                more = _MORE_LEVELS.get(name, 0) if level == _VALUE else 0
                part = self._value(begin, end, level - 1 + more)
            except orjson.JSONDecodeError as problem:
                name, part = _UNREADABLE, Damaged(_refusal(key, problem), key + b":" + self._text[begin:end])
            if name in found:
                return Damaged(Reason.JSON_DUP_KEY, self._text[start:stop])
            found[name] = part
        return self._named(found, TornObject, found.values(), start, stop)

    def _array(self, start: int, stop: int, level: int) -> Any:
        found = [self._value(begin, end, level - 1) for begin, end in self._items(start, stop)]
        return self._named(found, TornArray, found, start, stop)

    def _named(self, found: Any, torn_class: type[TornObject | TornArray], parts: Any, start: int, stop: int) -> Any:
        reason = next((part.reason for part in parts if isinstance(part, BROKEN)), None)
        if reason is None:
            return found
        torn = torn_class(found)
        torn.span, torn.reason = memoryview(self._text)[start:stop], reason
        return torn

    def _members(self, start: int, stop: int) -> Iterator[tuple[bytes, tuple[int, int]]]:
        text = self._text
        at = _blank(text, start + 1)
        if text[at : at + 1] == b"}" and at + 1 == stop:
            return
        while True:
            key = _STRING.match(text, at)
            if key is None:
                raise _MalformedError
            begin = _skip(text, _blank(text, key.end()), b":")
            end = self._end(begin)
            yield key[0], (begin, end)
            at = _blank(text, end)
            if text[at : at + 1] == b"}" and at + 1 == stop:
                return
            at = _skip(text, at, b",")

    def _items(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        text = self._text
        at = _blank(text, start + 1)
        if text[at : at + 1] == b"]" and at + 1 == stop:
            return
        while True:
            end = self._end(at)
            yield at, end
            at = _blank(text, end)
            if text[at : at + 1] == b"]" and at + 1 == stop:
                return
            at = _skip(text, at, b",")

    def _end(self, at: int) -> int:
        """Behind the value that begins here."""
        first = self._text[at : at + 1]
        if first in (b"{", b"["):
            end = self._ends.get(at)
            if end is None:
                raise _MalformedError
            return end
        scalar = _STRING.match(self._text, at) if first == b'"' else _SCALAR.match(self._text, at)
        if scalar is None:
            raise _MalformedError
        return scalar.end()


def _leaf(text: bytes) -> Any:
    """What is read as one, or why it cannot be."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as problem:
        reason = _refusal(text, problem)
        return Damaged((_loss(text) or reason) if reason is Reason.JSON_SYNTAX else reason, text)
    lost = None if _is_taken_without_loss(text, found) else _loss(text)
    return found if lost is None else Damaged(lost, text)


def _why_not(text: bytes) -> Reason:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError as problem:
        return _refusal(text, problem)
    return Reason.JSON_SYNTAX


def _blank(text: bytes, at: int) -> int:
    found = _BLANK.match(text, at)
    return found.end() if found else at


def _skip(text: bytes, at: int, sign: bytes) -> int:
    """Behind the sign that must stand here, and behind the blanks that may follow it."""
    if text[at : at + 1] != sign:
        raise _MalformedError
    return _blank(text, at + 1)
