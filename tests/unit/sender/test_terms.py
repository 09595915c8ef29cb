"""Do the parts of a command fit together, and is the one named that does not?"""

from __future__ import annotations

from typing import Any

import pytest

from services.common.domain.reasons import Reason
from services.sender.content.check import TYPES
from services.sender.options import Options
from services.sender.terms import GROUP_TYPES, problem
from tests.support.contents import PICTURE, template

GROUP = "Y2FwaV9ncm91cDox"
PHONE, BSUID = "+491700000001", "DE.1"


def told(
    message_type: str = "template", content: Any = None, *, to: str | None = PHONE, bsuid: str | None = None, **said: Any
) -> Any:
    return problem(message_type, content if content is not None else template(), Options(**said), to=to, bsuid=bsuid)


@pytest.mark.parametrize("message_type", sorted(TYPES - {"read"}))
def test_groups_take_texts_media_and_templates(message_type: str) -> None:
    found = told(message_type, {}, to=None, group_id=GROUP)
    assert found == (None if message_type in GROUP_TYPES else (Reason.TYPE_UNSUPPORTED, "type: not one that groups take"))


@pytest.mark.parametrize("person", [{"to": PHONE}, {"to": None, "bsuid": BSUID}, {"to": PHONE, "bsuid": BSUID}])
def test_a_group_and_a_person_are_two_recipients(person: dict[str, Any]) -> None:
    assert told("text", {}, group_id=GROUP, **person) == (Reason.RECIPIENT, "group_id: not together with to or recipient")


def test_a_group_has_no_identity_and_no_marketing() -> None:
    assert told("text", {}, to=None, group_id=GROUP, recipient_identity_key_hash="h") == (
        Reason.RECIPIENT,
        "recipient_identity_key_hash: a group has none",
    )
    assert told(to=None, group_id=GROUP, marketing_messages="{}") == (Reason.RECIPIENT, "group_id: not with marketing_messages")


@pytest.mark.parametrize(
    "given",
    [
        "{}",
        '{"product_policy":"STRICT"}',
        '{"product_policy":"CLOUD_API_FALLBACK","bid_spec":{"per_message_bid_multiplier":1.5}}',
        '{"bid_spec":{},"optimization_spec":{"bid_strategy":"LOWEST_COST_WITH_BID_CAP","bid_amount":5000}}',
    ],
)
def test_what_the_marketing_messages_api_takes_passes(given: str) -> None:
    assert told(marketing_messages=given) is None
    assert told(to=None, bsuid=BSUID, marketing_messages=given) is None


@pytest.mark.parametrize(
    ("given", "reason", "detail"),
    [
        ("", Reason.SHAPE, "marketing_messages: not an object"),
        ("[]", Reason.SHAPE, "marketing_messages: not an object"),
        ("true", Reason.SHAPE, "marketing_messages: not an object"),
        ('{"product_policy":"LOOSE"}', Reason.SHAPE, "marketing_messages.product_policy: not one that Meta knows here"),
        ('{"bid_spec":7}', Reason.SHAPE, "marketing_messages.bid_spec: not an object"),
        (
            '{"bid_spec":{"per_message_bid_multiplier":0}}',
            Reason.LIMIT,
            "marketing_messages.bid_spec.per_message_bid_multiplier: more than 0",
        ),
        (
            '{"bid_spec":{"per_message_bid_multiplier":"much"}}',
            Reason.SHAPE,
            "marketing_messages.bid_spec.per_message_bid_multiplier: not a number",
        ),
        ('{"to":"+15550100001"}', Reason.SHAPE, "marketing_messages.to: not one that Meta takes here"),
        ('{"SECRET 4711":1}', Reason.SHAPE, "marketing_messages: not one that Meta takes here"),
    ],
)
def test_anything_else_is_told_by_its_field(given: str, reason: Reason, detail: str) -> None:
    assert told(marketing_messages=given) == (reason, detail)


def test_only_templates_to_one_name_of_a_person_go_by_the_marketing_messages_api() -> None:
    assert told("text", {"body": "a"}, marketing_messages="{}") == (
        Reason.SHAPE,
        "type: only template with marketing_messages",
    )
    assert told(bsuid=BSUID, marketing_messages="{}") == (
        Reason.RECIPIENT,
        "recipient: not together with to where marketing_messages are given",
    )
    assert told(bsuid=BSUID) is None


def test_a_gif_goes_by_the_marketing_messages_api_only() -> None:
    gif = {"type": "header", "parameters": [{"type": "gif", "gif": PICTURE}]}
    for content, where in (
        (template(gif), "template.components[0].parameters[0]"),
        (
            template({"type": "carousel", "cards": [{"card_index": 0, "components": [gif]}]}),
            "template.components[0].cards[0].components[0].parameters[0]",
        ),
    ):
        assert told(content=content) == (Reason.TEMPLATE_PARAMS, f"{where}: gif only with marketing_messages")
        assert told(content=content, marketing_messages="{}") is None


def test_an_identity_says_something() -> None:
    assert told("text", {}, recipient_identity_key_hash=" ") == (Reason.RECIPIENT, "recipient_identity_key_hash: blank")
    assert told("text", {}, recipient_identity_key_hash="h") is None


def test_marking_as_read_has_no_terms() -> None:
    assert told("read", {}, group_id=GROUP, marketing_messages="[]") is None
