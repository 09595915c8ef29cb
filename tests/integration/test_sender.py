"""Does a command become exactly one message, or a reason why not? The sender on real Kafka, Postgres and a simulated Meta."""

from __future__ import annotations

import base64
import dataclasses
import os
from collections.abc import Iterator

import orjson
import psycopg
import pytest

from services.common.domain import topics
from services.common.domain.ids import AttemptId, attempt_id
from services.common.domain.lanes import Lane
from services.common.platform.envelope import dead_letter_origin
from services.common.platform.kafka import NewRecord
from services.common.platform.tokens import TokenBox
from services.sandbox.ports import free_port
from services.sandbox.providers import Kafka
from services.sandbox.simulator.rules import DropAfter, DropBefore, Error, FalseError, Garbage, Hang
from tests.support import log
from tests.support.contents import VALID
from tests.support.processes import ServiceProcess
from tests.support.sending import CODEC, NUMBER, OWN_PHONE, PERSON, TOKEN_KEY, WABA, Scene, now_ms, scene, template, text
from tests.support.waiting import wait_for


@pytest.fixture
def stage(cluster: Kafka, postgres: str) -> Iterator[Scene]:
    """A registered number, a simulated Meta, no sender yet."""
    with scene(cluster, postgres) as made:
        made.register()
        yield made


@pytest.fixture
def sender(stage: Scene) -> Iterator[ServiceProcess]:
    """A sender that is ready."""
    with stage.sender() as process:
        yield process.wait_ready()


def test_a_text_in_an_open_window_is_accepted_and_told_with_metas_id(stage: Scene, sender: ServiceProcess) -> None:
    stage.open_window()
    command = text()
    stage.put(command)
    outcome = stage.wait_outcome(command)
    [arrival] = stage.arrivals()
    assert (outcome.kind, outcome.wamid, outcome.attempt_no) == ("accepted", arrival.wamid, 1)
    assert arrival.opaque == outcome.attempt_id == attempt_id(command.command_id, 1)
    assert (outcome.waba_id, outcome.lane, outcome.wa_id, outcome.source) == (WABA, "transactional", PERSON, "response")
    assert arrival.recipient == f"+{PERSON}"
    assert stage.sql("SELECT count(*) FROM sender.outbox") == [(0,)]
    assert sender.terminate() == 0


@pytest.mark.usefixtures("sender")
def test_a_text_to_somebody_who_never_wrote_is_refused(stage: Scene) -> None:
    command = text()
    stage.put(command)
    outcome = stage.wait_outcome(command)
    assert (outcome.kind, outcome.reason, outcome.attempt_no) == ("refused", "window_closed", 0)
    assert stage.arrivals() == []


@pytest.mark.usefixtures("sender")
def test_who_said_stop_gets_neither_a_template_nor_a_text(stage: Scene) -> None:
    stage.open_window()
    stage.consent("all", "withdrawn")
    commands = [text(), template()]
    stage.put(*commands)
    assert [stage.wait_outcome(one).reason for one in commands] == ["opted_out", "opted_out"]
    assert stage.arrivals() == []


@pytest.mark.usefixtures("sender")
def test_a_stop_under_the_number_holds_for_the_user_id_it_belongs_to(stage: Scene) -> None:
    bsuid = "DE.1234567890123456"
    for alias in (bsuid, PERSON):
        stage.sql("INSERT INTO projector.contact_aliases (alias, contact, first_seen_at) VALUES (%s, %s, now())", alias, bsuid)
    stage.consent("all", "withdrawn", contact=PERSON)
    command = template(to=None, recipient=bsuid)
    stage.put(command)
    assert stage.wait_outcome(command).reason == "opted_out"


@pytest.mark.usefixtures("sender")
def test_marketing_needs_a_grant(stage: Scene) -> None:
    stage.ask(lambda client: client.add_template(WABA, "order_update", "en_US", category="MARKETING"))
    before = template(lane="bulk")
    stage.put(before)
    assert stage.wait_outcome(before).reason == "no_consent"
    stage.consent("marketing", "granted")
    after = template(lane="bulk")
    stage.put(after)
    assert stage.wait_outcome(after).kind == "accepted"


