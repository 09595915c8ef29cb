"""How do records become bytes and back? Confluent framing, ids from the lock file, no registry needed."""

from __future__ import annotations

import dataclasses
import struct
import typing
from collections.abc import Callable, Collection, Iterator, Mapping
from importlib.resources import files
from io import BytesIO
from typing import Any, Final

import fastavro
import orjson

from services.common.domain.failure import Unprocessable
from services.common.domain.logged import maker
from services.common.domain.reasons import Reason
from services.common.domain.records import FULL_NAMES, Record

_FRAME: Final = struct.Struct(">bI")
_NULL: Final = b"\x00"
_VALUE: Final = b"\x02"
"""The numbers 0 and 1, as the branch of a union is written; every union of ours is null and something."""
_MOST_SHAPES: Final = 2_000
"""Of one record type: far more than occur, and a bound for what a sender could make up."""
_MOST_GUESSES: Final = 32
_MOST_TRIES: Final = 3
"""For one record: a wrong guess costs half of a reading."""
_MOST_NEWER: Final = 1_000
"""Ids count up by one: what is further ahead is no id but bytes of something else."""
_NO_COLUMNS: Final[dict[str, Any]] = fastavro.parse_schema({"type": "record", "name": "Shape", "fields": []})
"""Columns of a schema that is parsed already need not be parsed again."""
# What fastavro raises on bytes that are not what the schema says.
_SYNTAX: Final = (EOFError, ValueError, IndexError, KeyError, TypeError, OverflowError, MemoryError, struct.error)


def _plain(schema: Any) -> Any:
    """The same schema without logical types: instants stay integers in our code and cost nothing to read."""
    if isinstance(schema, dict):
        if schema.get("logicalType"):
            return schema["type"]
        return {k: _plain(v) for k, v in schema.items()}
    if isinstance(schema, list):
        return [_plain(part) for part in schema]
    return schema


def schema_text(file: str) -> bytes:
    """The bytes of a schema file, from a checkout or a wheel."""
    return files("schemas").joinpath(file).read_bytes()


class _Layout:
    """How the records of one schema lie in bytes, by the fields they hold.

    Records have dozens of nullable fields, and most are null: finding the branch of each union is what reading and writing them
    costs. So each set of fields that a record holds has a schema of its own without unions, of the same bytes: what is known of
    the other fields (the number of a branch, or the usual value: a default text, an empty list) stands there as a constant.
    """

    def __init__(self, cls: type[Record], schema: Any) -> None:
        self.schema = schema
        fields = {field.name: field.default for field in dataclasses.fields(cls)}
        self.columns = {column["name"]: column["type"] for column in schema["fields"]}
        self.lists = tuple(name for name, default in fields.items() if default == ())
        self.usual = {
            name: b"\x00" if default == () else _string(default)
            for name, default in fields.items()
            if default is not None and default is not dataclasses.MISSING
        }

    def of(self, held: Collection[str]) -> Iterator[bytes | tuple[str, Any]]:
        """The constants, and the fields that are held with their types, in the order of the bytes."""
        pending = b""
        for name, declared in self.columns.items():
            is_union = isinstance(declared, list)
            if name not in held and (is_union or name in self.usual):
                pending += self.usual.get(name, _NULL)
                continue
            pending += _VALUE if is_union else b""
            if pending:
                yield pending
            pending = b""
            yield name, declared[1] if is_union else declared
        if pending:
            yield pending


class _Shape(typing.NamedTuple):
    """How to write records that hold the same fields."""

    schema: Any
    lists: tuple[str, ...]
    """Fields that hold records within."""


