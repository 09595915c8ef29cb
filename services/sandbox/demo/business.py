"""Who writes to the customers? One invented shop: its numbers with Meta's limits on them, and its templates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from services.sandbox.account import Account, AccountNumber
from services.sandbox.demo.people import LANGUAGES

WABA_ID: Final = "102290129340398"


@dataclass(frozen=True, slots=True, kw_only=True)
class BusinessNumber:
    """A number the demo sends from; `limit` in messages a second."""

    phone_number_id: str
    display: str
    name: str
    limit: int


SHOP: Final = BusinessNumber(phone_number_id="106540352242922", display="+55 11 5550 0101", name="Aurora shop", limit=80)
HELP: Final = BusinessNumber(phone_number_id="106540352242923", display="+52 55 5550 0102", name="Aurora help", limit=80)
OFFERS: Final = BusinessNumber(phone_number_id="106540352242924", display="+49 30 5550 0103", name="Aurora offers", limit=20)
NUMBERS: Final = (SHOP, HELP, OFFERS)

_TEMPLATES: Final[tuple[dict[str, Any], ...]] = (
    {"name": "order_update", "category": "UTILITY", "body_parameters": 2},
    {"name": "spring_offer", "category": "MARKETING", "body_parameters": 1},
    {"name": "login_code", "category": "AUTHENTICATION", "body_parameters": 1, "button_parameters": 1},
)


def account() -> Account:
    """The account as a stack wants it."""
    return Account(
        waba_id=WABA_ID,
        numbers=tuple(
            AccountNumber(phone_number_id=one.phone_number_id, display_phone_number=one.display, throughput=one.limit)
            for one in NUMBERS
        ),
        templates=tuple({**template, "language": language} for template in _TEMPLATES for language in LANGUAGES),
    )


def name_of(phone_number_id: str) -> str:
    """What people call a number; the id itself when it is not ours."""
    return next((number.name for number in NUMBERS if number.phone_number_id == phone_number_id), phone_number_id)
