"""How do records become bytes and back? Confluent framing, ids from the lock file, no registry needed."""

from __future__ import annotations

import dataclasses
import struct
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.resources import files
from io import BytesIO
from operator import attrgetter, itemgetter
from typing import Any, Final

import fastavro
import orjson

from services.common.domain.failure import Unprocessable
from services.common.domain.reasons import Reason
from services.common.domain.records import FULL_NAMES, Record

_FRAME: Final = struct.Struct(">bI")
_BRANCHES: Final = (b"\x00", b"\x02")
"""The numbers 0 and 1, as the branch of a union is written; every union of ours is null and something."""
_MOST_SHAPES: Final = 2_000
"""Of one record type: far more than occur, and a bound for what a sender could make up."""
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


class _Fields:
    """The fields of one record type, as fast as they can be read and set: half of what the dataclass itself takes."""

    def __init__(self, cls: Any) -> None:
        self._cls, self._new = cls, cls.__new__
        self.names = tuple(field.name for field in dataclasses.fields(cls))
        self.values = attrgetter(*self.names)
        self._setters = tuple((name, getattr(cls, name).__set__) for name in self.names)
        hints = typing.get_type_hints(cls)
        self.lists = tuple(
            (name, _Fields(typing.get_args(hints[name])[0])) for name in self.names if typing.get_origin(hints[name]) is tuple
        )

    def of(self, record: Any) -> dict[str, Any]:
        """By name; records within as such dicts too."""
        return self.some(self.names, self.values(record))

    def some(self, names: Iterable[str], values: Iterable[Any]) -> dict[str, Any]:
        """These fields only."""
        fields = dict(zip(names, values, strict=True))
        for name, item in self.lists:
            if fields.get(name):
                fields[name] = [item.of(one) for one in fields[name]]
        return fields

    def record(self, fields: dict[str, Any]) -> Any:
        """With every field given, and past a frozen class's own way of setting them one by one through `object`."""
        for name, item in self.lists:
            fields[name] = tuple([item.record(one) for one in fields[name]])
        record = self._new(self._cls)
        for name, set_field in self._setters:
            set_field(record, fields[name])
        return record


class _Shape(typing.NamedTuple):
    """How to write records of which the same fields are null, and the same have the value that they usually have."""

    schema: Any
    names: Sequence[str]
    pick: Callable[[Sequence[Any]], Sequence[Any]]
    known: dict[str, bytes | int]


class _Writer:
    """Writes records of one type as fastavro writes them, without asking about each null.

    Records have dozens of nullable fields, and most are null: finding the branch of each union is what an encoding costs. So each
    set of fields that are null has a schema of its own without unions, which gives the same bytes: what is known of a field (the
    number of its branch, or its usual value: a default text, an empty list) stands there as a constant.
    """

    def __init__(self, fields: _Fields, schema: Any) -> None:
        self.fields, self.schema = fields, schema
        self._columns = {column["name"]: column["type"] for column in schema["fields"]}
        usual: dict[str, Any] = {name: () for name, _ in fields.lists}
        usual |= {column["name"]: column["default"] for column in schema["fields"] if isinstance(column.get("default"), str)}
        self._usual = usual
        self._usual_bytes = {name: b"\x00" if value == () else _string(value) for name, value in usual.items()}
        self._shapes: dict[tuple[Any, ...], _Shape] = {}
        self._shared: dict[tuple[str, int], Any] = {}

    def write(self, out: BytesIO, record: Record) -> None:
        """A value that the schema does not allow raises what fastavro raises."""
        values = self.fields.values(record)
        key: tuple[Any, ...] = tuple(map(type, values))
        for name, value in self._usual.items():
            if getattr(record, name) != value:
                key = (*key, name)
        shape = self._shapes.get(key)
        if shape is None:
            if len(self._shapes) >= _MOST_SHAPES:
                fastavro.schemaless_writer(out, self.schema, self.fields.of(record))
                return
            shape = self._shapes[key] = self._new_shape(values)
        fields = self.fields.some(shape.names, shape.pick(values))
        fields.update(shape.known)
        fastavro.schemaless_writer(out, shape.schema, fields)

    def _new_shape(self, values: Sequence[Any]) -> _Shape:
        given = dict(zip(self.fields.names, values, strict=True))
        columns: list[dict[str, Any]] = []
        known: dict[str, bytes | int] = {}
        pending = b""

        def settle() -> None:
            nonlocal pending
            name = f"known_{len(known)}"
            if pending in _BRANCHES:  # a small number is written in one byte, and faster than a byte is
                columns.append({"name": name, "type": "long"})
                known[name] = _BRANCHES.index(pending)
            elif pending:
                columns.append({"name": name, "type": {"type": "fixed", "name": name, "size": len(pending)}})
                known[name] = pending
            pending = b""

        for name, declared in self._columns.items():
            is_union = isinstance(declared, list)
            if name in self._usual and given[name] == self._usual[name]:
                pending += self._usual_bytes[name]
            elif is_union and given[name] is None:
                pending += _BRANCHES[0]
            else:
                pending += _BRANCHES[1] if is_union else b""
                settle()
                columns.append({"name": name, "type": declared[1] if is_union else declared})
        settle()
        names = {column["name"] for column in columns} - known.keys()
        schema = fastavro.parse_schema({"type": "record", "name": "Shape", "fields": columns})
        # Shapes have most columns in common: one object for all of them stays in the processor's cache.
        schema["fields"] = [self._shared.setdefault(_name_of(column), column) for column in schema["fields"]]
        return _Shape(
            schema=schema,
            names=[name for name in self.fields.names if name in names],
            pick=itemgetter(*(n for n, name in enumerate(self.fields.names) if name in names)),
            known=known,
        )


