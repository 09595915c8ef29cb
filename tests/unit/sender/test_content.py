"""Is content that Meta would refuse found here, told by its field, and content that Meta takes left alone?"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.domain.reasons import Reason
from services.sender.content.check import DEEPEST, TYPES, problem
from services.sender.content.limits import LIMITS, PRODUCTS_OF_A_LIST, ROWS_OF_A_LIST
from services.sender.media.links import MAX_URL_CHARACTERS
from tests.support import contents
from tests.support.contents import INTERACTIVE, PICTURE, VALID, WAMID, button, card, row, template, valid

STEP: Final = re.compile(r"([a-z_]+)(\[([a-z_]*)\])?")


@pytest.mark.parametrize(("message_type", "content"), VALID, ids=[f"{n}_{one}" for n, (one, _) in enumerate(VALID)])
def test_what_meta_takes_is_left_alone(message_type: str, content: Any) -> None:
    before = copy.deepcopy(content)
    assert problem(message_type, content) is None
    assert content == before


def test_every_type_has_an_example() -> None:
    assert {message_type for message_type, _ in VALID} == TYPES


def place(path: str) -> tuple[str, dict[str, Any], str, Callable[[Any], None]]:
    """A valid content with the field of a limit: its type, the content, the field as an outcome names it, and how to set it."""
    steps = [match.groups() for match in map(STEP.fullmatch, path.split(".")) if match]
    message_type, _, kind = steps[0]
    root: dict[str, Any] = {"content": valid(message_type, kind)}
    holder: Any = root
    key: Any = "content"
    told = message_type
    for name, listed, tag in steps[1:]:
        holder, key = holder[key], name
        told += f".{name}"
        if listed is not None:
            holder = holder[name]
            key = next((n for n, one in enumerate(holder) if not tag or one["type"] == tag), 0)
            told += f"[{key}]"
    return message_type, root, told, lambda value: holder.__setitem__(key, value)


def many(path: str, count: int, one: Any) -> list[Any]:
    """As many items, each different where Meta wants that."""
    made: dict[str, Callable[[int], Any]] = {
        "interactive[button].action.buttons": button,
        "interactive[list].action.sections": lambda n: {"title": f"Section {n}", "rows": [row(n)]},
        "interactive[list].action.sections[].rows": row,
        "interactive[carousel].action.cards": card,
    }
    return [made[path](n) if path in made else copy.deepcopy(one) for n in range(count)]


def of_size(path: str, size: int, one: Any) -> Any:
    unit = LIMITS[path].unit
    return "x" * size if unit == "characters" else many(path, size, one) if unit == "items" else size


def sample(root: Any, told: str) -> Any:
    value = root["content"]
    for part in re.findall(r"\.([a-z_]+)|\[(\d+)\]", told):
        value = value[part[0]] if part[0] else value[int(part[1])]
    return value[0] if isinstance(value, list) else value


@pytest.mark.parametrize("path", LIMITS)
def test_at_the_limit_and_one_past_it(path: str) -> None:
    limit = LIMITS[path]
    message_type, root, told, put = place(path)
    if path.endswith("coupon_code"):
        root["content"]["components"] = [
            {"type": "button", "sub_type": "copy_code", "index": "0", "parameters": [{"type": "coupon_code"}]}
        ]
        parameter = root["content"]["components"][0]["parameters"][0]
        told, put = "template.components[0].parameters[0].coupon_code", lambda value: parameter.__setitem__("coupon_code", value)
        parameter["coupon_code"] = "SAVE"
    one = sample(root, told)
    for size in (limit.at_most, max(limit.at_least, -limit.at_most)):
        put(of_size(path, size, one))
        assert problem(message_type, root["content"]) is None, (path, size)
    put(of_size(path, limit.at_most + 1, one))
    past = problem(message_type, root["content"])
    assert past is not None
    assert past.detail == (
        f"{told}: {limit.at_most + 1} {limit.unit}, at most {limit.at_most}" if limit.unit else f"{told}: at most {limit.at_most}"
    )
    if limit.at_least > 0 or not limit.unit:
        put(of_size(path, limit.at_least - 1, one))
        below = problem(message_type, root["content"])
        assert below is not None
        assert below.detail.startswith(f"{told}: ")


@pytest.mark.parametrize(
    ("kind", "most", "what", "made"),
    [
        ("list", ROWS_OF_A_LIST, "rows", lambda n, count: {"title": f"{n}", "rows": [row(10 * n + m) for m in range(count)]}),
        (
            "product_list",
            PRODUCTS_OF_A_LIST,
            "products",
            lambda n, count: {"title": f"{n}", "product_items": [{"product_retailer_id": f"{n}.{m}"} for m in range(count)]},
        ),
    ],
)
def test_what_is_counted_over_all_sections_at_the_limit_and_one_past_it(
    kind: str, most: int, what: str, made: Callable[[int, int], Any]
) -> None:
    content = valid("interactive", kind)
    for more, expected in (
        (0, None),
        (1, (Reason.INTERACTIVE, f"interactive.action.sections: {most + 1} {what} over all, at most {most}")),
    ):
        content["action"]["sections"] = [made(0, most // 2), made(1, most - most // 2 + more)]
        assert problem("interactive", content) == expected


@pytest.mark.parametrize(("length", "is_taken"), [(MAX_URL_CHARACTERS, True), (MAX_URL_CHARACTERS + 1, False)])
def test_a_link_at_its_limit_and_one_past_it(length: int, is_taken: bool) -> None:
    link = "https://cdn.example.com/".ljust(length, "a")
    assert (problem("image", {"link": link}) is None) is is_taken
    parameters = {"display_text": "Open", "url": link}
    content = changed("cta_url", action={"name": "cta_url", "parameters": parameters})
    assert (problem("interactive", content) is None) is is_taken


def test_64_levels_of_a_content_and_one_more() -> None:
    def nested(levels: int) -> Any:
        inner: Any = []
        for _ in range(levels - 2):
            inner = [inner]
        return {"body": "a", "more": inner}

    assert problem("text", nested(DEEPEST)) is None
    assert problem("text", nested(DEEPEST + 1)) == (Reason.SHAPE, "text: more than 64 levels")


@pytest.mark.parametrize("path", LIMITS)
def test_every_limit_names_its_source(path: str) -> None:
    assert re.fullmatch(r"[a-z]+(/[a-z0-9-]+)+", LIMITS[path].source)


def without(message_type: str, kind: str | None, *names: Any) -> Any:
    content = valid(message_type, kind)
    here = content
    for name in names[:-1]:
        here = here[name]
    del here[names[-1]]
    return content


def changed(kind: str, **parts: Any) -> dict[str, Any]:
    return {**copy.deepcopy(INTERACTIVE[kind]), **parts}


WRONG: list[tuple[str, Any, Reason, str]] = [
    ("poll", {}, Reason.TYPE_UNSUPPORTED, "type: not one that can be sent"),
    ("text", None, Reason.SHAPE, "text: not an object"),
    ("text", [], Reason.SHAPE, "text: not an object"),
    ("contacts", {}, Reason.SHAPE, "contacts: not a list"),
    ("text", {}, Reason.SHAPE, "text.body: missing"),
    ("text", {"body": 7}, Reason.SHAPE, "text.body: not a text"),
    ("text", {"body": ""}, Reason.TEXT_EMPTY, "text.body: 0 characters, at least 1"),
    ("text", {"body": " \n\t"}, Reason.TEXT_EMPTY, "text.body: blank"),
    ("text", {"body": "x" * 4097}, Reason.TEXT_LONG, "text.body: 4097 characters, at most 4096"),
    ("text", {"body": "nul \0"}, Reason.ENCODING, "text.body: has a NUL or half of a character"),
    ("text", {"body": "\ud800"}, Reason.ENCODING, "text.body: has a NUL or half of a character"),
    ("text", {"body": "a", "preview_url": "yes"}, Reason.SHAPE, "text.preview_url: not true or false"),
    ("image", {}, Reason.MEDIA, "image: needs one of id, link and file"),
    ("image", {"id": "1", **PICTURE}, Reason.MEDIA, "image: needs one of id, link and file"),
    ("video", {"id": " "}, Reason.LIMIT, "video.id: blank"),
    ("audio", {"id": "1", "caption": "no"}, Reason.MEDIA, "audio: takes no caption"),
    ("sticker", {"id": "1", "caption": "no"}, Reason.MEDIA, "sticker: takes no caption"),
    ("document", {"id": 1}, Reason.MEDIA, "document.id: not a text"),
    ("reaction", {"message_id": "1", "emoji": "x"}, Reason.CONTEXT, "reaction.message_id: not the id of a message"),
    ("reaction", {"message_id": WAMID}, Reason.SHAPE, "reaction.emoji: missing"),
    ("read", {"message_id": "1"}, Reason.CONTEXT, "read.message_id: not the id of a message"),
    ("read", {"message_id": WAMID, "typing_indicator": {}}, Reason.SHAPE, "read.typing_indicator.type: missing"),
    ("location", {"latitude": True, "longitude": 1}, Reason.SHAPE, "location.latitude: not a number"),
    ("location", {"latitude": "north", "longitude": 1}, Reason.SHAPE, "location.latitude: not a number"),
    ("location", {"latitude": "NaN", "longitude": 1}, Reason.LIMIT, "location.latitude: at least -90"),
    (
        "contacts",
        [{"name": {"formatted_name": "Ana"}}],
        Reason.SHAPE,
        "contacts[0].name: needs one more part than formatted_name",
    ),
    ("contacts", [{}], Reason.SHAPE, "contacts[0].name: missing"),
    ("interactive", {}, Reason.INTERACTIVE, "interactive.type: missing"),
    ("interactive", changed("button", type="poll"), Reason.INTERACTIVE, "interactive.type: not one that Meta knows here"),
    ("interactive", without("interactive", "button", "body"), Reason.INTERACTIVE, "interactive.body: missing"),
    ("interactive", without("interactive", "list", "action", "button"), Reason.INTERACTIVE, "interactive.action.button: missing"),
    (
        "interactive",
        changed("button", action={"buttons": [button(1), button(1)]}),
        Reason.INTERACTIVE,
        "interactive.action.buttons: two with the same reply.id",
    ),
    (
        "interactive",
        changed("button", action={"buttons": [button(1), button(2), {"type": "reply", "reply": {"id": "3", "title": "x" * 23}}]}),
        Reason.LIMIT,
        "interactive.action.buttons[2].reply.title: 23 characters, at most 20",
    ),
    (
        "interactive",
        changed("list", action={"button": "B", "sections": [{"rows": [row(1)]}, {"rows": [row(2)]}]}),
        Reason.INTERACTIVE,
        "interactive.action.sections: several sections need a title each",
    ),
    (
        "interactive",
        changed(
            "list",
            action={
                "button": "B",
                "sections": [
                    {"title": "1", "rows": [row(n) for n in range(6)]},
                    {"title": "2", "rows": [row(n) for n in range(6, 11)]},
                ],
            },
        ),
        Reason.INTERACTIVE,
        "interactive.action.sections: 11 rows over all, at most 10",
    ),
    (
        "interactive",
        changed("list", action={"button": "B", "sections": [{"rows": [row(1), row(1)]}]}),
        Reason.INTERACTIVE,
        "interactive.action.sections: two with the same row id",
    ),
    (
        "interactive",
        changed("list", header={"type": "image", "image": PICTURE}),
        Reason.INTERACTIVE,
        "interactive.header.type: not one that Meta knows here",
    ),
    (
        "interactive",
        changed("product", header={"type": "text", "text": "x"}),
        Reason.INTERACTIVE,
        "interactive.header: not with this type",
    ),
    ("interactive", without("interactive", "product_list", "header"), Reason.INTERACTIVE, "interactive.header: missing"),
    (
        "interactive",
        changed("flow", action={"name": "flow", "parameters": {**contents.FLOW, "flow_name": "n"}}),
        Reason.INTERACTIVE,
        "interactive.action.parameters: needs either flow_id or flow_name",
    ),
    (
        "interactive",
        changed("carousel", action={"cards": [card(0), {**card(1), "type": "product"}]}),
        Reason.INTERACTIVE,
        "interactive.action.cards: cards differ in type, header or buttons",
    ),
    (
        "interactive",
        changed("carousel", action={"cards": [card(0), card(2)]}),
        Reason.INTERACTIVE,
        "interactive.action.cards: card_index does not count the cards from 0",
    ),
    (
        "interactive",
        changed("address_message", action={"name": "address_message", "parameters": {"country": "India"}}),
        Reason.INTERACTIVE,
        "interactive.action.parameters.country: not a country of two letters",
    ),
    (
        "interactive",
        changed("cta_url", action={"name": "cta_url", "parameters": {"display_text": "x", "url": "example.com"}}),
        Reason.LIMIT,
        "interactive.action.parameters.url: not a link of at most 2048 characters",
    ),
    ("template", without("template", None, "name"), Reason.TEMPLATE, "template.name: missing"),
    (
        "template",
        {**template(), "name": "Order-1"},
        Reason.TEMPLATE,
        "template.name: not the name of a template: lower-case letters, digits and _",
    ),
    ("template", without("template", None, "language"), Reason.TEMPLATE_LANG, "template.language: missing"),
    ("template", {**template(), "language": {}}, Reason.TEMPLATE_LANG, "template.language.code: missing"),
    (
        "template",
        {**template(), "language": {"code": "english please"}},
        Reason.TEMPLATE_LANG,
        "template.language.code: not the code of a language",
    ),
    ("template", {**template(), "components": {}}, Reason.TEMPLATE_PARAMS, "template.components: not a list"),
    (
        "template",
        template({"type": "torso"}),
        Reason.TEMPLATE_PARAMS,
        "template.components[0].type: not one that Meta knows here",
    ),
    ("template", {**template(), "components": ["body"]}, Reason.TEMPLATE_PARAMS, "template.components[0]: not an object"),
    (
        "template",
        template({"type": "button", "sub_type": "url", "index": True}),
        Reason.TEMPLATE_PARAMS,
        "template.components[0]: index is not a number from 0 to 9",
    ),
    ("template", template({"type": "button", "index": "0"}), Reason.TEMPLATE_PARAMS, "template.components[0].sub_type: missing"),
    (
        "template",
        template({"type": "body", "parameters": [{"type": "image"}]}),
        Reason.TEMPLATE_PARAMS,
        "template.components[0].parameters[0].image: missing",
    ),
    (
        "template",
        template({"type": "body", "parameters": [{}]}),
        Reason.TEMPLATE_PARAMS,
        "template.components[0].parameters[0].type: missing",
    ),
    (
        "template",
        template({"type": "body", "parameters": [{"type": "novelty"}]}),
        Reason.TEMPLATE_PARAMS,
        "template.components[0].parameters[0]: has nothing under the name of its type",
    ),
    (
        "template",
        template(
            {"type": "body", "parameters": [{"type": "text", "text": "a"}, {"type": "text", "text": "b", "parameter_name": "n"}]}
        ),
        Reason.TEMPLATE_PARAMS,
        "template.components[0].parameters: some have a parameter_name and some have none",
    ),
    (
        "template",
        template({"type": "header", "parameters": [{"type": "image", "image": {}}]}),
        Reason.MEDIA,
        "template.components[0].parameters[0].image: needs one of id, link and file",
    ),
    (
        "template",
        template(
            {
                "type": "carousel",
                "cards": [{"card_index": 0, "components": [{"type": "body", "parameters": [{"type": "text", "text": ""}]}]}],
            }
        ),
        Reason.TEMPLATE_PARAMS,
        "template.components[0].cards[0].components[0].parameters[0].text: 0 characters, at least 1",
    ),
]


@pytest.mark.parametrize(("message_type", "content", "reason", "detail"), WRONG, ids=[one[3][:60] for one in WRONG])
def test_what_meta_would_refuse_is_told_by_its_field(message_type: str, content: Any, reason: Reason, detail: str) -> None:
    assert problem(message_type, content) == (reason, detail)


@pytest.mark.parametrize("text", ["a\nb", "a\tb", "a\rb", "a     b", " "])
def test_a_gap_of_a_template_takes_one_line(text: str) -> None:
    found = problem("template", template({"type": "body", "parameters": [{"type": "text", "text": text}]}))
    assert found is not None
    assert (found.reason, found.detail.partition(":")[0]) == (Reason.TEMPLATE_PARAMS, "template.components[0].parameters[0].text")


@pytest.mark.parametrize(
    "link",
    [
        "http://cdn.example.com/a", "ftp://cdn.example.com/a", "file:///etc/passwd", "cdn.example.com/a", "https://", "https:///a",
        "https://10.0.0.1/a", "https://127.0.0.1/a", "https://169.254.169.254/latest", "https://[::1]/a", "https://[fd00::1]/a",
        "https://127.1/a", "https://2130706433/a", "https://0x7f.1/a", "https://0x7f000001/a", "https://localhost/a",
        "https://kafka/a", "https://db.internal/a", "https://printer.local/a", "https://user:pw@cdn.example.com/a",
        "https://cdn.example.com:99999/a", "https://[::ffff:10.0.0.1]/a", "https://cdn.example.com/" + "a" * 2048,
    ],
)  # fmt: skip
def test_a_link_that_is_no_public_one_is_not_given_to_meta(link: str) -> None:
    found = problem("image", {"link": link})
    assert found is not None
    assert (found.reason, found.detail.partition(":")[0]) == (Reason.MEDIA_LINK, "image.link")


def test_nesting_without_end_is_refused() -> None:
    deep: Any = {}
    for _ in range(1_000):
        deep = {"a": deep}
    assert problem("text", {"body": "a", "more": deep}) == (Reason.SHAPE, "text: more than 64 levels")


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(VALID), st.data())
def test_whatever_stands_in_a_content_is_judged_and_never_quoted(example: tuple[str, Any], data: st.DataObject) -> None:
    message_type, content = example[0], copy.deepcopy(example[1])
    here, path = content, []
    while isinstance(here, dict | list) and here:
        key = data.draw(st.sampled_from(sorted(here) if isinstance(here, dict) else list(range(len(here)))))
        path.append(key)
        if data.draw(st.booleans()):
            break
        here = here[key]
    holder = content
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = data.draw(ANYTHING | st.just({"SECRET": "SECRET\0"}) | st.just("SECRET" * 1_000))
    found = problem(message_type, content)
    assert found is None or (found.detail.startswith(message_type) and "SECRET" not in found.detail and len(found.detail) < 200)
