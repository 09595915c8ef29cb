"""Do the options of `parley send` become the command that is meant?"""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from services.cli.composing import UsageError, compose, duration_seconds, other_content, template_content, whole
from services.common.domain.lanes import Lane
from services.common.domain.records import SendMessage

COMMAND_ID = "7c9e6679-7425-40de-944b-e07fc1f90ae7"


def composed(**changes: Any) -> SendMessage:
    options: dict[str, Any] = {
        "command_id": COMMAND_ID,
        "phone_number_id": "1065",
        "to": "+55 11 98765-4321",
        "recipient": None,
        "text": None,
        "template": None,
        "other": None,
        "language": "en",
        "params": [],
        "buttons": [],
        "lane": Lane.TRANSACTIONAL,
        "policy": "hold",
        "now": 1_000,
        "expires": None,
    }
    return compose(**{**options, **changes})


def test_a_text_becomes_a_text_command_and_the_recipient_stays_as_written() -> None:
    command = composed(text="Hello", expires="10m", lane=Lane.OTP)
    assert (command.type, orjson.loads(command.content)) == ("text", {"body": "Hello"})
    assert (command.to, command.lane, command.created_at, command.expires_at) == ("+55 11 98765-4321", "otp", 1_000, 601_000)


def test_a_template_without_parameters_has_no_components() -> None:
    assert template_content("welcome", "pt_BR", [], []) == {"name": "welcome", "language": {"code": "pt_BR"}}


@pytest.mark.parametrize("params", [["Ana", "12"], ["1=Ana", "2=12"], ["2=12", "1=Ana"]])
def test_positional_parameters_are_put_in_order(params: list[str]) -> None:
    content = template_content("order_update", "en", params, [])
    assert content["components"] == [
        {"type": "body", "parameters": [{"type": "text", "text": "Ana"}, {"type": "text", "text": "12"}]}
    ]


def test_more_than_nine_positional_parameters_are_ordered_as_numbers() -> None:
    content: Any = template_content("long", "en", [f"{place}=v{place}" for place in range(11, 0, -1)], [])
    assert [one["text"] for one in content["components"][0]["parameters"]] == [f"v{place}" for place in range(1, 12)]


def test_named_parameters_carry_their_names() -> None:
    content: Any = template_content("delivery_slot", "en", ["first_name=Ana", "slot=9=10"], [])
    assert content["components"][0]["parameters"] == [
        {"type": "text", "text": "Ana", "parameter_name": "first_name"},
        {"type": "text", "text": "9=10", "parameter_name": "slot"},
    ]


def test_a_button_parameter_becomes_a_component_of_its_own() -> None:
    content: Any = template_content("otp_code", "en", ["1234"], ["0=1234"])
    assert content["components"][1] == {
        "type": "button",
        "sub_type": "url",
        "index": "0",
        "parameters": [{"type": "text", "text": "1234"}],
    }


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"text": "x", "to": None}, "whom it goes to"),
        ({"text": "x", "to": "0170 1234567"}, "whom it goes to"),
        ({"text": "x", "to": None, "recipient": "no id"}, "whom it goes to"),
        ({}, "one of --text, --template"),
        ({"text": "x", "template": "y"}, "one of --text, --template"),
        ({"text": "x", "params": ["1=a"]}, "belong to --template"),
        ({"text": " "}, "blank"),
        ({"text": "x" * 4097}, "text.body"),
        ({"template": "Not A Name"}, "not the name of a template"),
        ({"template": "t", "params": ["1=a", "name=b"]}, "not both"),
        ({"template": "t", "params": ["1=a", "3=b"]}, "without a gap"),
        ({"template": "t", "params": ["1=a", "1=b"]}, "twice"),
        ({"template": "t", "params": ["1=a\nb"]}, "newline"),
        ({"template": "t", "buttons": ["x=1"]}, "INDEX=VALUE"),
        ({"text": "x", "expires": "soon"}, "--expires"),
    ],
)
def test_options_that_make_no_sense_are_refused_before_anything_is_sent(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        composed(**changes)


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("10m", 600), ("2h", 7200), ("1d", 86_400), ("1h30m", 5400)])
def test_durations_are_read(text: str, seconds: int) -> None:
    assert duration_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "m", "10 m", "-1s", "1.5h", "10mx"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        duration_seconds(text)


def test_any_other_type_is_taken_as_meta_wants_it() -> None:
    command = composed(other=other_content("location", b'{"latitude": 1.5, "longitude": 2}'))
    assert (command.type, orjson.loads(command.content)) == ("location", {"latitude": 1.5, "longitude": 2})