@pytest.mark.usefixtures("sender")
def test_a_command_that_can_never_be_sent_says_why(stage: Scene) -> None:
    stage.open_window()
    hopeless = [
        (text(phone_number_id="999"), "phone_unknown"),
        (text(type="smoke_signal"), "type_unsupported"),
        (text(content='{"body": " "}'), "text_empty"),
        (text(content="no json"), "shape"),
        (text(policy="resend_twice"), "policy"),
        (text(tenant_id="somebody"), "tenant_mismatch"),
        (text(to="12345"), "recipient"),
        (text(to=f"+{OWN_PHONE}"), "recipient"),
        (text(lane="otp"), "lane_mismatch"),
    ]
    stage.put(*(command for command, _ in hopeless))
    for command, reason in hopeless:
        outcome = stage.wait_outcome(command)
        assert (outcome.kind, outcome.reason) == ("refused", reason)
    late = text(expires_at=now_ms() - 1)
    stage.put(late)
    outcome = stage.wait_outcome(late)
    assert (outcome.kind, outcome.reason, outcome.attempt_no) == ("expired", "expired", 0)
    assert stage.states()[late.command_id] == "expired"
    assert stage.arrivals() == []


@pytest.mark.usefixtures("sender")
def test_every_type_reaches_meta(stage: Scene) -> None:
    stage.open_window()
    contents = [(kind, content) for kind, content in VALID if kind not in ("template", "read")]
    commands = [text(type=kind, content=orjson.dumps(content).decode()) for kind, content in contents]
    stage.put(*commands)
    assert {stage.wait_outcome(command).kind for command in commands} == {"accepted"}
    assert sorted(arrival.type or "" for arrival in stage.arrivals()) == sorted(kind for kind, _ in contents)


@pytest.mark.usefixtures("sender")
def test_a_group_gets_its_messages_in_order_while_its_own_window_is_open(stage: Scene) -> None:
    group_id = "Y2FwaV9ncm91cDox"
    stage.ask(lambda client: client.add_group(group_id, PERSON, "491700000002"))
    stage.open_window()
    closed = text(to=None, group_id=group_id)
    stage.put(closed)
    refused = stage.wait_outcome(closed)
    assert (refused.reason, refused.group_id, refused.contact) == ("window_closed", group_id, None)
    stage.open_window(contact=group_id)
    stage.consent("all", "withdrawn")
    commands = [text(f"{n}", to=None, group_id=group_id, biz_opaque_callback_data=f"mine {n}") for n in range(5)]
    stage.put(*commands)
    found = [stage.wait_outcome(command) for command in commands]
    assert {(one.kind, one.group_id, one.contact, one.to, one.wa_id, one.bsuid) for one in found} == {
        ("accepted", group_id, None, None, None, None)
    }
    assert [one.biz_opaque_callback_data for one in found] == [f"mine {n}" for n in range(5)]
    assert [one.opaque for one in stage.accepted()] == [attempt_id(command.command_id, 1) for command in commands]
    assert {one.recipient for one in stage.arrivals()} == {group_id}


@pytest.mark.usefixtures("sender")
def test_a_lost_answer_about_a_group_is_settled_by_the_status_of_any_participant(stage: Scene) -> None:
    group_id = "Y2FwaV9ncm91cDox"
    stage.ask(lambda client: client.add_group(group_id, PERSON))
    stage.open_window(contact=group_id)
    stage.misbehave(DropAfter())
    command = text(to=None, group_id=group_id)
    stage.put(command)
    stage.wait_outcome(command, "unknown")
    stage.settle_everything()
    settled = stage.wait_outcome(command, "accepted")
    assert (settled.source, settled.group_id, settled.wamid) == ("webhook", group_id, stage.accepted()[0].wamid)


