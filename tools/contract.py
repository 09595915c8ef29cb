"""What is in the log? Records as their newest schemas tell, topics as the code and their manifest do."""

from __future__ import annotations

import inspect
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from services.common.domain import topics
from services.common.domain.lanes import Lane
from services.common.domain.records import FULL_NAMES, Record, RecordConsent, SendingStateChanged, SendMessage, SendOutcome

ROOT: Final = Path(__file__).resolve().parents[1]
SCHEMAS: Final = "schemas"

_IDENTITY: Final = re.compile(r"\s*Content identity: `([^`]+)`\.")
_OWN_IDENTITY: Final[dict[type[Record], str]] = {
    SendMessage: "command_id",
    RecordConsent: "consent_id",
    SendOutcome: "event_id",
    SendingStateChanged: "event_id",
}
"""Of the records that we or producers number; what Meta tells has its identity in its schema or its class."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A record with the newest version of its schema."""

    cls: type[Record]
    full_name: str
    schema_id: int
    version: int
    file: str
    schema: dict[str, Any]

    @property
    def name(self) -> str:
        """Without its namespace."""
        return self.cls.__name__

    @property
    def about(self) -> str:
        """What it is; what makes two of them the same is left to `identity`."""
        return _IDENTITY.sub("", self._doc())

    @property
    def identity(self) -> str:
        """The fields in which two records that tell the same are equal."""
        found = _IDENTITY.search(self._doc())
        return found.group(1) if found else _OWN_IDENTITY[self.cls]

    def _doc(self) -> str:
        """The schema's words, or those of the class where it goes on after the same words."""
        told: str = self.schema["doc"]
        more = " ".join((inspect.getdoc(self.cls) or "").split())
        return more if more.startswith(told) else told


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """What is in a topic, and what its records' key is made of: names of their fields, or words."""

    about: str
    key: str


CONVERSATION: Final = "phone_number_id/contact"
AS_THE_ORIGINAL: Final = "as the original"
ANY: Final = "any"

_LANES: Final = {
    Lane.OTP: "One-time codes.",
    Lane.TRANSACTIONAL: "What somebody waits for.",
    Lane.BULK: "What may wait.",
}

TOPICS: Final[dict[str, Topic]] = {
    topics.WEBHOOKS: Topic(
        about="The raw log: every POST of Meta, byte for byte.", key="phone_number_id/contact, phone_number_id, or none"
    ),
    topics.INBOUND_MESSAGES: Topic(about="What customers wrote.", key=CONVERSATION),
    topics.MESSAGE_COPIES: Topic(about="Messages that are nobody's new work: echoes, history, standby.", key=CONVERSATION),
    topics.MESSAGE_STATUSES: Topic(about="What became of the messages that we sent, as Meta tells it.", key=CONVERSATION),
    topics.CONTACT_EVENTS: Topic(about="Everything else about a person or a conversation.", key=CONVERSATION),
    topics.ACCOUNT_EVENTS: Topic(
        about="Everything about accounts, numbers, templates, flows and groups, what may be sent, and what has no type yet.",
        key="waba_id",
    ),
    topics.CONSENT_RECORDS: Topic(about="Evidence of consent. You write it.", key=ANY),
    topics.SEND_COMMANDS: Topic(about="What is to be sent. You write it.", key=ANY),
    topics.PARKED_COMMANDS: Topic(
        about="Commands of a later schema than the router knew: they go on when a router that knows it is started.",
        key=AS_THE_ORIGINAL,
    ),
    **{
        name: Topic(
            about=f"Commands on their way to the sender. {_LANES[lane]} Written by the router only. The key of a number with "
            "sub-lanes has `#n` behind it.",
            key="phone_number_id",
        )
        for lane, name in topics.SENDS.items()
    },
    topics.SEND_OUTCOMES: Topic(about="What became of each command.", key=CONVERSATION),
    **{
        name: Topic(about=f"What the {name.split('.')[1]} could not use, with why.", key=AS_THE_ORIGINAL)
        for name in topics.DEAD_LETTERS
    },
}

EVENT_HEADERS: Final = {
    "ce_specversion": "Version of CloudEvents: 1.0.",
    "ce_id": "The record's event_id or command_id.",
    "ce_type": "The record's full name.",
    "ce_source": "Where it comes from: the place in the log of what it was made of, or the service.",
    "ce_time": "When it happened, as RFC 3339 in UTC.",
    "content-type": "application/avro.",
    "traceparent": "W3C trace context; only when the request had one.",
}
COMMAND_HEADERS: Final = {
    "content-type": "application/json for JSON, else Avro is expected.",
    "traceparent": "W3C trace context, handed on; may be left out.",
}
WEBHOOK_HEADERS: Final = {
    "ce_specversion": "Version of CloudEvents: 1.0.",
    "ce_id": "Of this request; a repeat by Meta has another.",
    "ce_type": "parley.webhook.",
    "ce_source": "Path that it was posted to.",
    "parley-app": "Name of the app at Meta whose secret signed it.",
    "parley-received-at": "When ingest received it, in milliseconds since the epoch.",
    "content-type": "As Meta sent it.",
    "content-encoding": "As Meta sent it: the value is still compressed.",
    "traceparent": "W3C trace context; only when the request had one.",
}
DEAD_LETTER_HEADERS: Final = {
    "parley-dead-letter-topic": "Topic of the original.",
    "parley-dead-letter-partition": "Its partition.",
    "parley-dead-letter-offset": "Its offset.",
    "parley-dead-letter-timestamp": "Its timestamp, in milliseconds since the epoch.",
    "parley-dead-letter-group": "The service that could not use it.",
    "parley-dead-letter-reason": "Why, one word.",
    "parley-dead-letter-pointer": "Where in it, as a JSON pointer; empty for the whole.",
    "parley-dead-letter-error": "Why, for people; never quotes the content.",
}


def described() -> dict[type[Record], Described]:
    """Every record, in the order of `FULL_NAMES`."""
    lock: dict[str, dict[str, Any]] = json.loads((ROOT / SCHEMAS / "ids.lock.json").read_text("utf-8"))
    found = {}
    for cls, full_name in FULL_NAMES.items():
        versions = ((int(entry["version"]), int(number)) for number, entry in lock.items() if entry["name"] == full_name)
        version, schema_id = max(versions)
        file = str(lock[str(schema_id)]["file"])
        schema = json.loads((ROOT / SCHEMAS / file).read_text("utf-8"))
        found[cls] = Described(cls=cls, full_name=full_name, schema_id=schema_id, version=version, file=file, schema=schema)
    return found


def declared() -> dict[str, dict[str, Any]]:
    """What the manifest says of each topic: partitions, replicas, config."""
    manifest = (ROOT / "deploy" / "kafka" / "topics.yaml").read_text("utf-8")
    return {one["spec"]["topicName"]: one["spec"] for one in yaml.safe_load_all(manifest) if one}


def item_record(column: dict[str, Any]) -> dict[str, Any] | None:
    """The record that a list holds; None for everything but a list of records."""
    kind = column["type"]
    if not isinstance(kind, dict) or kind["type"] != "array":
        return None
    items: dict[str, Any] = kind["items"]
    return items


def plain_type(column: dict[str, Any]) -> tuple[str, bool]:
    """Avro's word for what a field holds, and whether it may be null. An instant is `timestamp-millis`."""
    kind = column["type"]
    nullable = isinstance(kind, list)
    if nullable:
        kind = next(one for one in kind if one != "null")
    return (kind.get("logicalType") or kind["type"] if isinstance(kind, dict) else kind), nullable
