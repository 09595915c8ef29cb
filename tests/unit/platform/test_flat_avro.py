"""Are the quickly written bytes the ones that Avro's general writer would write?"""

from __future__ import annotations

import dataclasses
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import fastavro
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.domain.records import FULL_NAMES, Record
from services.common.platform.avro import Codec, schema_text
from services.common.platform.flat_avro import flat_encoder

pytestmark = pytest.mark.unit

_TYPES: dict[str, st.SearchStrategy[Any]] = {
    "string": st.text(st.characters(codec="utf-8"), max_size=300),
    "long": st.integers(-(2**63), 2**63 - 1),
    "int": st.integers(-(2**31), 2**31 - 1),
}
_CODEC = Codec()


def _schema(cls: type[Record]) -> Any:
    return fastavro.parse_schema(orjson.loads(schema_text(f"{FULL_NAMES[cls]}.avsc")))


def _values(kind: Any) -> st.SearchStrategy[Any]:
    if isinstance(kind, list):
        return st.one_of(st.none(), _values(next(part for part in kind if part != "null")))
    return _values(kind["type"]) if isinstance(kind, dict) else _TYPES[kind]


@pytest.mark.parametrize("cls", FULL_NAMES, ids=lambda cls: str(cls.__name__))
@given(data=st.data())
def test_every_record_is_written_byte_for_byte_as_by_the_general_writer(cls: type[Record], data: st.DataObject) -> None:
    schema = _schema(cls)
    kinds = {field["name"]: field["type"] for field in schema["fields"]}
    fields = {field.name: data.draw(_values(kinds[field.name])) for field in dataclasses.fields(cls)}
    expected = BytesIO()
    fastavro.schemaless_writer(expected, schema, fields)
    record = cls(**fields)
    written = _CODEC.encode(record)
    assert written[5:] == expected.getvalue()
    assert _CODEC.decode(written) == record


@pytest.mark.parametrize("kind", ["bytes", ["null", "double"], {"type": "array", "items": "string"}, ["string", "null"]])
def test_a_schema_that_is_not_flat_is_refused_at_once(kind: Any) -> None:
    with pytest.raises(ValueError, match="not a flat type"):
        flat_encoder({"fields": [{"name": "a", "type": "string"}, {"name": "b", "type": kind}]}, prefix=b"")


@pytest.mark.parametrize(
    ("kind", "value", "error"),
    [
        ("string", None, AttributeError),
        ("string", 7, AttributeError),
        ("long", "7", TypeError),
        ("long", 2**63, OverflowError),
        ("int", -(2**31) - 1, OverflowError),
        (["null", "long"], "7", TypeError),
    ],
)
def test_a_value_that_the_schema_does_not_allow_is_not_written(kind: Any, value: Any, error: type[Exception]) -> None:
    encode = flat_encoder({"fields": [{"name": "a", "type": "string"}, {"name": "b", "type": kind}]}, prefix=b"")
    with pytest.raises(error):
        encode(SimpleNamespace(a="", b=value))
