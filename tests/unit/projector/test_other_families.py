"""What becomes of events about calls, groups, flows, templates, numbers and conversations?"""

from __future__ import annotations

from typing import Any

from services.common.domain.events import (
    AccountChanged,
    CallChanged,
    FlowChanged,
    GroupChanged,
    MessageStatusChanged,
    Participant,
    PhoneNumberChanged,
    TemplateChanged,
)
from services.common.domain.records import SendingStateChanged
from services.projector.fold import TABLES, Event, fold
from tests.support.events import BEGIN

_OF_ALL: dict[str, Any] = {"event_id": "e", "occurred_at": BEGIN, "recorded_at": BEGIN, "waba_id": "1", "raw": "{}"}
_OF_NUMBER: dict[str, Any] = {**_OF_ALL, "phone_number_id": "100"}


def rows(name: str, *events: Event) -> list[dict[str, Any]]:
    table = next(table for table in TABLES if table.name == name)
    return [dict(zip(table.columns, row, strict=True)) for row in fold(events).get(name, [])]


def call(event: str, **fields: Any) -> CallChanged:
    return CallChanged(**{**_OF_NUMBER, "wacid": "wacid.1", "event": event, **fields})


def test_a_call_is_one_row_whatever_comes_first() -> None:
    ended = call(
        "terminate", status="COMPLETED", started_at=BEGIN + 2, ended_at=BEGIN + 9, duration_seconds=7, occurred_at=BEGIN + 9
    )
    ringing = call("status", status="RINGING", direction="BUSINESS_INITIATED", occurred_at=BEGIN + 1)
    ready = call("call_recording_available", media_id="m", occurred_at=BEGIN + 20)
    [row] = rows("calls", ready, ended, ringing, call("connect", contact="49151"))
    assert (row["connected_at"], row["ringing_at"], row["accepted_at"]) == (BEGIN, BEGIN + 1, None)
    assert (row["terminated_at"], row["termination"], row["started_at"]) == (BEGIN + 9, "COMPLETED", BEGIN + 2)
    assert (row["duration_seconds"], row["contact"], row["recording_at"]) == (7, "49151", BEGIN + 20)


def group(kind: str, at: int = 0, **fields: Any) -> GroupChanged:
    values = {**_OF_NUMBER, "occurred_at": BEGIN + at, "field": "group_lifecycle_update", "type": kind, "group_id": "g"}
    return GroupChanged(**{**values, **fields})


def test_a_group_is_set_as_last_told_and_what_failed_changed_nothing() -> None:
    made = group("group_create", subject="Aurora", join_approval_mode="auto_approve")
    renamed = group("group_settings_update", 5, subject="Aurora help")
    refused = group("group_settings_update", 9, subject="no", error_code=131215)
    [row] = rows("groups", refused, renamed, made, group("group_suspend", 6), group("group_suspend_cleared", 7))
    assert (row["created_at"], row["deleted_at"], row["subject"], row["subject_at"]) == (BEGIN, None, "Aurora help", BEGIN + 5)
    assert (row["join_approval_mode"], row["suspension"]) == ("auto_approve", "cleared")
    assert rows("groups", group("group_create", group_id=None, request_id="r")) == []


def test_members_come_and_go_and_who_could_not_be_added_never_came() -> None:
    def members(at: int, change: str, *people: dict[str, Any]) -> GroupChanged:
        told = tuple(Participant(change=change, **one) for one in people)
        return group("group_participants_add", at, participants=told)

    found = rows(
        "group_members",
        members(3, "removed", {"wa_id": "491"}),
        members(1, "added", {"wa_id": "491"}, {"wa_id": "492", "bsuid": "DE.2"}),
        members(1, "failed", {"input": "+49 3"}, {"wa_id": "494"}),
    )
    assert [(row["contact"], row["added_at"], row["removed_at"]) for row in found] == [
        ("491", BEGIN + 1, BEGIN + 3),
        ("DE.2", BEGIN + 1, None),
    ]


def told(**fields: Any) -> MessageStatusChanged:
    return MessageStatusChanged(**{**_OF_NUMBER, "wamid": "wamid.1", "status": "sent", "conversation_id": "s", **fields})


