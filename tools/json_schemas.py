"""How does a producer know that its JSON is a command? JSON Schemas of the two records that others write."""

from __future__ import annotations

import json
from typing import Any, Final

from services.common.domain.consent import ConsentCategory, Decision
from services.common.domain.lanes import Lane
from services.common.domain.records import RecordConsent, SendMessage
from services.common.domain.send_policy import READ
from tools import examples
from tools.contract import SCHEMAS, Described, described, plain_type

FILES: Final[dict[type[SendMessage | RecordConsent], str]] = {
    SendMessage: f"{SCHEMAS}/send-commands.schema.json",
    RecordConsent: f"{SCHEMAS}/consent-records.schema.json",
}

_TYPES: Final = {
    "string": "string",
    "int": "integer",
    "long": "integer",
    "timestamp-millis": "integer",
    "double": "number",
    "boolean": "boolean",
}
_SAID: Final = {"type": "string", "minLength": 1}
_DOCUMENT: Final = {"type": ["object", "string", "null"], "contentMediaType": "application/json"}

# What Parley refuses although it is no question of type, for each record and field.
_RULES: Final[dict[type[SendMessage | RecordConsent], dict[str, dict[str, Any]]]] = {
    SendMessage: {
        "command_id": {"format": "uuid", "pattern": "^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$"},
        "phone_number_id": {"minLength": 1},
        "content": {"type": ["object", "array", "string"], "contentMediaType": "application/json"},
        "fallback_template": _DOCUMENT,
        "marketing_messages": _DOCUMENT,
        "oversize": {"enum": ["refuse", "link"]},
        "lane": {"enum": [lane.value for lane in Lane]},
    },
    RecordConsent: {
        "consent_id": {"minLength": 1},
        "phone_number_id": {"minLength": 1},
        "contact": {"minLength": 1},
        "category": {"enum": [category.value for category in ConsentCategory]},
        "decision": {"enum": [decision.value for decision in Decision]},
    },
}
_WHOLE: Final[dict[type[SendMessage | RecordConsent], dict[str, Any]]] = {
    SendMessage: {
        "anyOf": [
            {"required": ["to"], "properties": {"to": _SAID}},
            {"required": ["recipient"], "properties": {"recipient": _SAID}},
            {"required": ["group_id"], "properties": {"group_id": _SAID}},
            {"properties": {"type": {"const": READ}}},
        ]
    },
    RecordConsent: {},
}
_EXAMPLES: Final[dict[type[SendMessage | RecordConsent], SendMessage | RecordConsent]] = {
    SendMessage: examples.SEND_MESSAGE,
    RecordConsent: examples.RECORD_CONSENT,
}


def texts() -> dict[str, str]:
    """Each file with its text."""
    known = described()
    return {path: json.dumps(_schema(known[cls], cls), indent=2, ensure_ascii=False) + "\n" for cls, path in FILES.items()}


def _schema(record: Described, cls: type[SendMessage | RecordConsent]) -> dict[str, Any]:
    columns = record.schema["fields"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:{record.full_name}".replace(".", ":"),
        "title": record.full_name,
        "description": record.about,
        "type": "object",
        "required": [column["name"] for column in columns if "default" not in column],
        "properties": {column["name"]: _property(column) | _RULES[cls].get(column["name"], {}) for column in columns},
        "additionalProperties": True,
        **_WHOLE[cls],
        "examples": [examples.as_json(_EXAMPLES[cls])],
    }


def _property(column: dict[str, Any]) -> dict[str, Any]:
    kind, nullable = plain_type(column)
    told: dict[str, Any] = {"type": [_TYPES[kind], "null"] if nullable else _TYPES[kind], "description": column["doc"]}
    return told | ({"default": column["default"]} if "default" in column else {})
