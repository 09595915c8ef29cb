"""Does the gate say no for the right reason, always the same one, and yes only when nothing speaks against it?"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from services.common.domain import account_state
from services.common.domain.account_state import Evidence, Key
from services.common.domain.consent import ConsentState
from services.common.domain.graph_codes import CODES
from services.common.domain.lanes import Lane
from services.common.domain.reasons import Reason
from services.common.domain.recipients import Recipient
from services.common.domain.send_policy import READ, Allowed, AskAgain, Command, Facts, Held, Refused, decide
from services.common.domain.window import CUSTOMER_SERVICE_WINDOW_SECONDS, GUARD_SECONDS

NOW = 1_800_000_000_000
PERSON = Recipient(digits="491700000001", bsuid=None)
NOTHING = ConsentState()
TEMPLATE = Command(
    message_type="template",
    content=None,
    recipient=PERSON,
    lane=Lane.TRANSACTIONAL,
    policy="hold",
    appended_at=NOW - 10,
    expires_at=NOW + 60_000,
)
TEXT = replace(TEMPLATE, message_type="text")
FACTS = Facts(
    number_state="active",
    display_phone_number="+1 555 010 0001",
    last_inbound_at=NOW - 60_000,
    consent_all=NOTHING,
    consent_category=NOTHING,
    is_caught_up=True,
)

# In the order the gate promises: what breaks a rule, and the reason it must be refused for.
BREAKS_COMMAND: dict[str, dict[str, object]] = {
    "ahead": {"expires_at": NOW + 31 * 86_400_000},
    "expired": {"expires_at": NOW},
    "schedule": {"send_at": NOW - 10 - 300_001},
    "content": {"content": Refused(reason=Reason.TEXT_EMPTY, detail="text.body: blank")},
    "policy": {"policy": "resend_once"},
    "recipient": {"recipient": None},
    "lane": {"lane": Lane.OTP},
}
BREAKS_FACTS: dict[str, dict[str, object]] = {
    "unknown": {"number_state": None},
    "disabled": {"number_state": "disabled"},
    "stop": {"consent_all": ConsentState(withdrawn_at=NOW - 60_000)},
    "window": {"last_inbound_at": None},
}
ORDER = (
    ("unknown", Reason.PHONE_UNKNOWN),
    ("disabled", Reason.PHONE_DISABLED),
    ("ahead", Reason.EXPIRES_AT),
    ("expired", Reason.EXPIRED),
    ("schedule", Reason.SCHEDULE),
    ("content", Reason.TEXT_EMPTY),
    ("policy", Reason.CONTENT),
    ("recipient", Reason.RECIPIENT),
    ("stop", Reason.OPTED_OUT),
    ("window", Reason.WINDOW_CLOSED),
    ("lane", Reason.LANE_MISMATCH),
)


def broken(names: frozenset[str]) -> tuple[Command, Facts]:
    command, facts = TEXT, FACTS
    for name in reversed([name for name, _ in ORDER if name in names]):
        command = replace(command, **BREAKS_COMMAND.get(name, {}))  # type: ignore[arg-type]  # values of several fields
        facts = replace(facts, **BREAKS_FACTS.get(name, {}))  # type: ignore[arg-type]  # values of several fields
    return command, facts


def test_the_first_broken_rule_in_order_is_the_reason_whatever_else_is_broken() -> None:
    names = [name for name, _ in ORDER]
    for chosen in product((False, True), repeat=len(ORDER)):
        wrong = frozenset(name for name, is_wrong in zip(names, chosen, strict=True) if is_wrong)
        decision = decide(*broken(wrong), now=NOW)
        first = next((reason for name, reason in ORDER if name in wrong), None)
        if first is None:
            assert decision == Allowed()
        else:
            assert isinstance(decision, Refused)
            assert decision.reason is first


@pytest.mark.parametrize("lane", list(Lane))
@pytest.mark.parametrize(
    "all_", [NOTHING, ConsentState(granted_at=1), ConsentState(withdrawn_at=2), ConsentState(granted_at=3, withdrawn_at=2)]
)
@pytest.mark.parametrize("own", [NOTHING, ConsentState(granted_at=1), ConsentState(withdrawn_at=2), ConsentState(granted_at=3)])
def test_a_template_needs_the_consent_of_its_lane(lane: Lane, all_: ConsentState, own: ConsentState) -> None:
    decision = decide(replace(TEMPLATE, lane=lane), replace(FACTS, consent_all=all_, consent_category=own), now=NOW)
    granted = max((state.granted_at or 0 for state in (all_, own)), default=0)
    withdrawn = max((state.withdrawn_at or 0 for state in (all_, own)), default=0)
    if withdrawn and withdrawn >= granted:
        assert decision == Refused(reason=Reason.OPTED_OUT)
    elif lane is Lane.BULK and not granted:
        assert decision == Refused(reason=Reason.NO_CONSENT)
    else:
        assert decision == Allowed()


def test_a_template_needs_no_window() -> None:
    assert decide(TEMPLATE, replace(FACTS, last_inbound_at=None), now=NOW) == Allowed()


def test_a_text_goes_until_a_minute_before_the_window_closes() -> None:
    length = int((CUSTOMER_SERVICE_WINDOW_SECONDS - GUARD_SECONDS) * 1000)
    assert decide(TEXT, replace(FACTS, last_inbound_at=NOW - length + 1), now=NOW) == Allowed()
    assert decide(TEXT, replace(FACTS, last_inbound_at=NOW - length), now=NOW) == Refused(reason=Reason.WINDOW_CLOSED)


def test_a_text_after_a_stop_goes_only_when_the_contact_wrote_again() -> None:
    stopped = replace(FACTS, consent_all=ConsentState(withdrawn_at=NOW - 60_000))
    assert decide(TEXT, stopped, now=NOW) == Refused(reason=Reason.OPTED_OUT)
    assert decide(TEXT, replace(stopped, last_inbound_at=NOW - 59_999), now=NOW) == Allowed()
    started = replace(FACTS, consent_all=ConsentState(withdrawn_at=NOW - 60_000, granted_at=NOW - 59_000))
    assert decide(TEXT, started, now=NOW) == Allowed()


@pytest.mark.parametrize(
    ("send_at", "expires_at", "detail"),
    [
        (NOW - 10 - 300_000, NOW + 1, None),
        (NOW - 10 - 300_001, NOW + 1, "send_at: over for more than 5 minutes when the command was written"),
        (NOW - 10 + 30 * 86_400_000 + 1, NOW + 1, "send_at: more than 30 days ahead; it is in milliseconds"),
        (NOW + 60_000, NOW + 60_001, None),
        (NOW + 60_000, NOW + 60_000, "send_at: the command expires before it"),
    ],
)
def test_a_time_of_sending_makes_sense_or_is_refused(send_at: int, expires_at: int, detail: str | None) -> None:
    decision = decide(replace(TEXT, send_at=send_at, expires_at=expires_at), FACTS, now=NOW)
    assert decision == (Allowed() if detail is None else Refused(reason=Reason.SCHEDULE, detail=detail))


def test_an_end_is_at_most_30_days_ahead() -> None:
    last = TEXT.appended_at + 30 * 86_400_000
    assert decide(replace(TEXT, expires_at=last), FACTS, now=NOW) == Allowed()
    beyond = decide(replace(TEXT, expires_at=last + 1), FACTS, now=NOW)
    assert beyond == Refused(reason=Reason.EXPIRES_AT, detail="expires_at: more than 30 days ahead; it is in milliseconds")


def test_a_group_needs_an_open_window_and_nobodys_consent() -> None:
    group = Recipient(digits=None, bsuid=None, group_id="Y2FwaV9ncm91cDox")
    stopped = replace(FACTS, consent_all=ConsentState(withdrawn_at=NOW - 1))
    for command in (TEXT, TEMPLATE, replace(TEMPLATE, lane=Lane.BULK)):
        assert decide(replace(command, recipient=group), stopped, now=NOW) == Allowed()
    closed = replace(FACTS, last_inbound_at=None)
    assert decide(replace(TEXT, recipient=group), closed, now=NOW) == Refused(reason=Reason.WINDOW_CLOSED)
    assert decide(replace(TEMPLATE, recipient=group), closed, now=NOW) == Allowed()


def test_the_number_itself_is_no_recipient() -> None:
    command = replace(TEXT, recipient=Recipient(digits="15550100001", bsuid=None))
    decision = decide(command, FACTS, now=NOW)
    assert isinstance(decision, Refused)
    assert decision.reason is Reason.RECIPIENT


@pytest.mark.parametrize("name", ["stop", "window"])
def test_read_models_that_are_behind_are_asked_again_for_five_seconds(name: str) -> None:
    command, facts = broken(frozenset({name}))
    behind = replace(facts, is_caught_up=False)
    asked = decide(command, behind, now=NOW)
    assert isinstance(asked, AskAgain)
    assert decide(command, behind, now=command.appended_at + 4_999) == asked
    assert isinstance(decide(command, behind, now=command.appended_at + 5_000), Refused)


@pytest.mark.parametrize("name", ["unknown", "disabled", "expired", "content", "policy", "recipient"])
def test_what_no_read_model_can_change_is_refused_at_once(name: str) -> None:
    command, facts = broken(frozenset({name}))
    assert isinstance(decide(command, replace(facts, is_caught_up=False), now=NOW), Refused)


def test_marking_as_read_needs_no_recipient_consent_or_window() -> None:
    read = replace(TEXT, message_type=READ, recipient=None)
    facts = replace(FACTS, last_inbound_at=None, consent_all=ConsentState(withdrawn_at=NOW - 1))
    assert decide(read, facts, now=NOW) == Allowed()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"expires_at": NOW}, Reason.EXPIRED),
        ({"lane": Lane.OTP}, Reason.LANE_MISMATCH),
        ({"policy": "resend_once"}, Reason.CONTENT),
    ],
)
def test_marking_as_read_is_refused_for_what_is_about_any_call(change: dict[str, Any], reason: Reason) -> None:
    decision = decide(replace(TEXT, message_type=READ, recipient=None, **change), FACTS, now=NOW)
    assert isinstance(decision, Refused)
    assert decision.reason is reason


def test_a_number_that_may_not_send_marks_nothing_as_read() -> None:
    decision = decide(replace(TEXT, message_type=READ, recipient=None), replace(FACTS, number_state=None), now=NOW)
    assert decision == Refused(reason=Reason.PHONE_UNKNOWN)


def test_a_paused_number_holds_what_would_go_and_refuses_what_would_not() -> None:
    paused = replace(FACTS, number_state="paused")
    assert decide(TEXT, paused, now=NOW) == Held(reason=Reason.PHONE_PAUSED)
    assert decide(replace(TEXT, message_type=READ, recipient=None), paused, now=NOW) == Held(reason=Reason.PHONE_PAUSED)
    assert decide(replace(TEXT, expires_at=NOW), paused, now=NOW) == Refused(reason=Reason.EXPIRED)
    assert decide(TEXT, replace(paused, last_inbound_at=None), now=NOW) == Refused(reason=Reason.WINDOW_CLOSED)


def standing_of(told: dict[Key, Evidence], **more: Any) -> Facts:
    """A number of which this is stopped."""
    state = account_state.fold({}, told, now=NOW)
    return replace(
        FACTS, standing=account_state.standing(account_state.index(state, now=NOW), phone_number_id="1", waba_id="9"), **more
    )


def answered(code: int, at: int = NOW) -> dict[Key, Evidence]:
    return account_state.of_answer(code, phone_number_id="1", waba_id="9", area="+49", at=at)


@pytest.mark.parametrize(
    ("code", "held"),
    [
        (190, "template text utility marketing read"),
        (368, "template text utility marketing read"),
        (131042, "template text utility marketing read"),
        (131048, "template marketing"),
        (131064, "template marketing"),
        (131063, "marketing"),
        (130497, "template text utility marketing"),
    ],
)
def test_a_stop_holds_what_it_covers_and_lets_the_rest_go(code: int, held: str) -> None:
    commands = {
        "template": TEMPLATE,
        "text": TEXT,
        "utility": replace(TEXT, category="utility"),
        "marketing": replace(TEMPLATE, lane=Lane.BULK),
        "read": replace(TEXT, message_type=READ, recipient=None),
    }
    granted = ConsentState(granted_at=NOW - 1)
    facts = standing_of(answered(code), consent_category=granted)
    decisions = {name: decide(command, facts, now=NOW) for name, command in commands.items()}
    assert {name for name, decision in decisions.items() if isinstance(decision, Held)} == set(held.split())
    assert {type(decision) for decision in decisions.values()} <= {Held, Allowed}
    assert {decision.reason for decision in decisions.values() if isinstance(decision, Held)} == {CODES[code].reason}


def test_a_stop_refuses_nothing_and_what_breaks_a_rule_is_refused_beside_it() -> None:
    facts = standing_of(answered(368))
    for chosen in product((False, True), repeat=len(ORDER)):
        wrong = frozenset(name for (name, _), is_wrong in zip(ORDER, chosen, strict=True) if is_wrong)
        command, broken_facts = broken(wrong)
        decision = decide(command, replace(broken_facts, standing=facts.standing), now=NOW)
        first = next((reason for name, reason in ORDER if name in wrong), None)
        assert decision == (Refused(reason=first, detail=getattr(decision, "detail", None)) if first else decision)
        assert isinstance(decision, Held) == (first is None)


def test_a_stop_wants_a_command_that_tries_it_once_its_time_has_come_and_lets_that_one_through() -> None:
    facts = standing_of(answered(368))
    [(key, entry)] = facts.standing.stops
    assert decide(TEXT, facts, now=NOW) == Held(reason=Reason.ACCOUNT_STOPPED, look_at=entry.probe_at)
    late = replace(TEXT, expires_at=NOW + 600_000)
    due = decide(late, facts, now=NOW + 60_000)
    assert due == Held(reason=Reason.ACCOUNT_STOPPED, look_at=entry.probe_at, wanted=frozenset({key}))
    trying = replace(facts, standing=replace(facts.standing, probing=frozenset({key})))
    assert decide(late, trying, now=NOW + 60_000) == Allowed(probes=frozenset({key}))
    both = standing_of({**answered(368), **answered(190)})
    half = replace(both, standing=replace(both.standing, probing=frozenset({key})))
    assert isinstance(decide(late, half, now=NOW + 60_000), Held)
