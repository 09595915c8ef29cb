"""What does a webhook's body say, read by the judge himself? On purpose not the router's parser: they must agree by result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Identity = tuple[str, ...]
"""Content identity: equal for every delivery of the same thing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """One message, status or other change of a webhook, and where it stands in it."""

    identity: Identity
    pointer: str
    wamid: str | None = None
    text: str | None = None


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
        document = json.loads(body)
        return tuple(_of_document(document))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return (Element(identity=("unreadable", hashlib.sha256(body).hexdigest()), pointer=""),)


def _of_document(document: dict[str, Any]) -> Iterator[Element]:
    if document["object"] != "whatsapp_business_account":
        raise ValueError("not a webhook of WhatsApp")
    for i, entry in enumerate(document["entry"]):
        for j, change in enumerate(entry["changes"]):
            yield from _of_change(entry, change, f"/entry/{i}/changes/{j}/value")


def _of_change(entry: dict[str, Any], change: dict[str, Any], pointer: str) -> Iterator[Element]:
    value = change["value"]
    lists = [name for name in value if name not in ("messaging_product", "metadata", "contacts")]
    if change["field"] != "messages" or not lists:
        yield _other(entry, change["field"], value, pointer)
        return
    for name in lists:
        for k, one in enumerate(value[name]):
            yield _one(entry, value, name, one, f"{pointer}/{name}/{k}")


def _one(entry: dict[str, Any], value: dict[str, Any], name: str, one: dict[str, Any], pointer: str) -> Element:
    if name == "messages":
        identity = message_identity(value["metadata"]["phone_number_id"], one["id"])
        return Element(identity=identity, pointer=pointer, wamid=one["id"], text=one.get("text", {}).get("body"))
    if name == "statuses":
        contact = one.get("recipient_user_id") or one.get("recipient_id") or ""
        at = int(one["timestamp"]) * 1000
        identity = status_identity(one["id"], one["status"], at, contact, one.get("type") or "message")
        return Element(identity=identity, pointer=pointer)
    return _other(entry, "messages", one, pointer)


def _other(entry: dict[str, Any], field: str, what: object, pointer: str) -> Element:
    at = int(entry["time"]) * 1000 if "time" in entry else None
    return Element(identity=change_identity(entry.get("id"), field, at, json.dumps(what)), pointer=pointer)
