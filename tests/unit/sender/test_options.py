from __future__ import annotations

import dataclasses
from typing import Any

from services.common.domain.records import SendMessage
from services.sender import options
from services.sender.options import NONE, Options

SAID: dict[str, Any] = {
    "group_id": "g",
    "recipient_identity_key_hash": "h",
    "fallback_template": "{}",
    "caused_by": "parley.inbound-messages.v1/0/1",
    "category": "utility",
    "marketing_messages": "{}",
    "message_activity_sharing": False,
    "oversize": "link",
    "tenant_id": "t",
    "biz_opaque_callback_data": "mine",
}


def command(**fields: Any) -> SendMessage:
    return SendMessage(command_id="c", phone_number_id="1", type="text", content="{}", **fields)


def test_every_option_is_a_field_of_the_command_and_comes_back() -> None:
    assert set(SAID) == {field.name for field in dataclasses.fields(Options)}
    said = options.of(command(**SAID))
    assert dataclasses.asdict(said) == SAID
    assert options.loaded(options.dumped(said)) == said


def test_a_command_that_says_nothing_else_keeps_no_text() -> None:
    assert options.of(command()) is NONE
    assert options.dumped(NONE) is None
    assert options.loaded(None) is NONE


def test_what_is_said_alone_is_kept_alone() -> None:
    for name, value in SAID.items():
        said = options.of(command(**{name: value}))
        assert said == dataclasses.replace(NONE, **{name: value})
        assert options.loaded(options.dumped(said)) == said