@pytest.mark.parametrize(
    ("kind", "document", "told"),
    [
        ("location", None, "belong together"),
        (None, b"{}", "belong together"),
        ("poll", b"{}", "--type is one of audio, contacts"),
        ("image", b"{", "not a JSON document"),
    ],
)
def test_another_type_needs_its_word_and_its_content(kind: str | None, document: bytes | None, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        other_content(kind, document)


@pytest.mark.parametrize(
    ("media", "caption", "content"),
    [
        ("bills/1.pdf", None, {"file": "bills/1.pdf"}),
        ("bills/1.pdf", "Your bill", {"file": "bills/1.pdf", "caption": "Your bill"}),
        ("https://example.com/1.pdf", None, {"link": "https://example.com/1.pdf", "upload": True}),
    ],
)
def test_media_is_a_file_of_the_senders_or_a_link_to_upload(media: str, caption: str | None, content: object) -> None:
    assert other_content("document", None, media=media, caption=caption) == ("document", content)
    assert composed(other=other_content("document", None, media=media, caption=caption)).type == "document"


@pytest.mark.parametrize(
    ("kind", "document", "media", "caption", "told"),
    [
        ("image", b"{}", "a.png", None, "one of --content and --media"),
        (None, None, "a.png", None, "--type and --media"),
        (None, None, None, "c", "--type and --media"),
        ("image", b"{}", None, "c", "--caption belongs to --media"),
        ("location", None, "a.png", None, "--media is for --type audio, document"),
    ],
)
def test_media_needs_a_type_that_is_media_and_nothing_beside_it(
    kind: str | None, document: bytes | None, media: str | None, caption: str | None, told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        other_content(kind, document, media=media, caption=caption)


def test_content_that_meta_would_refuse_is_told_by_its_field() -> None:
    with pytest.raises(UsageError, match=r"image: needs one of id, link and file"):
        composed(other=("image", {}))


def test_a_message_is_marked_as_read_without_a_recipient() -> None:
    content = {"message_id": "wamid.HBgLNTUxMTk4NzY1NDMyMRUCABIYFDNBMDE"}
    assert composed(other=("read", content), to=None).type == "read"
    with pytest.raises(UsageError, match="leave --to and --recipient out"):
        composed(other=("read", content))


def test_a_whole_command_may_say_anything_and_what_it_leaves_out_is_filled_in() -> None:
    document = (
        b'{"type": "text", "content": {"body": "Hello"}, "group_id": "g", "fallback_template": {"name": "n"}, "send_at": 5}'
    )
    command = whole(document, command_id=COMMAND_ID, phone_number_id="1", now=7)
    assert (command.command_id, command.phone_number_id, command.created_at) == (COMMAND_ID, "1", 7)
    assert (command.group_id, command.fallback_template, command.send_at) == ("g", '{"name":"n"}', 5)


def test_a_whole_command_keeps_its_own_id_and_number() -> None:
    own = "9b0f6a52-6f0e-4b7e-9a55-0c1c7f0f4b53"
    document = orjson.dumps(
        {"command_id": own, "phone_number_id": "2", "to": "+4915112345678", "type": "text", "content": {"body": "Hello"}}
    )
    command = whole(document, command_id=COMMAND_ID, phone_number_id=None, now=7)
    assert (command.command_id, command.phone_number_id) == (own, "2")


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (b"{", "not a JSON document"),
        (b"[]", "not a JSON object"),
        (b'{"phone_number_id": "1", "type": "text", "to": "+4915112345678"}', "text: not an object"),
        (b'{"phone_number_id": "1", "type": "text", "content": {"body": "a", "body": "b"}, "group_id": "g"}', "json_dup_key"),
        (
            b'{"phone_number_id": "1", "type": "text", "content": {"body": "a"}, "to": "+4915112345678", "group_id": "g"}',
            "group_id",
        ),
        (b'{"type": "text", "content": {"body": "Hello"}, "to": "+4915112345678"}', "missing: phone_number_id"),
        (b'{"phone_number_id": "1", "type": "text", "content": {"body": ""}, "to": "+4915112345678"}', "text.body"),
        (b'{"phone_number_id": "1", "type": "text", "content": {"body": "Hello"}, "lane": "fast"}', "lane"),
    ],
)
def test_a_whole_command_that_cannot_be_sent_is_refused_before_it_is_published(document: bytes, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        whole(document, command_id=COMMAND_ID, phone_number_id=None, now=7)
