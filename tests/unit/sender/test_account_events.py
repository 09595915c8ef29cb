"""Are the projector's rows about accounts read for what they say, whatever is in them?"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.domain.account_state import AccountEvent, of_event
from services.common.platform.registry import RegisteredNumber
from services.sender.account_events import Told, account_events, coexisting, upgrades

WABA = "102290129340398"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def told(
    value: object, *, field: str = "account_update", event: str | None = None, waba_id: str | None = WABA, at: int = 7
) -> Told:
    word = event if event is not None or not isinstance(value, dict) else value.get("event")
    number = "1" if field in ("history", "smb_app_state_sync") else None
    return Told(waba_id=waba_id, phone_number_id=number, field=field, event=word, raw=json.dumps(value), at=at, recorded_at=at)


def number(phone_number_id: str, display: str | None) -> RegisteredNumber:
    return RegisteredNumber(
        phone_number_id=phone_number_id,
        waba_id=WABA,
        display_phone_number=display,
        messages_per_second=80,
        state="active",
        sealed_token=b"",
    )


def read(*rows: Told) -> list[AccountEvent]:
    return list(account_events(rows, waba_ids={WABA}))


def test_a_restriction_is_read_with_its_ends_in_milliseconds() -> None:
    listed = [
        {"restriction_type": "RESTRICTED_UTILITY_TEMPLATES", "expiration": 1_764_435_201},
        {"restriction_type": "RESTRICTED_CUSTOMER_INITIATED_MESSAGING", "expiration": "1764435201"},
        {"restriction_type": "RESTRICTED_BIZ_INITIATED_MESSAGING"},
        {"restriction_type": 7},
        "no object",
    ]
    [event] = read(told({"event": "ACCOUNT_RESTRICTION", "restriction_info": listed}))
    assert event.restrictions == (
        ("RESTRICTED_UTILITY_TEMPLATES", 1_764_435_201_000),
        ("RESTRICTED_CUSTOMER_INITIATED_MESSAGING", 1_764_435_201_000),
        ("RESTRICTED_BIZ_INITIATED_MESSAGING", None),
    )


def test_the_account_that_a_value_names_is_the_one_it_is_about() -> None:
    removed = {"event": "PARTNER_REMOVED", "waba_info": {"waba_id": WABA}}
    assert [one.waba_id for one in read(told(removed, waba_id="of the partner"))] == [WABA]
    assert read(told({**removed, "waba_info": {"waba_id": "somebody else's"}})) == []
    assert read(told({"event": "ACCOUNT_OFFBOARDED"}, waba_id=None)) == []


@pytest.mark.parametrize("field", ["account_alerts", "phone_number_quality_update", "history"])
def test_other_fields_stop_nothing(field: str) -> None:
    assert read(told({"event": "DISABLED_UPDATE", "ban_info": {"waba_ban_state": "DISABLE"}}, field=field)) == []


@given(
    st.fixed_dictionaries({}, optional={"ban_info": JSON, "restriction_info": JSON, "waba_info": JSON}),
    st.sampled_from(["DISABLED_UPDATE", "ACCOUNT_RESTRICTION", "PARTNER_REMOVED"]),
)
def test_a_value_of_any_shape_is_read(value: dict[str, object], event: str) -> None:
    for one in read(told({**value, "event": event})):
        of_event(one)


@pytest.mark.parametrize("raw", ["", "[]", "7", "{", '{"event":"DISABLED_UPDATE","ban_info":{"waba_ban_state":["DISABLE"]}}'])
def test_words_that_are_no_value_of_metas_stop_nothing(raw: str) -> None:
    [event] = read(replace(told({}, event="DISABLED_UPDATE"), raw=raw))
    assert of_event(event) == {}


def test_an_upgrade_is_of_the_number_that_people_dial() -> None:
    numbers = [number("1", "+1 555 010 0001"), number("2", "15550100002"), number("3", None)]
    rows = [
        told({"event": "THROUGHPUT_UPGRADE", "display_phone_number": "15550100001"}, field="phone_number_quality_update", at=5),
        told({"event": "THROUGHPUT_UPGRADE", "display_phone_number": "+15550100001"}, field="phone_number_quality_update", at=9),
        told({"event": "ONBOARDING", "display_phone_number": "15550100002"}, field="phone_number_quality_update"),
        told({"event": "THROUGHPUT_UPGRADE", "display_phone_number": "4930000000"}, field="phone_number_quality_update"),
        told({"event": "THROUGHPUT_UPGRADE"}, field="phone_number_quality_update"),
    ]
    assert upgrades(rows, numbers) == {"1": 9}


def test_what_only_a_shared_number_gets_shows_that_it_is_shared() -> None:
    assert coexisting([told({}, field="history"), told({"event": "ACCOUNT_OFFBOARDED"})]) == {"1"}
