"""Does the simulated Meta refuse what an account may not send, and tell of it in Meta's words?"""

from __future__ import annotations

import pytest

from services.sandbox.simulator import accounts
from services.sandbox.simulator.config import Account, Number, Restricted

NOW = 1_800_000_000.0
FINE = Account(waba_id="9")
NUMBER = Number(phone_number_id="1", waba_id="9", display_phone_number="15550100001")
ALL = frozenset({"status", "throughput", "health_status"})


def restricted(word: str, expiration: int | None = None) -> Account:
    return Account(waba_id="9", restrictions=(Restricted(restriction_type=word, expiration=expiration),))


def codes(account: Account) -> list[int | None]:
    """What a reply, a utility template and a marketing template are answered."""
    kinds = ((False, None), (True, "UTILITY"), (True, "MARKETING"))
    answers = [accounts.refuse(account, is_template=template, category=category, now=NOW) for template, category in kinds]
    return [None if one is None else one.code for one in answers]


@pytest.mark.parametrize(
    ("account", "expected"),
    [
        (FINE, [None, None, None]),
        (Account(waba_id="9", refuses=131042), [131042] * 3),
        (Account(waba_id="9", refuses=131042, refuses_later=True), [None, None, None]),
        (Account(waba_id="9", disabled=True), [131031] * 3),
        (restricted("RESTRICTED_BIZ_INITIATED_MESSAGING"), [None, 368, 368]),
        (restricted("RESTRICTED_CUSTOMER_INITIATED_MESSAGING"), [368, None, None]),
        (restricted("RESTRICTED_UTILITY_TEMPLATES", int(NOW) + 1), [None, 368, None]),
        (restricted("RESTRICTED_UTILITY_TEMPLATES", int(NOW)), [None, None, None]),
        (restricted("RESTRICTED_USER_INITIATED_CALLING"), [None, None, None]),
    ],
)
def test_an_account_is_refused_what_it_may_not_send(account: Account, expected: list[int | None]) -> None:
    assert codes(account) == expected


def test_bans_and_restrictions_are_told_and_payment_is_not() -> None:
    banned = Account(waba_id="9", disabled=True)
    assert [one["event"] for one in accounts.updates(FINE, banned)] == ["DISABLED_UPDATE"]
    assert [one["ban_info"] for one in accounts.updates(banned, FINE)] == [
        {"waba_ban_state": "REINSTATE", "waba_ban_date": "today"}
    ]
    [told] = accounts.updates(FINE, restricted("RESTRICTED_UTILITY_TEMPLATES", 7))
    assert told["restriction_info"] == [{"restriction_type": "RESTRICTED_UTILITY_TEMPLATES", "expiration": 7}]
    assert list(accounts.updates(FINE, Account(waba_id="9", refuses=131042))) == []


def test_a_number_is_described_by_the_fields_asked_for() -> None:
    assert accounts.described(NUMBER, FINE, frozenset({"status"})) == {"id": "1", "status": "CONNECTED"}
    blocked = accounts.described(NUMBER, Account(waba_id="9", refuses=131042), ALL)["health_status"]
    assert isinstance(blocked, dict)
    assert blocked["can_send_message"] == "BLOCKED"
    upgraded = NUMBER.model_copy(update={"throughput": accounts.UPGRADED})
    assert accounts.described(upgraded, FINE, ALL)["throughput"] == {"level": "HIGH"}