@pytest.mark.usefixtures("sender")
def test_a_marketing_message_goes_by_its_own_api_because_the_command_says_so(stage: Scene) -> None:
    stage.ask(lambda client: client.add_template(WABA, "order_update", "en_US", category="MARKETING"))
    stage.consent("marketing", "granted")
    by_marketing, plain = template(lane="bulk", marketing_messages='{"product_policy":"STRICT"}'), template(lane="bulk")
    stage.put(by_marketing, plain)
    assert [stage.wait_outcome(one).kind for one in (by_marketing, plain)] == ["accepted", "accepted"]
    assert [one.edge for one in stage.arrivals()] == ["marketing_messages", "messages"]
    # Which API a message goes by is its producer's choice: it costs something else.
    stage.misbehave(Error(code=131063))
    refused = template(lane="bulk")
    stage.put(refused)
    outcome = stage.wait_outcome(refused, "deferred")
    assert (outcome.reason, outcome.error_code) == ("configuration", 131063)
    assert len(stage.arrivals()) == 3


@pytest.mark.usefixtures("sender")
def test_a_command_waits_for_its_time_and_lets_later_ones_of_its_recipient_pass(stage: Scene) -> None:
    stage.open_window()
    at = now_ms() + 4_000
    scheduled, at_once = text("later", send_at=at), text("now")
    stage.put(scheduled, at_once)
    first = stage.wait_outcome(at_once)
    assert first.occurred_at < at
    second = stage.wait_outcome(scheduled)
    assert at <= stage.arrivals()[1].read_at < at + 3_000
    assert [first.kind, second.kind] == ["accepted", "accepted"]


@pytest.mark.usefixtures("sender")
def test_a_time_of_sending_that_makes_no_sense_is_refused_at_once(stage: Scene) -> None:
    stage.open_window()
    now = now_ms()
    senseless = [
        text(send_at=now - 301_000),
        text(send_at=now + 31 * 86_400_000),
        text(send_at=2**62),
        text(send_at=-(2**62)),
        text(send_at=now + 60_000, expires_at=now + 30_000),
    ]
    stage.put(*senseless, last := text(send_at=now - 200_000))
    assert [stage.wait_outcome(one).reason for one in senseless] == ["schedule"] * 5
    assert stage.wait_outcome(last).kind == "accepted"


@pytest.mark.usefixtures("sender")
def test_a_message_is_marked_as_read_without_window_or_recipient_and_again_when_the_answer_is_lost(stage: Scene) -> None:
    wamid = stage.ask(lambda client: client.inbound(NUMBER, PERSON, "hello"))
    content = orjson.dumps({"message_id": wamid, "typing_indicator": {"type": "text"}}).decode()
    stage.misbehave(DropBefore())
    command = text(type="read", content=content, to=None)
    stage.put(command)
    outcome = stage.wait_outcome(command, "accepted")
    assert (outcome.wamid, outcome.attempt_no) == (None, 2)
    assert [arrival.decision for arrival in stage.arrivals()] == ["dropped_before", "read_receipt"]
    stranger = text(type="read", content=orjson.dumps({"message_id": f"{wamid}x"}).decode(), to=None)
    stage.put(stranger)
    refused = stage.wait_outcome(stranger)
    assert (refused.kind, refused.error_code) == ("rejected", 131009)
    assert [one.kind for one in stage.outcomes()] == ["deferred", "accepted", "rejected"]


@pytest.mark.usefixtures("sender")
def test_a_content_that_meta_would_refuse_is_told_by_its_field(stage: Scene) -> None:
    stage.open_window()
    buttons = [{"type": "reply", "reply": {"id": str(n), "title": "x" * (18 + n)}} for n in (1, 2, 5)]
    content = {"type": "button", "body": {"text": "Which?"}, "action": {"buttons": buttons}}
    commands = [
        text(type="interactive", content=orjson.dumps(content).decode()),
        text(context_wamid="yesterday's"),
    ]
    stage.put(*commands)
    told = [(outcome.kind, outcome.reason, outcome.detail) for outcome in map(stage.wait_outcome, commands)]
    assert told == [
        ("refused", "limit", "interactive.action.buttons[2].reply.title: 23 characters, at most 20"),
        ("refused", "context", "context_wamid: not the id of a message"),
    ]
    assert stage.arrivals() == []


@pytest.mark.usefixtures("sender")
def test_a_refusal_by_meta_is_told_with_its_code(stage: Scene) -> None:
    stage.ask(lambda client: client.add_template(WABA, "order_update", "en_US"))
    stage.misbehave(Error(code=132001))
    command = template()
    stage.put(command)
    outcome = stage.wait_outcome(command)
    assert (outcome.kind, outcome.reason, outcome.error_code) == ("rejected", "template", 132001)


