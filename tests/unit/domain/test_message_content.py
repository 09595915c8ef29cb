"""Is content that Meta would refuse found here, and content that Meta takes left alone?"""

from __future__ import annotations

from typing import Any

import pytest

from services.common.domain.message_content import is_supported, problem

BODY = {"type": "body", "parameters": [{"type": "text", "parameter_name": "first_name", "text": "Ana"}]}
TEMPLATE: dict[str, Any] = {"name": "order_1", "language": {"code": "en_US"}}


@pytest.mark.parametrize("body", ["a", "x" * 4096, "مرحبا", "👍", "line\nline"])
def test_a_text_is_fine(body: str) -> None:
    assert problem("text", {"body": body, "preview_url": True}) is None


@pytest.mark.parametrize(
    "content",
    [
        None,
        [],
        "hello",
        {},
        {"body": ""},
        {"body": " \n\t"},
        {"body": 7},
        {"body": "x" * 4097},
        {"body": "nul \0"},
        {"body": "\ud800"},
        {"body": "a", "preview_url": "yes"},
    ],
)
def test_a_text_is_not(content: object) -> None:
    assert problem("text", content) is not None


@pytest.mark.parametrize(
    "components",
    [
        [],
        [BODY],
        [{"type": "header", "parameters": [{"type": "image", "image": {"id": "1"}}]}, BODY],
        [{"type": "BUTTON", "sub_type": "url", "index": "0", "parameters": [{"type": "text", "text": "suffix"}]}],
        [{"type": "button", "sub_type": "copy_code", "index": 2, "parameters": [{"type": "coupon_code", "coupon_code": "S"}]}],
        [{"type": "body", "parameters": [{"type": "date_time", "date_time": {"fallback_value": "May 5"}}]}],
        [{"type": "carousel", "cards": [{"card_index": 0, "components": [BODY]}]}],
    ],
)
def test_a_template_is_fine(components: list[object]) -> None:
    assert problem("template", {**TEMPLATE, "components": components}) is None


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"name": "Order-1"},
        {"name": "x" * 513},
        {"name": None},
        {"language": None},
        {"language": {}},
        {"language": {"code": ""}},
        {"language": {"code": "english please"}},
        {"components": {}},
        {"components": ["body"]},
        {"components": [{"type": "torso"}]},
        {"components": [{"type": "body", "parameters": {}}]},
        {"components": [{"type": "body", "parameters": [{"type": "text", "text": ""}]}]},
        {"components": [{"type": "body", "parameters": [{"type": "text", "text": "a\nb"}]}]},
        {"components": [{"type": "body", "parameters": [{"type": "text", "text": "a\tb"}]}]},
        {"components": [{"type": "body", "parameters": [{"type": "text", "text": "a     b"}]}]},
        {"components": [{"type": "body", "parameters": [{"type": "image"}]}]},
        {"components": [{"type": "body", "parameters": [{}]}]},
        {"components": [{"type": "button", "index": "0"}]},
        {"components": [{"type": "button", "sub_type": "url", "index": "10"}]},
        {"components": [{"type": "button", "sub_type": "url", "index": True}]},
        {"components": [{"type": "carousel", "cards": []}]},
        {"components": [{"type": "carousel", "cards": [{}]}]},
    ],
)
def test_a_template_is_not(change: dict[str, object]) -> None:
    assert problem("template", {**TEMPLATE, **change}) is not None


def test_a_problem_never_quotes_what_was_written() -> None:
    secret = "4711-secret"
    for content in ({"body": secret + "x" * 5000}, {"body": secret + "\0"}):
        assert secret not in (problem("text", content) or "")
    assert secret not in (problem("template", {"name": secret, "language": {"code": secret}}) or "")
    parameter = {"type": secret}
    assert secret not in (problem("template", {**TEMPLATE, "components": [{"type": "body", "parameters": [parameter]}]}) or "")


def test_text_and_template_can_be_sent_today() -> None:
    assert is_supported("text")
    assert is_supported("template")
    assert not is_supported("smoke_signal")
