"""How do records become bytes and back? Confluent framing, ids from the lock file, no registry needed."""

from __future__ import annotations

import dataclasses
import struct
import typing
from importlib.resources import files
from io import BytesIO
from operator import attrgetter
from typing import Any, Final

import fastavro
import orjson

from services.common.domain.failure import Unprocessable
from services.common.domain.reasons import Reason
from services.common.domain.records import FULL_NAMES, Record

_FRAME: Final = struct.Struct(">bI")
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
        self._values = attrgetter(*self.names)
        self._setters = tuple((name, getattr(cls, name).__set__) for name in self.names)
        hints = typing.get_type_hints(cls)
        self._lists = tuple(
            (name, _Fields(typing.get_args(hints[name])[0])) for name in self.names if typing.get_origin(hints[name]) is tuple
        )

    def of(self, record: Any) -> dict[str, Any]:
        """By name; records within as such dicts too."""
        fields = dict(zip(self.names, self._values(record), strict=True))
        for name, item in self._lists:
            if fields[name]:
                fields[name] = [item.of(one) for one in fields[name]]
        return fields

    def record(self, fields: dict[str, Any]) -> Any:
        """With every field given, and past a frozen class's own way of setting them one by one through `object`."""
        for name, item in self._lists:
            fields[name] = tuple([item.record(one) for one in fields[name]])
        record = self._new(self._cls)
        for name, set_field in self._setters:
            set_field(record, fields[name])
        return record


class Codec:
    """Encodes and decodes every record type; reads older writer schemas with today's reader schema."""

    def __init__(self) -> None:
        lock: dict[str, dict[str, Any]] = orjson.loads(schema_text("ids.lock.json"))
        by_name = {name: cls for cls, name in FULL_NAMES.items()}
        self._writers: dict[type[Record], tuple[bytes, Any, _Fields]] = {}
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
            self._writers[cls] = (_FRAME.pack(0, schema_id), parsed[schema_id], fields[cls])

    def encode(self, record: Record) -> bytes:
        """Framed bytes of a record; a value the schema does not allow is a bug and raises what fastavro raises."""
        frame, schema, fields = self._writers[type(record)]
        out = BytesIO()
        out.write(frame)
        fastavro.schemaless_writer(out, schema, fields.of(record))
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
        _, schema, known = self._writers[cls]
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
