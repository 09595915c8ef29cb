"""Which events may meet in the read models? Strategies that make them collide: few names, few instants, every kind of event."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any, Final, TypeVar
from uuid import UUID, uuid5

from hypothesis import strategies as st

from services.common.domain.events import (
    AccountChanged,
    CallChanged,
    ContactChanged,
    FlowChanged,
    GroupChanged,
    MessageCopied,
    MessageReceived,
    MessageStatusChanged,
    Participant,
    PhoneNumberChanged,
    TemplateChanged,
    UnrecognizedChange,
    UserPreferenceChanged,
    WebhookEvent,
)
from services.common.domain.records import RecordConsent, SendingStateChanged, SendOutcome
from services.projector.fold import Event, rules_for
from services.projector.projections.dead_letters import DeadLetterRow

BEGIN: Final = 1_763_800_000_000
_SPACE: Final = UUID(int=7)

E = TypeVar("E", bound=WebhookEvent | SendOutcome | SendingStateChanged)


def _with_id(event: E) -> E:
    """The id follows from the content, as it does in the log: equal ids, equal events."""
    return replace(event, event_id=str(uuid5(_SPACE, repr(event))))


def _maybe(*values: str) -> st.SearchStrategy[str | None]:
    return st.sampled_from([None, *values])


_instants = st.integers(0, 5).map(lambda n: BEGIN + n * 1001)
_wamids = st.sampled_from(["wamid.A", "wamid.B"])
_numbers = st.sampled_from(["100", "200"])
_contacts = st.sampled_from(["4915100000001", "DE.abc", "5511999990000"])
_wabas = st.sampled_from(["1", "2"])
_texts = _maybe("hello", "STOP", "start", "Grüße 👋", "")
_words = st.sampled_from(["accepted", "sent", "delivered", "read", "played", "failed", "warning"])
_pricing = _maybe("PMP", "CBP", "")

received: st.SearchStrategy[Event] = st.builds(
    MessageReceived,
    event_id=st.just(""),
    occurred_at=_instants,
    recorded_at=_instants,
    waba_id=_wabas,
    phone_number_id=_numbers,
    contact=_contacts,
    wamid=_wamids,
    type=st.sampled_from(["text", "button", "system", "edit"]),
    raw=st.sampled_from(["{}", '{"a":1}']),
    wa_id=_maybe("4915100000001", "5511999990000"),
    bsuid=_maybe("DE.abc", "BR.x"),
    profile_name=_maybe("Maria", "José", ""),
    text=_texts,
    payload=_maybe("STOP", "choice-1"),
    context_wamid=_maybe("wamid.B"),
    group_id=_maybe("group"),
    field=st.sampled_from(["messages", "history"]),
).map(_with_id)

status: st.SearchStrategy[Event] = st.builds(
    MessageStatusChanged,
    event_id=st.just(""),
    occurred_at=_instants,
    recorded_at=_instants,
    waba_id=_wabas,
    phone_number_id=_numbers,
    wamid=_wamids,
    status=_words,
    raw=st.sampled_from(["{}", '{"a":1}']),
    type=st.sampled_from(["message", "message", "message", "payment"]),
    contact=st.none() | _contacts,
    group_id=_maybe("group"),
    wa_id=_maybe("4915100000001"),
    bsuid=_maybe("DE.abc"),
    biz_opaque_callback_data=_maybe("a" * 36, "b" * 513),
    error_code=st.sampled_from([None, 131026, 131047, 131050]),
    error_title=_maybe("Undeliverable", "Re-engagement"),
    pricing_model=_pricing,
    pricing_type=_pricing,
    pricing_category=_pricing,
    pricing_billable=st.sampled_from([None, True, False]),
    conversation_id=_maybe("session-1", "session-2"),
    conversation_origin_type=_maybe("referral_conversion", "service"),
    conversation_expires_at=st.none() | _instants,
).map(_with_id)

outcome: st.SearchStrategy[Event] = st.builds(
    SendOutcome,
    event_id=st.just(""),
    occurred_at=_instants,
    command_id=st.sampled_from(["c1", "c2"]),
    attempt_no=st.integers(0, 2),
    phone_number_id=_numbers,
    kind=st.sampled_from(["accepted", "accepted", "refused", "rejected", "unknown"]),
    lane=st.sampled_from(["otp", "bulk"]),
    type=st.sampled_from(["text", "template"]),
    waba_id=st.none() | _wabas,
    attempt_id=_maybe("a1", "a2"),
    contact=st.none() | _contacts,
    to=_maybe("+49 151 00000001", "5511999990000", "not a number"),
    wa_id=_maybe("4915100000001", "5511999990000"),
    bsuid=_maybe("DE.abc"),
    group_id=_maybe("group"),
    wamid=st.none() | _wamids,
    template_name=_maybe("hello_world"),
    reason=_maybe("expired"),
    error_code=st.sampled_from([None, 131026, 131050]),
    source=st.sampled_from(["response", "webhook"]),
).map(_with_id)

change: st.SearchStrategy[Event] = st.builds(
    UnrecognizedChange,
    event_id=st.just(""),
    recorded_at=_instants,
    pointer=st.sampled_from(["/entry/0", "/entry/1"]),
    raw=st.sampled_from(["{}", '{"a":1}']),
    occurred_at=st.none() | _instants,
    waba_id=st.none() | _wabas,
    field=_maybe("account_update"),
).map(_with_id)

copied: st.SearchStrategy[Event] = st.builds(
    MessageCopied,
    event_id=st.just(""),
    occurred_at=_instants,
    recorded_at=_instants,
    waba_id=_wabas,
    phone_number_id=st.sampled_from(["100", "200", ""]),
    field=st.sampled_from(["standby", "history", "smb_message_echoes"]),
    direction=st.sampled_from(["inbound", "outbound"]),
    wamid=_wamids,
    type=st.just("text"),
    raw=st.sampled_from(["{}", '{"a":1}']),
    contact=st.none() | _contacts,
    wa_id=_maybe("4915100000001"),
    bsuid=_maybe("DE.abc"),
    profile_name=_maybe("Maria"),
    text=_texts,
).map(_with_id)

moved: st.SearchStrategy[Event] = st.builds(
    ContactChanged,
    event_id=st.just(""),
    occurred_at=st.none() | _instants,
    recorded_at=_instants,
    waba_id=_wabas,
    field=st.sampled_from(["messages", "smb_app_state_sync"]),
    type=st.sampled_from(["user_changed_number", "user_changed_user_id"]),
    raw=st.sampled_from(["{}", '{"a":1}']),
    phone_number_id=st.none() | _numbers,
    contact=st.none() | _contacts,
    wa_id=_maybe("4915100000001", "5511999990000"),
    bsuid=_maybe("DE.abc", "BR.x"),
    parent_bsuid=_maybe("DE.ENT.1"),
    previous_wa_id=_maybe("4915100000001", "5511999990000"),
    previous_bsuid=_maybe("DE.old"),
).map(_with_id)

preference: st.SearchStrategy[Event] = st.builds(
    UserPreferenceChanged,
    event_id=st.just(""),
    occurred_at=_instants,
    recorded_at=_instants,
    waba_id=_wabas,
    phone_number_id=_numbers,
    field=st.just("user_preferences"),
    contact=_contacts,
    category=st.sampled_from(["marketing_messages", "other"]),
    value=st.sampled_from(["stop", "resume", "signup", "later"]),
    raw=st.sampled_from(["{}", '{"a":1}']),
    wa_id=_maybe("4915100000001"),
    bsuid=_maybe("DE.abc"),
).map(_with_id)

call: st.SearchStrategy[Event] = st.builds(
    CallChanged,
    event_id=st.just(""),
    occurred_at=_instants,
    recorded_at=_instants,
    waba_id=_wabas,
    phone_number_id=_numbers,
    wacid=st.sampled_from(["wacid.A"]),
    event=st.sampled_from(["connect", "terminate", "status", "call_recording_available"]),
    raw=st.sampled_from(["{}", '{"a":1}']),
    status=_maybe("RINGING", "ACCEPTED", "REJECTED", "COMPLETED", "FAILED"),
    direction=_maybe("USER_INITIATED"),
    contact=st.none() | _contacts,
    started_at=st.none() | _instants,
    ended_at=st.none() | _instants,
    duration_seconds=st.sampled_from([None, 0, 65]),
    cta_payload=_maybe("button"),
    media_id=_maybe("recording"),
    error_code=st.sampled_from([None, 138000]),
).map(_with_id)

template: st.SearchStrategy[Event] = st.builds(
    TemplateChanged,
    event_id=st.just(""),
    recorded_at=_instants,
    field=st.sampled_from(["message_template_status_update", "template_category_update"]),
    event=st.sampled_from(["APPROVED", "PAUSED", "quality_changed", "components_changed"]),
    template_id=st.sampled_from(["1", "2"]),
    raw=st.sampled_from(["{}", '{"a":1}']),
    occurred_at=st.none() | _instants,
    waba_id=st.none() | _wabas,
    template_name=_maybe("order_update"),
    template_language=_maybe("en", "pt_BR"),
    category=_maybe("UTILITY", "MARKETING", ""),
    previous_category=_maybe("UTILITY"),
    new_quality_score=_maybe("GREEN", "RED"),
    category_update_at=st.none() | _instants,
    reason=_maybe("INVALID_FORMAT"),
).map(_with_id)

account: st.SearchStrategy[Event] = st.builds(
    AccountChanged,
    event_id=st.just(""),
    recorded_at=_instants,
    field=st.just("business_capability_update"),
    event=st.just("business_capability_update"),
    raw=st.sampled_from(["{}", '{"a":1}']),
    occurred_at=st.none() | _instants,
    waba_id=st.none() | _wabas,
    messaging_limit=_maybe("TIER_2K", "-1"),
).map(_with_id)

number: st.SearchStrategy[Event] = st.builds(
    PhoneNumberChanged,
    event_id=st.just(""),
    recorded_at=_instants,
    field=st.just("phone_number_quality_update"),
    event=st.just("ONBOARDING"),
    raw=st.sampled_from(["{}", '{"a":1}']),
    occurred_at=st.none() | _instants,
    waba_id=st.none() | _wabas,
    phone_number_id=st.none() | _numbers,
    old_limit=_maybe("TIER_50"),
    current_limit=_maybe("TIER_250"),
    messaging_limit=_maybe("TIER_10K"),
).map(_with_id)

sending: st.SearchStrategy[Event] = st.builds(
    SendingStateChanged,
    event_id=st.just(""),
    occurred_at=_instants,
    waba_id=_wabas,
    state=st.sampled_from(["stopped", "sending", "limit"]),
    source=st.just("webhook"),
    phone_number_id=st.none() | _numbers,
    reason=_maybe("payment"),
    messages_per_second=st.sampled_from([None, 80, 1000]),
).map(_with_id)

_participants = st.builds(
    Participant,
    change=st.sampled_from(["added", "removed", "failed"]),
    wa_id=_maybe("4915100000001", "5511999990000"),
    bsuid=_maybe("DE.abc"),
)

group: st.SearchStrategy[Event] = st.builds(
    GroupChanged,
    event_id=st.just(""),
    occurred_at=_instants,
    recorded_at=_instants,
    waba_id=_wabas,
    phone_number_id=_numbers,
    field=st.just("group_lifecycle_update"),
    type=st.sampled_from(["group_create", "group_delete", "group_suspend", "group_suspend_cleared", "group_settings_update"]),
    raw=st.sampled_from(["{}", '{"a":1}']),
    group_id=_maybe("group", "other"),
    subject=_maybe("Aurora", "Aurora help"),
    join_approval_mode=_maybe("auto_approve"),
    participants=st.lists(_participants, max_size=3).map(tuple),
    error_code=st.sampled_from([None, None, 131215]),
).map(_with_id)

flow: st.SearchStrategy[Event] = st.builds(
    FlowChanged,
    event_id=st.just(""),
    recorded_at=_instants,
    event=st.sampled_from(["FLOW_STATUS_CHANGE", "ENDPOINT_LATENCY"]),
    raw=st.sampled_from(["{}", '{"a":1}']),
    flow_id=_maybe("flow-1"),
    occurred_at=st.none() | _instants,
    waba_id=st.none() | _wabas,
    old_status=_maybe("DRAFT"),
    new_status=_maybe("PUBLISHED"),
    p90_latency=st.sampled_from([None, 0.0, 1250.5]),
    requests_count=st.sampled_from([None, 3_000_000_000]),
).map(_with_id)

consent: st.SearchStrategy[Event] = st.builds(
    RecordConsent,
    consent_id=st.sampled_from(["k1", "k2", "k3"]),
    occurred_at=_instants,
    phone_number_id=_numbers,
    contact=_contacts,
    category=st.sampled_from(["all", "marketing"]),
    decision=st.sampled_from(["granted", "withdrawn"]),
    source=st.sampled_from(["web", "desk"]),
    wording=_maybe("yes", ""),
)


def _dead_letter(topic: str, offset: int, pointer: str, recorded_at: int, reason: str) -> DeadLetterRow:
    value = f"{topic}/{offset}".encode()
    return DeadLetterRow(topic, 0, offset, pointer, recorded_at, "parley.router", reason, "", None, value, '[["a", "b"]]')


dead_letter: st.SearchStrategy[Event] = st.builds(
    _dead_letter,
    st.sampled_from(["t1", "t2"]),
    st.integers(0, 2),
    st.sampled_from(["", "/entry/0"]),
    _instants,
    st.sampled_from(["avro_syntax", "text_nul"]),
)

any_event: st.SearchStrategy[Event] = st.one_of(
    received,
    status,
    outcome,
    change,
    consent,
    dead_letter,
    copied,
    moved,
    preference,
    call,
    template,
    account,
    number,
    sending,
    group,
    flow,
)


@st.composite
def regrouped(draw: st.DrawFn, *, of: st.SearchStrategy[Event] = any_event) -> tuple[list[Event], list[list[Event]]]:
    """Some events, and the same ones with repetitions, in another order and in batches."""
    events = draw(st.lists(of, min_size=1, max_size=12))
    again = draw(st.lists(st.sampled_from(events), max_size=6))
    shuffled: list[Any] = list(draw(st.permutations([*events, *again])))
    cuts = sorted(draw(st.lists(st.integers(0, len(shuffled)), max_size=4)))
    edges = [0, *cuts, len(shuffled)]
    return events, [shuffled[a:b] for a, b in pairwise(edges) if a < b]


def touching(name: str) -> st.SearchStrategy[Event]:
    """Events of the kinds that make rows of a table."""
    kinds = {
        MessageReceived: received,
        MessageStatusChanged: status,
        MessageCopied: copied,
        SendOutcome: outcome,
        UnrecognizedChange: change,
        ContactChanged: moved,
        UserPreferenceChanged: preference,
        CallChanged: call,
        TemplateChanged: template,
        AccountChanged: account,
        PhoneNumberChanged: number,
        SendingStateChanged: sending,
        GroupChanged: group,
        FlowChanged: flow,
        RecordConsent: consent,
        DeadLetterRow: dead_letter,
    }
    return st.one_of([kinds[kind] for kind, rules in rules_for([name]).items() if rules and kind in kinds])
