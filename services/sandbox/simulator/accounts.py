"""What does Meta not let an account or a number do for now, and what does it say of them? Pure; time is an argument."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from services.sandbox.simulator.config import Account, Number
from services.sandbox.simulator.errors import ACCOUNT_LOCKED, POLICY_BLOCK, Refusal
from services.sandbox.simulator.records import JsonObject

UPGRADED: Final = 1000
"""Messages a second of a number whose throughput level is HIGH."""
_CALLED_BLOCKED: Final = (368, 131031, 131042)
"""Codes after which Meta says of the number itself that it cannot send."""


def refuse(account: Account, *, is_template: bool, category: str | None, now: float) -> Refusal | None:
    """Why an account may not send this message, if so; `now` in seconds since the epoch."""
    if account.disabled:
        return Refusal(code=ACCOUNT_LOCKED, details="The business account is disabled.")
    if account.refuses is not None and not account.refuses_later:
        return _refusal(account.refuses)
    forbidden = {
        "RESTRICTED_BIZ_INITIATED_MESSAGING": is_template,
        "RESTRICTED_CUSTOMER_INITIATED_MESSAGING": not is_template,
        "RESTRICTED_UTILITY_TEMPLATES": is_template and category == "UTILITY",
    }
    for one in account.restrictions:
        if forbidden.get(one.restriction_type) and (one.expiration is None or now < one.expiration):
            return Refusal(code=POLICY_BLOCK, details=f"The business account is restricted: {one.restriction_type}.")
    return None


def fail(account: Account) -> Refusal | None:
    """Why a message that the account was allowed to send fails afterwards, if so."""
    return _refusal(account.refuses) if account.refuses is not None and account.refuses_later else None


def updates(before: Account, after: Account) -> Iterator[JsonObject]:
    """What Meta tells of a change, as values of `account_update`. Of payment it tells nothing."""
    if before.disabled != after.disabled:
        state = "DISABLE" if after.disabled else "REINSTATE"
        yield {"event": "DISABLED_UPDATE", "ban_info": {"waba_ban_state": state, "waba_ban_date": "today"}}
    if after.restrictions and after.restrictions != before.restrictions:
        told = [one.model_dump(exclude_none=True) for one in after.restrictions]
        yield {"event": "ACCOUNT_RESTRICTION", "restriction_info": told}


def upgraded(number: Number) -> JsonObject:
    """What Meta tells when a number is upgraded, as a value of `phone_number_quality_update`."""
    return {
        "display_phone_number": number.display_phone_number,
        "event": "THROUGHPUT_UPGRADE",
        "max_daily_conversations_per_business": "TIER_UNLIMITED",
    }


def webhook(waba_id: str, field: str, value: JsonObject, *, at: int) -> JsonObject:
    """A webhook of one change; `at` in seconds since the epoch."""
    change = {"field": field, "value": value}
    return {"object": "whatsapp_business_account", "entry": [{"id": waba_id, "time": at, "changes": [change]}]}


def described(number: Number, account: Account, fields: frozenset[str]) -> Mapping[str, object]:
    """The number as `GET /{phone_number_id}?fields=` tells it."""
    blocked = account.disabled or account.refuses in _CALLED_BLOCKED
    health = "BLOCKED" if blocked else "LIMITED" if account.restrictions else "AVAILABLE"
    told: dict[str, object] = {
        "display_phone_number": number.display_phone_number,
        "status": "BANNED" if account.disabled else "CONNECTED",
        "throughput": {"level": "HIGH" if number.throughput >= UPGRADED else "STANDARD"},
        "platform_type": "CLOUD_API",
        "health_status": {
            "can_send_message": health,
            "entities": [{"entity_type": "WABA", "id": number.waba_id, "can_send_message": health}],
        },
    }
    return {"id": number.phone_number_id, **{name: value for name, value in told.items() if name in fields}}


def _refusal(code: int) -> Refusal:
    return Refusal(code=code, details="The business account cannot send messages.")
