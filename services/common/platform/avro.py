"""How do records become bytes and back? Confluent framing, ids from the lock file, no registry needed."""

from __future__ import annotations

import dataclasses
import struct
import typing
from collections.abc import Callable, Mapping
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
_BRANCHES: Final = (b"\x00", b"\x02")
"""The numbers 0 and 1, as the branch of a union is written; every union of ours is null and something."""
_MOST_SHAPES: Final = 2_000
"""Of one record type: far more than occur, and a bound for what a sender could make up."""
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


class _Shape(typing.NamedTuple):
    """How to write records that hold the same fields."""

    schema: Any
    lists: tuple[str, ...]
    """Fields that hold records within."""


class _Writer:
    """Writes records of one type as fastavro writes them, without asking about each null.

    Records have dozens of nullable fields, and most are null: finding the branch of each union is what an encoding costs. So each
    set of fields that a record holds has a schema of its own without unions, which gives the same bytes: what is known of the
    other fields (the number of a branch, or the usual value: a default text, an empty list) stands there as a constant.
    """

    def __init__(self, cls: type[Record], schema: Any) -> None:
        self.schema = schema
        self._columns = {column["name"]: column["type"] for column in schema["fields"]}
        fields = {field.name: field.default for field in dataclasses.fields(cls)}
        self._lists = tuple(name for name, default in fields.items() if default == ())
        self._usual = {
            name: b"\x00" if default == () else _string(default)
            for name, default in fields.items()
            if default is not None and default is not dataclasses.MISSING
        }
        self._shapes: dict[tuple[str, ...], _Shape] = {}
        self._shared: dict[tuple[str, bytes | int | None], Any] = {}

    def write(self, out: BytesIO, record: Record) -> None:
        """A value that the schema does not allow, or a field that is missing, raises what fastavro raises."""
        held = vars(record)
        key = tuple(held)
        shape = self._shapes.get(key)
        if shape is None:
            if len(self._shapes) >= _MOST_SHAPES:
                shape = _Shape(self.schema, tuple(name for name in self._lists if name in held))
            else:
                shape = self._shapes[key] = self._new_shape(held)
        schema, lists = shape
        if lists:
            held = {**held, **{name: [vars(one) for one in held[name]] for name in lists}}
        fastavro.schemaless_writer(out, schema, held)

    def _new_shape(self, held: Mapping[str, Any]) -> _Shape:
        if unknown := held.keys() - self._columns.keys():
            raise TypeError(f"fields that the schema does not have: {', '.join(sorted(unknown))}")
        columns: list[dict[str, Any]] = []
        pending = b""

        def settle() -> None:
            """A constant is a column that no record has: the writer takes its default."""
            nonlocal pending
            if pending in _BRANCHES:  # a small number is written in one byte, and faster than a byte is
                columns.append({"name": "", "type": "long", "default": _BRANCHES.index(pending)})
            elif pending:
                fixed = {"type": "fixed", "name": "known", "size": len(pending)}
                columns.append({"name": "", "type": fixed, "default": pending})
            pending = b""

        for name, declared in self._columns.items():
            is_union = isinstance(declared, list)
            if name not in held and (is_union or name in self._usual):
                pending += self._usual.get(name, _BRANCHES[0])
            else:
                pending += _BRANCHES[1] if is_union else b""
                settle()
                columns.append({"name": name, "type": declared[1] if is_union else declared})
        settle()
        # Shapes have most columns in common: one object for all of them stays in the processor's cache.
        shared = [self._shared.setdefault((column["name"], column.get("default")), column) for column in columns]
        return _Shape({**_NO_COLUMNS, "fields": shared}, tuple(name for name in self._lists if name in held))


def _builder(cls: type[Record]) -> Callable[[dict[str, Any]], Record]:
    """Makes a record of what fastavro read, the records in its lists too."""
    hints = typing.get_type_hints(cls)
    make = maker(cls)
    lists = [(name, maker(typing.get_args(hint)[0])) for name, hint in hints.items() if typing.get_origin(hint) is tuple]
    if not lists:
        return make

    def build(fields: dict[str, Any]) -> Record:
        for name, item in lists:
            fields[name] = tuple([item(one) for one in fields[name]])
        return make(fields)

    return build


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
        self._readers: dict[int, tuple[Callable[[dict[str, Any]], Record], Any, Any]] = {}
        newest: dict[str, int] = {}
        parsed: dict[int, Any] = {}
        for text_id, entry in lock.items():
            schema_id = int(text_id)
            parsed[schema_id] = fastavro.parse_schema(_plain(orjson.loads(schema_text(entry["file"]))))
            newest[entry["name"]] = max(newest.get(entry["name"], 0), schema_id)
        for text_id, entry in lock.items():
            cls, reader = by_name[entry["name"]], parsed[newest[entry["name"]]]
            same = int(text_id) == newest[entry["name"]]
            self._readers[int(text_id)] = (_builder(cls), parsed[int(text_id)], None if same else reader)
        for name, schema_id in newest.items():
            cls = by_name[name]
            self._writers[cls] = (_FRAME.pack(0, schema_id), _Writer(cls, parsed[schema_id]))

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
        known = self._readers.get(schema_id)
        if known is None:
            raise Unprocessable(Reason.UNKNOWN_SCHEMA, detail=f"schema id {schema_id}")
        build, writer, reader = known
        body = BytesIO(data)
        body.seek(_FRAME.size)
        try:
            value: Any = fastavro.schemaless_reader(body, writer, reader)
        except _SYNTAX as problem:
            raise Unprocessable(Reason.AVRO_SYNTAX, detail=type(problem).__name__) from None
        if body.tell() != len(data):
            raise Unprocessable(Reason.AVRO_SYNTAX, detail="trailing bytes")
        return build(value)

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