@pytest.mark.usefixtures("sender")
@pytest.mark.failure("S7")
def test_a_lost_answer_is_unknown_and_settled_by_the_status_webhook(stage: Scene) -> None:
    stage.open_window()
    stage.misbehave(DropAfter())
    command = text()
    stage.put(command)
    assert stage.wait_outcome(command).kind == "unknown"
    [arrival] = stage.accepted()
    stage.status_of(arrival)
    outcome = stage.wait_outcome(command, "accepted")
    assert (outcome.wamid, outcome.source, len(stage.arrivals())) == (arrival.wamid, "webhook", 1)


def test_without_evidence_an_unknown_is_given_up_unsent_and_late_evidence_still_counts(stage: Scene) -> None:
    stage.open_window()
    with stage.sender(PARLEY_SENDER_TRANSACTIONAL_HORIZON_SECONDS="1", PARLEY_SENDER_SETTLE_SECONDS="0.1") as sender:
        sender.wait_ready()
        stage.misbehave(Garbage())
        command = text()
        stage.put(command)
        assert stage.wait_outcome(command, "unresolved").reason == "no_evidence"
        stage.settle_everything()
        assert stage.wait_outcome(command, "accepted").source == "webhook"
        assert len(stage.arrivals()) == 1


def test_a_refusal_that_was_none_is_corrected_and_its_code_is_no_proof_any_more(stage: Scene) -> None:
    stage.open_window()
    with stage.sender(PARLEY_SENDER_SETTLE_SECONDS="0.05") as sender:
        sender.wait_ready()
        stage.misbehave(FalseError(code=131009))
        command = text()
        stage.put(command)
        assert stage.wait_outcome(command).kind == "rejected"
        [arrival] = stage.accepted()
        stage.status_of(arrival)
        outcome = stage.wait_outcome(command, "accepted")
        assert (outcome.wamid, outcome.source) == (arrival.wamid, "webhook")
        assert stage.sql("SELECT error_code, attempt_id FROM sender.distrusted_codes") == [(131009, arrival.opaque)]
        assert sender.metric("parley_false_rejections_total", outcome="rejected", code="131009") == 1
        assert sender.metric("parley_duplicate_sends_total") == 0
        stage.misbehave(FalseError(code=131009))
        again = text()
        stage.put(again)
        assert stage.wait_outcome(again).kind == "unknown"
        stage.settle_everything()
        assert stage.wait_outcome(again, "accepted").source == "webhook"
        assert len(stage.arrivals()) == 2


def test_what_waits_for_another_try_is_not_sent_again_when_meta_has_it(stage: Scene) -> None:
    stage.open_window()
    with stage.sender(PARLEY_SENDER_SETTLE_SECONDS="0.05") as sender:
        sender.wait_ready()
        stage.misbehave(FalseError(code=131053))
        command = text()
        stage.put(command)
        wait_for(lambda: stage.sql("SELECT state FROM sender.send_commands") == [("retry",)], 20, "be refused for now")
        stage.settle_everything()
        assert stage.wait_outcome(command, "accepted").kind == "accepted"
        stage.sql("UPDATE sender.send_commands SET next_action_at = now()")
        following = text()
        stage.put(following)
        assert stage.wait_outcome(following).kind == "accepted"
        assert len(stage.arrivals()) == 2


def test_two_acceptances_of_a_command_are_told_as_what_they_are(stage: Scene) -> None:
    stage.open_window()
    with stage.sender(PARLEY_SENDER_SETTLE_SECONDS="0.05") as sender:
        sender.wait_ready()
        stage.misbehave(FalseError(code=131053))
        command = text()
        stage.put(command)
        wait_for(lambda: stage.sql("SELECT state FROM sender.send_commands") == [("retry",)], 20, "be refused for now")
        stage.sql("UPDATE sender.send_commands SET next_action_at = now()")
        outcome = stage.wait_outcome(command, "accepted")
        assert (outcome.attempt_no, outcome.source) == (2, "response")
        stage.settle_everything()
        sender.wait_until(lambda: sender.metric("parley_duplicate_sends_total") == 1, 20, "see both")
        assert sender.events("send.duplicate_confirmed")[0]["command_id"] == command.command_id
        told = stage.wait_outcome(command, "duplicate_confirmed")
        assert (told.attempt_no, told.reason, told.source) == (1, "accepted_twice", "webhook")
        assert stage.sql("SELECT state, wamid FROM sender.send_commands") == [("accepted", outcome.wamid)]
        assert stage.sql("SELECT outcome FROM sender.send_attempts ORDER BY attempt_no") == [("accepted",), ("accepted",)]


