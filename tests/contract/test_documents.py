"""Do the documents made from the schemas tell everything that is in the log, and is what they show true?"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from jsonschema import Draft202012Validator

from services.common.domain import topics
from services.common.domain.events import WEBHOOK_EVENTS
from services.common.domain.failure import Unprocessable
from services.common.domain.records import FULL_NAMES, Record, RecordConsent, SendMessage
from services.common.platform.avro import Codec
from services.common.platform.envelope import JSON
from services.common.platform.kafka import LogRecord
from services.projector.decode import Decoder
from services.router import commands
from services.sender.content import check
from services.sender.content.json import parsed
from tools import contract, documents, events_page, examples, json_schemas
from tools.contract import ROOT

TEXTS = documents.documents()
PAGE = TEXTS["docs/events.md"]
ASYNCAPI: dict[str, Any] = yaml.safe_load(TEXTS["docs/asyncapi.yaml"])
SECTION = re.compile(r"^#### (\w+)$(.*?)(?=^#{2,4} |\Z)", re.MULTILINE | re.DOTALL)
SECTIONS = dict(SECTION.findall(PAGE))
DESCRIBED = contract.described()
SHOWN = examples.examples()

COMMAND = examples.as_json(examples.SEND_MESSAGE)
CONSENT = examples.as_json(examples.RECORD_CONSENT)


JSON_SCHEMAS: dict[Any, dict[str, Any]] = {cls: json.loads(TEXTS[path]) for cls, path in json_schemas.FILES.items()}


def validates(cls: Any, value: dict[str, Any]) -> bool:
    """What the JSON Schema says of a value."""
    Draft202012Validator.check_schema(JSON_SCHEMAS[cls])
    return Draft202012Validator(JSON_SCHEMAS[cls]).is_valid(value)


def taken(cls: Any, value: dict[str, Any]) -> bool:
    """What the services that read these records say of it."""
    data = json.dumps(value).encode()
    try:
        if cls is SendMessage:
            command = commands.decode(data, JSON, Codec())
            return check.problem(command.type, parsed(command.content)) is None
        Decoder(Codec()).decode(LogRecord(topics.CONSENT_RECORDS, 0, 0, 0, None, data, [("content-type", JSON)]))
    except Unprocessable:
        return False
    return True


# up to date


@pytest.mark.parametrize("path", TEXTS)
def test_a_document_says_what_the_schemas_say_now(path: str) -> None:
    assert not documents.stale(ROOT, {path: TEXTS[path]}), "run make docs"


def test_a_document_that_is_old_or_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("before", "utf-8")
    (tmp_path / "same").write_text("now", "utf-8")
    assert documents.stale(tmp_path, {"old": "now", "same": "now", "missing": "now"}) == ["old", "missing"]


# docs/events.md


@pytest.mark.parametrize("cls", FULL_NAMES)
def test_the_page_has_every_record_with_each_of_its_fields_and_an_example(cls: type[Record]) -> None:
    section, schema = SECTIONS[cls.__name__], DESCRIBED[cls].schema
    assert FULL_NAMES[cls] in section
    assert f"`{DESCRIBED[cls].identity}`" in section
    assert SHOWN[cls].topic in section
    rows = dict(re.findall(r"^\| (?:&emsp;)?`([\w.\[\]]+)` \| ([^|]+) \|", section, re.MULTILINE))
    assert rows == dict(fields(schema["fields"], ""))
    for column in schema["fields"]:
        assert column["doc"] in section
        assert column.get("meta", "") in section
    shown = json.loads(section.partition("```json\n")[2].partition("\n```")[0])
    assert shown.keys() <= {column["name"] for column in schema["fields"]}
    assert all(column["name"] in shown for column in schema["fields"] if "default" not in column)


def fields(columns: list[dict[str, Any]], within: str) -> Iterator[tuple[str, str]]:
    for column in columns:
        yield f"{within}{column['name']}", events_page.type_words(column)
        if items := contract.item_record(column):
            yield from fields(items["fields"], f"{within}{column['name']}[].")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("string", "text"),
        (["null", "string"], "text or null"),
        ({"type": "long", "logicalType": "timestamp-millis"}, "instant (ms)"),
        (["null", {"type": "long", "logicalType": "timestamp-millis"}], "instant (ms) or null"),
        (["null", "int"], "whole number or null"),
        (["null", "double"], "number or null"),
        (["null", "boolean"], "true/false or null"),
        ({"type": "array", "items": {"type": "record", "name": "Line", "fields": []}}, "list of Line"),
    ],
)
def test_types_are_told_in_human_words(kind: Any, words: str) -> None:
    assert events_page.type_words({"name": "x", "type": kind}) == words
    assert events_page.type_words({"name": "x", "type": kind, "default": "a"}) == f"{words}, default `a`"


def test_every_link_within_the_page_leads_to_a_heading_and_every_other_to_a_file() -> None:
    anchors = [events_page.slug(heading) for heading in re.findall(r"^#+ (.*)$", PAGE, re.MULTILINE)]
    assert len(set(anchors)) == len(anchors)
    links = re.findall(r"\]\(([^)]+)\)", PAGE)
    assert {link[1:] for link in links if link.startswith("#")} <= set(anchors)
    assert all((ROOT / "docs" / link).is_file() for link in links if not link.startswith("#"))
    contents = PAGE.partition("## Contents")[2].partition("## Topics")[0]
    assert {cls.__name__ for cls in FULL_NAMES} == set(re.findall(r"^  - \[(\w+)\]", contents, re.MULTILINE))


def test_every_topic_is_explained() -> None:
    assert set(contract.TOPICS) == set(topics.ALL)
    table = PAGE.partition("## Topics\n")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `([\w.-]+)`", table, re.MULTILINE) == list(topics.ALL)


@pytest.mark.parametrize("cls", [cls for cls in FULL_NAMES if SHOWN[cls].key is not None])
def test_the_key_is_made_of_the_fields_that_the_topic_names(cls: type[Record]) -> None:
    shown = SHOWN[cls]
    told = events_page.record_key(DESCRIBED[cls], contract.TOPICS[shown.topic].key)
    assert f"**key**: `{told}`" in SECTIONS[cls.__name__]
    assert shown.key == "/".join(part and getattr(shown.record, part) for part in told.split("/"))


def test_headers_are_told_as_they_are_written() -> None:
    events = [SHOWN[cls].headers for cls in WEBHOOK_EVENTS]
    assert events
    routed = {name for name, _ in examples.routed_command().headers} - {
        "parley-published-at"
    }  # the router's own word to the sender
    for names in (*(set(headers) for headers in events), routed):
        assert names | {"traceparent"} == set(contract.EVENT_HEADERS)
    dead = [name for name, _ in examples.dead_letter().headers if name.startswith("parley-dead-letter-")]
    assert set(dead) == set(contract.DEAD_LETTER_HEADERS)


def test_a_command_on_its_way_to_the_sender_has_the_key_that_its_topic_names() -> None:
    routed = examples.routed_command()
    record = Codec().decode(routed.value or b"")
    assert isinstance(record, SendMessage)
    assert (routed.key or b"").decode() == getattr(record, contract.TOPICS[routed.topic].key)


# docs/asyncapi.yaml


def test_the_asyncapi_document_has_every_topic_with_what_the_manifest_says() -> None:
    channels = {channel["address"]: channel["bindings"]["kafka"] for channel in ASYNCAPI["channels"].values()}
    assert list(channels) == list(topics.ALL)
    for name, spec in contract.declared().items():
        told = channels[name]
        assert (told["topic"], told["partitions"], told["replicas"]) == (name, spec["partitions"], spec["replicas"])
        assert told["topicConfiguration"] == {**spec["config"], "cleanup.policy": [spec["config"]["cleanup.policy"]]}


def test_every_record_is_a_message_with_its_newest_schema() -> None:
    messages = ASYNCAPI["components"]["messages"]
    for cls, record in DESCRIBED.items():
        assert messages[cls.__name__]["payload"]["schema"] == {"$ref": f"../schemas/{record.file}"}
        assert messages[cls.__name__]["name"] == record.schema["namespace"] + "." + record.schema["name"]
        assert messages[cls.__name__]["x-schema-id"] == record.schema_id
    held = {reference["$ref"] for channel in ASYNCAPI["channels"].values() for reference in channel["messages"].values()}
    assert held == {f"#/components/messages/{name}" for name in messages}


def test_applications_send_commands_and_consent_records_and_receive_the_rest() -> None:
    sent = {one["channel"]["$ref"] for one in ASYNCAPI["operations"].values() if one["action"] == "send"}
    received = {one["channel"]["$ref"] for one in ASYNCAPI["operations"].values() if one["action"] == "receive"}
    assert sent == {"#/channels/send-commands", "#/channels/consent-records"}
    assert sent | received == {f"#/channels/{name}" for name in ASYNCAPI["channels"]}
    assert not sent & received


def test_every_reference_resolves() -> None:
    found = list(references(ASYNCAPI))
    assert found
    for reference in found:
        path, _, pointer = reference.partition("#")
        if path:
            assert not pointer
            assert json.loads((ROOT / "docs" / path).read_text("utf-8"))
        else:
            at: Any = ASYNCAPI
            for name in pointer.strip("/").split("/"):
                at = at[name]


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for part in node.values():
            yield from references(part)
    elif isinstance(node, list):
        for part in node:
            yield from references(part)


# the JSON Schemas


def samples() -> Iterator[Any]:
    """Every example that a reader may copy, with the record that it claims to be."""
    decoder = json.JSONDecoder()
    readme = (ROOT / "schemas" / "README.md").read_text("utf-8")
    blocks: list[tuple[str, str]] = re.findall(r"^## Writing a (.*?)$.*?```json\n(.*?)```", readme, re.MULTILINE | re.DOTALL)
    assert [title for title, _ in blocks] == ["send-command", "consent record"]
    for title, block in blocks:
        rest, number = block.strip(), 0
        while rest:
            value, end = decoder.raw_decode(rest)
            rest, number = rest[end:].strip(), number + 1
            yield pytest.param(SendMessage if title == "send-command" else RecordConsent, value, id=f"README, {title} {number}")
    for cls in get_args(SendMessage | RecordConsent):
        for value in JSON_SCHEMAS[cls]["examples"]:
            yield pytest.param(cls, value, id=f"JSON Schema, {cls.__name__}")
        shown = SECTIONS[cls.__name__].partition("```json\n")[2].partition("\n```")[0]
        yield pytest.param(cls, json.loads(shown), id=f"page, {cls.__name__}")


@pytest.mark.parametrize(("cls", "value"), list(samples()))
def test_every_example_is_one_that_parley_takes(cls: Any, value: dict[str, Any]) -> None:
    assert validates(cls, value)
    assert taken(cls, value)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({}, id="as it is"),
        pytest.param({"to": None, "recipient": "US.13491208655302741918"}, id="to a user id"),
        pytest.param({"content": '{"body": "Hello"}', "type": "text"}, id="content as text"),
        pytest.param({"command_id": COMMAND["command_id"].upper()}, id="a UUID in capitals"),
        pytest.param({"campaign": "spring"}, id="a name that nobody knows"),
        pytest.param({"lane": "bulk", "context_wamid": None, "created_at": 1, "expires_at": None}, id="null where it may be"),
    ],
)
def test_a_right_command_validates(change: dict[str, Any]) -> None:
    assert validates(SendMessage, {**COMMAND, **change})
    assert taken(SendMessage, {**COMMAND, **change})


@pytest.mark.parametrize(
    "change",
    [
        *[pytest.param({name: ...}, id=f"without {name}") for name in ("command_id", "phone_number_id", "type", "content")],
        pytest.param({"command_id": "order-8841"}, id="an id that is no UUID"),
        pytest.param({"phone_number_id": ""}, id="no number"),
        pytest.param({"phone_number_id": 106540352242922}, id="a number as number"),
        pytest.param({"content": 7}, id="content that is a number"),
        pytest.param({"lane": "urgent"}, id="a lane that there is not"),
        pytest.param({"lane": None}, id="null where it may not be"),
        pytest.param({"expires_at": "2026-11-23T00:00:00Z"}, id="an instant as text"),
        pytest.param({"expires_at": 1795450000.5}, id="an instant in seconds with a fraction"),
    ],
)
def test_a_wrong_command_does_not_validate(change: dict[str, Any]) -> None:
    wrong = {name: value for name, value in {**COMMAND, **change}.items() if value is not ...}
    assert not validates(SendMessage, wrong)
    assert not taken(SendMessage, wrong)


def test_a_command_to_nobody_does_not_validate() -> None:
    nobody = {name: value for name, value in COMMAND.items() if name != "to"}
    for wrong in (nobody, {**nobody, "to": None, "recipient": None}, {**nobody, "to": ""}):
        assert not validates(SendMessage, wrong)


@pytest.mark.parametrize("change", [{"wording": None}, {"category": "all", "decision": "withdrawn"}, {"shop": "Lyon"}])
def test_a_right_consent_record_validates(change: dict[str, Any]) -> None:
    assert validates(RecordConsent, {**CONSENT, **change})
    assert taken(RecordConsent, {**CONSENT, **change})


@pytest.mark.parametrize(
    "change",
    [
        *[pytest.param({name: ...}, id=f"without {name}") for name in CONSENT if name != "wording"],
        pytest.param({"occurred_at": "yesterday"}, id="an instant as text"),
        pytest.param({"category": "offers"}, id="a category that there is not"),
        pytest.param({"decision": "maybe"}, id="a decision that is none"),
        pytest.param({"consent_id": ""}, id="no id"),
        pytest.param({"contact": ""}, id="nobody"),
    ],
)
def test_a_wrong_consent_record_does_not_validate(change: dict[str, Any]) -> None:
    wrong = {name: value for name, value in {**CONSENT, **change}.items() if value is not ...}
    assert not validates(RecordConsent, wrong)
    assert not taken(RecordConsent, wrong)


# tools/asyncapi


def test_the_lock_file_of_the_validator_names_no_address_to_download_from() -> None:
    folder = ROOT / "tools" / "asyncapi"
    packages: dict[str, dict[str, Any]] = json.loads((folder / "package-lock.json").read_text("utf-8"))["packages"]
    needed = json.loads((folder / "package.json").read_text("utf-8"))["dependencies"]
    assert not [name for name, package in packages.items() if "resolved" in package]
    assert all("integrity" in package for name, package in packages.items() if name)
    assert {name: packages[f"node_modules/{name}"]["version"] for name in needed} == needed
