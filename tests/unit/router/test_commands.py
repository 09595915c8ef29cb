"""Are commands of any client read the same, and bad ones named?"""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.common.domain.failure import Unprocessable
from services.common.domain.reasons import Reason
from services.common.domain.records import RecordConsent, SendMessage
from services.common.platform.avro import Codec
from services.router.commands import MAX_COMMAND_BYTES, decode

CODEC = Codec()
ID = "0d9c9b7e-1b2a-4a53-9a37-6a8f0a3f7d11"
COMMAND = SendMessage(command_id=ID, phone_number_id="106", to="+5511999990000", type="text", content='{"body":"Oi"}')
FIELDS: dict[str, Any] = {
    "command_id": ID,
    "phone_number_id": "106",
    "to": "+5511999990000",
    "type": "text",
    "content": {"body": "Oi"},
}


def as_json(**changes: Any) -> bytes:
    return json.dumps({**FIELDS, **changes}, separators=(",", ":")).encode()


def test_json_and_avro_give_the_same_command() -> None:
    assert decode(as_json(), b"application/json", CODEC) == COMMAND
    assert decode(as_json(), b"application/json; charset=utf-8", CODEC) == COMMAND
    assert decode(as_json(), None, CODEC) == COMMAND
    assert decode(CODEC.encode(COMMAND), b"application/avro", CODEC) == COMMAND
    assert decode(CODEC.encode(COMMAND), None, CODEC) == COMMAND


def test_content_may_be_json_text_as_in_avro() -> None:
    assert decode(as_json(content='{"body":"Oi"}'), None, CODEC) == COMMAND


def test_unknown_fields_are_ignored_and_ids_are_lower_case() -> None:
    assert decode(as_json(command_id=ID.upper(), campaign="spring"), None, CODEC) == COMMAND


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        pytest.param(None, Reason.TOMBSTONE, id="tombstone"),
        pytest.param(b"{nonsense", Reason.COMMAND_SYNTAX, id="broken JSON"),
        pytest.param(b"nonsense", Reason.AVRO_SYNTAX, id="neither"),
        pytest.param(as_json(command_id="7"), Reason.COMMAND_ID, id="id is no UUID"),
        pytest.param(as_json(command_id=7), Reason.COMMAND_SCHEMA, id="id is a number"),
        pytest.param(as_json(lane="express"), Reason.LANE_UNKNOWN, id="unknown lane"),
        pytest.param(as_json(phone_number_id=""), Reason.PHONE_MISSING, id="no number"),
        pytest.param(as_json(to="\0"), Reason.TEXT_NUL, id="NUL"),
        pytest.param(as_json(expires_at="tomorrow"), Reason.COMMAND_SCHEMA, id="expiry in words"),
        pytest.param(as_json(content=1), Reason.COMMAND_SCHEMA, id="content is a number"),
        pytest.param(as_json(content={"body": "x" * MAX_COMMAND_BYTES}), Reason.COMMAND_SIZE, id="too large"),
        pytest.param(b"{}", Reason.COMMAND_SCHEMA, id="nothing in it"),
        pytest.param(
            CODEC.encode(
                RecordConsent(
                    consent_id="1",
                    occurred_at=1,
                    phone_number_id="1",
                    contact="1",
                    category="all",
                    decision="granted",
                    source="w",
                )
            ),
            Reason.RECORD_TYPE,
            id="another record",
        ),
    ],
)
def test_what_is_no_command_is_named(value: bytes | None, reason: Reason) -> None:
    with pytest.raises(Unprocessable) as caught:
        decode(value, None, CODEC)
    assert caught.value.reason is reason
