"""What does a machine read about the topics? An AsyncAPI document as an application sees it that uses Parley."""

from __future__ import annotations

import tomllib
from typing import Any, Final

import yaml

from services.common.domain import topics
from services.common.domain.records import Record, RecordConsent, SendMessage
from tools import examples, json_schemas
from tools.contract import (
    COMMAND_HEADERS,
    DEAD_LETTER_HEADERS,
    EVENT_HEADERS,
    ROOT,
    TOPICS,
    WEBHOOK_HEADERS,
    Described,
    declared,
    described,
)

PATH: Final = "docs/asyncapi.yaml"

_COMMENT: Final = (
    "# Written by `make docs` from schemas/, services/common/domain/topics.py and deploy/kafka/topics.yaml. Edit those.\n"
)
_BINDING: Final = "0.5.0"
_AVRO: Final = "application/vnd.apache.avro;version=1.9.0"
_ABOUT: Final = """\
All topics of Parley, an event-sourced backend for the WhatsApp Cloud API, as an application sees them that uses it:
it sends commands and consent records, and receives everything else.
Values in Avro are in Confluent framing: a zero byte, the schema id as four bytes big-endian, then the Avro body; ids stand in
schemas/ids.lock.json and with each message here as x-schema-id. Every field with its meaning stands in docs/events.md."""

_WEBHOOK: Final = "Webhook"
_DEAD_LETTER: Final = "DeadLetter"
_ROUTED: Final = "RoutedSendMessage"

WRITTEN_BY_OTHERS: Final[dict[str, type[SendMessage | RecordConsent]]] = {
    topics.SEND_COMMANDS: SendMessage,
    topics.CONSENT_RECORDS: RecordConsent,
}


def text() -> str:
    """The whole document as YAML."""
    body: str = yaml.dump(document(), Dumper=_Plain, sort_keys=False, allow_unicode=True, width=130)
    return _COMMENT + body


def document() -> dict[str, Any]:
    """The whole document."""
    held = _held()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Parley",
            "version": _version(),
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/avro",
        "channels": {_id(name): _channel(name, spec, held[name]) for name, spec in _manifest().items()},
        "operations": {f"{_action(name)}.{_id(name)}": _operation(name, held[name]) for name in topics.ALL},
        "components": {"messages": _messages(), "schemas": _header_schemas()},
    }


class _Plain(yaml.SafeDumper):
    """Writes the same value twice in place of an alias, and a text of several lines as these lines."""

    def ignore_aliases(self, data: Any) -> bool:
        return data is not None


