"""Does each rule copy what it says and nothing else, and is everything that is wrong in a file named at once?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from services.common.domain import topics
from services.common.domain.events import (
    AccountChanged,
    CallChanged,
    FlowChanged,
    MessageCopied,
    MessageReceived,
    MessageStatusChanged,
    WebhookEvent,
)
from services.common.platform.avro import Codec
from services.common.platform.kafka import LogRecord, NewRecord
from services.router.routes import Routes, RoutesError, parse
from services.router.routing import Router

CODEC = Codec()
AT = 1_795_000_000_000
TOPIC = "sales.inbound.v1"


def received(**changes: Any) -> MessageReceived:
    base = {"event_id": "e", "occurred_at": AT, "recorded_at": AT, "waba_id": "900", "phone_number_id": "106", "contact": "55"}
    return MessageReceived(**{**base, "wamid": "wamid.A", "type": "text", "raw": "{}", "text": "Olá", **changes})


def copied(**changes: Any) -> MessageCopied:
    base = {"event_id": "e", "occurred_at": AT, "recorded_at": AT, "waba_id": "900", "phone_number_id": "106"}
    said = {"field": "standby", "direction": "inbound", "wamid": "wamid.A", "type": "text", "raw": "{}", "text": "price"}
    return MessageCopied(**{**base, **said, **changes})


def status(word: str) -> MessageStatusChanged:
    base: dict[str, Any] = {"event_id": "e", "occurred_at": AT, "recorded_at": AT, "waba_id": "900", "phone_number_id": "106"}
    return MessageStatusChanged(**base, wamid="wamid.A", status=word, raw="{}")


def call(event: str) -> CallChanged:
    base: dict[str, Any] = {"event_id": "e", "occurred_at": AT, "recorded_at": AT, "waba_id": "900", "phone_number_id": "106"}
    return CallChanged(**base, wacid="wacid.A", event=event, raw="{}")


def rules(*found: Mapping[str, Any]) -> Routes:
    """A file of these rules: JSON is YAML."""
    named = [{"name": f"rule-{number}", "topic": TOPIC, **rule} for number, rule in enumerate(found)]
    return parse(orjson.dumps({"routes": named}))


def fulfils(event: WebhookEvent, **conditions: Any) -> bool:
    rule = {"family": type(event).__name__, **conditions}
    return len(rules(rule).matching(event)) == 1


def mistakes(text: str | bytes) -> list[str]:
    with pytest.raises(RoutesError) as told:
        parse(text if isinstance(text, bytes) else text.encode())
    return [str(mistake) for mistake in told.value.mistakes]


def problems(**changes: Any) -> list[str]:
    """Of a file with one rule, that is right without these changes; None leaves a key out."""
    rule = {"name": "bot", "topic": TOPIC, "family": ["MessageReceived"], **changes}
    return mistakes(orjson.dumps({"routes": [{key: value for key, value in rule.items() if value is not None}]}))


@pytest.mark.parametrize("content", [b"", b"\n# nothing yet\n", b"routes:\n", b"routes: []\n", b"---\n"])
def test_an_empty_file_has_no_rule(content: bytes) -> None:
    assert parse(content).all == ()
    assert parse(content).matching(received()) == ()


def test_a_family_is_enough_for_a_rule_and_no_other_record_fulfils_it() -> None:
    assert fulfils(received())
    assert not rules({"family": "MessageReceived"}).matching(copied())
    both = rules({"family": ["MessageReceived", "MessageCopied", "MessageReceived"]})
    assert [len(both.matching(event)) for event in (received(), copied(), status("sent"))] == [1, 1, 0]


@pytest.mark.parametrize(
    ("conditions", "changes", "expected"),
    [
        ({"waba_id": "900"}, {}, True),
        ({"waba_id": ["1", "900"]}, {}, True),
        ({"waba_id": "901"}, {}, False),
        ({"phone_number_id": "106"}, {}, True),
        ({"phone_number_id": ["107", "106"]}, {}, True),
        ({"phone_number_id": ["107"]}, {}, False),
        ({"type": "text"}, {}, True),
        ({"type": ["button", "text"]}, {}, True),
        ({"type": ["button"]}, {}, False),
        ({"type": ["Text"]}, {}, False),
        ({"keyword": "price"}, {"text": "Price"}, True),
        ({"keyword": "PRICE!"}, {"text": "  «price»… 👍"}, True),
        ({"keyword": "talk to sales"}, {"text": "Talk  to\nsales."}, True),
        ({"keyword": ["menu", "preço"]}, {"text": "PREC\u0327O"}, True),
        ({"keyword": "price"}, {"text": "the price"}, False),
        ({"keyword": "price"}, {"text": ""}, False),
        ({"keyword": "price"}, {"text": None}, False),
        ({"payload": "PLAN_A"}, {"payload": "PLAN_A"}, True),
        ({"payload": "PLAN_A"}, {"payload": "PLAN_AB"}, False),
        ({"payload": "PLAN_A"}, {"payload": "plan_a"}, False),
        ({"payload": ["NO", "PLAN_*"]}, {"payload": "PLAN_A"}, True),
        ({"payload": ["NO", "PLAN_*"]}, {"payload": "PLAN_"}, True),
        ({"payload": ["NO", "PLAN_*"]}, {"payload": "NO"}, True),
        ({"payload": ["NO", "PLAN_*"]}, {"payload": "A PLAN_"}, False),
        ({"payload": ["NO", "PLAN_*"]}, {"payload": None}, False),
        ({"payload": "*"}, {"payload": "anything"}, True),
        ({"payload": "*"}, {"payload": None}, False),
    ],
)
def test_a_condition_holds_for_any_of_its_values(conditions: dict[str, Any], changes: dict[str, Any], expected: bool) -> None:
    assert fulfils(received(**changes), **conditions) is expected


ALL_CONDITIONS = {
    "waba_id": "900",
    "phone_number_id": ["106"],
    "type": "button",
    "keyword": ["price"],
    "payload": "PLAN_*",
}
FULFILLING = {"type": "button", "text": "Price!", "payload": "PLAN_A"}


@pytest.mark.parametrize(
    "changes", [{"waba_id": "1"}, {"phone_number_id": "1"}, {"type": "text"}, {"text": "prices"}, {"payload": "PLAN"}]
)
def test_all_conditions_must_hold(changes: dict[str, Any]) -> None:
    assert fulfils(received(**FULFILLING), **ALL_CONDITIONS)
    assert not fulfils(received(**{**FULFILLING, **changes}), **ALL_CONDITIONS)


def test_type_is_the_word_in_event_where_a_record_has_no_type() -> None:
    assert fulfils(call("connect"), type=["connect", "terminate"])
    assert not fulfils(call("connect"), type="terminate")
    account = AccountChanged(event_id="e", recorded_at=AT, field="account_update", event="DISABLED_UPDATE", raw="{}")
    assert fulfils(account, type="DISABLED_UPDATE")


def test_a_status_is_a_condition() -> None:
    assert fulfils(status("failed"), status=["failed", "warning"], type="message")
    assert not fulfils(status("sent"), status="failed")


def test_a_column_that_meta_did_not_fill_fulfils_no_condition() -> None:
    flow = FlowChanged(event_id="e", recorded_at=AT, event="FLOW_STATUS_CHANGE", raw="{}")
    assert fulfils(flow)
    assert not fulfils(flow, waba_id="900")


def test_a_value_is_the_text_that_stands_in_the_file() -> None:
    text = "routes: [{name: a, topic: t, family: MessageReceived, keyword: [yes, 10], phone_number_id: 0106}]"
    routes = parse(text.encode())
    assert routes.matching(received(text="Yes", phone_number_id="0106"))
    assert routes.matching(received(text="10", phone_number_id="0106"))
    assert not routes.matching(received(text="true", phone_number_id="0106"))
    assert not routes.matching(received(text="yes", phone_number_id="70"))


def test_rules_match_in_the_order_of_the_file() -> None:
    routes = rules({"family": "MessageReceived"}, {"family": "MessageReceived", "type": "image"}, {"family": ["MessageReceived"]})
    assert [route.name for route in routes.matching(received())] == ["rule-0", "rule-2"]


def test_all_mistakes_of_a_file_are_named_at_once_each_with_its_place() -> None:
    text = """
        extra: 1
        routes:
          - name: Sales_Bot
            topic: parley.mine.v1
            family: Messagereceived
            keywrd: price
          - name: sales
            topic: with blank
            family: [MessageReceived, Nonsense]
            waba_id: ["900", "+4915112345678"]
            waba_id: "1"
          - name: sales
            topic: [a, b]
            family: [MessageStatusChanged, TemplateChanged]
            phone_number_id: "106"
            status: sent
            keyword: price
            payload: {like: "PLAN_*"}
            type:
          - nothing
          - {}
    """
    assert mistakes(text) == [
        "extra: unknown key",
        "routes[0].keywrd: unknown key, perhaps keyword",
        "routes[0].name: must be lower-case words with dashes, at most 64 characters",
        "routes[0].topic: parley.mine.v1 is for Parley alone, as is every name that begins with parley.",
        "routes[0].family: unknown record Messagereceived, perhaps MessageReceived",
        "routes[1].waba_id: stands twice",
        "routes[1].topic: must be a name that Kafka takes: at most 249 letters, digits, dots, underscores and dashes",
        "routes[1].family[1]: unknown record Nonsense",
        "routes[1].waba_id[1]: must be an id of Meta's, which has digits only",
        "routes[2].topic: must be one text and no list",
        "routes[2].payload: must be a text",
        "routes[2].type: must not be empty",
        "routes[2].name: sales is the name of routes[1] too",
        "routes[2].phone_number_id: TemplateChanged has no column phone_number_id",
        "routes[2].status: TemplateChanged has no column status",
        "routes[2].keyword: MessageStatusChanged has no column text",
        "routes[2].keyword: TemplateChanged has no column text",
        "routes[2].payload: MessageStatusChanged has no column payload",
        "routes[2].payload: TemplateChanged has no column payload",
        "routes[3]: must be a mapping with name, topic and family",
        "routes[4].name: is missing",
        "routes[4].topic: is missing",
        "routes[4].family: is missing",
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"family": None}, "routes[0].family: is missing"),
        ({"family": []}, "routes[0].family: must not be empty"),
        ({"family": "UserPreferenceChanged", "type": "x"}, "routes[0].type: UserPreferenceChanged has no column type or event"),
        ({"family": "SendOutcome"}, "routes[0].family: unknown record SendOutcome"),
        ({"name": "a--b"}, "routes[0].name: must be lower-case words with dashes, at most 64 characters"),
        ({"name": "a" * 65}, "routes[0].name: must be lower-case words with dashes, at most 64 characters"),
        ({"type": []}, "routes[0].type: must not be empty"),
        ({"type": ["text", " "]}, "routes[0].type[1]: must not be empty"),
        ({"type": [["text"]]}, "routes[0].type[0]: must be a text"),
        ({"keyword": ["ok", "!?"]}, "routes[0].keyword[1]: must have a letter or a digit"),
        ({"status": "sent"}, "routes[0].status: MessageReceived has no column status"),
        ({"topic": "__consumer_offsets"}, "routes[0].topic: __consumer_offsets is for Kafka alone"),
    ],
)
def test_each_mistake_is_told_by_itself(changes: dict[str, Any], expected: str) -> None:
    assert problems(**changes) == [expected]


@pytest.mark.parametrize("topic", ["", "a" * 250, "a/b", "ação", ".", ".."])
def test_a_topic_that_kafka_would_not_take_is_refused(topic: str) -> None:
    assert [problem.partition(": ")[0] for problem in problems(topic=topic)] == ["routes[0].topic"]


@pytest.mark.parametrize("topic", [*topics.ALL, "parley.", "parley.sales.v1"])
def test_no_rule_writes_to_a_topic_of_parleys_own(topic: str) -> None:
    assert problems(topic=topic) == [f"routes[0].topic: {topic} is for Parley alone, as is every name that begins with parley."]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("nothing", "the file: must have the one key routes, and under it a list"),
        ("[]", "the file: must have the one key routes, and under it a list"),
        ("{}", "routes: is missing"),
        ("routes: {}", "routes: must be a list"),
        ("? [a]\n: b\nroutes:", "the file: a key must be a word"),
        ("routes: [", "the file: is no YAML at line 1, column 10: while parsing a flow node, "),
        ("routes: *a", "the file: is no YAML at line 1, column 9: found undefined alias 'a'"),
        ("a: 1\n---\nb: 2", "the file: is no YAML at line 2, column 1: expected a single document in the stream, "),
        (b"routes: \xff", "the file: is no YAML: it has bytes or characters that cannot be read"),
        ("[" * 1_000, "the file: is no YAML that can be read: it is nested too deeply"),
    ],
)
def test_a_file_that_is_no_list_of_rules_says_so(content: str | bytes, expected: str) -> None:
    (told,) = mistakes(content)
    assert told.startswith(expected)


def test_a_list_that_holds_itself_is_a_mistake_and_no_endless_loop() -> None:
    assert mistakes("routes: &a [*a]") == ["routes[0]: must be a mapping with name, topic and family"]


def webhook() -> LogRecord:
    """Two messages and a status, in one POST with a trace."""
    message = {"from": "5511999990000", "id": "wamid.A", "timestamp": "1794999999", "type": "text", "text": {"body": "Price?"}}
    sent = {"id": "wamid.C", "status": "sent", "timestamp": "1794999999", "recipient_id": "5511999990000"}
    value = {
        "metadata": {"phone_number_id": "106"},
        "messages": [message, {**message, "id": "wamid.B", "text": {"body": "Hello"}}],
        "statuses": [sent],
    }
    body = {"object": "whatsapp_business_account", "entry": [{"id": "900", "changes": [{"field": "messages", "value": value}]}]}
    trace = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    return LogRecord(topics.WEBHOOKS, 3, 41, AT, b"key", orjson.dumps(body), [("traceparent", trace)])


def routed(routes: Routes | None, counted: list[str] | None = None) -> list[NewRecord]:
    count = [] if counted is None else counted
    router = Router(CODEC, on_dead_letter=lambda _: None, on_unrecognized=lambda _: None, routes=routes, on_copied=count.append)
    return router.route(webhook())


@pytest.mark.parametrize("routes", [Routes(), parse(b""), rules({"family": "CallChanged"})])
def test_without_a_rule_that_fits_the_output_is_what_it_was(routes: Routes) -> None:
    before = Router(CODEC, on_dead_letter=lambda _: None, on_unrecognized=lambda _: None).route(webhook())
    assert [record.topic for record in before] == [topics.INBOUND_MESSAGES, topics.INBOUND_MESSAGES, topics.MESSAGE_STATUSES]
    assert routed(routes) == before


def test_a_copy_is_the_event_s_own_record_and_a_header_behind_it() -> None:
    routes = parse(
        b"""
        routes:
          - {name: sales, topic: sales.v1, family: MessageReceived, keyword: price}
          - {name: everything, topic: all.v1, family: [MessageReceived, MessageStatusChanged]}
        """
    )
    counted: list[str] = []
    out = routed(routes, counted)
    first, second, third = routed(None)

    def copy_of(own: NewRecord, topic: str, name: bytes) -> NewRecord:
        return NewRecord(topic, own.key, own.value, [*own.headers, ("parley-route", name)])

    assert out == [
        first,
        copy_of(first, "sales.v1", b"sales"),
        copy_of(first, "all.v1", b"everything"),
        second,
        copy_of(second, "all.v1", b"everything"),
        third,
        copy_of(third, "all.v1", b"everything"),
    ]
    assert counted == ["sales", "everything", "everything", "everything"]
    assert dict(first.headers)["ce_id"]
    assert "parley-route" not in dict(first.headers)


def test_dying_and_routing_again_gives_equal_copies() -> None:
    routes = rules({"family": "MessageReceived"})
    assert routed(routes) == routed(routes)