@pytest.mark.usefixtures("sender")
@pytest.mark.failure("S7")
def test_a_reset_before_the_answer_is_never_sent_again(stage: Scene) -> None:
    stage.open_window()
    stage.misbehave(DropBefore())
    lost, next_one = text(), text()
    stage.put(lost)
    assert stage.wait_outcome(lost).kind == "unknown"
    stage.put(next_one)
    assert stage.wait_outcome(next_one).kind == "accepted"
    assert [arrival.decision for arrival in stage.arrivals()] == ["dropped_before", "accepted"]


@pytest.mark.usefixtures("sender")
def test_the_same_command_twice_is_one_message_and_the_same_event(stage: Scene) -> None:
    stage.open_window()
    command = text()
    stage.put(command, command)
    outcome = stage.wait_outcome(command)
    stage.put(command)
    wait_for(
        lambda: log.end_offsets(stage.kafka.bootstrap_servers, topics.SEND_OUTCOMES) >= 2, 20.0, "the outcome told once more"
    )
    assert stage.outcomes() == [outcome]
    assert len(stage.arrivals()) == 1


@pytest.mark.usefixtures("sender")
def test_another_command_under_a_known_id_is_a_conflict_and_the_first_one_stands(stage: Scene) -> None:
    stage.open_window()
    first = text("one")
    second = dataclasses.replace(first, content=orjson.dumps({"body": "two"}).decode())
    stage.put(first, second)
    assert stage.wait_outcome(first, "refused").reason == "idempotency_conflict"
    assert stage.wait_outcome(first, "accepted").attempt_no == 1
    assert len(stage.arrivals()) == 1


@pytest.mark.usefixtures("sender")
@pytest.mark.failure("S8")
def test_throttled_commands_are_sent_later(stage: Scene) -> None:
    stage.open_window()
    stage.misbehave(Error(code=130429), times=2)
    command = text()
    stage.put(command)
    assert stage.wait_outcome(command, "accepted").attempt_no == 3
    assert [arrival.code for arrival in stage.arrivals()] == [130429, 130429, None]


@pytest.mark.usefixtures("sender")
@pytest.mark.failure("S18")
def test_what_may_not_be_sent_any_more_when_its_next_try_comes_is_not_sent(stage: Scene) -> None:
    stopped, silent = PERSON, "491700000002"
    for person in (stopped, silent):
        stage.open_window(person)
    stage.misbehave(Error(code=131056), times=2)
    commands = [text(to=f"+{person}") for person in (stopped, silent)]
    stage.put(*commands)
    wait_for(lambda: list(stage.states().values()) == ["retry", "retry"], 20.0, "both to be refused for now")
    stage.consent("all", "withdrawn", contact=stopped)
    stage.sql("UPDATE projector.conversations SET last_inbound_at = now() - interval '1 day' WHERE contact = %s", silent)
    outcomes = [stage.wait_outcome(command) for command in commands]
    assert [(one.kind, one.reason) for one in outcomes] == [("refused", "opted_out"), ("refused", "window_closed")]
    assert len(stage.arrivals()) == 2


