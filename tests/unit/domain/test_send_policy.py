"""Does the gate say no for the right reason, always the same one, and yes only when nothing speaks against it?"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import product
from random import Random
from typing import Any

import pytest

from services.common.domain import account_state
from services.common.domain.account_state import Evidence, Key
from services.common.domain.consent import ConsentCategory, ConsentState
from services.common.domain.graph_codes import CODES
from services.common.domain.lanes import Lane
from services.common.domain.reasons import Reason
from services.common.domain.recipients import Recipient
from services.common.domain.send_policy import (
    CATEGORY_OF_LANE,
    FIRST_LIST_SECONDS,
    NEXT_LIST_SECONDS,
    READ,
    Allowed,
    AskAgain,
    Command,
    Expired,
    Facts,
    Held,
    Refused,
    TemplateFacts,
    decide,
)
from services.common.domain.templates import STOPPED, Current
from services.common.domain.window import CUSTOMER_SERVICE_WINDOW_SECONDS, GUARD_SECONDS

NOW = 1_800_000_000_000
PERSON = Recipient(digits="491700000001", bsuid=None)
NOTHING = ConsentState()
UTILITY = Current(status="APPROVED", category=ConsentCategory.UTILITY, is_defined=True)
TEMPLATE = Command(
    message_type="template",
    content=None,
    recipient=PERSON,
    lane=Lane.TRANSACTIONAL,
    policy="hold",
    appended_at=NOW - 10,
    received_at=NOW - 5,
    expires_at=NOW + 60_000,
)
TEXT = replace(TEMPLATE, message_type="text")
FACTS = Facts(
    number_state="active",
    display_phone_number="+1 555 010 0001",
    last_inbound_at=NOW - 60_000,
    consent_all=NOTHING,
    is_caught_up=True,
    template=TemplateFacts(known=UTILITY, list_polled_at=NOW - 1),
)
MISFIT = Refused(reason=Reason.TEMPLATE_PARAMS, detail="template.components[0] body: 1 parameter, the template has 2")

# In the order the gate promises: what breaks a rule, and the reason it must be refused for.
BREAKS_COMMAND: dict[str, dict[str, object]] = {
    "tenant": {"tenant_id": "somebody"},
    "ahead": {"expires_at": NOW + 31 * 86_400_000},
    "expired": {"expires_at": NOW},
    "schedule": {"send_at": NOW - 10 - 300_001},
    "content": {"content": Refused(reason=Reason.TEXT_EMPTY, detail="text.body: blank")},
    "policy": {"policy": "resend_twice"},
    "recipient": {"recipient": None},
    "lane": {"lane": Lane.OTP},
}
BREAKS_FACTS: dict[str, dict[str, object]] = {
    "unknown": {"number_state": None},
    "context": {"is_context_foreign": True},
    "stop": {"consent_all": ConsentState(withdrawn_at=NOW - 60_000)},
    "window": {"last_inbound_at": None},
    "undeliverable": {"is_undeliverable": True},
}
BREAKS_TEMPLATE: dict[str, dict[str, object]] = {
    "missing": {"known": None},
    "state": {"known": replace(UTILITY, status="PAUSED")},
    "parameters": {"parameters": MISFIT},
}
BEFORE = (
    ("unknown", Reason.PHONE_UNKNOWN),
    ("tenant", Reason.TENANT_MISMATCH),
    ("ahead", Reason.EXPIRES_AT),
    ("expired", Reason.EXPIRED),
    ("schedule", Reason.SCHEDULE),
    ("content", Reason.TEXT_EMPTY),
    ("policy", Reason.POLICY),
    ("context", Reason.CONTEXT),
    ("recipient", Reason.RECIPIENT),
    ("stop", Reason.OPTED_OUT),
)
OF_TEXT = (*BEFORE, ("window", Reason.WINDOW_CLOSED), ("lane", Reason.LANE_MISMATCH))
OF_TEMPLATE = (
    *BEFORE,
    ("missing", Reason.TEMPLATE),
    ("undeliverable", Reason.UNDELIVERABLE),
    ("state", Reason.TEMPLATE_STATE),
    ("parameters", Reason.TEMPLATE_PARAMS),
    ("lane", Reason.LANE_MISMATCH),
)


def broken(of: Command, names: frozenset[str]) -> tuple[Command, Facts]:
    """With all of it; of two that change the same field, the first in order."""
    changes: tuple[dict[str, Any], ...] = ({}, {}, {})
    for name in reversed([name for name, _ in (OF_TEXT if of is TEXT else OF_TEMPLATE) if name in names]):
        for change, breaks in zip(changes, (BREAKS_COMMAND, BREAKS_FACTS, BREAKS_TEMPLATE), strict=True):
            change.update(breaks.get(name, {}))
    of_command, of_facts, of_template = changes
    return replace(of, **of_command), replace(FACTS, **of_facts, template=replace(FACTS.template, **of_template))


@pytest.mark.parametrize(("of", "order"), [(TEXT, OF_TEXT), (TEMPLATE, OF_TEMPLATE)])
def test_the_first_broken_rule_in_order_is_the_reason_whatever_else_is_broken(
    of: Command, order: tuple[tuple[str, Reason], ...]
) -> None:
    names = [name for name, _ in order]
    for chosen in product((False, True), repeat=len(order)):
        wrong = frozenset(name for name, is_wrong in zip(names, chosen, strict=True) if is_wrong)
        decision = decide(*broken(of, wrong), now=NOW)
        first = next((reason for name, reason in order if name in wrong), None)
        if first is None:
            assert decision == Allowed()
        elif first is Reason.EXPIRED:
            assert decision == Expired()
        else:
            assert isinstance(decision, Refused)
            assert decision.reason is first


@pytest.mark.parametrize("category", [one for one in ConsentCategory if one is not ConsentCategory.ALL])
@pytest.mark.parametrize(
    "all_", [NOTHING, ConsentState(granted_at=1), ConsentState(withdrawn_at=2), ConsentState(granted_at=3, withdrawn_at=2)]
)
@pytest.mark.parametrize("own", [NOTHING, ConsentState(granted_at=1), ConsentState(withdrawn_at=2), ConsentState(granted_at=3)])
def test_a_template_needs_the_consent_of_the_category_that_it_has_at_meta(
    category: ConsentCategory, all_: ConsentState, own: ConsentState
) -> None:
    known = TemplateFacts(known=replace(UTILITY, category=category), list_polled_at=NOW)
    facts = replace(FACTS, consent_all=all_, consents={category: own}, template=known)
    decision = decide(replace(TEMPLATE, lane=_lane_of(category)), facts, now=NOW)
    granted = max((state.granted_at or 0 for state in (all_, own)), default=0)
    withdrawn = max((state.withdrawn_at or 0 for state in (all_, own)), default=0)
    if withdrawn and withdrawn >= granted:
        assert decision == Refused(reason=Reason.OPTED_OUT)
    elif category is ConsentCategory.MARKETING and not granted:
        assert decision == Refused(reason=Reason.NO_CONSENT)
    else:
        assert decision == Allowed()


def _lane_of(category: ConsentCategory) -> Lane:
    return next(lane for lane, one in CATEGORY_OF_LANE.items() if one is category)


@pytest.mark.parametrize("lane", list(Lane))
@pytest.mark.parametrize("category", [ConsentCategory.AUTHENTICATION, ConsentCategory.UTILITY, ConsentCategory.MARKETING, None])
def test_a_template_may_use_the_lanes_of_its_category(lane: Lane, category: ConsentCategory | None) -> None:
    known = TemplateFacts(known=replace(UTILITY, category=category), list_polled_at=NOW)
    granted = {ConsentCategory.MARKETING: ConsentState(granted_at=1)}
    decision = decide(replace(TEMPLATE, lane=lane), replace(FACTS, template=known, consents=granted), now=NOW)
    is_marketing, is_code = category is ConsentCategory.MARKETING, category is ConsentCategory.AUTHENTICATION
    belongs = category is None or not ((is_marketing and lane is not Lane.BULK) or (lane is Lane.OTP and not is_code))
    assert isinstance(decision, Allowed) is belongs
    if not belongs:
        assert isinstance(decision, Refused)
        assert decision.reason is Reason.LANE_MISMATCH


def test_a_template_needs_no_window_and_then_begins_the_conversation() -> None:
    assert decide(TEMPLATE, replace(FACTS, last_inbound_at=None), now=NOW) == Allowed(begins=True)


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
    command, facts = broken(TEXT, frozenset({name}))
    behind = replace(facts, is_caught_up=False)
    asked = decide(command, behind, now=NOW)
    assert isinstance(asked, AskAgain)
    assert decide(command, behind, now=command.appended_at + 4_999) == asked
    assert isinstance(decide(command, behind, now=command.appended_at + 5_000), Refused)


@pytest.mark.parametrize("name", ["state", "undeliverable"])
def test_a_template_is_not_refused_by_read_models_that_are_behind(name: str) -> None:
    command, facts = broken(TEMPLATE, frozenset({name}))
    behind = replace(facts, is_caught_up=False)
    assert isinstance(decide(command, behind, now=NOW), AskAgain)
    assert isinstance(decide(command, behind, now=command.appended_at + 5_000), Refused)


@pytest.mark.parametrize("name", ["unknown", "tenant", "expired", "content", "policy", "context", "recipient"])
def test_what_no_read_model_can_change_is_refused_at_once(name: str) -> None:
    command, facts = broken(TEXT, frozenset({name}))
    assert isinstance(decide(command, replace(facts, is_caught_up=False), now=NOW), Refused | Expired)


@pytest.mark.parametrize("command", [TEXT, TEMPLATE])
def test_a_command_with_a_cause_goes_only_when_the_read_models_know_it_or_after_five_seconds(command: Command) -> None:
    caused, behind = replace(command, has_cause=True), replace(FACTS, is_caught_up=False)
    assert decide(caused, behind, now=NOW) == AskAgain(reason=Reason.CAUSED_BY)
    assert decide(caused, FACTS, now=NOW) == Allowed()
    assert decide(caused, behind, now=command.appended_at + 5_000) == Allowed()
    assert decide(command, behind, now=NOW) == Allowed()


def unlisted(**changes: Any) -> Facts:
    return replace(FACTS, template=TemplateFacts(**{"list_polled_at": None, **changes}))


def test_before_the_first_list_a_template_waits_a_little_and_then_goes_by_its_lane() -> None:
    waits = decide(TEMPLATE, unlisted(), now=NOW)
    assert waits == AskAgain(reason=Reason.TEMPLATE, is_for_list=True)
    over = TEMPLATE.received_at + int(FIRST_LIST_SECONDS * 1000)
    assert decide(TEMPLATE, unlisted(), now=over - 1) == waits
    for lane, decision in (
        (Lane.OTP, Allowed()),
        (Lane.TRANSACTIONAL, Allowed()),
        (Lane.BULK, Refused(reason=Reason.NO_CONSENT)),
    ):
        assert decide(replace(TEMPLATE, lane=lane), unlisted(), now=over) == decision


@pytest.mark.parametrize("polled_at", [None, TEMPLATE.received_at - 1])
def test_for_a_list_that_cannot_be_read_nobody_waits(polled_at: int | None) -> None:
    assert decide(TEMPLATE, unlisted(is_list_unread=True, list_polled_at=polled_at), now=NOW) == Allowed()


def test_events_alone_already_tell_state_and_category() -> None:
    over = TEMPLATE.received_at + int(FIRST_LIST_SECONDS * 1000)
    told = Current(status="PAUSED", category=ConsentCategory.UTILITY, is_defined=False)
    refused = decide(TEMPLATE, unlisted(known=told), now=over)
    assert refused == Refused(reason=Reason.TEMPLATE_STATE, detail="template: PAUSED at Meta")


@pytest.mark.parametrize("known", [None, replace(UTILITY, is_defined=False)])
def test_nothing_is_refused_by_a_list_that_is_older_than_the_command(known: Current | None) -> None:
    facts = unlisted(known=known, list_polled_at=TEMPLATE.received_at - 1)
    assert decide(TEMPLATE, facts, now=NOW) == AskAgain(reason=Reason.TEMPLATE, is_for_list=True)
    over = replace(TEMPLATE, expires_at=NOW + 86_400_000).received_at + int(NEXT_LIST_SECONDS * 1000)
    assert decide(replace(TEMPLATE, expires_at=NOW + 86_400_000), facts, now=over) == Allowed()


def test_a_template_that_a_newer_list_does_not_have_is_refused_and_told_apart_from_a_missing_language() -> None:
    for is_elsewhere, reason in ((False, Reason.TEMPLATE), (True, Reason.TEMPLATE_LANG)):
        facts = unlisted(list_polled_at=TEMPLATE.received_at, is_in_other_language=is_elsewhere)
        decision = decide(TEMPLATE, facts, now=NOW)
        assert isinstance(decision, Refused)
        assert decision.reason is reason


@pytest.mark.parametrize("status", sorted(STOPPED))
def test_a_template_in_a_stopped_state_is_refused_with_the_state(status: str) -> None:
    facts = replace(FACTS, template=TemplateFacts(known=replace(UTILITY, status=status), list_polled_at=NOW))
    assert decide(TEMPLATE, facts, now=NOW) == Refused(reason=Reason.TEMPLATE_STATE, detail=f"template: {status} at Meta")


def test_an_authentication_template_needs_a_phone_number() -> None:
    code = replace(FACTS, template=TemplateFacts(known=replace(UTILITY, category=ConsentCategory.AUTHENTICATION)))
    by_id = replace(TEMPLATE, recipient=Recipient(digits=None, bsuid="DE.1"), lane=Lane.OTP)
    decision = decide(by_id, code, now=NOW)
    assert isinstance(decision, Refused)
    assert decision.reason is Reason.RECIPIENT
    assert decide(replace(by_id, recipient=Recipient(digits="491700000001", bsuid="DE.1")), code, now=NOW) == Allowed()
    assert decide(replace(by_id, lane=Lane.TRANSACTIONAL), FACTS, now=NOW) == Allowed()


def test_who_said_stop_to_everything_is_refused_without_waiting_for_a_list() -> None:
    stopped = replace(unlisted(), consent_all=ConsentState(withdrawn_at=2))
    assert decide(TEMPLATE, stopped, now=NOW) == Refused(reason=Reason.OPTED_OUT)
    granted_anew = replace(stopped, consents={ConsentCategory.UTILITY: ConsentState(granted_at=3)})
    assert decide(TEMPLATE, granted_anew, now=NOW) == AskAgain(reason=Reason.TEMPLATE, is_for_list=True)


FALLING_BACK = replace(TEXT, fallback=TEMPLATE)
CLOSED = replace(FACTS, last_inbound_at=None)


def test_a_closed_window_is_no_refusal_where_there_is_a_template_for_it() -> None:
    assert decide(FALLING_BACK, FACTS, now=NOW) == Allowed()
    assert decide(FALLING_BACK, CLOSED, now=NOW) == Allowed(begins=True, is_fallback=True)
    assert decide(FALLING_BACK, replace(CLOSED, is_caught_up=False), now=NOW) == AskAgain(reason=Reason.WINDOW_CLOSED)


def test_what_is_wrong_with_the_template_in_its_place_is_told() -> None:
    paused = replace(CLOSED, template=TemplateFacts(known=replace(UTILITY, status="PAUSED"), list_polled_at=NOW))
    assert decide(FALLING_BACK, paused, now=NOW) == Refused(reason=Reason.TEMPLATE_STATE, detail="template: PAUSED at Meta")
    marketing = TemplateFacts(known=replace(UTILITY, category=ConsentCategory.MARKETING), list_polled_at=NOW)
    assert decide(FALLING_BACK, replace(CLOSED, template=marketing), now=NOW) == Refused(reason=Reason.NO_CONSENT)
    assert decide(FALLING_BACK, replace(CLOSED, template=TemplateFacts()), now=NOW) == AskAgain(
        reason=Reason.TEMPLATE, is_for_list=True
    )


def test_a_stop_refuses_the_fallback_too() -> None:
    stopped = replace(CLOSED, consent_all=ConsentState(withdrawn_at=2))
    assert decide(FALLING_BACK, stopped, now=NOW) == Refused(reason=Reason.OPTED_OUT)


def test_direct_send_needs_consent_in_its_category_and_no_window() -> None:
    direct = replace(TEXT, direct=ConsentCategory.UTILITY)
    assert decide(direct, CLOSED, now=NOW) == Allowed(begins=True)
    assert decide(direct, FACTS, now=NOW) == Allowed()
    no = replace(CLOSED, consents={ConsentCategory.UTILITY: ConsentState(withdrawn_at=1)})
    assert decide(direct, no, now=NOW) == Refused(reason=Reason.OPTED_OUT)
    assert decide(replace(direct, direct=ConsentCategory.AUTHENTICATION), no, now=NOW) == Allowed(begins=True)


def test_only_direct_send_of_codes_uses_the_lane_of_codes() -> None:
    urgent = replace(TEXT, lane=Lane.OTP)
    assert isinstance(decide(replace(urgent, direct=ConsentCategory.UTILITY), FACTS, now=NOW), Refused)
    assert decide(replace(urgent, direct=ConsentCategory.AUTHENTICATION), FACTS, now=NOW) == Allowed()


def a_state(chance: Random) -> ConsentState:
    return ConsentState(granted_at=chance.choice([None, 1, 2, 3]), withdrawn_at=chance.choice([None, 1, 2, 3]))


def some_facts(chance: Random) -> Facts:
    categories = list(CATEGORY_OF_LANE.values())
    known = Current(
        status=chance.choice(["APPROVED", "APPROVED", "APPROVED", "PAUSED", None]),
        category=chance.choice([None, *categories]),
        is_defined=chance.random() < 0.8,
    )
    return Facts(
        number_state=chance.choice(["active", "active", "paused"]),
        display_phone_number=None,
        last_inbound_at=chance.choice([None, NOW - 1]),
        consent_all=a_state(chance),
        consents={category: a_state(chance) for category in categories if chance.random() < 0.5},
        is_caught_up=chance.random() < 0.5,
        template=TemplateFacts(
            known=chance.choice([None, known, known, known]),
            list_polled_at=chance.choice([None, NOW - 20, NOW]),
            parameters=chance.choice([None, None, None, MISFIT]),
        ),
    )


def test_a_marketing_template_never_goes_without_a_grant_and_no_question_stays_open_for_ever() -> None:
    seen: Counter[str] = Counter()
    for seed in range(20_000):
        chance = Random(seed)
        facts, lane, kind = some_facts(chance), chance.choice([*Lane, Lane.BULK]), chance.choice(["text", "template"])
        command = replace(TEMPLATE, message_type=kind, lane=lane, has_cause=chance.random() < 0.5, expires_at=NOW + 86_400_000)
        if kind == "text" and chance.random() < 0.5:
            command = replace(command, fallback=replace(command, message_type="template"))
        age = chance.choice([0, 6_000, 100_000])
        decision = decide(command, facts, now=NOW + age)
        known = facts.template.known
        seen[type(decision).__name__] += 1
        if isinstance(decision, AskAgain):
            assert age < 100_000, seed
        if isinstance(decision, Allowed) and (kind == "template" or decision.is_fallback):
            assert known is None or not known.is_stopped, seed
            if known is not None and known.category is ConsentCategory.MARKETING:
                seen["marketing"] += 1
                assert lane is Lane.BULK, seed
                state = facts.consents.get(ConsentCategory.MARKETING, NOTHING)
                assert max(state.granted_at or 0, facts.consent_all.granted_at or 0) > 0, seed
        if isinstance(decision, Allowed) and kind == "text" and not decision.is_fallback:
            assert facts.last_inbound_at is not None, seed
    assert min(seen[what] for what in ("Allowed", "AskAgain", "Refused", "Held")) > 100, seen
    assert seen["marketing"] > 100, seen


def test_marking_as_read_needs_no_recipient_consent_or_window() -> None:
    read = replace(TEXT, message_type=READ, recipient=None)
    facts = replace(FACTS, last_inbound_at=None, consent_all=ConsentState(withdrawn_at=NOW - 1))
    assert decide(read, facts, now=NOW) == Allowed()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"lane": Lane.OTP}, Reason.LANE_MISMATCH),
        ({"policy": "resend_twice"}, Reason.POLICY),
    ],
)
def test_marking_as_read_is_refused_for_what_is_about_any_call(change: dict[str, Any], reason: Reason) -> None:
    decision = decide(replace(TEXT, message_type=READ, recipient=None, **change), FACTS, now=NOW)
    assert isinstance(decision, Refused)
    assert decision.reason is reason


def test_a_number_that_may_not_send_marks_nothing_as_read() -> None:
    decision = decide(replace(TEXT, message_type=READ, recipient=None), replace(FACTS, number_state=None), now=NOW)
    assert decision == Refused(reason=Reason.PHONE_UNKNOWN)


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
        "utility": replace(TEXT, direct=ConsentCategory.UTILITY),
        "marketing": replace(TEMPLATE, lane=Lane.BULK),
        "read": replace(TEXT, message_type=READ, recipient=None),
    }
    granted = ConsentState(granted_at=NOW - 1)
    facts = standing_of(answered(code), consents={ConsentCategory.MARKETING: granted})
    marketing = TemplateFacts(known=replace(UTILITY, category=ConsentCategory.MARKETING), list_polled_at=NOW)
    known = {"marketing": replace(facts, template=marketing)}
    decisions = {name: decide(command, known.get(name, facts), now=NOW) for name, command in commands.items()}
    assert {name for name, decision in decisions.items() if isinstance(decision, Held)} == set(held.split())
    assert {type(decision) for decision in decisions.values()} <= {Held, Allowed}
    assert {decision.reason for decision in decisions.values() if isinstance(decision, Held)} == {CODES[code].reason}


def test_a_stop_refuses_nothing_and_what_breaks_a_rule_is_refused_beside_it() -> None:
    facts = standing_of(answered(368))
    for chosen in product((False, True), repeat=len(OF_TEXT)):
        wrong = frozenset(name for (name, _), is_wrong in zip(OF_TEXT, chosen, strict=True) if is_wrong)
        command, broken_facts = broken(TEXT, wrong)
        decision = decide(command, replace(broken_facts, standing=facts.standing), now=NOW)
        first = next((reason for name, reason in OF_TEXT if name in wrong), None)
        if first is Reason.EXPIRED:
            assert decision == Expired()
        else:
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


@pytest.mark.parametrize(("state", "reason"), [("paused", Reason.PHONE_PAUSED), ("disabled", Reason.PHONE_DISABLED)])
def test_a_held_number_keeps_what_would_go_until_its_time_is_over_and_refuses_what_would_not(state: Any, reason: Reason) -> None:
    held = replace(FACTS, number_state=state)
    assert decide(TEXT, held, now=NOW) == Held(reason=reason)
    assert decide(replace(TEXT, message_type=READ, recipient=None), held, now=NOW) == Held(reason=reason)
    assert decide(replace(TEXT, expires_at=NOW), held, now=NOW) == Expired(detail=f"the number is {state}")
    assert decide(TEXT, replace(held, last_inbound_at=None), now=NOW) == Refused(reason=Reason.WINDOW_CLOSED)


@pytest.mark.parametrize("policy", ["hold", "resend_once"])
def test_a_policy_is_a_word_that_is_known_and_its_tenant_decides_whether_it_counts(policy: str) -> None:
    assert decide(replace(TEXT, policy=policy, lane=Lane.BULK), FACTS, now=NOW) == Allowed()
    refused = decide(replace(TEXT, policy=f"{policy} "), FACTS, now=NOW)
    assert refused == Refused(reason=Reason.POLICY, detail="policy: hold or resend_once")


def test_a_command_names_no_tenant_or_that_of_its_number() -> None:
    facts = replace(FACTS, tenant_id="acme")
    assert decide(TEXT, facts, now=NOW) == decide(replace(TEXT, tenant_id="acme"), facts, now=NOW) == Allowed()
    refused = decide(replace(TEXT, tenant_id="other", expires_at=NOW), facts, now=NOW)
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.TENANT_MISMATCH
