"""Do analysts find people, groups, calls, statuses and changes under keys, and never whose they are?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from services.common.domain.events import (
    AccountChanged,
    CallChanged,
    ContactChanged,
    FlowChanged,
    GroupChanged,
    Participant,
    PhoneNumberChanged,
    TemplateChanged,
)
from services.projector.fold import Event
from services.projector.projections.dead_letters import DeadLetterRow
from tests.support.analyst import Select, selecting
from tests.support.read_models import project
from tests.support.told import BRAZILIAN, GERMAN, JULY, NUMBER, received, sent, status

_MINUTE = 60_000
_USER = "DE.1234567890"
_DISPLAYED = "15550783881"


@pytest.fixture
def select(postgres: str) -> Select:
    """A query, as an analyst."""
    return selecting(postgres)


def at(minutes: int = 0) -> datetime:
    return datetime.fromtimestamp(JULY / 1000, UTC) + timedelta(minutes=minutes)


def of_account(**fields: Any) -> dict[str, Any]:
    return {"recorded_at": JULY + 500, "waba_id": "1", "raw": "{}", **fields}


def call(event: str, minutes: int, **fields: Any) -> CallChanged:
    told = of_account(
        event_id=f"{event} {minutes}", occurred_at=JULY + minutes * _MINUTE, phone_number_id=NUMBER, wacid="wacid.1"
    )
    return CallChanged(**{**told, "event": event, "contact": BRAZILIAN, **fields})


def group(kind: str, minutes: int, **fields: Any) -> GroupChanged:
    told = of_account(event_id=f"{kind} {minutes}", occurred_at=JULY + minutes * _MINUTE, phone_number_id=NUMBER, group_id="g1")
    return GroupChanged(**{**told, "field": "group_lifecycle_update", "type": kind, **fields})


def test_a_person_is_one_row_that_says_how_they_are_known_and_where_they_went(postgres: str, select: Select) -> None:
    moved = ContactChanged(
        **of_account(event_id="moved", occurred_at=JULY + _MINUTE),
        field="messages",
        type="user_changed_number",
        contact=_USER,
        bsuid=_USER,
        wa_id="4915187654321",
        previous_wa_id=GERMAN,
    )
    project(postgres, [received("1", BRAZILIAN), sent("2", GERMAN), moved])
    people = {row["contact_key"]: row for row in select("TABLE analytics.dim_contact")}
    messages = {row["country"]: row["contact_key"] for row in select("SELECT country, contact_key FROM analytics.fct_message")}
    brazilian = people[messages["BR"]]
    assert (brazilian["country"], brazilian["has_number"], brazilian["has_user_id"]) == ("BR", True, False)
    assert (brazilian["first_seen_at"], brazilian["last_seen_at"], brazilian["superseded_at"]) == (at(), at(), None)
    german = people[messages["DE"]]
    assert german["last_seen_at"] is None, "a message to somebody is no sign of them"
    [user] = [row for row in people.values() if row["has_user_id"]]
    assert (user["has_number"], user["number_given_up_at"]) == (True, at(1))
    assert (german["superseded_by_contact_key"], german["superseded_at"]) == (user["contact_key"], at(1))


def test_a_group_counts_who_is_in_it_and_names_them_by_keys_alone(postgres: str, select: Select) -> None:
    came = (Participant(change="added", wa_id=BRAZILIAN), Participant(change="added", wa_id=GERMAN))
    left = (Participant(change="removed", wa_id=GERMAN),)
    events: list[Event] = [
        received("1", BRAZILIAN),
        group("group_create", 0, subject="Our secret plans", invite_link="https://chat.whatsapp.com/x"),
        group("group_participants_add", 1, participants=came),
        group("group_participants_remove", 2, participants=left),
        group("group_suspend", 3),
    ]
    project(postgres, events)
    [row] = select("TABLE analytics.dim_group")
    assert (row["members"], row["members_ever"], row["suspension"], row["created_at"]) == (1, 2, "suspended", at())
    members = select("SELECT * FROM analytics.dim_group_member ORDER BY is_member")
    assert [(one["is_member"], one["added_at"], one["removed_at"]) for one in members] == [
        (False, at(1), at(2)),
        (True, at(1), None),
    ]
    [writer] = select("SELECT contact_key FROM analytics.fct_message")
    assert members[1]["contact_key"] == writer["contact_key"]
    shown = repr([row, *members])
    assert not any(word in shown for word in ("secret", "chat.whatsapp", BRAZILIAN, GERMAN))


def test_a_call_tells_whether_it_was_answered_and_how_long_it_was(postgres: str, select: Select) -> None:
    start, end = JULY + _MINUTE, JULY + 3 * _MINUTE
    ended = call("terminate", 3, status="COMPLETED", started_at=start, ended_at=end, duration_seconds=120)
    events: list[Event] = [received("1", BRAZILIAN), call("connect", 0, direction="USER_INITIATED"), ended]
    project(postgres, [*events, call("terminate", 5, wacid="wacid.2", status="FAILED", cta_payload="about me")])
    answered, failed = select("SELECT * FROM analytics.fct_call ORDER BY occurred_at")
    assert (answered["is_answered"], answered["duration_seconds"], answered["direction"]) == (True, 120, "USER_INITIATED")
    assert (answered["occurred_at"], answered["ended_at"], answered["country"]) == (at(), at(3), "BR")
    assert (failed["is_answered"], failed["termination"], failed["occurred_at"]) == (False, "FAILED", at(5))
    assert answered["call_key"] != failed["call_key"]
    assert "about me" not in repr(failed)


def test_every_status_of_a_message_is_told_with_both_times(postgres: str, select: Select) -> None:
    late = status("1", "delivered", at=JULY + _MINUTE)
    project(postgres, [sent("1"), status("1", "sent"), late, late, status("1", "failed", at=JULY + _MINUTE, error_code=131049)])
    rows = select(
        "SELECT s.status, s.occurred_at, s.recorded_at, s.error_code, s.pricing_category, m.command_id"
        " FROM analytics.fct_status AS s INNER JOIN analytics.fct_message AS m USING (message_key, contact_key)"
        " ORDER BY s.occurred_at, s.status"
    )
    assert [tuple(row.values()) for row in rows] == [
        ("sent", at(), at(), None, "marketing", "c 1"),
        ("delivered", at(1), at(1), None, "marketing", "c 1"),
        ("failed", at(1), at(1), 131049, "marketing", "c 1"),
    ]


def test_changes_of_templates_flows_numbers_and_accounts_have_a_time_even_where_meta_gave_none(
    postgres: str, select: Select
) -> None:
    with psycopg.connect(postgres) as connection:
        connection.execute(
            "INSERT INTO registry.phone_numbers (phone_number_id, waba_id, display_phone_number, access_token)"
            " VALUES (%s, '1', '+1 555-078-3881', 'x')",
            (NUMBER,),
        )
    events: list[Event] = [
        TemplateChanged(
            **of_account(event_id="t", field="message_template_status_update", occurred_at=JULY),
            event="PAUSED",
            template_id="7",
            template_name="offer",
            template_language="pt_BR",
            reason="NONE",
        ),
        FlowChanged(
            **of_account(event_id="f"), event="ENDPOINT_ERROR_RATE", flow_id="9", alert_state="ACTIVATED", error_rate=14.5
        ),
        PhoneNumberChanged(
            **of_account(event_id="n", field="phone_number_name_update"),
            event="APPROVED",
            decision="APPROVED",
            display_phone_number=_DISPLAYED,
            requested_verified_name="A Shop",
        ),
        AccountChanged(**of_account(event_id="a", field="account_update", occurred_at=JULY), event="VERIFIED_ACCOUNT"),
    ]
    project(postgres, events)
    [template] = select("SELECT occurred_at, event, template_name, language FROM analytics.fct_template_change")
    assert tuple(template.values()) == (at(), "PAUSED", "offer", "pt_BR")
    recorded = datetime.fromtimestamp(JULY / 1000 + 0.5, UTC)
    [flow] = select("SELECT occurred_at, flow_id, alert_state, error_rate FROM analytics.fct_flow_change")
    assert tuple(flow.values()) == (recorded, "9", "ACTIVATED", 14.5)
    [number] = select("TABLE analytics.fct_number_change")
    assert (number["occurred_at"], number["phone_number_id"], number["decision"]) == (recorded, NUMBER, "APPROVED")
    assert not number["is_of_account"]
    assert not any(word in repr(number) for word in (_DISPLAYED, "A Shop"))
    told = select("SELECT type, event, occurred_at FROM analytics.fct_account_event ORDER BY type")
    assert [tuple(row.values()) for row in told] == [
        ("AccountChanged", "VERIFIED_ACCOUNT", at()),
        ("FlowChanged", "ENDPOINT_ERROR_RATE", recorded),
        ("PhoneNumberChanged", "APPROVED", recorded),
        ("TemplateChanged", "PAUSED", at()),
    ]


def test_a_dead_letter_tells_where_and_why_and_none_of_its_bytes(postgres: str, select: Select) -> None:
    words = ("/entry/4915112345678", "said by Maria", '[["to","4915112345678"]]')
    letter = DeadLetterRow("topic", 3, 7, words[0], JULY, "parley.router", "shape", words[1], b"Maria", b"Maria", words[2])
    project(postgres, [letter])
    rows = select("TABLE analytics.ops_dead_letter")
    assert [tuple(row.values()) for row in rows] == [("topic", 3, 7, at(), "parley.router", "shape", None, "open", None)]