@pytest.mark.failure("S6")
def test_a_number_that_does_not_answer_holds_up_no_other_and_sends_nothing_again(stage: Scene) -> None:
    other, people = "106540352242923", [f"49170000000{n}" for n in range(5)]
    stage.register(other, phone="15550100002")
    for person in people:
        stage.open_window(person)
        stage.open_window(person, other)
    stage.ask(lambda client: client.rules(Hang(seconds=30.0), always=True, phone_number_id=NUMBER))
    hung = [text(to=f"+{person}") for person in people]
    well = [text(to=f"+{person}", phone_number_id=other) for person in people]
    with stage.sender(PARLEY_SENDER_ANSWER_SECONDS="2") as sender:
        sender.wait_ready()
        stage.put(*hung)
        wait_for(lambda: bool(stage.arrivals()), 20.0, "the first that is not answered")
        stage.put(*well)
        ends = [stage.wait_outcome(command) for command in well]
        assert {(one.kind, one.attempt_no) for one in ends} == {("accepted", 1)}
        unknown = [stage.wait_outcome(command, "unknown") for command in hung]
        assert max(one.occurred_at for one in ends) < min(one.occurred_at for one in unknown)
    arrivals = [arrival.opaque for arrival in stage.arrivals()]
    assert len(arrivals) == len(set(arrivals)) == len(hung) + len(well)


@pytest.mark.usefixtures("sender")
@pytest.mark.failure("S9")
def test_a_number_whose_token_is_refused_pauses_and_resumes_with_a_new_token(stage: Scene) -> None:
    stage.ask(lambda client: client.add_number(NUMBER, waba_id=WABA, display_phone_number=OWN_PHONE, token="the-new-token"))
    stage.open_window()
    commands = [text(f"{number}") for number in range(3)]
    stage.put(*commands)
    wait_for(lambda: len(stage.arrivals()) == 1, 20.0, "the first refused call")
    wait_for(lambda: stage.sql("SELECT cause FROM sender.stops WHERE is_stopped") == [("access_token",)], 20.0, "the pause")

    with psycopg.connect(stage.dsn) as connection:
        sealed = TokenBox.from_base64(TOKEN_KEY).seal("the-new-token", phone_number_id=NUMBER)
        connection.execute("UPDATE registry.phone_numbers SET access_token = %s", (sealed,))
    assert {stage.wait_outcome(one, "accepted").kind for one in commands} == {"accepted"}
    assert [arrival.code for arrival in stage.arrivals()] == [190, None, None, None]
    assert stage.sql("SELECT count(*) FROM sender.stops WHERE is_stopped") == [(0,)]


@pytest.mark.failure("S13")
def test_while_meta_cannot_be_reached_nothing_is_sent_and_later_everything_once(stage: Scene) -> None:
    stage.open_window()
    port = free_port()
    command = text()
    with stage.sender(PARLEY_GRAPH_URL=f"http://127.0.0.1:{port}") as sender:
        sender.wait_ready()
        stage.put(command)
        wait_for(lambda: stage.states().get(command.command_id) == "retry", 20.0, "a retry")
        assert sender.terminate() == 0
    with stage.sender() as sender:
        sender.wait_ready()
        assert stage.wait_outcome(command).kind == "accepted"
    assert len(stage.arrivals()) == 1


@pytest.mark.usefixtures("sender")
def test_order_per_recipient_is_kept_within_a_lane(stage: Scene) -> None:
    stage.open_window()
    commands = [text(f"{number}") for number in range(12)]
    stage.misbehave(Error(code=131056))
    stage.put(*commands)
    for command in commands:
        stage.wait_outcome(command, "accepted", seconds=30.0)
    rank = {one.command_id: place for place, one in enumerate(commands)}
    accepted = {attempt_id(one.command_id, number): one.command_id for one in commands for number in (1, 2)}
    assert [rank[accepted[AttemptId(arrival.opaque or "")]] for arrival in stage.accepted()] == list(range(12))


@pytest.mark.failure("S19")
def test_a_one_time_code_overtakes_a_bulk_backlog(stage: Scene, sender: ServiceProcess) -> None:
    stage.register(limit=10, throughput=80)
    stage.ask(lambda client: client.add_template(WABA, "code", "en_US", category="AUTHENTICATION"))
    wait_for(lambda: bool(sender.events("number.limit_changed")) or not stage.arrivals(), 5.0, "the new limit")
    people = [f"4917000001{number:02d}" for number in range(30)]
    for person in people:
        stage.open_window(person)
    backlog = [text(to=f"+{person}", lane="bulk") for person in people]
    stage.put(*backlog)
    wait_for(lambda: len(stage.arrivals()) >= 2, 20.0, "the backlog to move")
    code = template("code", lane="otp")
    stage.put(code)
    assert stage.wait_outcome(code).kind == "accepted"
    for command in backlog:
        stage.wait_outcome(command, "accepted", seconds=30.0)
    place = [arrival.opaque for arrival in stage.arrivals()].index(attempt_id(code.command_id, 1))
    assert place < len(backlog) - 5


