"""Does the judge see every way to break a promise? Each test plants one in a clean run and asks for exactly that finding."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from services.common.domain import topics
from services.common.domain.ids import attempt_id, outcome_event_id
from services.common.domain.records import SendOutcome
from services.sandbox.ledger import (
    FIGURES,
    Advance,
    CommandRow,
    DeadLetter,
    Kind,
    Ledger,
    LoggedWebhook,
    Publication,
    SentRow,
    Verdict,
    judge,
)
from services.sandbox.simulator.records import Answer, Arrival, State, WebhookView, What
from services.sandbox.webhook_elements import elements

pytestmark = pytest.mark.unit

PHONE = "1065"
ACCEPTED, REFUSED, REJECTED, PARKED, BROKEN = (f"00000000-0000-4000-8000-00000000000{nth}" for nth in range(5))
STOP, TEXT, STATUS = "wamid.stop", "wamid.text", "wamid.sent"


def webhook(field: str, value: object) -> bytes:
    entry = {"id": "102", "changes": [{"field": field, "value": value}]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()


def said(wamid: str, text: str) -> bytes:
    message = {"from": "5511", "id": wamid, "timestamp": "1790000000", "type": "text", "text": {"body": text}}
    return webhook("messages", {"metadata": {"phone_number_id": PHONE}, "messages": [message]})


STATUS_BODY = webhook(
    "messages",
    {
        "metadata": {"phone_number_id": PHONE},
        "statuses": [{"id": STATUS, "status": "sent", "timestamp": "1790000001", "recipient_id": "5511"}],
    },
)
CHANGE_BODY = webhook("account_update", {"event": "x"})
BODIES = (said(STOP, "STOP"), said(TEXT, "Hello"), STATUS_BODY, CHANGE_BODY, b"no json")


def logged(body: bytes, offset: int) -> LoggedWebhook:
    sha256 = hashlib.sha256(body).hexdigest()
    return LoggedWebhook(place=(topics.WEBHOOKS, 0, offset), sha256=sha256, elements=elements(body))


def view(nth: int, body: bytes, *statuses: int | None, state: State = "delivered") -> WebhookView:
    answers = tuple(Answer(status=status, at=0.0, after_seconds=0.01) for status in statuses)
    return WebhookView(
        id=nth,
        created_at=0.0,
        what=(),
        sha256=hashlib.sha256(body).hexdigest(),
        size=len(body),
        signature="good",
        attempts=len(answers),
        answers=answers,
        state=state,
    )


def arrival(seq: int, command_id: str, wamid: str | None, *, at: float = 0.0) -> Arrival:
    return Arrival(
        seq=seq,
        read_at=at * 1000,
        read_monotonic=at,
        phone_number_id=PHONE,
        recipient="5511",
        opaque=attempt_id(command_id, 1),
        type="text",
        decision="refused" if wamid is None else "accepted",
        wamid=wamid,
    )


def outcome(command_id: str, kind: str, *, wamid: str | None = None, reason: str | None = None) -> SendOutcome:
    return SendOutcome(
        event_id=outcome_event_id(command_id, 1, kind),
        occurred_at=0,
        command_id=command_id,
        attempt_no=1,
        phone_number_id=PHONE,
        kind=kind,
        lane="transactional",
        type="text",
        wamid=wamid,
        reason=reason,
    )


def publication(command_id: str, offset: int, *, readable: bool = True) -> Publication:
    place = (topics.SEND_COMMANDS, 0, offset)
    return Publication(command_id=command_id, phone_number_id=PHONE, places=(place,), readable=readable)


def clean() -> Ledger:
    """A run in which every kind of thing happened once, the first webhook twice, and all of it well."""
    records = [*(logged(body, nth) for nth, body in enumerate(BODIES)), logged(BODIES[0], 9)]
    identities = {element.identity for record in records for element in record.elements}
    return Ledger(
        limits={PHONE: 2},
        published=[
            publication(ACCEPTED, 0),
            replace(publication(REFUSED, 1), must_refuse="window_closed"),
            publication(REJECTED, 2),
            publication(PARKED, 3),
            publication(BROKEN, 4, readable=False),
        ],
        consents=frozenset({"consent-1"}),
        arrivals=[arrival(1, ACCEPTED, STATUS), arrival(2, REJECTED, None), arrival(3, PARKED, None, at=1.0)],
        webhooks=[view(1, BODIES[0], 200, None, 200), *(view(nth + 1, body, 200) for nth, body in enumerate(BODIES) if nth)],
        logged=records,
        outcomes=[
            outcome(ACCEPTED, "accepted", wamid=STATUS),
            outcome(REFUSED, "refused", reason="window_closed"),
            outcome(REJECTED, "rejected"),
            outcome(PARKED, "unknown"),
            outcome(PARKED, "unresolved"),
        ],
        dead_letters=[
            DeadLetter(place=(topics.WEBHOOKS, 0, 4), pointer=""),
            DeadLetter(place=(topics.SEND_COMMANDS, 0, 4), pointer=""),
        ],
        rows={identity: 1 for identity in identities if identity[0] != "odd"},
        sent_rows={STATUS: SentRow(command_id=ACCEPTED, is_accepted=True)},
        consent_rows=frozenset({"consent-1", f"keyword:{STOP}"}),
        command_rows={
            ACCEPTED: CommandRow(state="accepted", wamid=STATUS),
            REFUSED: CommandRow(state="refused", reason="window_closed"),
            REJECTED: CommandRow(state="rejected"),
            PARKED: CommandRow(state="unresolved"),
        },
        dead_letter_rows=frozenset({(topics.WEBHOOKS, 0, 4), (topics.SEND_COMMANDS, 0, 4)}),
        delivered={STATUS: (1_790_000_001_000, None, None, None, None), STOP: (None,) * 5},
        windows={(PHONE, "5511"): 1_790_000_000_000},
        advances=[Advance(topics.INBOUND_MESSAGES, 0, 0, 2), Advance(topics.INBOUND_MESSAGES, 0, 2, 3)],
    )


def found(verdict: Verdict) -> dict[Kind, int]:
    return {kind: verdict.count(kind) for kind in Kind if verdict.count(kind)}


def without_row(ledger: Ledger, kind: str) -> Ledger:
    gone = next(identity for identity in ledger.rows if identity[0] == kind)
    return replace(ledger, rows={identity: times for identity, times in ledger.rows.items() if identity != gone})


def with_state(ledger: Ledger, command_id: str, state: str) -> Ledger:
    return replace(ledger, command_rows={**ledger.command_rows, command_id: CommandRow(state=state)})


def without_command(ledger: Ledger, command_id: str) -> Ledger:
    rows = {key: row for key, row in ledger.command_rows.items() if key != command_id}
    outcomes = [one for one in ledger.outcomes if one.command_id != command_id]
    return replace(ledger, command_rows=rows, outcomes=outcomes)


def test_a_clean_run_has_no_findings_and_counts_what_happened() -> None:
    verdict = judge(clean())
    assert verdict.findings == ()
    assert verdict.is_clean
    assert (verdict.events, verdict.duplicates_absorbed, verdict.commands) == (5 + 1 + 5, 1, 5)
    assert (verdict.accepted, verdict.rejected, verdict.unresolved, verdict.refused) == (1, 1, 1, {"window_closed": 1})
    assert verdict.numbers[0].worst_second == 2
    assert verdict.line == "events 11 · duplicates absorbed 1 · double sends 0 · lost 0"


Plant = Callable[[Ledger], Ledger]
PLANTED: dict[str, tuple[Plant, dict[Kind, int]]] = {
    "a message without a row": (lambda it: without_row(it, "message"), {Kind.LOST: 1}),
    "a status without a row": (lambda it: without_row(it, "status"), {Kind.LOST: 1}),
    "another change without a row": (lambda it: without_row(it, "change"), {Kind.LOST: 1}),
    "an unreadable webhook without a dead letter": (
        lambda it: replace(it, dead_letters=it.dead_letters[1:], dead_letter_rows=frozenset({it.dead_letters[1].place})),
        {Kind.LOST: 1},
    ),
    "a dead letter that operators do not see": (
        lambda it: replace(it, dead_letter_rows=frozenset({it.dead_letters[1].place})),
        {Kind.LOST: 1},
    ),
    "a 200 for bytes that are not in the log": (
        lambda it: replace(it, webhooks=[*it.webhooks, view(9, b"other", 200)]),
        {Kind.FALSE_200: 1},
    ),
    "a second 200 for bytes that are once in the log": (
        lambda it: replace(it, webhooks=[view(1, BODIES[0], 200, 200, 200), *it.webhooks[1:]]),
        {Kind.FALSE_200: 1},
    ),
    "a webhook still on its way": (
        lambda it: replace(it, webhooks=[view(1, BODIES[0], 200, 200, state="pending"), *it.webhooks[1:]]),
        {Kind.UNFINISHED: 1},
    ),
    "a forged webhook in the log": (
        lambda it: replace(it, webhooks=[replace(it.webhooks[0], signature="bad", answers=()), *it.webhooks[1:]]),
        {Kind.PHANTOM: 1},
    ),
    "a row that no webhook said": (
        lambda it: replace(it, rows={**it.rows, ("message", PHONE, "wamid.invented"): 1}),
        {Kind.PHANTOM: 1},
    ),
    "an acceptance that Meta knows nothing of": (
        lambda it: replace(it, sent_rows={**it.sent_rows, "wamid.new": SentRow(command_id=None, is_accepted=True)}),
        {Kind.PHANTOM: 1},
    ),
    "two rows for one content": (
        lambda it: replace(it, rows=dict.fromkeys(it.rows, 2)),
        {Kind.DOUBLE_EFFECT: 4},
    ),
    "a STOP nobody noted": (lambda it: replace(it, consent_rows=frozenset({"consent-1"})), {Kind.LOST: 1}),
    "a consent record nobody noted": (
        lambda it: replace(it, consent_rows=frozenset({f"keyword:{STOP}"})),
        {Kind.LOST: 1},
    ),
    "evidence nobody gave": (
        lambda it: replace(it, consent_rows=it.consent_rows | {"consent-2", "keyword:wamid.never"}),
        {Kind.PHANTOM: 2},
    ),
    "a command Meta accepted twice": (
        lambda it: replace(
            it,
            arrivals=[*it.arrivals, arrival(4, ACCEPTED, "wamid.again", at=5.0)],
            sent_rows={**it.sent_rows, "wamid.again": SentRow(command_id=ACCEPTED, is_accepted=True)},
        ),
        {Kind.DOUBLE_SEND: 1},
    ),
    "a command that vanished": (lambda it: without_command(it, REFUSED), {Kind.LOST: 1}),
    "a command that is still waiting": (lambda it: with_state(it, REFUSED, "waiting"), {Kind.UNFINISHED: 1}),
    "an outcome nobody was told": (
        lambda it: replace(it, outcomes=[one for one in it.outcomes if one.command_id != REJECTED]),
        {Kind.LOST: 1},
    ),
    "an accepted message that is no row": (lambda it: replace(it, sent_rows={}), {Kind.LOST: 1}),
    "an accepted message that does not know its command": (
        lambda it: replace(it, sent_rows={STATUS: SentRow(command_id=None, is_accepted=False)}),
        {Kind.LOST: 1},
    ),
    "an acceptance that was never settled": (lambda it: with_state(it, ACCEPTED, "unresolved"), {Kind.LOST: 1}),
    "a failure that was a success": (lambda it: with_state(it, ACCEPTED, "rejected"), {Kind.FALSE_FAIL: 1}),
    "a failure told to the producer although Meta accepted": (
        lambda it: replace(it, outcomes=[*it.outcomes, outcome(ACCEPTED, "rejected")]),
        {Kind.FALSE_FAIL: 1},
    ),
    "a success Meta knows nothing of": (
        lambda it: replace(
            with_state(it, REFUSED, "accepted"), outcomes=[*it.outcomes, outcome(REFUSED, "accepted", wamid="wamid.invented")]
        ),
        {Kind.PHANTOM: 2},
    ),
    "a send that no command asked for": (
        lambda it: replace(it, arrivals=[*it.arrivals, replace(arrival(4, ACCEPTED, "wamid.x", at=5.0), opaque="another")]),
        {Kind.PHANTOM: 1},
    ),
    "a sent row that Meta never accepted": (
        lambda it: replace(it, sent_rows={**it.sent_rows, "wamid.x": SentRow(command_id=None, is_accepted=False)}),
        {Kind.PHANTOM: 1},
    ),
    "a command nobody published": (
        lambda it: replace(it, command_rows={**it.command_rows, "another": CommandRow(state="refused")}),
        {Kind.PHANTOM: 1},
    ),
    "a send that had to be refused": (
        lambda it: replace(it, published=[replace(it.published[0], must_refuse="opted_out"), *it.published[1:]]),
        {Kind.AGAINST_POLICY: 1},
    ),
    "a second above the limit": (lambda it: replace(it, limits={PHONE: 1}), {Kind.OVER_LIMIT: 1}),
    "a status that moved nothing": (lambda it: replace(it, delivered={STATUS: (None,) * 5}), {Kind.REORDER: 1}),
    "a later status that took the place of the first": (
        lambda it: replace(it, delivered={STATUS: (1_790_000_009_000, None, None, None, None)}),
        {Kind.REORDER: 1},
    ),
    "a window of an older message": (lambda it: replace(it, windows={(PHONE, "5511"): 1}), {Kind.REORDER: 1}),
    "a window that nobody opened": (
        lambda it: replace(it, windows={**it.windows, (PHONE, "5522"): 1_790_000_000_000}),
        {Kind.PHANTOM: 1},
    ),
    "a window that is missing": (lambda it: replace(it, windows={}), {Kind.LOST: 1}),
    "records applied twice": (
        lambda it: replace(it, advances=[*it.advances, Advance(topics.INBOUND_MESSAGES, 0, 1, 3)]),
        {Kind.DOUBLE_EFFECT: 2},
    ),
    "records passed over": (
        lambda it: replace(it, advances=[*it.advances, Advance(topics.INBOUND_MESSAGES, 0, 7, 8)]),
        {Kind.LOST: 4},
    ),
    "records passed over at the beginning": (lambda it: replace(it, advances=it.advances[1:]), {Kind.LOST: 2}),
    "outcomes the log does not have": (lambda it: replace(it, outbox_rows=3), {Kind.UNFINISHED: 3}),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_violation_is_found_and_nothing_else(name: str) -> None:
    plant, expected = PLANTED[name]
    verdict = judge(plant(clean()))
    assert found(verdict) == expected
    assert not verdict.is_clean


def test_figures_say_of_how_many() -> None:
    figures = {figure.name: (figure.found, figure.n) for figure in judge(clean()).figures}
    assert list(figures) == list(FIGURES)
    assert {found for found, _ in figures.values()} == {0}
    assert (figures["dup_send"], figures["false_200"], figures["reorder"]) == ((0, 1), (0, 6), (0, 2))
    twice = replace(clean(), arrivals=[*clean().arrivals, arrival(4, ACCEPTED, "wamid.again", at=5.0)])
    assert next(str(figure) for figure in judge(twice).figures if figure.name == "dup_send") == "dup_send 1 of 1"


def test_a_second_acceptance_is_no_finding_where_the_policy_is_to_send_once_more() -> None:
    ledger = PLANTED["a command Meta accepted twice"][0](clean())
    assert judge(ledger).count(Kind.DOUBLE_SEND) == 1
    allowed = [replace(ledger.published[0], may_repeat=True), *ledger.published[1:]]
    assert judge(replace(ledger, published=allowed)).is_clean


def test_a_row_that_the_log_lost_but_meta_sent_is_no_phantom() -> None:
    ledger = clean()
    sent = replace(view(1, BODIES[0], 200, None, 200), what=(What(kind="message", wamid=STOP),))
    without = [record for record in ledger.logged if record.sha256 != sent.sha256]
    verdict = judge(replace(ledger, webhooks=[sent, *ledger.webhooks[1:]], logged=without))
    assert (verdict.count(Kind.FALSE_200), verdict.count(Kind.LOST)) == (2, 0)
    assert not any("wamid" in finding.what for finding in verdict.findings)


def test_what_was_never_acknowledged_is_not_lost() -> None:
    ledger = clean()
    assert judge(replace(ledger, published=[*ledger.published, replace(publication("never", 9), places=())])).is_clean


def test_a_repeated_command_is_a_duplicate_and_a_conflict_no_failure() -> None:
    ledger = clean()
    twice = replace(ledger.published[0], places=((topics.SEND_COMMANDS, 0, 0), (topics.SEND_COMMANDS, 1, 0)))
    conflict = replace(outcome(ACCEPTED, "refused", reason="idempotency_conflict"), event_id="conflict")
    verdict = judge(replace(ledger, published=[twice, *ledger.published[1:]], outcomes=[*ledger.outcomes, conflict]))
    assert verdict.is_clean
    assert verdict.duplicates_absorbed == 2


def test_a_message_of_another_system_that_a_status_names_is_no_phantom() -> None:
    ledger = clean()
    row = {STATUS: SentRow(command_id=None, is_accepted=False)}
    others = [arrival for arrival in ledger.arrivals if arrival.wamid != STATUS]
    before = {finding.what for finding in judge(replace(ledger, arrivals=others)).findings if finding.kind is Kind.PHANTOM}
    after = {
        finding.what
        for finding in judge(replace(ledger, arrivals=others, sent_rows=row)).findings
        if finding.kind is Kind.PHANTOM
    }
    assert STATUS[:24] in before
    assert STATUS[:24] not in after


def test_a_finding_names_no_person() -> None:
    verdict = judge(replace(clean(), rows={}, sent_rows={}, consent_rows=frozenset(), command_rows={}, outcomes=[]))
    assert verdict.findings
    assert not any("5511" in f"{finding.what} {finding.why}" for finding in verdict.findings)


def test_the_closing_line_counts_a_false_200_as_lost_and_groups_thousands() -> None:
    ledger = clean()
    verdict = judge(replace(ledger, webhooks=[*ledger.webhooks, view(9, b"other", 200)], published=ledger.published))
    assert verdict.line.endswith("lost 1")
    assert replace(verdict, events=4812).line.startswith("events 4\N{NARROW NO-BREAK SPACE}812 · ")


def test_elements_are_read_with_their_pointers() -> None:
    one, two = json.loads(said("wamid.a", "x")), json.loads(STATUS_BODY)
    body = json.dumps({**one, "entry": one["entry"] + two["entry"]}).encode()
    assert [element.pointer for element in elements(body)] == [
        "/entry/0/changes/0/value/messages/0",
        "/entry/1/changes/0/value/statuses/0",
    ]
