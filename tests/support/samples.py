"""Which webhooks does Meta post, by example, and what becomes of each? `make samples` writes the second from the first."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any, Final

from services.common.domain import topics
from services.common.domain.ids import event_id_of_element
from services.common.platform.avro import Codec
from services.common.platform.envelope import dead_letter_origin
from services.common.platform.kafka import LogRecord, NewRecord
from services.router.routing import RECEIVED_AT, Router
from services.sandbox.simulator.payloads import encode
from services.sandbox.webhook_elements import elements

FOLDER: Final = Path(__file__).parents[1] / "samples" / "webhooks"
RECEIVED: Final = 1_763_900_000_000
_EXPECTED: Final = ".expected.json"
_CODEC: Final = Codec()
_NOT_SHOWN: Final = ("event_id", "recorded_at", "raw")
"""Ids follow from the pointer, `raw` is the element itself: a test compares both, nobody wants to read them."""


def names() -> list[str]:
    """Every sample."""
    return sorted(path.stem for path in FOLDER.glob("*.json") if not path.name.endswith(_EXPECTED))


def document(name: str) -> Any:
    """What Meta posts."""
    return json.loads((FOLDER / f"{name}.json").read_text("utf-8"))


def body(name: str) -> bytes:
    """The same as Meta writes it to the wire."""
    return encode(document(name))


def expected(name: str) -> list[dict[str, Any]]:
    """What is written beside it."""
    found: list[dict[str, Any]] = json.loads((FOLDER / f"{name}{_EXPECTED}").read_text("utf-8"))
    return found


def record(value: bytes | None, offset: int = 0, headers: list[tuple[str, bytes]] | None = None) -> LogRecord:
    """A webhook as ingest appended it."""
    own = [(RECEIVED_AT, b"%d" % RECEIVED), *(headers or [])]
    return LogRecord(topics.WEBHOOKS, 0, offset, RECEIVED, None, value, own)


def routed(raw: LogRecord) -> list[NewRecord]:
    """What the router makes of it."""
    router = Router(_CODEC, on_dead_letter=lambda _: None, on_unrecognized=lambda _: None)
    return router.route(raw)


def told(raw: LogRecord) -> list[dict[str, Any]]:
    """The same for people, as JSON: topic, key, record, place in the body, and every field that has a value."""
    pointers = {
        event_id_of_element(f"{raw.topic}/{raw.partition}/{raw.offset}", one.pointer): one.pointer
        for one in elements(raw.value or b"")
    }
    shown: list[dict[str, Any]] = json.loads(json.dumps([_told(one, pointers) for one in routed(raw)]))
    return shown


def _told(one: NewRecord, pointers: dict[Any, str]) -> dict[str, Any]:
    if one.topic == topics.ROUTER_DEAD_LETTERS:
        origin = dead_letter_origin(LogRecord(one.topic, 0, 0, 0, one.key, one.value, one.headers))
        return {"dead_letter": origin["reason"], "pointer": origin["pointer"]}
    event = _CODEC.decode(one.value or b"")
    fields = {
        name: value
        for name, value in dataclasses.asdict(event).items()
        if value not in (None, ()) and name not in _NOT_SHOWN and name != "pointer"
    }
    return {
        "topic": one.topic,
        "key": (one.key or b"").decode(),
        "record": type(event).__name__,
        "pointer": pointers[getattr(event, "event_id", "")],
        "fields": fields,
    }


def write() -> int:
    """Write what becomes of each sample; say how many changed."""
    changed = 0
    for name in names():
        text = json.dumps(told(record(body(name))), indent=2, ensure_ascii=False) + "\n"
        path = FOLDER / f"{name}{_EXPECTED}"
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            changed += 1
    for path in FOLDER.glob(f"*{_EXPECTED}"):
        if path.name.removesuffix(_EXPECTED) not in names():
            path.unlink()
            changed += 1
    return changed


if __name__ == "__main__":
    print(f"{write()} of {len(names())} expectations changed")
    sys.exit(0)
