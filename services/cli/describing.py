"""What does a record say, in one line for people or one JSON object for programs?"""

from __future__ import annotations

import base64
import dataclasses
from datetime import UTC, datetime
from typing import Any

from services.cli.show import masked
from services.common.domain import topics
from services.common.domain.failure import Unprocessable
from services.common.domain.recipients import phone_digits
from services.common.platform.avro import Codec
from services.common.platform.envelope import dead_letter_origin
from services.common.platform.kafka import LogRecord

_PEOPLE = ("to", "wa_id", "contact", "recipient")
_WORDY = ("raw", "event_id", "recorded_at")
TEXT_WIDTH = 400


def full_name(topic: str) -> str:
    """`send-outcomes` is short for `parley.send-outcomes.v1`; ValueError with the known names for anything else."""
    for known in topics.ALL:
        if topic in (known, known.removeprefix("parley.").removesuffix(".v1")):
            return known
    short = ", ".join(known.removeprefix("parley.").removesuffix(".v1") for known in topics.ALL)
    raise ValueError(f"there is no topic of this name; known are {short}")


class Describer:
    """Decodes records of any topic. What cannot be decoded is shown with the reason, never left out."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    def as_object(self, record: LogRecord) -> dict[str, Any]:
        """Everything, unmasked."""
        told: dict[str, Any] = {
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "timestamp": record.appended_at,
            "key": None if record.key is None else record.key.decode("utf-8", "replace"),
            "headers": {name: value.decode("utf-8", "replace") for name, value in record.headers},
        }
        if record.topic in topics.DEAD_LETTERS:
            told["dead_letter"] = dead_letter_origin(record)
        return told | self._value(record)

    def _value(self, record: LogRecord) -> dict[str, Any]:
        value = record.value
        if value is None:
            return {"value": None}
        if value[:1] != b"\0":
            text = _text(value)
            return {"base64": base64.b64encode(value).decode()} if text is None else {"text": text}
        try:
            decoded = self._codec.decode(value)
        except Unprocessable as problem:
            return {"undecodable": str(problem), "base64": base64.b64encode(value).decode()}
        return {"type": type(decoded).__name__, "value": dataclasses.asdict(decoded)}

    def as_line(self, record: LogRecord) -> str:
        """Time, place and what a person looks for; phone numbers masked."""
        at = datetime.fromtimestamp(record.appended_at / 1000, UTC).astimezone()
        place = f"{at:%H:%M:%S}.{record.appended_at % 1000:03d} {record.partition:>2}/{record.offset:<6}"
        told = self.as_object(record)
        return f"{place} {self._dead_letter(told)}{self._content(told)}"

    @staticmethod
    def _dead_letter(told: dict[str, Any]) -> str:
        origin = told.get("dead_letter")
        if origin is None:
            return ""
        reason = origin.get("reason", "no reason given")
        pointer = f" at {origin['pointer']}" if origin.get("pointer") else ""
        error = f" ({origin['error']})" if origin.get("error") else ""
        where = f"{origin.get('topic', '?')}/{origin.get('partition', '?')}/{origin.get('offset', '?')}"
        return f"{reason}{pointer}{error} from {where}: "

    @staticmethod
    def _content(told: dict[str, Any]) -> str:
        if "type" in told:
            shown = " ".join(f"{name}={_shown(name, value)}" for name, value in told["value"].items() if _is_shown(name, value))
            return f"{told['type']} {shown}"
        if "undecodable" in told:
            return f"undecodable: {told['undecodable']}"
        if "text" in told:
            return _shortened(masked(told["text"]))
        return "no value" if "base64" not in told else f"{len(base64.b64decode(told['base64']))} bytes that are no text"


def _is_shown(name: str, value: object) -> bool:
    return value is not None and name not in _WORDY


def _shown(name: str, value: object) -> str:
    text = str(value)
    if name in _PEOPLE:
        return masked(phone_digits(text) or text)
    if name.endswith("_at") and isinstance(value, int):
        return datetime.fromtimestamp(value / 1000, UTC).astimezone().isoformat(timespec="milliseconds")
    return text if name.endswith("_id") else _shortened(masked(text))


def _shortened(text: str) -> str:
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= TEXT_WIDTH else one_line[: TEXT_WIDTH - 1] + "…"


def _text(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None