class _Writer:
    """Writes records of one type as fastavro writes them, by their shape."""

    def __init__(self, layout: _Layout) -> None:
        self._layout = layout
        self._shapes: dict[tuple[str, ...], _Shape] = {}
        self._shared: dict[tuple[str, bytes | int | None], Any] = {}

    @property
    def schema(self) -> Any:
        """The whole schema."""
        return self._layout.schema

    def write(self, out: BytesIO, record: Record) -> None:
        """A value that the schema does not allow, or a field that is missing, raises what fastavro raises."""
        held = vars(record)
        key = tuple(held)
        shape = self._shapes.get(key)
        if shape is None:
            if len(self._shapes) >= _MOST_SHAPES:
                shape = _Shape(self.schema, self._lists(held))
            else:
                shape = self._shapes[key] = self._new_shape(held)
        schema, lists = shape
        if lists:
            held = {**held, **{name: [vars(one) for one in held[name]] for name in lists}}
        fastavro.schemaless_writer(out, schema, held)

    def _new_shape(self, held: Mapping[str, Any]) -> _Shape:
        if unknown := held.keys() - self._layout.columns.keys():
            raise TypeError(f"fields that the schema does not have: {', '.join(sorted(unknown))}")
        columns = [
            _unwritten(part) if isinstance(part, bytes) else {"name": part[0], "type": part[1]} for part in self._layout.of(held)
        ]
        # Shapes have most columns in common: one object for all of them stays in the processor's cache.
        shared = [self._shared.setdefault((column["name"], column.get("default")), column) for column in columns]
        return _Shape({**_NO_COLUMNS, "fields": shared}, self._lists(held))

    def _lists(self, held: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple(name for name in self._layout.lists if name in held)


def _unwritten(constant: bytes) -> dict[str, Any]:
    """A constant is a column that no record has: the writer takes its default."""
    return {"name": "", "type": _type_of(constant), "default": _value_of(constant)}


def _type_of(constant: bytes) -> Any:
    """A small number stands in one byte, and is read and written faster than a byte is."""
    return "long" if constant in (_NULL, _VALUE) else {"type": "fixed", "name": "known", "size": len(constant)}


def _value_of(constant: bytes) -> bytes | int:
    return constant[0] // 2 if constant in (_NULL, _VALUE) else constant


class _Guess(typing.NamedTuple):
    """How to read records that hold the same fields."""

    held: tuple[str, ...]
    schema: Any
    names: list[str]
    """Under which the constants are read."""
    constants: list[bytes | int]
    end: bytes
    """The constant behind the last field."""
    make: Callable[[dict[str, Any]], Record]


class _Reader:
    """Reads records of one writer's schema as fastavro reads them; the shape is guessed.

    A guess is right when every constant is there and no byte is left: a reader that asks about each union goes the same way
    then, byte by byte. What no guess fits is read by the whole schema, and its shape is the next guess.
    """

    def __init__(self, cls: type[Record], writer: Any, reader: Any, layout: _Layout | None) -> None:
        """Without a layout, as for the schema of an older version, nothing is guessed."""
        self._cls, self._writer, self._reader, self._layout = cls, writer, reader, layout
        self._make = _builder(cls)
        self._guesses: list[_Guess] = []

    def read(self, data: bytes) -> Record:
        """The record behind the frame. Raises _SYNTAX, and Unprocessable when bytes are left."""
        body, tries = BytesIO(data), 0
        for n, guess in enumerate(self._guesses):
            if not data.endswith(guess.end):
                continue
            if tries == _MOST_TRIES:
                break
            tries += 1
            body.seek(_FRAME.size)
            try:
                fields: Any = fastavro.schemaless_reader(body, guess.schema, None)
            except _SYNTAX:
                continue
            if body.tell() == len(data) and list(map(fields.pop, guess.names)) == guess.constants:
                if tries > 1:
                    self._prefer(n)
                return guess.make(fields)
        body.seek(_FRAME.size)
        fields = fastavro.schemaless_reader(body, self._writer, self._reader)
        if body.tell() != len(data):
            raise Unprocessable(Reason.AVRO_SYNTAX, detail="trailing bytes")
        record = self._make(fields)
        if self._layout is not None:
            self._guess_next(self._layout, tuple(vars(record)))
        return record

    def _prefer(self, n: int) -> None:
        """What occurs often comes to the front, of those that end alike."""
        if n and self._guesses[n - 1].end == self._guesses[n].end:
            self._guesses[n - 1 : n + 1] = self._guesses[n], self._guesses[n - 1]

    def _guess_next(self, layout: _Layout, held: tuple[str, ...]) -> None:
        known = next((n for n, guess in enumerate(self._guesses) if guess.held == held), None)
        if known is not None:
            self._prefer(known)
        elif len(self._guesses) < _MOST_GUESSES:
            self._guesses.append(self._new_guess(layout, held))
            # An end may be the end of a longer one, and never the other way round.
            self._guesses.sort(key=lambda guess: -len(guess.end))

    def _new_guess(self, layout: _Layout, held: tuple[str, ...]) -> _Guess:
        parts = list(layout.of(held))
        columns = [
            {"name": str(n), "type": _type_of(part)} if isinstance(part, bytes) else {"name": part[0], "type": part[1]}
            for n, part in enumerate(parts)
        ]
        return _Guess(
            held,
            {**_NO_COLUMNS, "fields": columns},
            [str(n) for n, part in enumerate(parts) if isinstance(part, bytes)],
            [_value_of(part) for part in parts if isinstance(part, bytes)],
            parts[-1] if isinstance(parts[-1], bytes) else b"",
            self._make if layout.usual.keys() & set(held) else _taker(self._cls),
        )


def _builder(cls: type[Record]) -> Callable[[dict[str, Any]], Record]:
    """Makes a record of what fastavro read, the records in its lists too."""
    hints = typing.get_type_hints(cls)
    make = maker(cls)
    lists = [(name, maker(typing.get_args(hint)[0])) for name, hint in hints.items() if typing.get_origin(hint) is tuple]
    if not lists:
        return make

    def build(fields: dict[str, Any]) -> Record:
        for name, item in lists:
            if name in fields:
                fields[name] = tuple([item(one) for one in fields[name]])
        return make(fields)

    return build


def _taker(cls: type[Record]) -> Callable[[dict[str, Any]], Record]:
    """Makes a record of the fields that it holds, and keeps them as they are."""
    new = cls.__new__

    def take(fields: dict[str, Any]) -> Record:
        record = new(cls)
        record.__dict__ = fields
        return record

    return take


def _string(text: str) -> bytes:
    out = BytesIO()
    fastavro.schemaless_writer(out, "string", text)
    return out.getvalue()


class Codec:
    """Encodes and decodes every record type; reads older writer schemas with today's reader schema."""

    def __init__(self) -> None:
        lock: dict[str, dict[str, Any]] = orjson.loads(schema_text("ids.lock.json"))
        by_name = {name: cls for cls, name in FULL_NAMES.items()}
        self._newest = max(int(text_id) for text_id in lock)
        self._writers: dict[type[Record], tuple[bytes, _Writer]] = {}
        self._readers: dict[int, _Reader] = {}
        newest: dict[str, int] = {}
        parsed: dict[int, Any] = {}
        for text_id, entry in lock.items():
            schema_id = int(text_id)
            parsed[schema_id] = fastavro.parse_schema(_plain(orjson.loads(schema_text(entry["file"]))))
            newest[entry["name"]] = max(newest.get(entry["name"], 0), schema_id)
        for text_id, entry in lock.items():
            cls, schema_id = by_name[entry["name"]], newest[entry["name"]]
            if int(text_id) != schema_id:
                self._readers[int(text_id)] = _Reader(cls, parsed[int(text_id)], parsed[schema_id], None)
                continue
            layout = _Layout(cls, parsed[schema_id])
            self._readers[schema_id] = _Reader(cls, parsed[schema_id], None, layout)
            self._writers[cls] = (_FRAME.pack(0, schema_id), _Writer(layout))

    def encode(self, record: Record) -> bytes:
        """Framed bytes of a record; a value the schema does not allow is a bug and raises what fastavro raises."""
        frame, writer = self._writers[type(record)]
        out = BytesIO()
        out.write(frame)
        writer.write(out, record)
        return out.getvalue()

    def decode(self, data: bytes) -> Record:
        """The record in framed bytes; Unprocessable when they are anything else, trailing bytes included."""
        if len(data) < _FRAME.size or data[0] != 0:
            raise Unprocessable(Reason.AVRO_SYNTAX, detail="not in Confluent framing")
        schema_id = _FRAME.unpack_from(data)[1]
        reader = self._readers.get(schema_id)
        if reader is None:
            raise Unprocessable(Reason.UNKNOWN_SCHEMA, detail=f"schema id {schema_id}")
        try:
            return reader.read(data)
        except _SYNTAX as problem:
            raise Unprocessable(Reason.AVRO_SYNTAX, detail=type(problem).__name__) from None

    def is_newer(self, data: bytes) -> bool:
        """True for the frame of a schema that was given an id after the last one known here."""
        if len(data) <= _FRAME.size or data[0] != 0:
            return False
        schema_id: int = _FRAME.unpack_from(data)[1]
        return self._newest < schema_id <= self._newest + _MOST_NEWER

    def validated(self, cls: type[Record], fields: dict[str, Any]) -> Record:
        """A record of `cls` from named values, defaults filled in; Unprocessable when a value breaks the schema.

        Unknown names are ignored: a producer may be newer than we are.
        """
        schema = self._writers[cls][1].schema
        wanted = dataclasses.fields(cls)
        if missing := [f.name for f in wanted if f.default is dataclasses.MISSING and f.name not in fields]:
            raise Unprocessable(Reason.COMMAND_SCHEMA, detail=f"missing: {', '.join(missing)}")
        given = {f.name: fields[f.name] for f in wanted if f.name in fields}
        try:
            fastavro.validation.validate(given, schema)
        except fastavro.validation.ValidationError as problem:
            wrong = sorted({str(error.field).rpartition(".")[2] for error in problem.errors})
            raise Unprocessable(Reason.COMMAND_SCHEMA, detail=f"wrong type: {', '.join(wrong)}") from None
        return cls(**given)
