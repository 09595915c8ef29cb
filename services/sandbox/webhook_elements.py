"""What does a webhook's body say, read by the judge himself? On purpose not the router's parser: they must agree by result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

Identity = tuple[str, ...]
"""Content identity: equal for every delivery of the same thing."""

LISTS: Final = {
    "messages": {"messages", "statuses", "errors", "user_actions"},
    "standby": {"errors"},
    "smb_message_echoes": {"message_echoes", "errors"},
    "message_echoes": {"message_echoes", "errors"},
    "history": {"messages", "errors"},
    "smb_app_state_sync": {"state_sync", "errors"},
    "calls": {"calls", "statuses", "errors"},
    "user_preferences": {"user_preferences", "errors"},
    "automatic_events": {"automatic_events", "errors"},
    "tracking_events": {"events", "errors"},
    "group_lifecycle_update": {"groups", "errors"},
    "group_participants_update": {"groups", "errors"},
    "group_settings_update": {"groups", "errors"},
    "group_status_update": {"groups", "errors"},
}
"""Fields whose value is not one thing but carries lists of them. (Nested ones are found below.)"""

_AROUND: Final = ("messaging_product", "metadata", "contacts", "field", "object")
_SWITCHED: Final = ("stop", "resume", "signup")
_COPIES: Final = ("standby", "smb_message_echoes", "message_echoes", "history")
_OPENS_NO_WINDOW: Final = ("system", "request_welcome", "edit", "revoke")


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """One message, status or other change of a webhook, and where it stands in it.

    `consent_id`: the evidence of consent that it is for certain. `wamid`: of a customer's message, whose words may be evidence.
    `opens`: number and contact (or group) whose window it opens; `occurred_at`: when, in milliseconds by Meta's clock.
    """

    identity: Identity
    pointer: str
    wamid: str | None = None
    text: str | None = None
    consent_id: str | None = None
    opens: tuple[str, str] | None = None
    occurred_at: int | None = None


def message_identity(phone_number_id: str, wamid: str) -> Identity:
    """A customer's message."""
    return ("message", phone_number_id, wamid)


def status_identity(wamid: str, status: str, occurred_at: int, contact: str, kind: str) -> Identity:
    """A status; `occurred_at` in milliseconds, `contact` empty when Meta named nobody."""
    return ("status", wamid, status, str(occurred_at), contact, kind)


def change_identity(waba_id: str | None, field: str | None, occurred_at: int | None, raw: str | bytes) -> Identity:
    """Anything else, by its canonical JSON."""
    canonical = json.dumps(json.loads(raw), sort_keys=True, ensure_ascii=True).encode()
    return ("change", waba_id or "", field or "", str(occurred_at or ""), hashlib.sha256(canonical).hexdigest())


def elements(body: bytes) -> tuple[Element, ...]:
    """Everything a body says; a body that is no webhook is one element, which only a dead letter can account for."""
    try:
        document = json.loads(body.decode("utf-8", "surrogateescape"))
        return tuple(_of_document(document))
    except (ValueError, RecursionError):
        return (_odd(hashlib.sha256(body).hexdigest(), ""),)


def _odd(what: Any, pointer: str) -> Element:
    """Not what Meta publishes: no row has this identity."""
    return Element(identity=("odd", pointer, repr(what)[:200]), pointer=pointer)


def _of_document(document: Any) -> Iterator[Element]:
    if not isinstance(document, dict):
        raise ValueError("no object")  # noqa: TRY004 - told like every other body that is none
    if "entry" not in document and "field" in document:
        yield from _of_change({}, document, "")
        return
    entries = document.get("entry")
    first = entries[0] if isinstance(entries, list) and entries else None
    named = document["object"] if "object" in document else first.get("object") if isinstance(first, dict) else None
    if named != "whatsapp_business_account" or not isinstance(entries, list):
        raise ValueError("not a webhook of WhatsApp")
    for i, entry in enumerate(entries):
        if not isinstance(entry, dict) or not isinstance(entry.get("changes"), list):
            yield _odd(entry, f"/entry/{i}")
            continue
        for j, change in enumerate(entry["changes"]):
            yield from _of_change(entry, change, f"/entry/{i}/changes/{j}")


def _of_change(entry: dict[str, Any], change: Any, pointer: str) -> Iterator[Element]:
    value = change.get("value") if isinstance(change, dict) else None
    field = change.get("field") if isinstance(change, dict) else None
    if field is None and isinstance(value, dict):
        field = value.get("field")
    if not isinstance(field, str):
        yield _odd(change, pointer)
    elif not isinstance(value, dict):
        yield _odd(change, f"{pointer}/value")
    else:
        reader = _Reader(entry, field, value)
        if field in LISTS:
            yield from reader.within(value, LISTS[field], f"{pointer}/value")
        else:
            yield reader.read(value, "", f"{pointer}/value")


