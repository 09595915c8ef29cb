"""Does the simulated Meta list templates as Graph does, and tell of them as the router reads it?"""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.domain.events import TemplateChanged
from services.router.reading import Position
from services.router.webhook import split
from services.sandbox.simulator.config import Template
from services.sandbox.simulator.payloads import encode
from services.sandbox.simulator.policy import MessagingLimit, refuse_template
from services.sandbox.simulator.templates import (
    UnknownCursorError,
    category_webhook,
    components_of,
    expected,
    id_of,
    page,
    status_webhook,
)
from services.sender.content.definition import definition_of, needs, problem

TEMPLATE = Template(waba_id="9", name="order", language="en_US", body_parameters=2)


def many(count: int) -> list[Template]:
    return [TEMPLATE.model_copy(update={"name": f"order_{n}"}) for n in range(count)]


@given(count=st.integers(0, 60), limit=st.integers(1, 30))
def test_pages_by_their_cursors_have_every_template_once(count: int, limit: int) -> None:
    found: list[str] = []
    query: dict[str, str] = {"limit": str(limit), "fields": "name"}
    while True:
        one: dict[str, Any] = page(many(count), query)
        found += [template["name"] for template in one["data"]]
        assert all(template.keys() == {"id", "name"} for template in one["data"])
        if "next" not in one.get("paging", {}):
            break
        query["after"] = one["paging"]["cursors"]["after"]
    assert found == [template.name for template in many(count)]


def test_a_list_is_chosen_by_what_graph_takes_and_a_strange_cursor_is_expired() -> None:
    paused = TEMPLATE.model_copy(update={"status": "PAUSED", "language": "de"})
    for query in ({"status": "PAUSED"}, {"language": "de"}):
        chosen: dict[str, Any] = page([TEMPLATE, paused], query)
        assert [one["language"] for one in chosen["data"]] == ["de"]
    with pytest.raises(UnknownCursorError):
        page([TEMPLATE], {"after": "yesterday"})


@pytest.mark.parametrize(
    "template",
    [
        TEMPLATE,
        TEMPLATE.model_copy(update={"header_parameters": 1, "button_parameters": 2}),
        TEMPLATE.model_copy(update={"body_parameter_names": ("first_name", "slot")}),
        TEMPLATE.model_copy(update={"category": "AUTHENTICATION", "body_parameters": 1, "button_parameters": 1}),
        TEMPLATE.model_copy(
            update={
                "components": (
                    {"type": "HEADER", "format": "IMAGE"},
                    {"type": "BODY", "text": "{{1}} {{2}} {{1}}"},
                    {
                        "type": "BUTTONS",
                        "buttons": [
                            {"type": "QUICK_REPLY"},
                            {"type": "URL", "url": "https://x.example/{{1}}"},
                            {"type": "COPY_CODE"},
                        ],
                    },
                )
            }
        ),
    ],
)
def test_what_is_listed_wants_as_many_parameters_as_the_simulated_meta_checks(template: Template) -> None:
    parameter_format = "NAMED" if template.body_parameter_names else "POSITIONAL"
    defined = definition_of(parameter_format, orjson.dumps(components_of(template)).decode())
    wanted = {
        "header": defined.header.count,
        "body": defined.body.count,
        "button": sum(one.slot.count for one in defined.buttons if one.slot is not None and one.slot.needs),
    }
    assert wanted == expected(template)
    message: dict[str, Any] = {"name": template.name, "language": {"code": "en_US"}, "components": []}
    is_refused = problem(message, defined) is not None
    assert (refuse_template(template, message) is not None) is is_refused is bool(needs(defined))


@pytest.mark.parametrize(("event", "category"), [("PAUSED", "UTILITY"), ("REINSTATED", "MARKETING")])
def test_its_webhooks_are_read_as_what_they_tell(event: str, category: str) -> None:
    template = TEMPLATE.model_copy(update={"category": category})
    for body, told in (
        (status_webhook(template, event, title="FIRST_PAUSE", at=1_800_000_000), event),
        (category_webhook(template, "UTILITY", at=1_800_000_000), "completed"),
    ):
        [found] = split(encode(body), Position(place="parley.webhooks.v1/0/1", received_at=1_800_000_001_000))
        assert isinstance(found, TemplateChanged)
        assert (found.waba_id, found.template_name, found.template_language) == ("9", "order", "en_US")
        assert (found.event, found.category, found.template_id) == (told, category, id_of(template))
        assert found.occurred_at == 1_800_000_000_000


def test_a_messaging_limit_counts_people_for_a_day() -> None:
    limit = MessagingLimit()
    assert [limit.admits(person, 0.0, 2) for person in ("a", "b", "a", "c")] == [True, True, True, False]
    assert limit.admits("c", 86_400.0, 2)
