"""Which events are about a person or a number, and which are not?"""

from __future__ import annotations

from typing import Any

import pytest

from services.common.domain.events import AccountChanged, ContactChanged, GroupChanged, Participant, UnrecognizedChange
from services.common.domain.records import RecordConsent, SendOutcome
from services.projector.concerning import Span, Subject
from services.projector.fold import Event
from services.projector.projections.dead_letters import DeadLetterRow
from tests.support.told import BRAZILIAN, GERMAN, JULY, NUMBER, received, sent, status

_MET: dict[str, Any] = {"event_id": "e", "waba_id": "1", "recorded_at": JULY, "raw": "{}"}
PERSON = Subject(
    names={GERMAN: (Span(None, None),), "DE.1": (Span(None, None),), "491600": (Span(JULY, JULY + 10),)},
    wamids=frozenset({"wamid.known"}),
)


def _refused(to: str) -> SendOutcome:
    return SendOutcome(
        event_id="e",
        occurred_at=JULY,
        command_id="c",
        attempt_no=0,
        phone_number_id=NUMBER,
        kind="refused",
        lane="bulk",
        type="text",
        to=to,
    )


def _moved(**names: Any) -> ContactChanged:
    return ContactChanged(**_MET, field="messages", type="user_changed_number", **names)


def _consent(contact: str) -> RecordConsent:
    return RecordConsent(
        consent_id="c",
        occurred_at=JULY,
        phone_number_id=NUMBER,
        contact=contact,
        category="all",
        decision="granted",
        source="web",
    )


def _joined(wa_id: str) -> GroupChanged:
    people = (Participant(change="added", wa_id=BRAZILIAN), Participant(change="added", wa_id=wa_id))
    return GroupChanged(
        **_MET, occurred_at=JULY, phone_number_id=NUMBER, field="group_participants_update", type="added", participants=people
    )


def _letter(key: bytes | None) -> DeadLetterRow:
    return DeadLetterRow("t", 0, 0, "", JULY, "g", "r", "", key, b"", "[]")


@pytest.mark.parametrize(
    "event",
    [
        received("1", GERMAN),
        received("1", BRAZILIAN, bsuid="DE.1"),
        received("1", "491600", JULY + 5),
        sent("1", GERMAN),
        status("1", "read", GERMAN),
        status("known", "read", ""),
        _refused("+49 1511 2345678"),
        _moved(contact="DE.2", previous_bsuid="DE.1"),
        _consent(GERMAN),
        _joined(GERMAN),
        _letter(f"{NUMBER}/{GERMAN}".encode()),
    ],
    ids=lambda event: type(event).__name__,
)
def test_what_names_the_person_or_their_message_concerns_them(event: Event) -> None:
    assert PERSON.is_in(event)


@pytest.mark.parametrize(
    "event",
    [
        received("1", BRAZILIAN),
        received("1", "491600", JULY),
        received("1", "491600", JULY + 11),
        status("1", "read", ""),
        _refused("+49 1511"),
        _refused("nobody"),
        _moved(contact="DE.2"),
        _consent(BRAZILIAN),
        _joined("1"),
        UnrecognizedChange(event_id="e", recorded_at=JULY, pointer="/entry/0", raw="{}"),
        _letter(NUMBER.encode()),
        _letter(None),
        _letter(b"\xff/\xff"),
    ],
    ids=lambda event: type(event).__name__,
)
def test_what_names_others_or_nobody_or_a_number_that_was_not_theirs_does_not(event: Event) -> None:
    assert not PERSON.is_in(event)


def test_a_number_and_a_person_narrow_each_other() -> None:
    number = Subject(phone_number_id=NUMBER)
    elsewhere = received("1", GERMAN, phone_number_id="200")
    assert [number.is_in(one) for one in (received("1", GERMAN), elsewhere, _letter(f"{NUMBER}/x".encode()))] == [
        True,
        False,
        True,
    ]
    assert not number.is_in(AccountChanged(**_MET, field="account_update", event="VERIFIED_ACCOUNT"))
    both = Subject(names=PERSON.names, phone_number_id=NUMBER)
    assert [both.is_in(one) for one in (received("1", GERMAN), received("1", BRAZILIAN), elsewhere)] == [True, False, False]
