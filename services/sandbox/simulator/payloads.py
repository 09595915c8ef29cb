"""How does Meta write it: signatures, answers, errors, webhooks? Pure builders, no clock, no chance."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence

from services.sandbox.simulator.config import Customer, Number
from services.sandbox.simulator.errors import HREF, Refusal, title
from services.sandbox.simulator.records import JsonObject, Signature

_ENCODER = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), allow_nan=False)


def encode(payload: object) -> bytes:
    r"""JSON as Meta serialises it: `\u00e4` with lower-case hex and `\/` for every slash."""
    return _ENCODER.encode(payload).replace("/", "\\/").encode("ascii")


def sign(body: bytes, app_secret: str) -> str:
    """The value of `X-Hub-Signature-256`: HMAC-SHA256 of the exact bytes under the app secret."""
    return "sha256=" + hmac.new(app_secret.encode(), body, hashlib.sha256).hexdigest()


def signature_headers(body: bytes, app_secret: str, kind: Signature) -> dict[str, str]:
    """The signature headers: right, right in form only, missing, or only the outdated SHA-1 one."""
    if kind == "none":
        return {}
    if kind == "sha1":
        digest = hmac.new(app_secret.encode(), body, hashlib.sha1).hexdigest()
        return {"X-Hub-Signature": f"sha1={digest}"}
    return {"X-Hub-Signature-256": sign(body, app_secret if kind == "good" else f"not {app_secret}")}


def success(*, entered: str, customer: Customer, wamid: str, is_template: bool, group_id: str | None = None) -> JsonObject:
    """Meta's answer to an accepted message. 200 means accepted, not sent. For a group its id stands where a person's would."""
    contact: JsonObject = {"input": entered}
    if group_id is not None:
        message: JsonObject = {"id": wamid, "group_id": group_id}
        contact["wa_id"] = group_id
        return {"messaging_product": "whatsapp", "contacts": [contact], "messages": [message]}
    if customer.wa_id is not None and not customer.hides_phone:
        contact["wa_id"] = customer.wa_id
    if customer.bsuid is not None:
        contact["user_id"] = customer.bsuid
    message = {"id": wamid}
    if is_template:
        message["message_status"] = "accepted"
    return {"messaging_product": "whatsapp", "contacts": [contact], "messages": [message]}


def error(refusal: Refusal, fbtrace_id: str) -> JsonObject:
    """Meta's error body."""
    body: JsonObject = {
        "message": f"(#{refusal.code}) {title(refusal.code)}",
        "type": "OAuthException",
        "code": refusal.code,
        "error_data": {"messaging_product": "whatsapp", "details": refusal.details},
    }
    if refusal.subcode is not None:
        body["error_subcode"] = refusal.subcode
    return {"error": {**body, "fbtrace_id": fbtrace_id}}


def metadata(number: Number) -> JsonObject:
    """Which number a change is about."""
    return {"display_phone_number": number.display_phone_number, "phone_number_id": number.phone_number_id}


def contact(customer: Customer) -> JsonObject:
    """The person as webhooks describe them; the phone is missing for people who hide it behind a username."""
    described: JsonObject = {"profile": {"name": customer.name}}
    if customer.wa_id is not None and not customer.hides_phone:
        described["wa_id"] = customer.wa_id
    if customer.bsuid is not None:
        described["user_id"] = customer.bsuid
    return described


def inbound_value(
    *,
    number: Number,
    customer: Customer,
    wamid: str,
    timestamp: int,
    message_type: str,
    content: object,
    context_wamid: str | None = None,
    extra: Mapping[str, object] | None = None,
) -> JsonObject:
    """The value of a change that carries one message of a customer. `timestamp` is in seconds."""
    message: JsonObject = {}
    if customer.wa_id is not None and not customer.hides_phone:
        message["from"] = customer.wa_id
    if customer.bsuid is not None:
        message["from_user_id"] = customer.bsuid
    message |= {"id": wamid, "timestamp": str(timestamp), "type": message_type, message_type: content}
    if context_wamid is not None:
        message["context"] = {"from": number.display_phone_number, "id": context_wamid}
    message |= extra or {}
    return {
        "messaging_product": "whatsapp",
        "metadata": metadata(number),
        "contacts": [contact(customer)],
        "messages": [message],
    }


def status_value(
    *,
    number: Number,
    customer: Customer,
    wamid: str,
    status: str,
    timestamp: int,
    opaque: str | None,
    category: str,
    refusal: Refusal | None = None,
    group_id: str | None = None,
) -> JsonObject:
    """The value of a change that carries one status. `timestamp` is in seconds; a failed one has errors.

    In a group it is that of one participant.
    """
    described: JsonObject = {"id": wamid, "status": status, "timestamp": str(timestamp)}
    whom = "recipient" if group_id is None else "recipient_participant"
    if group_id is not None:
        described |= {"recipient_id": group_id, "recipient_type": "group"}
    if customer.wa_id is not None and not customer.hides_phone:
        described[f"{whom}_id"] = customer.wa_id
    if customer.bsuid is not None and status != "failed":
        described[f"{whom}_user_id"] = customer.bsuid
    if opaque is not None:
        described["biz_opaque_callback_data"] = opaque
    if status in ("sent", "delivered"):
        described["pricing"] = {
            "billable": True,
            "pricing_model": "PMP",
            "category": category,
            "type": "regular",
        }
    value: JsonObject = {"messaging_product": "whatsapp", "metadata": metadata(number)}
    if refusal is not None:
        described["errors"] = [_status_error(refusal)]
    else:
        value["contacts"] = [contact(customer)]
    return {**value, "statuses": [described]}


def envelope(waba_id: str, values: Sequence[JsonObject]) -> JsonObject:
    """One POST of the `messages` field: one change for each value."""
    changes = [{"value": value, "field": "messages"} for value in values]
    return {"object": "whatsapp_business_account", "entry": [{"id": waba_id, "changes": changes}]}


def merged(values: Sequence[JsonObject]) -> list[JsonObject]:
    """The same elements, values of one number and kind folded into one, as Meta does when it batches."""
    folded: dict[tuple[str, bool], JsonObject] = {}
    for value in values:
        key = (json.dumps(value["metadata"], sort_keys=True), "statuses" in value)
        into = folded.setdefault(key, {})
        for name, part in value.items():
            into[name] = _joined(into.get(name), part)
    return list(folded.values())


def _joined(before: object, part: object) -> object:
    """Lists grow (without repeating an equal contact); anything else is the same in both and stays."""
    if not isinstance(part, list):
        return part
    known = before if isinstance(before, list) else []
    return known + [one for one in part if one not in known]


def _status_error(refusal: Refusal) -> JsonObject:
    return {
        "code": refusal.code,
        "title": title(refusal.code),
        "message": title(refusal.code),
        "error_data": {"details": refusal.details},
        "href": HREF,
    }
