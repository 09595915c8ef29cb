"""Does the request body say what Meta's API wants, and nothing that content could smuggle in?"""

from __future__ import annotations

import orjson

from services.common.domain.recipients import Recipient
from services.sender.content.json import parsed as parse_content
from services.sender.options import Options
from services.sender.request import body, edge, template_name


def parsed(**changes: object) -> dict[str, object]:
    given: dict[str, object] = {
        "message_type": "text",
        "content": {"body": "hello"},
        "recipient": Recipient(digits="491700000001", bsuid=None),
        "attempt_id": "the-attempt",
        "context_wamid": None,
    }
    made: dict[str, object] = orjson.loads(body(**{**given, **changes}))  # type: ignore[arg-type]  # values of several fields
    return made


def test_a_text_goes_to_the_number_with_its_plus_and_our_attempt_id() -> None:
    assert parsed() == {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "+491700000001",
        "type": "text",
        "text": {"body": "hello"},
        "biz_opaque_callback_data": "the-attempt",
    }


def test_a_user_id_goes_as_recipient_and_a_reply_names_what_it_answers() -> None:
    made = parsed(recipient=Recipient(digits=None, bsuid="DE.1"), context_wamid="wamid.1")
    assert (made["recipient"], made["context"]) == ("DE.1", {"message_id": "wamid.1"})
    assert "to" not in made


def test_text_that_looks_like_json_stays_text() -> None:
    smuggled = '"}],"to":"+15550100001","x":"'
    made = parsed(content={"body": smuggled})
    assert made["to"] == "+491700000001"
    assert made["text"] == {"body": smuggled}


def test_a_group_is_addressed_as_one() -> None:
    made = parsed(recipient=Recipient(digits=None, bsuid=None, group_id="Y2FwaV9ncm91cDox"))
    assert (made["recipient_type"], made["to"]) == ("group", "Y2FwaV9ncm91cDox")
    assert "recipient" not in made


def test_what_a_command_says_besides_stands_beside_the_message() -> None:
    options = Options(
        recipient_identity_key_hash="h",
        category="utility",
        message_activity_sharing=False,
        biz_opaque_callback_data="the producer's own",
    )
    made = parsed(options=options)
    assert (made["recipient_identity_key_hash"], made["category"], made["message_activity_sharing"]) == ("h", "utility", False)
    assert made["biz_opaque_callback_data"] == "the-attempt"
    assert not {"recipient_identity_key_hash", "category", "message_activity_sharing"} & parsed().keys()
    assert edge(options) == "messages"


def test_a_marketing_message_goes_to_its_own_edge_and_keeps_what_is_its_own() -> None:
    options = Options(marketing_messages='{"product_policy":"STRICT","to":"+15550100001","type":"text"}')
    made = parsed(message_type="template", content={"name": "n"}, options=options)
    assert edge(options) == "marketing_messages"
    assert (made["product_policy"], made["to"], made["type"], made["template"]) == (
        "STRICT",
        "+491700000001",
        "template",
        {"name": "n"},
    )


def test_a_content_with_half_of_a_character_is_read_as_it_stands() -> None:
    assert parse_content('{"body":"\\ud800"}') == {"body": "\ud800"}
    assert parse_content('{"body":"\\ud83d\\ude00"}') == {"body": "\U0001f600"}
    assert parse_content('{"body":"\\ud800",}') is None
    assert parse_content('{"body":"\\ud800","n":NaN}') is None


def test_content_that_is_no_json_is_none() -> None:
    assert parse_content("no json") is None
    assert parse_content('{"body":"a"}') == {"body": "a"}


def test_only_a_template_has_a_template_name() -> None:
    assert template_name("template", {"name": "order_1"}) == "order_1"
    assert template_name("template", {"name": 7}) is None
    assert template_name("template", None) is None
    assert template_name("text", {"name": "order_1"}) is None