@pytest.mark.usefixtures("sender")
@pytest.mark.failure("S15")
def test_records_that_are_no_command_are_set_aside_with_their_bytes(stage: Scene) -> None:
    stage.open_window()
    command = text()
    lane = topics.SENDS[Lane.TRANSACTIONAL]
    bad = [
        (NewRecord(lane, NUMBER.encode(), b"\x00not avro", ()), "unknown_schema"),
        (NewRecord(lane, NUMBER.encode(), b"x", ()), "avro_syntax"),
        (NewRecord(lane, NUMBER.encode(), CODEC.encode(text(command_id="seven")), ()), "command_id"),
        (NewRecord(lane, b"other", CODEC.encode(text()), ()), "key_mismatch"),
        (NewRecord(lane, NUMBER.encode(), CODEC.encode(text(lane="bulk")), ()), "lane_unknown"),
        (NewRecord(lane, NUMBER.encode(), CODEC.encode(text("x" * 70_000)), ()), "command_size"),
    ]
    stage.put_records([*(record for record, _ in bad), NewRecord(lane, NUMBER.encode(), None, ())])
    stage.put(command)
    assert stage.wait_outcome(command).kind == "accepted"
    dead = log.read(stage.kafka.bootstrap_servers, topics.SENDER_DEAD_LETTERS)
    reasons = {record.value: dead_letter_origin(record)["reason"] for record in dead}
    assert reasons == {record.value: reason for record, reason in bad}


@pytest.mark.usefixtures("sender")
def test_a_refusal_waits_until_the_read_models_have_caught_up(stage: Scene) -> None:
    stage.put_records([NewRecord(topics.INBOUND_MESSAGES, b"1/2", b"an inbound message", ())])
    [record] = log.read(stage.kafka.bootstrap_servers, topics.INBOUND_MESSAGES)
    command = text()
    stage.put(command)
    wait_for(lambda: stage.states().get(command.command_id) == "waiting", 10.0, "the command")
    assert stage.outcomes_of(command) == []
    with psycopg.connect(stage.dsn) as connection:
        connection.execute(
            "INSERT INTO projector.positions (projection, topic, partition, next_offset) VALUES ('parley.projector', %s, %s, 1)",
            (record.topic, record.partition),
        )
        connection.execute(
            "INSERT INTO projector.conversations (phone_number_id, contact, last_inbound_at) VALUES (%s, %s, now())",
            (NUMBER, PERSON),
        )
    assert stage.wait_outcome(command).kind == "accepted"


def test_the_sender_works_with_the_rights_of_its_own_role(stage: Scene) -> None:
    dsn = stage.dsn_of_sender()
    stage.open_window()
    stage.ask(lambda client: client.add_template(WABA, "order_update", "en_US"))
    stage.sql("INSERT INTO projector.messaging_limits VALUES (%s, 'TIER_250', now())", WABA)
    commands = [text(), template(to="+491700000009"), template("nobody_knows_it")]
    with stage.sender(PARLEY_POSTGRES_DSN=dsn) as sender:
        sender.wait_ready()
        stage.put(*commands)
        assert [stage.wait_outcome(one).kind for one in commands] == ["accepted", "accepted", "refused"]
    assert stage.sql("SELECT room FROM sender.portfolios") == [(249,)]


def test_a_token_of_another_key_pauses_the_number_and_says_so(stage: Scene) -> None:
    stage.open_window()
    command = text()
    with stage.sender(PARLEY_TOKEN_KEY=base64.b64encode(os.urandom(32)).decode()) as sender:
        sender.wait_ready()
        assert sender.wait_for_event("number.token_unreadable")["phone_number_id"] == NUMBER
        stage.put(command)
        wait_for(lambda: command.command_id in stage.states(), 10.0, "the command")
        assert sender.terminate() == 0
    assert stage.arrivals() == []
    with stage.sender() as sender:
        assert stage.wait_outcome(command, "accepted").attempt_no == 1