def _name_of(column: Mapping[str, Any]) -> tuple[str, int]:
    size = column["type"].get("size", 0) if isinstance(column["type"], dict) else 0
    return column["name"], size


def _string(text: str) -> bytes:
    out = BytesIO()
    fastavro.schemaless_writer(out, "string", text)
    return out.getvalue()


class Codec:
    """Encodes and decodes every record type; reads older writer schemas with today's reader schema."""

    def __init__(self) -> None:
        lock: dict[str, dict[str, Any]] = orjson.loads(schema_text("ids.lock.json"))
        by_name = {name: cls for cls, name in FULL_NAMES.items()}
        self._writers: dict[type[Record], tuple[bytes, _Writer]] = {}
        self._readers: dict[int, tuple[_Fields, Any, Any]] = {}
        fields = {cls: _Fields(cls) for cls in by_name.values()}
        newest: dict[str, int] = {}
        parsed: dict[int, Any] = {}
        for text_id, entry in lock.items():
            schema_id = int(text_id)
            parsed[schema_id] = fastavro.parse_schema(_plain(orjson.loads(schema_text(entry["file"]))))
            newest[entry["name"]] = max(newest.get(entry["name"], 0), schema_id)
        for text_id, entry in lock.items():
            cls, reader = by_name[entry["name"]], parsed[newest[entry["name"]]]
            same = int(text_id) == newest[entry["name"]]
            self._readers[int(text_id)] = (fields[cls], parsed[int(text_id)], None if same else reader)
        for name, schema_id in newest.items():
            cls = by_name[name]
            self._writers[cls] = (_FRAME.pack(0, schema_id), _Writer(fields[cls], parsed[schema_id]))

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
        fields, writer, reader = known
        body = BytesIO(data)
        body.seek(_FRAME.size)
        try:
            value: Any = fastavro.schemaless_reader(body, writer, reader)
        except _SYNTAX as problem:
            raise Unprocessable(Reason.AVRO_SYNTAX, detail=type(problem).__name__) from None
        if body.tell() != len(data):
            raise Unprocessable(Reason.AVRO_SYNTAX, detail="trailing bytes")
        record: Record = fields.record(value)
        return record

    def validated(self, cls: type[Record], fields: dict[str, Any]) -> Record:
        """A record of `cls` from named values, defaults filled in; Unprocessable when a value breaks the schema.

        Unknown names are ignored: a producer may be newer than we are.
        """
        _, writer = self._writers[cls]
        schema, known = writer.schema, writer.fields
        try:
            record = cls(**{name: fields[name] for name in known.names if name in fields})
            fastavro.validation.validate(known.of(record), schema)
        except TypeError:
            missing = [f.name for f in dataclasses.fields(cls) if f.default is dataclasses.MISSING and f.name not in fields]
            raise Unprocessable(Reason.COMMAND_SCHEMA, detail=f"missing: {', '.join(missing)}") from None
        except fastavro.validation.ValidationError as problem:
            wrong = sorted({str(error.field).rpartition(".")[2] for error in problem.errors})
            raise Unprocessable(Reason.COMMAND_SCHEMA, detail=f"wrong type: {', '.join(wrong)}") from None
        return record
