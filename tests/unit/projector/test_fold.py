"""Do the same events end in the same rows, whatever their order, repetition and grouping?"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.domain.events import (
    AccountChanged,
    MessageReceived,
    MessageStatusChanged,
    PhoneNumberChanged,
    TemplateChanged,
)
from services.common.domain.records import SendOutcome
from services.projector.fold import TABLES, Event, Rows, fold
from services.projector.projections.contacts import digits
from services.projector.projections.table import Table
from tests.support.events import BEGIN, any_event, received, regrouped, status


@settings(max_examples=150, deadline=None)
@given(regrouped())
@pytest.mark.failure("R14")
def test_rows_do_not_depend_on_order_or_repetition(case: tuple[list[Event], list[list[Event]]]) -> None:
    events, batches = case
    assert fold(events) == fold(event for batch in batches for event in batch)


@settings(max_examples=100, deadline=None)
@given(st.lists(any_event, min_size=3, max_size=9))
def test_every_merge_is_associative_commutative_and_idempotent(events: list[Event]) -> None:
    for table, rows in _unmerged(events):
        for a, b, c in zip(rows, rows[1:], rows[2:], strict=False):
            assert table.merge(table.merge(a, b), c) == table.merge(a, table.merge(b, c))
            assert table.merge(a, b) == table.merge(b, a)
            assert table.merge(a, a) == a


@settings(max_examples=100, deadline=None)
@given(st.lists(any_event, max_size=12))
def test_rows_come_one_a_key_and_sorted(events: list[Event]) -> None:
    rows = fold(events)
    for table in TABLES:
        keys = [row[: table.key] for row in rows.get(table.name, [])]
        assert keys == sorted(set(keys))


@settings(max_examples=50, deadline=None)
@given(st.lists(received | status, min_size=1, max_size=6))
def test_flat_rows_have_the_columns_of_their_table(events: list[Event]) -> None:
    for name, rows in fold(events).items():
        table = next(table for table in TABLES if table.name == name)
        assert {len(row) for row in rows} == {len(table.columns)}


def test_a_payment_status_stays_in_the_history_and_moves_nothing() -> None:
    rows = fold([_status("sent", type="payment")])
    assert list(rows) == ["message_statuses"]


@pytest.mark.failure("R15", "R16")
def test_a_status_before_its_message_fills_the_same_row() -> None:
    row = _one(fold([_status("read"), _accepted()]), "messages")
    assert (row["read_at"], row["command_id"], row["direction"]) == (BEGIN, "c1", "outbound")


def test_a_failure_stays_beside_a_delivery() -> None:
    row = _one(fold([_status("failed", error_code=131026, error_title="Undeliverable"), _status("delivered")]), "messages")
    assert (row["delivered_at"], row["failed_at"], row["error_code"]) == (BEGIN, BEGIN, 131026)


def test_only_a_message_to_us_opens_the_window() -> None:
    assert _one(fold([_received()]), "conversations")["last_inbound_at"] == BEGIN
    for silent in (_received(type="system"), _received(field="history"), _received(type="system", group_id="g")):
        assert "conversations" not in fold([silent])


def test_any_message_in_a_group_opens_the_groups_window_and_no_persons() -> None:
    row = _one(fold([_received(group_id="g"), _received(group_id="g", wamid="wamid.2", contact="DE.2")]), "conversations")
    assert (row["contact"], row["last_inbound_at"]) == ("g", BEGIN)
    assert "consents" not in fold([_received(group_id="g", text="STOP")])


def test_a_message_to_a_group_is_one_row_of_nobody_with_a_history_of_everybody() -> None:
    sent = _accepted(group_id="g", to=None, contact=None, wa_id=None, bsuid=None)
    rows = fold([_status("delivered", group_id="g", contact="491"), _status("delivered", group_id="g", contact="492"), sent])
    row = _one(rows, "messages")
    assert (row["contact"], row["group_id"], row["command_id"], row["delivered_at"]) == (None, "g", "c1", BEGIN)
    assert len(rows["message_statuses"]) == 2
    assert _one(rows, "conversations")["contact"] == "g"
    assert not {row[0] for row in rows.get("contacts", ())} & {"g"}


def test_an_old_message_that_comes_late_shortens_no_window() -> None:
    row = _one(fold([_received(), _received(wamid="wamid.old", occurred_at=BEGIN - 5)]), "conversations")
    assert (row["first_inbound_at"], row["last_inbound_at"]) == (BEGIN - 5, BEGIN)


def test_stop_withdraws_and_start_grants_everything() -> None:
    stopped = _one(fold([_received(text="Stop!")]), "consents")
    assert (stopped["category"], stopped["withdrawn_at"], stopped["granted_at"]) == ("all", BEGIN, None)
    assert _one(fold([_received(text="START")]), "consents")["granted_at"] == BEGIN
    assert "consents" not in fold([_received(text="please stop calling me")])


def test_a_button_that_says_one_thing_and_means_stop_stops() -> None:
    row = _one(fold([_received(text="start", payload="STOP")]), "consent_events")
    assert (row["consent_id"], row["decision"], row["source"]) == ("keyword:wamid.1", "withdrawn", "keyword")


def test_a_dialled_number_stays_an_alias_of_what_meta_made_of_it() -> None:
    rows = fold([_accepted(to="+55 11 99999-0000", wa_id="551199990000", contact="BR.x", bsuid="BR.x")])
    pairs = {(row[0], row[1]) for row in rows["contact_aliases"]}
    assert pairs == {
        ("BR.x", "BR.x"),
        ("551199990000", "BR.x"),
        ("5511999990000", "BR.x"),
        ("5511999990000", "551199990000"),
    }


def test_refused_commands_are_outcomes_and_touch_nothing_else() -> None:
    assert list(fold([_accepted(kind="refused", wamid=None)])) == ["send_outcomes"]


def test_digits_are_what_is_left_of_a_number_without_separators() -> None:
    assert digits("+49 (151) 000-001") == "49151000001"
    assert digits("maria@example.org") is None
    assert digits("") is None


def _unmerged(events: list[Event]) -> list[tuple[Table, list[Any]]]:
    """Rows of the same key, one for each event, as they are before merging."""
    from services.projector.fold import EVERY  # noqa: PLC0415 - the rows before merging are nobody else's business

    tables: dict[str, Table] = {}
    by_key: dict[tuple[str, Any], list[Any]] = {}
    told: list[Any] = list(events)
    for event in told:
        for table, rows_of in EVERY[type(event)]:
            for row in rows_of(event):
                tables[table.name] = table
                by_key.setdefault((table.name, row[: table.key]), []).append(row)
                if type(row) in EVERY and row is not event:
                    told.append(row)
    return [(tables[name], rows) for (name, _), rows in by_key.items()]


def _one(rows: Rows, name: str) -> dict[str, Any]:
    (row,) = rows[name]
    table = next(table for table in TABLES if table.name == name)
    return dict(zip(table.columns, row, strict=True))


def _received(**changes: Any) -> MessageReceived:
    values: dict[str, Any] = {
        "event_id": "e",
        "occurred_at": BEGIN,
        "recorded_at": BEGIN,
        "waba_id": "1",
        "phone_number_id": "100",
        "contact": "49151",
        "wamid": "wamid.1",
        "type": "text",
        "raw": "{}",
    }
    return MessageReceived(**{**values, **changes})


def _status(word: str, **changes: Any) -> MessageStatusChanged:
    values: dict[str, Any] = {
        "event_id": "e",
        "occurred_at": BEGIN,
        "recorded_at": BEGIN,
        "waba_id": "1",
        "phone_number_id": "100",
        "wamid": "wamid.1",
        "status": word,
        "raw": "{}",
    }
    return MessageStatusChanged(**{**values, **changes})


def _accepted(**changes: Any) -> SendOutcome:
    values: dict[str, Any] = {
        "event_id": "o",
        "occurred_at": BEGIN,
        "command_id": "c1",
        "attempt_no": 1,
        "phone_number_id": "100",
        "kind": "accepted",
        "lane": "bulk",
        "type": "text",
        "wamid": "wamid.1",
    }
    return SendOutcome(**{**values, **changes})


def test_a_template_has_each_word_as_last_told() -> None:
    rows = fold(
        [
            _template("message_template_status_update", "PAUSED", occurred_at=BEGIN + 2, category="utility"),
            _template("message_template_status_update", "APPROVED", occurred_at=BEGIN + 1, category="UTILITY"),
            _template("template_category_update", "completed", occurred_at=BEGIN + 3, category="MARKETING"),
            _template("message_template_status_update", "quality_changed", occurred_at=BEGIN + 9, new_quality_score="RED"),
            _template("message_template_components_update", "components_changed", occurred_at=None, template_id="2"),
        ]
    )
    assert _one(rows, "templates") == {
        "waba_id": "1",
        "name": "order_update",
        "language": "en",
        "template_id": "1",
        "template_id_at": BEGIN + 9,
        "status": "PAUSED",
        "status_at": BEGIN + 2,
        "category": "MARKETING",
        "category_at": BEGIN + 3,
        "quality_score": "RED",
        "quality_score_at": BEGIN + 9,
        "components_at": BEGIN,
    }


def test_an_event_that_names_no_template_makes_no_row_of_one() -> None:
    for missing in ("waba_id", "template_name", "template_language"):
        assert "templates" not in fold([_template("message_template_status_update", "PAUSED", **{missing: None})])


def test_the_messaging_limit_of_an_account_is_the_one_told_last() -> None:
    common: dict[str, Any] = {"event_id": "e", "recorded_at": BEGIN, "raw": "{}", "event": "x", "waba_id": "1"}
    account = AccountChanged(field="business_capability_update", messaging_limit="TIER_2K", occurred_at=BEGIN + 1, **common)
    number = PhoneNumberChanged(field="phone_number_quality_update", current_limit="TIER_250", occurred_at=BEGIN, **common)
    silent = AccountChanged(field="account_update", occurred_at=BEGIN + 5, **common)
    assert _one(fold([account, number, silent]), "messaging_limits") == {
        "waba_id": "1",
        "messaging_limit": "TIER_2K",
        "told_at": BEGIN + 1,
    }
    assert _one(fold([number]), "messaging_limits")["messaging_limit"] == "TIER_250"


def _template(field: str, event: str, **changes: Any) -> TemplateChanged:
    values: dict[str, Any] = {
        "event_id": f"{field}/{event}",
        "recorded_at": BEGIN,
        "field": field,
        "event": event,
        "template_id": "1",
        "raw": "{}",
        "occurred_at": BEGIN,
        "waba_id": "1",
        "template_name": "order_update",
        "template_language": "en",
    }
    return TemplateChanged(**{**values, **changes})
