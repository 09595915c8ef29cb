"""Do accounts in trouble keep their commands, stop exactly what Meta forbids, and go on by themselves?"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from services.common.domain import topics
from services.common.domain.ids import attempt_id
from services.common.domain.records import SendMessage
from services.common.platform.kafka import partition_of
from services.sandbox.providers import Kafka
from services.sandbox.simulator.client import SimulatorClient
from tests.support import log
from tests.support.command_line import parley
from tests.support.processes import ServiceProcess
from tests.support.sending import NUMBER, OWN_PHONE, TOKEN, WABA, Scene, now_ms, scene, template, text, webhook_services
from tests.support.waiting import wait_for

SECOND, STRANGER, OTHER_WABA = "106540352242923", "106540352242924", "102290129340399"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def stage(cluster: Kafka, postgres: str) -> Iterator[Scene]:
    """A registered number with a template, a person who wrote, and a simulated Meta."""
    with scene(cluster, postgres) as made:
        made.register()
        made.ask(lambda client: client.add_template(WABA, "order_update", "en_US", category="UTILITY"))
        made.open_window()
        yield made


@pytest.fixture
def sender(stage: Scene) -> Iterator[ServiceProcess]:
    """A sender that is ready, with the rights of its own role."""
    with stage.sender(PARLEY_POSTGRES_DSN=stage.dsn_of_sender()) as process:
        yield process.wait_ready()


@pytest.fixture
def listed(postgres: str, tmp_path: Path) -> Callable[[], dict[str, Any]]:
    """The first number, as the operator sees it."""

    def read() -> dict[str, Any]:
        done = parley(tmp_path, "number", "list", "--json", PARLEY_POSTGRES_DSN=postgres)
        assert (done.returncode, done.stderr) == (0, "")
        number: dict[str, Any] = json.loads(done.stdout.splitlines()[0])
        return number

    return read


def account(client: SimulatorClient, **trouble: Any) -> Any:
    return client.change_account(WABA, quiet=True, **trouble)


def knows_of_a_stop(sender: ServiceProcess) -> bool:
    return sender.metric("parley_sender_numbers_stopped") == 1


def wait_stopped(stage: Scene, cause: str, *, stopped: bool = True) -> None:
    asked = "SELECT count(*) FROM sender.stops WHERE cause = %s AND is_stopped"
    wait_for(lambda: (stage.sql(asked, cause) == [(1,)]) is stopped, 20, f"{cause} to be {'' if stopped else 'not '}stopped")


def expire_one(stage: Scene, **fields: Any) -> None:
    """Some time passes: as much as a command needs to expire."""
    short = text(expires_at=now_ms() + 1_500, **fields)
    stage.put(short)
    assert stage.wait_outcome(short).reason == "expired"


def told(stage: Scene) -> list[tuple[str, str | None, str | None, str]]:
    return [(one.state, one.cause, one.covers, one.source) for one in stage.changes()]


def wait_told(stage: Scene, *expected: tuple[str, str | None, str | None, str]) -> None:
    wait_for(lambda: len(told(stage)) >= len(expected), 20, f"{expected} to be told, not {told(stage)}")
    assert told(stage) == list(expected)


@pytest.mark.usefixtures("sender")
@pytest.mark.failure("S9")
def test_a_revoked_token_costs_one_call_and_the_number_resumes_by_itself(stage: Scene) -> None:
    number = partial(SimulatorClient.add_number, phone_number_id=NUMBER, waba_id=WABA, display_phone_number=OWN_PHONE)
    stage.ask(lambda client: number(client, token="another"))
    commands = [text(f"{n}") for n in range(6)]
    stage.put(*commands)
    wait_stopped(stage, "access_token")
    expire_one(stage)
    before = len(stage.arrivals())
    assert 1 <= before <= 3
    stage.probe_now()
    wait_for(lambda: len(stage.arrivals()) > before, 20, "the probe to fail")
    stage.ask(lambda client: number(client, token=TOKEN))
    stage.probe_now()
    assert {stage.wait_outcome(one).kind for one in commands} == {"accepted"}
    codes = [arrival.code for arrival in stage.arrivals()]
    refused = len(codes) - len(commands)
    assert codes == [190] * refused + [None] * len(commands)
    assert refused > before
    wait_told(
        stage,
        ("stopped", "access_token", "everything", "response"),
        ("sending", "access_token", "everything", "probe"),
    )


@pytest.mark.usefixtures("sender")
def test_a_restriction_of_what_the_business_begins_lets_replies_go_and_ends_in_time(
    stage: Scene, listed: Callable[[], dict[str, Any]]
) -> None:
    ends = now_ms() // 1000 + 3_600
    restriction = {"restriction_type": "RESTRICTED_BIZ_INITIATED_MESSAGING", "expiration": ends}
    stage.told("account_update", {"event": "ACCOUNT_RESTRICTION", "restriction_info": [restriction]})
    stage.ask(lambda client: account(client, restrictions={"RESTRICTED_BIZ_INITIATED_MESSAGING": ends}))
    wait_stopped(stage, "RESTRICTED_BIZ_INITIATED_MESSAGING")
    begun, reply = template(), text()
    stage.put(begun, reply)
    assert stage.wait_outcome(reply).kind == "accepted"
    assert {one.kind for one in stage.outcomes_of(begun)} <= {"deferred"}
    [stop] = listed()["stops"]
    assert (stop["covers"], stop["until_at"], stop["next_probe_at"]) == ("business_initiated", ends * 1000, None)
    wait_told(stage, ("stopped", "RESTRICTED_BIZ_INITIATED_MESSAGING", "business_initiated", "webhook"))
    assert stage.changes()[0].until_at == ends * 1000
    stage.ask(account)
    stage.sql("UPDATE sender.stops SET until = now()")
    assert stage.wait_outcome(begun).kind == "accepted"
    assert [arrival.code for arrival in stage.arrivals()] == [None, None]
    wait_told(
        stage,
        ("stopped", "RESTRICTED_BIZ_INITIATED_MESSAGING", "business_initiated", "webhook"),
        ("sending", "RESTRICTED_BIZ_INITIATED_MESSAGING", "business_initiated", "webhook"),
    )
    assert listed()["stops"] == []


def test_a_payment_problem_stops_the_numbers_of_the_account_and_nothing_else(
    stage: Scene, sender: ServiceProcess, listed: Callable[[], dict[str, Any]]
) -> None:
    stage.register(SECOND, phone="15550100002")
    stage.register(STRANGER, phone="15550100003", waba_id=OTHER_WABA)
    for number in (SECOND, STRANGER):
        stage.open_window(phone_number_id=number)
    stage.ask(lambda client: account(client, refuses=131042))
    first = text()
    stage.put(first)
    wait_stopped(stage, "131042")
    waiting = [text(phone_number_id=number) for number in (NUMBER, SECOND) for _ in range(3)]
    other = text(phone_number_id=STRANGER)
    stage.put(*waiting, other)
    assert stage.wait_outcome(other).kind == "accepted"
    expire_one(stage, phone_number_id=SECOND)
    assert [arrival.code for arrival in stage.arrivals()] == [131042, None]
    [stop] = listed()["stops"]
    shown = {name: stop[name] for name in ("covers", "is_of_account", "reason", "error_code", "until_at")}
    assert shown == {"covers": "everything", "is_of_account": True, "reason": "payment", "error_code": 131042, "until_at": None}
    stage.probe_now()
    sender.wait_for_event("sending.still_blocked")
    assert len(stage.arrivals()) == 2, "while Meta says itself that it is blocked no command is spent"
    stage.ask(account)
    stage.probe_now()
    assert {stage.wait_outcome(one).kind for one in (first, *waiting)} == {"accepted"}
    assert stage.outcomes("rejected", "unknown") == []
    wait_told(stage, ("stopped", "131042", "everything", "response"), ("sending", "131042", "everything", "probe"))
    change = stage.changes()[0]
    assert (change.waba_id, change.phone_number_id, change.error_code, change.reason) == (WABA, None, 131042, "payment")
    assert change.trace_id is not None


def test_a_stop_that_one_sender_learns_of_holds_what_another_sends_for_the_same_account(stage: Scene) -> None:
    with stage.sender(PARLEY_INSTANCE="a") as one, stage.sender(PARLEY_INSTANCE="b") as two:
        for sender in (one, two):
            sender.wait_ready()
        wait_for(lambda: len(stage.sql("SELECT DISTINCT instance FROM sender.shards")) == 2, 30, "both to own shards")
        owner: dict[int, str] = dict(stage.sql("SELECT shard, instance FROM sender.shards"))

        def sends(number: str) -> str:
            return owner[partition_of(number.encode(), len(owner))]

        other = next(number for n in range(100, 200) if sends(number := f"106540352242{n}") != sends(NUMBER))
        stage.register(other, phone="15550100002")
        stage.open_window(phone_number_id=other)
        before = [text(phone_number_id=number) for number in (NUMBER, other)]
        stage.put(*before)
        assert {stage.wait_outcome(command).kind for command in before} == {"accepted"}
        stage.ask(lambda client: account(client, refuses=131042))
        first = text()
        stage.put(first)
        for sender in (one, two):
            wait_for(partial(knows_of_a_stop, sender), 20, "both to know of the stop")
        waiting = text(phone_number_id=other)
        stage.put(waiting)
        expire_one(stage, phone_number_id=other)
        assert [arrival.code for arrival in stage.arrivals()] == [None, None, 131042]
        stage.ask(account)
        stage.probe_now()
        assert {stage.wait_outcome(command).kind for command in (first, waiting)} == {"accepted"}
    wait_told(stage, ("stopped", "131042", "everything", "response"), ("sending", "131042", "everything", "probe"))


def test_a_payment_problem_that_is_told_after_the_answer_stops_the_account_until_it_is_mended(
    cluster: Kafka, postgres: str, listed: Callable[[], dict[str, Any]]
) -> None:
    with webhook_services(cluster, postgres) as ingest_url, scene(cluster, postgres, ingest_url=ingest_url) as stage:
        stage.register()
        stage.register(SECOND, phone="15550100002")
        stage.register(STRANGER, phone="15550100003", waba_id=OTHER_WABA)
        for number in (NUMBER, SECOND, STRANGER):
            stage.open_window(phone_number_id=number)
        stage.ask(lambda client: account(client, refuses=131042, refuses_later=True))
        with stage.sender(PARLEY_POSTGRES_DSN=stage.dsn_of_sender()) as sender:
            sender.wait_ready()
            first = text()
            stage.put(first)
            wait_stopped(stage, "131042")
            assert stage.wait_outcome(first, "late_failure").error_code == 131042
            waiting = [text(phone_number_id=number) for number in (NUMBER, SECOND) for _ in range(3)]
            other = text(phone_number_id=STRANGER)
            stage.put(*waiting, other)
            assert stage.wait_outcome(other).kind == "accepted"
            expire_one(stage, phone_number_id=SECOND)
            assert len(stage.arrivals()) == 2
            [stop] = listed()["stops"]
            assert (stop["is_of_account"], stop["reason"], stop["error_code"]) == (True, "payment", 131042)
            sender.kill()
        with stage.sender(PARLEY_POSTGRES_DSN=stage.dsn_of_sender()) as sender:
            sender.wait_ready()
            stage.probe_now()
            sender.wait_for_event("sending.still_blocked")
            assert len(stage.arrivals()) == 2
            stage.ask(account)
            stage.probe_now()
            assert {stage.wait_outcome(one).kind for one in waiting} == {"accepted"}
            wait_told(stage, ("stopped", "131042", "everything", "webhook"), ("sending", "131042", "everything", "probe"))
            last = text()
            stage.put(last)
            assert stage.wait_outcome(last).kind == "accepted", "the failure of before stops nothing again"
            assert len(stage.changes()) == 2


@pytest.mark.usefixtures("sender")
def test_a_code_told_late_stops_nothing_when_it_is_old_or_something_was_sent_since_or_it_is_about_one_message(
    stage: Scene,
) -> None:
    stage.register(SECOND, phone="15550100002")
    stage.status_of_number(SECOND, "sent", seconds_ago=30)
    failed(stage, 131042, seconds_ago=3_600)
    failed(stage, 368, seconds_ago=60)
    failed(stage, 131037, seconds_ago=5, number=SECOND)
    failed(stage, 131026, seconds_ago=5)
    wait_stopped(stage, "131037")
    command = text()
    stage.put(command)
    assert stage.wait_outcome(command).kind == "accepted"
    assert stage.sql("SELECT scope_id, cause FROM sender.stops WHERE is_stopped") == [(SECOND, "131037")]
    wait_told(stage, ("stopped", "131037", "everything", "webhook"))


@pytest.mark.parametrize("is_told", [True, False])
@pytest.mark.usefixtures("sender")
def test_a_probe_that_is_accepted_ends_a_late_stop_only_once_it_is_sent_or_nothing_is_told_of_it(
    stage: Scene, *, is_told: bool
) -> None:
    failed(stage, 131042, seconds_ago=120)
    wait_stopped(stage, "131042")
    probe, held = text(), text()
    stage.put(probe, held)
    stage.probe_now()
    assert stage.wait_outcome(probe).kind == "accepted"
    tried = "SELECT count(*) FROM sender.stops WHERE is_stopped AND tried_by IS NOT NULL"
    wait_for(lambda: stage.sql(tried) == [(1,)], 20, "the probe to be remembered")
    expire_one(stage)
    assert len(stage.arrivals()) == 1
    if is_told:
        stage.settle_everything()
    else:
        stage.sql("UPDATE sender.stops SET tried_at = tried_at - interval '1 minute'")
    assert stage.wait_outcome(held).kind == "accepted"
    wait_told(stage, ("stopped", "131042", "everything", "webhook"), ("sending", "131042", "everything", "probe"))


@pytest.mark.usefixtures("sender")
def test_an_error_about_an_account_or_a_number_stops_it(stage: Scene) -> None:
    for code in (131031, 131026):
        stage.told("messages", {"code": code, "title": "about the account"}, record="ErrorReported")
    stage.told("messages", {"code": 131045, "title": "about the number"}, record="ErrorReported", phone_number_id=NUMBER)
    stage.told("messages", {"code": 368}, record="ErrorReported", at=now_ms() - 3_600_000)
    wait_stopped(stage, "131031")
    wait_stopped(stage, "131045")
    found = stage.sql("SELECT scope, scope_id, cause FROM sender.stops WHERE is_stopped ORDER BY cause")
    assert found == [("waba", WABA, "131031"), ("number", NUMBER, "131045")]


def failed(stage: Scene, code: int, *, seconds_ago: float, number: str = NUMBER) -> None:
    """Meta has told that a message failed, and it was projected."""
    stage.status_of_number(number, "failed", seconds_ago=seconds_ago, error_code=code)


def test_a_ban_and_its_end_come_by_webhook_in_any_order_and_survive_a_restart(stage: Scene) -> None:
    ban, command = now_ms() - 60_000, text()
    with stage.sender() as sender:
        sender.wait_ready()
        stage.told("account_update", {"event": "DISABLED_UPDATE", "ban_info": {"waba_ban_state": "DISABLE"}}, at=ban)
        wait_stopped(stage, "DISABLED_UPDATE")
        stage.put(command)
        wait_for(lambda: command.command_id in stage.states(), 20, "the command")
        sender.kill()
    with stage.sender() as sender:
        sender.wait_ready()
        expire_one(stage)
        assert stage.arrivals() == []
        stage.told("account_update", {"event": "DISABLED_UPDATE", "ban_info": {"waba_ban_state": "REINSTATE"}}, at=ban + 2_000)
        assert stage.wait_outcome(command).kind == "accepted"
        stage.told("account_update", {"event": "DISABLED_UPDATE", "ban_info": {"waba_ban_state": "DISABLE"}}, at=ban + 1_000)
        again = text()
        stage.put(again)
        assert stage.wait_outcome(again).kind == "accepted"
        stage.told("account_update", {"event": "ACCOUNT_VIOLATION", "violation_info": {"violation_type": "SPAM"}})
        stage.told("account_update", {"event": "SOMETHING_OF_TOMORROW"})
        wait_told(
            stage,
            ("stopped", "DISABLED_UPDATE", "everything", "webhook"),
            ("sending", "DISABLED_UPDATE", "everything", "webhook"),
        )


@pytest.mark.usefixtures("sender")
def test_a_spam_limit_lets_replies_pass_templates_which_keep_their_order(stage: Scene) -> None:
    begun = [template() for _ in range(4)]
    stage.ask(lambda client: account(client, refuses=131048))
    stage.put(begun[0])
    wait_stopped(stage, "131048")
    stage.ask(account)
    reply = text()
    stage.put(*begun[1:], reply)
    assert stage.wait_outcome(reply).kind == "accepted"
    held = "SELECT count(*) FROM sender.send_commands WHERE held_by = 'account_stopped'"
    wait_for(lambda: stage.sql(held) == [(4,)], 20, "four templates to be held")
    assert [arrival.code for arrival in stage.arrivals()] == [131048, None]
    stage.probe_now()

    def is_tried() -> bool:
        """Look at them until one is: who looks before its sender has read that it may is held for as long again."""
        stage.sql("UPDATE sender.send_commands SET next_action_at = now() WHERE held_by IS NOT NULL")
        return len(stage.arrivals()) > 2

    wait_for(is_tried, 20, "one template to try the stop")
    assert {stage.wait_outcome(one).kind for one in begun} == {"accepted"}
    assert places(stage, begun) == sorted(places(stage, begun))


def places(stage: Scene, commands: list[SendMessage]) -> list[int]:
    """Where in what Meta accepted each command stands."""
    accepted = [arrival.opaque for arrival in stage.accepted()]
    return [
        next(accepted.index(attempt_id(one.command_id, n)) for n in (1, 2) if attempt_id(one.command_id, n) in accepted)
        for one in commands
    ]


@pytest.mark.usefixtures("sender")
def test_an_upgrade_of_the_throughput_is_followed_once(stage: Scene) -> None:
    wait_for(lambda: stage.sql("SELECT count(*) FROM sender.limits") == [(1,)], 20, "the limit to be known")
    upgrade = {"event": "THROUGHPUT_UPGRADE", "display_phone_number": f"+{OWN_PHONE}"}
    stage.ask(lambda client: client.upgrade_number(NUMBER, seconds=0.0))
    stage.told("phone_number_quality_update", upgrade)
    limit = "SELECT messages_per_second FROM registry.phone_numbers"
    wait_for(lambda: stage.sql(limit) == [(1000,)], 20, "the new limit")
    stage.sql("UPDATE registry.phone_numbers SET messages_per_second = 500, updated_at = now()")
    wait_told(stage, ("limit", None, None, "webhook"), ("limit", None, None, "operator"))
    assert [one.messages_per_second for one in stage.changes()] == [1000, 500]
    assert stage.sql(limit) == [(500,)]


@pytest.mark.usefixtures("sender")
def test_a_number_that_turns_out_to_be_shared_with_the_business_app_is_at_twenty_a_second(stage: Scene) -> None:
    wait_for(lambda: stage.sql("SELECT count(*) FROM sender.limits") == [(1,)], 20, "the limit to be known")
    stage.told("history", {"phase": 0}, phone_number_id=NUMBER)
    known = "SELECT messages_per_second, is_coexistence FROM registry.phone_numbers"
    wait_for(lambda: stage.sql(known) == [(20, True)], 20, "the limit of a shared number")
    stage.told("phone_number_quality_update", {"event": "THROUGHPUT_UPGRADE", "display_phone_number": OWN_PHONE})
    wait_for(lambda: stage.sql("SELECT upgraded_at IS NOT NULL FROM sender.limits") == [(True,)], 20, "the upgrade to be seen")
    assert stage.sql(known) == [(20, True)]
    assert [one.messages_per_second for one in stage.changes()] == [20]


@pytest.mark.usefixtures("sender")
def test_an_operators_pause_and_its_end_are_told(stage: Scene) -> None:
    for state in ("paused", "active"):
        stage.sql("UPDATE registry.phone_numbers SET state = %s, updated_at = now()", state)
        wait_stopped(stage, "operator", stopped=state == "paused")
    wait_told(stage, ("stopped", "operator", "everything", "operator"), ("sending", "operator", "everything", "operator"))
    assert {(one.phone_number_id, one.waba_id, one.reason) for one in stage.changes()} == {(NUMBER, WABA, "phone_paused")}


def test_a_sender_that_dies_after_telling_a_change_tells_it_again_under_the_same_id(stage: Scene) -> None:
    with stage.sender(PARLEY_FAULT="sender.after_emit_before_commit:1:kill") as sender:
        sender.wait_ready()
        stage.told("account_update", {"event": "ACCOUNT_OFFBOARDED"})
        wait_for(lambda: len(stage.changes()) == 1, 20, "the change to be told")
        sender.wait_exit()
    with stage.sender() as sender:
        sender.wait_ready()
        wait_for(lambda: log.end_offsets(stage.kafka.bootstrap_servers, topics.ACCOUNT_EVENTS) >= 2, 20, "the change once more")
        wait_for(lambda: stage.sql("SELECT count(*) FROM sender.outbox") == [(0,)], 20, "the outbox to be empty")
    wait_told(stage, ("stopped", "ACCOUNT_OFFBOARDED", "everything", "webhook"))
