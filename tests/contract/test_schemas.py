"""Do schema files, dataclasses and the lock of ids say the same?"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import random
import struct
import types
import typing
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro
import pytest
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.schema import parse
from fastavro.utils import generate_many

import schemas
from services.common.domain.events import MessageStatusChanged
from services.common.domain.failure import Unprocessable
from services.common.domain.reasons import Reason
from services.common.domain.records import FULL_NAMES, SendMessage
from services.common.platform.avro import _SYNTAX, Codec

FOLDER = Path(schemas.__file__).parent
LOCK: dict[str, dict[str, Any]] = json.loads((FOLDER / "ids.lock.json").read_text("utf-8"))
BY_NAME = {name: cls for cls, name in FULL_NAMES.items()}
CODEC = Codec()
PRIMITIVES: dict[Any, set[str]] = {str: {"string"}, int: {"int", "long"}, float: {"double"}, bool: {"boolean"}}


def newest(name: str) -> dict[str, Any]:
    entry = max((e for e in LOCK.values() if e["name"] == name), key=lambda e: int(e["version"]))
    loaded: dict[str, Any] = json.loads((FOLDER / entry["file"]).read_text("utf-8"))
    return loaded


def test_every_record_has_exactly_one_schema_and_every_schema_one_record() -> None:
    assert {entry["name"] for entry in LOCK.values()} == set(BY_NAME)
    assert {path.name for path in FOLDER.glob("*.avsc")} == {entry["file"] for entry in LOCK.values()}


@pytest.mark.parametrize("schema_id", LOCK)
def test_a_released_schema_never_changes(schema_id: str) -> None:
    entry = LOCK[schema_id]
    assert hashlib.sha256((FOLDER / entry["file"]).read_bytes()).hexdigest() == entry["sha256"]


@pytest.mark.parametrize("name", BY_NAME)
def test_the_dataclass_mirrors_its_schema(name: str) -> None:
    mirrors(BY_NAME[name], newest(name)["fields"])


def mirrors(cls: Any, columns: list[dict[str, Any]]) -> None:
    hints = typing.get_type_hints(cls)
    fields = dataclasses.fields(cls)
    assert {f.name for f in fields} == {c["name"] for c in columns}
    by_column = {c["name"]: c for c in columns}
    for field in fields:
        column, hint = by_column[field.name], hints[field.name]
        assert column["doc"]
        if typing.get_origin(hint) is tuple:
            assert column["type"]["type"] == "array"
            assert (column["default"], field.default) == ([], ())
            mirrors(typing.get_args(hint)[0], column["type"]["items"]["fields"])
            continue
        nullable = isinstance(hint, types.UnionType)
        base = next(a for a in typing.get_args(hint) if a is not type(None)) if nullable else hint
        declared = column["type"][1] if nullable else column["type"]
        assert isinstance(column["type"], list) is nullable, field.name
        assert (declared["type"] if isinstance(declared, dict) else declared) in PRIMITIVES[base], field.name
        has_default = field.default is not dataclasses.MISSING
        assert ("default" in column) is has_default, field.name
        assert not has_default or column["default"] == field.default, field.name
        assert field.name.endswith("_at") is isinstance(declared, dict), "instants, and only they, are timestamp-millis"


def without_logical_types(schema: str) -> Any:
    """Instants as the numbers that our code has."""
    return json.loads(schema.replace('{"type": "long", "logicalType": "timestamp-millis"}', '"long"'))


@pytest.mark.parametrize("name", BY_NAME)
def test_generated_records_survive_a_round_trip(name: str) -> None:
    plain = without_logical_types(json.dumps(newest(name)))
    for value in generate_many(plain, 25):
        record = built(BY_NAME[name], typing.cast("dict[str, Any]", value))
        assert CODEC.decode(CODEC.encode(record)) == record


@pytest.mark.parametrize("name", BY_NAME)
def test_records_are_written_as_fastavro_writes_them_whatever_is_null(name: str) -> None:
    rng = random.Random(name)
    writer = CODEC._writers[BY_NAME[name]][1]
    schema = writer.schema
    optional = [f.name for f in dataclasses.fields(BY_NAME[name]) if f.default is not dataclasses.MISSING]
    plain = without_logical_types(json.dumps(newest(name)))
    defaults = {f.name: f.default for f in dataclasses.fields(BY_NAME[name])}
    for value in generate_many(plain, 100):
        record = built(BY_NAME[name], typing.cast("dict[str, Any]", value))
        record = dataclasses.replace(record, **{n: defaults[n] for n in optional if rng.random() < 0.6})
        as_fastavro = BytesIO()
        fastavro.schemaless_writer(as_fastavro, schema, dataclasses.asdict(record))
        assert CODEC.encode(record)[5:] == as_fastavro.getvalue()
        assert CODEC.decode(CODEC.encode(record)) == record


@pytest.mark.parametrize("name", BY_NAME)
def test_a_guessed_shape_reads_what_the_whole_schema_reads_and_refuses_what_it_refuses(name: str) -> None:
    codec, rng = Codec(), random.Random(name)
    schema_id = max(int(text_id) for text_id, entry in LOCK.items() if entry["name"] == name)
    defaults = {f.name: f.default for f in dataclasses.fields(BY_NAME[name]) if f.default is not dataclasses.MISSING}
    plain = without_logical_types(json.dumps(newest(name)))
    schema = fastavro.parse_schema(plain)
    shapes = [{n: v for n, v in defaults.items() if rng.random() < 0.6} for _ in range(8)]
    for value in generate_many(plain, 60):
        record = built(BY_NAME[name], typing.cast("dict[str, Any]", value))
        body = bytearray(codec.encode(dataclasses.replace(record, **rng.choice(shapes))))
        for _ in range(rng.choice((0, 0, 1, 1, 2))):
            body[rng.randrange(5, len(body))] = rng.choice((0, 1, 2, 3, rng.randrange(256)))
        data = bytes(body[: rng.choice((len(body), len(body), len(body) - 1))]) + rng.choice((b"", b"", b"", b"\0"))
        assert _decoded(codec, data) == _read_whole(BY_NAME[name], schema, data), data
    assert codec._readers[schema_id]._guesses, "something was guessed"


def _decoded(codec: Codec, data: bytes) -> Any:
    try:
        return codec.decode(data)
    except Unprocessable as problem:
        return problem.reason


def _read_whole(cls: Any, schema: Any, data: bytes) -> Any:
    """By fastavro alone."""
    body = BytesIO(data[5:])
    try:
        fields = fastavro.schemaless_reader(body, schema, None)
    except _SYNTAX:
        return Reason.AVRO_SYNTAX
    return built(cls, typing.cast("dict[str, Any]", fields)) if body.tell() == len(data) - 5 else Reason.AVRO_SYNTAX


def test_a_record_holds_what_differs_from_its_defaults() -> None:
    record = MessageStatusChanged(
        event_id="e",
        occurred_at=1,
        recorded_at=2,
        waba_id="w",
        phone_number_id="p",
        wamid="m",
        status="sent",
        raw="{}",
        type="message",
        contact=None,
        error_code=7,
    )
    held = {
        **{f.name: getattr(record, f.name) for f in dataclasses.fields(record) if f.default is dataclasses.MISSING},
        "error_code": 7,
    }
    assert vars(record) == held
    assert (record.type, record.contact, record.field) == ("message", None, "messages")
    assert dataclasses.replace(record, error_code=None, type="payment") != record
    assert dataclasses.replace(record, type="payment", error_code=7).type == "payment"
    assert record == dataclasses.replace(record)
    assert len({record, dataclasses.replace(record)}) == 1


@pytest.mark.parametrize("wrong", [{"surprise": "x"}, {"wamid": None}, {"occurred_at": "today"}])
def test_a_record_that_breaks_its_schema_is_not_written(wrong: dict[str, Any]) -> None:
    given: dict[str, Any] = {
        n: 1 if n.endswith("_at") else "x" for n in ("event_id", "occurred_at", "recorded_at", "waba_id", "phone_number_id")
    }
    right = {**given, "wamid": "m", "status": "sent", "raw": "{}"}
    assert Codec().encode(MessageStatusChanged(**right))
    with pytest.raises((TypeError, ValueError)):
        Codec().encode(MessageStatusChanged(**{**right, **wrong}))


def test_a_record_of_an_older_version_is_read_with_todays_defaults() -> None:
    old = next(e for e in LOCK.values() if e["name"] == RELEASED and e["version"] == 1)
    schema_id = next(int(n) for n, e in LOCK.items() if e is old)
    text = (FOLDER / old["file"]).read_text("utf-8")
    schema = fastavro.parse_schema(without_logical_types(text))
    required = {f["name"]: 7 if "long" in str(f["type"]) else "x" for f in schema["fields"] if "default" not in f}
    out = BytesIO()
    fastavro.schemaless_writer(out, schema, {**required, "text": "hi"})
    record: Any = Codec().decode(struct.pack(">bI", 0, schema_id) + out.getvalue())
    assert (record.text, record.wamid, record.product_items, record.flags, record.field) == ("hi", "x", (), None, "messages")


def built(cls: Any, values: dict[str, Any]) -> Any:
    hints = typing.get_type_hints(cls)
    return cls(
        **{
            name: tuple(built(typing.get_args(hints[name])[0], one) for one in value) if isinstance(value, list) else value
            for name, value in values.items()
        }
    )


@pytest.mark.parametrize("name", BY_NAME)
@pytest.mark.failure("R17")
def test_every_version_reads_every_other(name: str) -> None:
    texts = [(FOLDER / e["file"]).read_text("utf-8") for e in LOCK.values() if e["name"] == name]
    for writer in texts:
        for reader in texts:
            assert compatible(reader, writer)


def edited(name: str, **changes: Any) -> dict[str, Any]:
    released = newest(name)
    return {**released, "fields": [{**field, **changes.get(field["name"], {})} for field in released["fields"]]}


RELEASED = "parley.events.MessageReceived"
NEW_FIELD = {"name": "campaign", "type": "string"}


@pytest.mark.parametrize(
    ("edit", "is_compatible"),
    [
        pytest.param({**newest(RELEASED), "fields": [*newest(RELEASED)["fields"], NEW_FIELD]}, False, id="field without default"),
        pytest.param(
            {**newest(RELEASED), "fields": [*newest(RELEASED)["fields"], {**NEW_FIELD, "default": ""}]}, True, id="with default"
        ),
        pytest.param(
            {**newest(RELEASED), "fields": [f for f in newest(RELEASED)["fields"] if f["name"] != "wamid"]},
            False,
            id="field without default removed",
        ),
        pytest.param(edited(RELEASED, wamid={"type": "long"}), False, id="other type"),
        pytest.param(edited(RELEASED, wamid={"name": "message_id"}), False, id="other name"),
        pytest.param(edited(RELEASED, occurred_at={"type": "int"}), False, id="narrower number"),
        pytest.param(edited(RELEASED, text={"type": "string", "default": ""}), False, id="no longer null"),
        pytest.param(edited(RELEASED, product_items={"type": {"type": "array", "items": "string"}}), False, id="other items"),
        pytest.param(edited(RELEASED, text={"doc": "Other words."}), True, id="other words in the description"),
    ],
)
def test_an_edit_is_compared_with_every_released_version_in_both_directions(edit: dict[str, Any], is_compatible: bool) -> None:
    released = [(FOLDER / e["file"]).read_text("utf-8") for e in LOCK.values() if e["name"] == RELEASED]
    assert len(released) == 2
    told = json.dumps(edit)
    assert all(compatible(told, other) and compatible(other, told) for other in released) is is_compatible


def compatible(reader: str, writer: str) -> bool:
    result = ReaderWriterCompatibilityChecker().get_compatibility(parse(reader), parse(writer))
    return bool(result.compatibility is SchemaCompatibilityType.compatible)


FRAMED = CODEC.encode(SendMessage(command_id="c", phone_number_id="1", type="text", content="{}"))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(b"", Reason.AVRO_SYNTAX, id="nothing"),
        pytest.param(b"{}", Reason.AVRO_SYNTAX, id="not framed"),
        pytest.param(b"\x00\x00\x00\x03\xe7" + FRAMED[5:], Reason.UNKNOWN_SCHEMA, id="an id nobody gave"),
        pytest.param(FRAMED[:-2], Reason.AVRO_SYNTAX, id="cut short"),
        pytest.param(FRAMED + b"\x00", Reason.AVRO_SYNTAX, id="trailing bytes"),
        pytest.param(FRAMED[:5] + b"\xff" * 64, Reason.AVRO_SYNTAX, id="rubbish behind a right frame"),
    ],
)
def test_bytes_that_are_no_record_are_named(data: bytes, reason: Reason) -> None:
    with pytest.raises(Unprocessable) as caught:
        Codec().decode(data)
    assert caught.value.reason is reason


def test_missing_and_mistyped_fields_are_named() -> None:
    with pytest.raises(Unprocessable, match="missing: phone_number_id, type, content"):
        Codec().validated(SendMessage, {"command_id": "c"})
    with pytest.raises(Unprocessable, match="wrong type: expires_at"):
        Codec().validated(
            SendMessage, {"command_id": "c", "phone_number_id": "1", "type": "t", "content": "{}", "expires_at": "soon"}
        )
