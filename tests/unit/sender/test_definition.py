"""Is a template message refused for exactly the parameters that its template does not take?"""

from __future__ import annotations

import copy
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.domain.reasons import Reason
from services.sender.content import check
from services.sender.content.definition import definition_of, problem

TEXT = {"type": "text", "text": "x"}
URL = {"type": "URL", "text": "Open", "url": "https://shop.example.com/{{1}}"}
IMAGE = {"type": "image", "image": {"id": "1"}}


def listed(*components: dict[str, Any]) -> str:
    return orjson.dumps(components).decode()


def message(*components: dict[str, Any]) -> dict[str, Any]:
    return {"name": "order", "language": {"code": "en"}, "components": list(components)}


def part(kind: str, *parameters: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": kind, **more, "parameters": list(parameters)}


def button(index: int | str, sub_type: str, *parameters: dict[str, Any]) -> dict[str, Any]:
    return part("button", *parameters, sub_type=sub_type, index=index)


def named(name: str) -> dict[str, Any]:
    return {**TEXT, "parameter_name": name}


def told(content: dict[str, Any], components: str, parameter_format: str = "POSITIONAL") -> str | None:
    """What is said of a message that is right in itself."""
    assert check.problem("template", content) is None
    wrong = problem(content, definition_of(parameter_format, components))
    if wrong is None:
        return None
    assert wrong.reason is Reason.TEMPLATE_PARAMS
    return wrong.detail


BODY = {"type": "BODY", "text": "Hi {{1}}, your order {{2}} is on its way."}
NAMED = {"type": "BODY", "text": "Hi {{first_name}}, {{slot}}."}
HEADER = {"type": "HEADER", "format": "TEXT", "text": "For {{1}}"}
PICTURE = {"type": "HEADER", "format": "IMAGE"}
CARD = {"components": [PICTURE, {"type": "BODY", "text": "{{1}}"}, {"type": "BUTTONS", "buttons": [URL]}]}
SENT_CARD = {"components": [part("header", IMAGE), part("body", TEXT), button(0, "url", TEXT)]}


def buttons(*given: dict[str, Any]) -> dict[str, Any]:
    return {"type": "BUTTONS", "buttons": list(given)}


@pytest.mark.parametrize(
    ("content", "components"),
    [
        (message(), listed({"type": "BODY", "text": "Hello."})),
        (message(part("body")), listed({"type": "BODY", "text": "Hello."}, {"type": "FOOTER", "text": "Bye"})),
        (message(part("BODY", TEXT, TEXT)), listed(BODY)),
        (
            message(
                part("body", {"type": "currency", "currency": {"fallback_value": "5", "code": "EUR", "amount_1000": 5}}, TEXT)
            ),
            listed(BODY),
        ),
        (message(part("header", TEXT), part("body", TEXT, TEXT)), listed(HEADER, BODY)),
        (message(part("header", IMAGE)), listed(PICTURE)),
        (message(button("0", "url", TEXT)), listed(buttons(URL))),
        (message(button(1, "URL", TEXT)), listed(buttons({"type": "QUICK_REPLY", "text": "Yes"}, URL))),
        (message(), listed(buttons({"type": "QUICK_REPLY", "text": "Yes"}, {"type": "PHONE_NUMBER", "phone_number": "+1"}))),
        (message(button(0, "quick_reply", {"type": "payload", "payload": "p"})), listed(buttons({"type": "QUICK_REPLY"}))),
        (message(button(0, "copy_code", {"type": "coupon_code", "coupon_code": "A"})), listed(buttons({"type": "COPY_CODE"}))),
        (
            message(part("body", TEXT), button(0, "url", TEXT)),
            listed({"type": "BODY", "text": "{{1}}"}, buttons({"type": "OTP"})),
        ),
        (message(), listed(buttons({"type": "FLOW"}, {"type": "CATALOG"}))),
        (message(button(0, "flow", {"type": "action", "action": {"flow_token": "t"}})), listed(buttons({"type": "FLOW"}))),
        (message(button(0, "order_details", {"type": "x", "x": 1})), listed(buttons({"type": "ORDER_DETAILS"}))),
        (message(part("carousel", cards=[SENT_CARD, SENT_CARD])), listed({"type": "CAROUSEL", "cards": [CARD, CARD]})),
        (message(part("order_status", {"type": "order_status", "order_status": {}})), listed()),
        (message(), "no json"),
    ],
)
def test_what_the_template_takes_passes(content: dict[str, Any], components: str) -> None:
    assert told(content, components) is None


@pytest.mark.parametrize(
    ("content", "components", "detail"),
    [
        (message(), listed(BODY), "template.components: no body, the template has 2 parameters there"),
        (message(part("body", TEXT)), listed(BODY), "template.components[0] body: 1 parameter, the template has 2"),
        (
            message(part("header", TEXT), part("body", TEXT)),
            listed(HEADER, BODY),
            "template.components[1] body: 1 parameter, the template has 2",
        ),
        (message(part("body", TEXT)), listed(), "template.components[0] body: 1 parameter, the template has none"),
        (message(part("footer", TEXT)), listed(), "template.components[0] footer: 1 parameter, the template has none"),
        (message(part("header", TEXT)), listed(PICTURE), "template.components[0] header, parameter 0: not image"),
        (message(part("header", IMAGE)), listed(HEADER), "template.components[0] header, parameter 0: not text"),
        (
            message(part("body", TEXT, IMAGE)),
            listed(BODY),
            "template.components[0] body, parameter 1: not currency or date_time or text",
        ),
        (
            message(part("body", named("a"), named("b"))),
            listed(BODY),
            "template.components[0] body, parameter 0: has a name, the template counts its parameters",
        ),
        (message(part("body", TEXT, TEXT), part("body")), listed(BODY), "template.components[1] body: given twice"),
        (message(), listed(buttons(URL)), "template.components: no button 0, the template has 1 parameter there"),
        (message(button(0, "url")), listed(buttons(URL)), "template.components[0] button 0: 0 parameters, the template has 1"),
        (message(button(1, "url", TEXT)), listed(buttons(URL)), "template.components[0] button 1: the template has 1 button"),
        (
            message(button(0, "url", TEXT)),
            listed(buttons({"type": "URL", "url": "https://x.example"})),
            "template.components[0] button 0: 1 parameter, the template has none",
        ),
        (
            message(button(0, "url", TEXT)),
            listed(buttons({"type": "QUICK_REPLY"})),
            "template.components[0] button 0: the template has a quick_reply there",
        ),
        (
            message(),
            listed(buttons({"type": "COPY_CODE"})),
            "template.components: no button 0, the template has 1 parameter there",
        ),
        (message(), listed({"type": "CAROUSEL", "cards": [CARD]}), "template.components: no carousel, the template has 1 card"),
        (message(part("carousel", cards=[SENT_CARD])), listed(), "template.components[0] carousel: the template has none"),
        (
            message(part("carousel", cards=[SENT_CARD])),
            listed({"type": "CAROUSEL", "cards": [CARD, CARD]}),
            "template.components[0] carousel: 1 card, the template has 2",
        ),
        (
            message(part("carousel", cards=[{"components": [part("header", IMAGE), button(0, "url", TEXT)]}])),
            listed({"type": "CAROUSEL", "cards": [CARD]}),
            "template.components[0].cards[0].components: no body, the template has 1 parameter there",
        ),
        (
            message(part("carousel", cards=[{**SENT_CARD, "card_index": 1}])),
            listed({"type": "CAROUSEL", "cards": [CARD]}),
            "template.components[0].cards[0]: the template has 1 card",
        ),
    ],
)
def test_what_it_does_not_take_is_told_by_its_component(content: dict[str, Any], components: str, detail: str) -> None:
    assert told(content, components) == detail


@pytest.mark.parametrize(
    ("parameters", "detail"),
    [
        ((named("slot"), named("first_name")), None),
        ((named("slot"),), "template.components[0] body: 1 parameter, the template has 2"),
        (
            (named("slot"), named("name")),
            "template.components[0] body, parameter 1: of a name that the template does not have",
        ),
        ((TEXT, TEXT), "template.components[0] body, parameter 0: without a name"),
    ],
)
def test_named_parameters_go_by_their_names(parameters: tuple[dict[str, Any], ...], detail: str | None) -> None:
    assert told(message(part("body", *parameters)), listed(NAMED), "NAMED") == detail


OFFER = {"type": "limited_time_offer", "limited_time_offer": {"expiration_time_ms": 1712000000000}}


@pytest.mark.parametrize(
    ("offer", "is_sent", "detail"),
    [
        ({"has_expiration": True}, True, None),
        ({"has_expiration": True}, False, "template.components: no limited_time_offer, the template has 1 parameter there"),
        ({}, True, None),
        ({}, False, None),
        ({"has_expiration": False}, False, None),
        (
            {"has_expiration": False},
            True,
            "template.components[0] limited_time_offer: 1 parameter, the template has none",
        ),
    ],
)
def test_an_offer_wants_its_end_when_it_has_one(offer: dict[str, Any], *, is_sent: bool, detail: str | None) -> None:
    content = message(*([part("limited_time_offer", OFFER)] if is_sent else []))
    assert told(content, listed({"type": "LIMITED_TIME_OFFER", "limited_time_offer": offer})) == detail


def test_a_carousel_of_products_takes_any_number_of_cards() -> None:
    product = {"type": "product", "product": {"product_retailer_id": "sku", "catalog_id": "1"}}
    defined = {"components": [{"type": "HEADER", "format": "PRODUCT"}]}
    cards = [{"card_index": n, "components": [part("header", product)]} for n in range(5)]
    assert told(message(part("carousel", cards=cards)), listed({"type": "CAROUSEL", "cards": [defined, defined]})) is None


counts = st.integers(0, 3)
kinds = st.lists(st.sampled_from(["URL", "QUICK_REPLY", "PHONE_NUMBER", "COPY_CODE", "OTP", "FLOW", "STATIC"]), max_size=4)
_GIVEN = {
    "URL": ("url", TEXT),
    "OTP": ("url", TEXT),
    "COPY_CODE": ("copy_code", {"type": "coupon_code", "coupon_code": "A"}),
}


@st.composite
def fitting(draw: st.DrawFn) -> tuple[str, str, dict[str, Any]]:
    """A definition, its parameter format, and a message with exactly what it needs."""
    count, has_header, is_named, of_buttons = draw(counts), draw(st.booleans()), draw(st.booleans()), draw(kinds)
    names = [f"name_{n}" if is_named else str(n + 1) for n in range(count)]
    defined: list[dict[str, Any]] = [{"type": "BODY", "text": " ".join(["Hi", *(f"{{{{{name}}}}}" for name in names)])}]
    sent: list[dict[str, Any]] = []
    if count:
        sent.append(part("body", *(named(name) if is_named else TEXT for name in draw(st.permutations(names)))))
    if has_header:
        defined.append(PICTURE)
        sent.append(part("header", IMAGE))
    if of_buttons:
        defined.append(buttons(*(URL if kind == "URL" else {"type": kind.replace("STATIC", "URL")} for kind in of_buttons)))
    for index, kind in enumerate(of_buttons):
        if kind in _GIVEN:
            sub_type, parameter = _GIVEN[kind]
            sent.append(button(index, sub_type, parameter))
    return listed(*draw(st.permutations(defined))), "NAMED" if is_named else "POSITIONAL", message(*draw(st.permutations(sent)))


@settings(max_examples=200, deadline=None)
@given(fitting(), st.data())
def test_a_fitting_message_passes_and_any_change_of_count_does_not(
    case: tuple[str, str, dict[str, Any]], data: st.DataObject
) -> None:
    components, parameter_format, content = case
    assert told(content, components, parameter_format) is None
    sent = content["components"]
    if not sent:
        return
    place = data.draw(st.integers(0, len(sent) - 1))
    for change in ("drop the component", "drop a parameter", "add a parameter", "give it twice"):
        changed = copy.deepcopy(content)
        one = changed["components"][place]
        if change == "drop the component":
            del changed["components"][place]
        elif change == "drop a parameter":
            del one["parameters"][-1]
        elif change == "add a parameter":
            name = {"parameter_name": "one_more"} if "parameter_name" in one["parameters"][0] else {}
            one["parameters"].append({**one["parameters"][0], **name})
        else:
            changed["components"].append(copy.deepcopy(one))
        assert told(changed, components, parameter_format) is not None, change