def test_a_free_entry_point_is_kept_until_when_it_is_free() -> None:
    begun = told(conversation_origin_type="referral_conversion", conversation_expires_at=BEGIN + 72 * 3_600_000, contact="491")
    later = told(conversation_origin_type="referral_conversion", status="delivered", occurred_at=BEGIN + 5)
    [row] = rows("priced_conversations", later, begun)
    assert (row["origin_type"], row["first_status_at"], row["expires_at"]) == (
        "referral_conversion",
        BEGIN,
        BEGIN + 72 * 3_600_000,
    )


def test_a_session_that_was_priced_as_one_is_kept_and_an_id_for_each_message_is_not() -> None:
    session = told(conversation_origin_type="service", pricing_model="CBP", pricing_category="service", pricing_billable=False)
    again = told(status="read", occurred_at=BEGIN + 9, pricing_model="CBP", pricing_category="service", pricing_billable=True)
    [row] = rows("priced_conversations", again, session)
    assert (row["pricing_category"], row["is_billable"], row["origin_type"]) == ("service", True, "service")
    assert rows("priced_conversations", told(conversation_origin_type="service", pricing_model="PMP")) == []
    assert rows("priced_conversations", told(conversation_id=None, pricing_model="CBP")) == []


def test_the_history_of_a_status_has_what_meta_said_of_price_and_conversation() -> None:
    [row] = rows(
        "message_statuses", told(pricing_billable=True, conversation_origin_type="utility", conversation_expires_at=BEGIN)
    )
    assert (row["pricing_billable"], row["conversation_origin_type"], row["conversation_expires_at"]) == (True, "utility", BEGIN)


def test_each_change_of_a_template_is_kept_once() -> None:
    def changed(event: str, at: int = 0, *, recorded_at: int = BEGIN, **fields: Any) -> TemplateChanged:
        values = {
            **_OF_ALL,
            "occurred_at": BEGIN + at,
            "recorded_at": recorded_at,
            "field": "f",
            "event": event,
            "template_id": "7",
        }
        return TemplateChanged(**{**values, **fields})

    found = rows(
        "template_changes",
        changed("APPROVED"),
        changed("APPROVED", recorded_at=BEGIN + 60_000),
        changed("PAUSED", 9, raw='{"event":"PAUSED"}', reason="low quality"),
    )
    assert sorted((row["event"], row["recorded_at"], row["reason"]) for row in found) == [
        ("APPROVED", BEGIN, None),
        ("PAUSED", BEGIN, "low quality"),
    ]


def test_limits_of_numbers_and_accounts_and_rates_of_the_sender_stand_in_one_history() -> None:
    upgraded = PhoneNumberChanged(
        **_OF_ALL,
        field="phone_number_quality_update",
        event="ONBOARDING",
        display_phone_number="15550100001",
        current_limit="TIER_1K",
    )
    of_account = AccountChanged(
        **{**_OF_ALL, "raw": "1"}, field="business_capability_update", event="x", messaging_limit="TIER_2K"
    )
    rate = SendingStateChanged(
        event_id="s",
        occurred_at=BEGIN,
        waba_id="1",
        state="limit",
        source="webhook",
        phone_number_id="100",
        messages_per_second=1000,
    )
    silent = AccountChanged(**{**_OF_ALL, "raw": "2"}, field="account_update", event="VERIFIED_ACCOUNT")
    found = rows("phone_number_changes", upgraded, of_account, rate, silent)
    assert {(row["phone_number_id"], row["messaging_limit"], row["messages_per_second"]) for row in found} == {
        (None, "TIER_1K", None),
        (None, "TIER_2K", None),
        ("100", None, 1000),
    }


def test_alerts_about_a_flow_keep_their_numbers() -> None:
    slow = FlowChanged(
        **_OF_ALL,
        event="ENDPOINT_LATENCY",
        flow_id="f",
        alert_state="ACTIVATED",
        p90_latency=2500.5,
        requests_count=3_000_000_000,
    )
    [row] = rows("flow_changes", slow)
    assert (row["flow_id"], row["p90_latency"], row["requests_count"]) == ("f", 2500.5, 3_000_000_000)


def test_evidence_of_consent_names_its_message() -> None:
    stopped = told(status="failed", contact="491", error_code=131050)
    [row] = rows("consent_events", stopped)
    assert (row["source"], row["wamid"]) == ("error_131050", "wamid.1")