def _lines(dumper: _Plain, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Plain.add_representer(str, _lines)


def _version() -> str:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return str(project["version"])


def _manifest() -> dict[str, dict[str, Any]]:
    found = declared()
    return {name: found[name] for name in topics.ALL}


def _held() -> dict[str, list[str]]:
    """The messages of each topic."""
    shown = examples.examples()
    held = {name: [cls.__name__ for cls, example in shown.items() if example.topic == name] for name in topics.ALL}
    for name, cls in WRITTEN_BY_OTHERS.items():
        held[name].append(_in_json(cls))
    for name in topics.SENDS.values():
        held[name].append(_ROUTED)
    for name in (topics.PARKED_COMMANDS, *topics.DEAD_LETTERS):
        held[name].append(_DEAD_LETTER)
    return held | {topics.WEBHOOKS: [_WEBHOOK]}


def _id(topic: str) -> str:
    return topic.removeprefix("parley.").removesuffix(".v1")


def _in_json(cls: type[Record]) -> str:
    return f"{cls.__name__}InJson"


def _action(topic: str) -> str:
    return "send" if topic in WRITTEN_BY_OTHERS else "receive"


def _channel(topic: str, spec: dict[str, Any], held: list[str]) -> dict[str, Any]:
    policy = str(spec["config"]["cleanup.policy"]).split(",")
    return {
        "address": topic,
        "description": f"{TOPICS[topic].about} Key: {TOPICS[topic].key}.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in held},
        "bindings": {
            "kafka": {
                "topic": topic,
                "partitions": spec["partitions"],
                "replicas": spec["replicas"],
                "topicConfiguration": {**spec["config"], "cleanup.policy": policy},
                "bindingVersion": _BINDING,
            }
        },
    }


def _operation(topic: str, held: list[str]) -> dict[str, Any]:
    return {
        "action": _action(topic),
        "channel": {"$ref": f"#/channels/{_id(topic)}"},
        "summary": TOPICS[topic].about,
        "messages": [{"$ref": f"#/channels/{_id(topic)}/messages/{name}"} for name in held],
    }


def _messages() -> dict[str, Any]:
    known, shown = described(), examples.examples()
    found: dict[str, Any] = {
        _WEBHOOK: {
            "title": "A webhook of Meta's",
            "summary": "The body of the POST, byte for byte.",
            "contentType": "application/json",
            "headers": _headers("WebhookHeaders"),
            "payload": {
                "type": "object",
                "description": "One POST of Meta; compressed when the header content-encoding says so.",
            },
            "bindings": _bindings(TOPICS[topics.WEBHOOKS].key),
        }
    }
    for cls, record in known.items():
        topic = shown[cls].topic
        headers = "CommandHeaders" if topic in WRITTEN_BY_OTHERS else "EventHeaders"
        found[cls.__name__] = _avro(record, headers, TOPICS[topic].key)
    for topic, cls in WRITTEN_BY_OTHERS.items():
        found[_in_json(cls)] = {
            "title": f"{cls.__name__}, in JSON",
            "summary": known[cls].about,
            "contentType": "application/json",
            "headers": _headers("JsonHeaders"),
            "payload": {"$ref": f"../{json_schemas.FILES[cls]}"},
            "bindings": _bindings(TOPICS[topic].key),
        }
    lane = next(iter(topics.SENDS.values()))
    found[_ROUTED] = _avro(known[SendMessage], "EventHeaders", TOPICS[lane].key) | {
        "title": "SendMessage, on its way to the sender"
    }
    found[_DEAD_LETTER] = {
        "title": "A dead letter",
        "summary": "The original bytes, with the original headers and why they could not be used.",
        "contentType": "application/octet-stream",
        "headers": _headers("DeadLetterHeaders"),
        "bindings": _bindings(TOPICS[topics.DEAD_LETTERS[0]].key),
    }
    return found


def _avro(record: Described, headers: str, key: str) -> dict[str, Any]:
    return {
        "name": record.full_name,
        "title": record.name,
        "summary": record.about,
        "contentType": "application/avro",
        "headers": _headers(headers),
        "payload": {"schemaFormat": _AVRO, "schema": {"$ref": f"../schemas/{record.file}"}},
        "bindings": _bindings(key, schemaIdLocation="payload", schemaIdPayloadEncoding="confluent"),
        "x-schema-id": record.schema_id,
        "x-content-identity": record.identity,
    }


def _headers(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _bindings(key: str, **more: str) -> dict[str, Any]:
    return {"kafka": {"key": {"type": "string", "description": key}, **more, "bindingVersion": _BINDING}}


def _header_schemas() -> dict[str, Any]:
    json_headers = _header_schema(COMMAND_HEADERS, ("content-type",))
    json_headers["properties"]["content-type"]["const"] = "application/json"
    seldom = ("traceparent", "content-type", "content-encoding")
    return {
        "EventHeaders": _header_schema(EVENT_HEADERS, tuple(name for name in EVENT_HEADERS if name != "traceparent")),
        "CommandHeaders": _header_schema(COMMAND_HEADERS, ()),
        "JsonHeaders": json_headers,
        "WebhookHeaders": _header_schema(WEBHOOK_HEADERS, tuple(name for name in WEBHOOK_HEADERS if name not in seldom)),
        "DeadLetterHeaders": _header_schema(DEAD_LETTER_HEADERS, tuple(DEAD_LETTER_HEADERS)),
    }


def _header_schema(words: dict[str, str], required: tuple[str, ...]) -> dict[str, Any]:
    properties = {name: {"type": "string", "description": meaning} for name, meaning in words.items()}
    return {"type": "object", **({"required": list(required)} if required else {}), "properties": properties}