class _Reader:
    """Reads the elements of one change."""

    def __init__(self, entry: dict[str, Any], field: str, value: dict[str, Any]) -> None:
        self._entry, self._field, self._value = entry, field, value
        self._around = value

    def within(self, parent: dict[str, Any], lists: set[str], pointer: str) -> Iterator[Element]:
        """What is in an object that carries lists."""
        names = [name for name in parent if name not in _AROUND]
        if not names:
            yield self.read(parent, "", pointer)
        for name in names:
            where, found = f"{pointer}/{_escaped(name)}", parent[name]
            if where.endswith("/\ufffd"):
                yield _odd(found, where)
            elif (self._field, name) == ("history", "history") and isinstance(found, list):
                yield from self._history(found, where)
            elif (self._field, name) == ("standby", "standby") and isinstance(found, dict):
                self._around = {"metadata": self._value.get("metadata"), **found}
                yield from self.within(found, {"messages", "statuses", "message_echoes", "errors"}, where)
                self._around = self._value
            elif isinstance(found, list):
                for k, one in enumerate(found):
                    yield self.read(one, name if name in lists else "", f"{where}/{k}")
            else:
                yield self.read(found, "", where)

    def _history(self, chunks: list[Any], pointer: str) -> Iterator[Element]:
        for k, chunk in enumerate(chunks):
            where = f"{pointer}/{k}"
            if not isinstance(chunk, dict):
                yield _odd(chunk, where)
            elif not any(chunk[name] for name in chunk if name not in _AROUND):
                yield self.read(chunk, "", where)
            else:
                threads = chunk.get("threads")
                rest = {name: chunk[name] for name in chunk if name != "threads" or not isinstance(threads, list)}
                if any(name not in _AROUND for name in rest):
                    yield from self.within(rest, {"errors"}, where)
                for n, thread in enumerate(threads if isinstance(threads, list) else []):
                    yield from self._thread(thread, f"{where}/threads/{n}")

    def _thread(self, thread: Any, pointer: str) -> Iterator[Element]:
        if not isinstance(thread, dict):
            yield _odd(thread, pointer)
            return
        rest = {name: found for name, found in thread.items() if name not in ("id", "context")}
        yield from self.within(rest, {"messages"}, pointer) if rest else (self.read(thread, "", pointer),)

    def read(self, one: Any, name: str, pointer: str) -> Element:
        """One element; where it has no shape that Meta publishes, one that only a dead letter can account for."""
        try:
            if name in ("messages", "message_echoes") and one.get("type") != "system":
                return self._message(one, pointer)
            if name == "statuses" and self._field != "calls":
                return self._status(one, pointer)
            return self._other(one, name, pointer)
        except (KeyError, TypeError, AttributeError, ValueError):
            return _odd(one, pointer)

    def _message(self, one: dict[str, Any], pointer: str) -> Element:
        identity = message_identity(self._phone_number_id(), one["id"])
        if self._field in _COPIES:
            return Element(identity=identity, pointer=pointer)
        text = None if "group_id" in one else one.get("text", {}).get("body")
        whom = one.get("group_id") or one.get("from_user_id") or self._contact(one.get("from"))
        opens = (identity[1], whom) if self._field == "messages" and one.get("type") not in _OPENS_NO_WINDOW else None
        at = _ms(one["timestamp"]) if opens is not None else None
        return Element(identity=identity, pointer=pointer, wamid=one["id"], text=text, opens=opens, occurred_at=at)

    def _phone_number_id(self) -> str:
        metadata: Any = self._around.get("metadata")
        return "" if metadata is None and self._field == "standby" else str(metadata["phone_number_id"])

    def _status(self, one: dict[str, Any], pointer: str) -> Element:
        if one.get("recipient_type") == "group":
            contact = one.get("recipient_participant_user_id") or self._contact(
                one.get("recipient_participant_id") or one.get("participant_recipient_id")
            )
        else:
            contact = one.get("recipient_user_id") or self._contact(one.get("recipient_id"))
        identity = status_identity(one["id"], one["status"], _ms(one["timestamp"]), contact, one.get("type") or "message")
        codes = [error.get("code") for error in one.get("errors", [])[:1]]
        return Element(identity=identity, pointer=pointer, consent_id=f"131050:{one['id']}" if codes == [131050] else None)

    def _contact(self, number: str | None) -> str:
        """By the id that `contacts` tells for the number."""
        ids = [c.get("user_id") for c in self._around.get("contacts", []) if number and c.get("wa_id") == number]
        return next(filter(None, ids), None) or number or ""

    def _other(self, one: Any, name: str, pointer: str) -> Element:
        at = self._entry.get("time")
        told = one.get("metadata", {}) if name == "state_sync" else one if isinstance(one, dict) and "timestamp" in one else None
        occurred_at = _ms(told["timestamp"]) if told is not None else int(at) * 1000 if at is not None else None
        identity = change_identity(self._entry.get("id"), self._field, occurred_at, json.dumps(one))
        return Element(identity=identity, pointer=pointer, consent_id=self._preference(one, occurred_at))

    def _preference(self, one: Any, at: int | None) -> str | None:
        """The person's own switch, in its own field or, the older way, as a notice among the messages."""
        if not isinstance(one, dict):
            return None
        value = contact = None
        notice = one.get("system")
        if self._field == "user_preferences" and one.get("category") == "marketing_messages":
            value, contact = one.get("value"), one.get("user_id") or self._contact(one.get("wa_id"))
        elif self._field == "messages" and isinstance(notice, dict) and notice.get("type") == "user_preference_changed":
            value = notice.get("marketing")
            contact = one.get("from_user_id") or notice.get("user_id") or self._contact(one.get("from") or notice.get("wa_id"))
        return f"preference:{self._phone_number_id()}:{contact}:{at}:{value}" if contact and value in _SWITCHED else None


def _escaped(name: str) -> str:
    """As a JSON pointer has it; a key that is no text stands for itself."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return "\ufffd"
    if len(name) > 512:
        name = name[:256] + "…" + hashlib.sha256(name.encode()).hexdigest()
    return name.replace("~", "~0").replace("/", "~1")


def _ms(timestamp: Any) -> int:
    text = str(timestamp)
    return int(text) if len(text) == 13 else int(text) * 1000
