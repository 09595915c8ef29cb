"""Is a producer told everything that can become of a command: that it waits, is sent again, failed later, or arrived twice?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from services.common.domain.records import SendMessage
from services.sandbox.providers import Kafka
from services.sandbox.simulator.rules import DropAfter, DropBefore, Error, Garbage
from tests.support.command_line import parley
from tests.support.sending import Scene, scene, text
from tests.support.waiting import wait_for

SOON: Final = {"PARLEY_SENDER_TRANSACTIONAL_HORIZON_SECONDS": "1", "PARLEY_SENDER_SETTLE_SECONDS": "0.05"}


@pytest.fixture
def stage(cluster: Kafka, postgres: str) -> Iterator[Scene]:
    """A registered number whose tenant accepts duplicates of transactional messages, an open window, a simulated Meta."""
    with scene(cluster, postgres, pair_limit="false") as made:
        made.register()
        made.open_window()
        made.sql("UPDATE registry.tenants SET resend_once = '{transactional}'")
        yield made


def kinds(stage: Scene, command: SendMessage) -> list[str]:
    return [one.kind for one in stage.outcomes_of(command)]


def test_a_lost_command_is_sent_once_more_where_it_and_its_tenant_want_that(stage: Scene) -> None:
    with stage.sender(**SOON) as sender:
        sender.wait_ready()
        stage.misbehave(DropBefore())
        command = text(policy="resend_once", biz_opaque_callback_data="mine")
        stage.put(command)
        accepted = stage.wait_outcome(command, "accepted")
    assert (accepted.attempt_no, accepted.possible_duplicate) == (2, True)
    assert kinds(stage, command) == ["unknown", "resent", "accepted"]
    assert {one.biz_opaque_callback_data for one in stage.outcomes_of(command)} == {"mine"}
    assert [arrival.decision for arrival in stage.arrivals()] == ["dropped_before", "accepted"]


@pytest.mark.parametrize("lane", ["transactional", "bulk"])
def test_without_its_tenants_consent_or_in_bulk_a_lost_command_is_held(stage: Scene, lane: str) -> None:
    if lane == "transactional":
        stage.sql("UPDATE registry.tenants SET resend_once = '{}'")
    with stage.sender(**SOON, PARLEY_SENDER_BULK_HORIZON_SECONDS="1") as sender:
        sender.wait_ready()
        stage.misbehave(DropBefore())
        command = text(policy="resend_once", lane=lane)
        stage.put(command)
        stage.wait_outcome(command, "unresolved")
    assert kinds(stage, command) == ["unknown", "unresolved"]
    assert len(stage.arrivals()) == 1


def test_a_200_without_a_readable_id_is_never_sent_again(stage: Scene) -> None:
    with stage.sender(**SOON) as sender:
        sender.wait_ready()
        stage.misbehave(Garbage())
        command = text(policy="resend_once")
        stage.put(command)
        assert stage.wait_outcome(command, "unknown").reason == "id_unreadable"
        stage.wait_outcome(command, "unresolved")
        assert stage.sql("SELECT reason FROM sender.send_attempts") == [("id_unreadable",)]
        stage.settle_everything()
        assert stage.wait_outcome(command, "accepted").source == "webhook"
    assert len(stage.arrivals()) == 1


def test_a_late_webhook_of_the_first_attempt_makes_a_duplicate_known_once(stage: Scene) -> None:
    with stage.sender(**SOON) as sender:
        sender.wait_ready()
        stage.misbehave(DropAfter())
        command = text(policy="resend_once")
        stage.put(command)
        accepted = stage.wait_outcome(command, "accepted")
        stage.settle_everything()
        told = stage.wait_outcome(command, "duplicate_confirmed")
        assert (told.attempt_no, told.wamid) == (1, stage.arrivals()[0].wamid)
        assert sender.metric("parley_duplicate_sends_total") == 1
        assert sender.events("send.duplicate_confirmed")[0]["command_id"] == command.command_id
    assert kinds(stage, command) == ["unknown", "resent", "accepted", "duplicate_confirmed"]
    assert stage.sql("SELECT state, wamid FROM sender.send_commands") == [("accepted", accepted.wamid)]


def test_a_refusal_of_the_second_attempt_does_not_make_the_first_one_refused(stage: Scene) -> None:
    with stage.sender(**SOON) as sender:
        sender.wait_ready()
        stage.misbehave(DropAfter())
        stage.misbehave(Error(code=100))
        command = text(policy="resend_once")
        stage.put(command)
        told = stage.wait_outcome(command, "unresolved")
        assert (told.attempt_no, told.error_code, told.reason) == (2, 100, "no_evidence")
        assert told.trace_id is not None
        stage.settle_everything()
        assert stage.wait_outcome(command, "accepted").attempt_no == 1
    assert kinds(stage, command) == ["unknown", "resent", "unresolved", "accepted"]


def test_a_wait_is_told_once_for_each_cause_with_its_end_also_after_a_restart(stage: Scene) -> None:
    stage.misbehave(Error(code=134101))
    command = text()
    with stage.sender(**SOON) as sender:
        sender.wait_ready()
        stage.put(command)
        told = stage.wait_outcome(command, "deferred")
        assert (told.reason, told.error_code, told.attempt_no) == ("throttled", 134101, 1)
        assert told.not_before_at == told.occurred_at + 600_000
        assert told.trace_id is not None
        assert sender.terminate() == 0
    assert stage.sql("SELECT trace_id FROM sender.send_attempts") == [(told.trace_id,)]
    stage.misbehave(Error(code=134101))
    stage.sql("UPDATE sender.send_commands SET next_action_at = now()")
    with stage.sender(**SOON) as sender:
        sender.wait_ready()
        wait_for(lambda: len(stage.arrivals()) == 2, 20.0, "the second refusal")
        wait_for(lambda: stage.states()[command.command_id] == "retry", 20.0, "the second wait")
        stage.sql("UPDATE sender.send_commands SET next_action_at = now()")
        stage.put(text())
        stage.wait_outcome(command, "accepted")
    assert kinds(stage, command) == ["deferred", "accepted"]


def test_a_message_that_fails_after_it_was_accepted_is_told_once_for_each_code(stage: Scene) -> None:
    with stage.sender(**SOON) as sender:
        sender.wait_ready()
        command = text(biz_opaque_callback_data="mine")
        stage.put(command)
        accepted = stage.wait_outcome(command, "accepted")
        [arrival] = stage.arrivals()
        stage.fail(arrival, 131026)
        told = stage.wait_outcome(command, "late_failure")
        assert (told.attempt_no, told.wamid, told.error_code, told.reason) == (1, accepted.wamid, 131026, "undeliverable")
        assert (told.source, told.biz_opaque_callback_data) == ("webhook", "mine")
        assert sender.terminate() == 0
    stage.fail(arrival, 131026)
    stage.fail(arrival, 131049)
    with stage.sender(**SOON) as sender:
        sender.wait_ready()
        wait_for(lambda: len(kinds(stage, command)) == 3, 20.0, "the other code")
    assert [one.error_code for one in stage.outcomes_of(command)] == [None, 131026, 131049]
    assert stage.states()[command.command_id] == "accepted"


def test_an_operator_sends_an_unresolved_command_again_and_who_and_why_is_kept(
    stage: Scene, postgres: str, tmp_path: Path
) -> None:
    with stage.sender(**SOON) as sender:
        sender.wait_ready()
        stage.misbehave(DropBefore())
        command = text()
        stage.put(command)
        stage.wait_outcome(command, "unresolved")
        asked = ("resend", command.command_id, "--reason", "she waits", "--as", "ana")
        refused = parley(tmp_path, *asked, PARLEY_POSTGRES_DSN=postgres)
        assert (refused.returncode, "Nothing was done." in refused.stderr) == (1, True)
        done = parley(tmp_path, *asked, "--yes", PARLEY_POSTGRES_DSN=postgres)
        assert (done.returncode, done.stderr) == (0, "")
        assert "It is tried again." in done.stdout
        accepted = stage.wait_outcome(command, "accepted")
        assert (accepted.attempt_no, accepted.possible_duplicate) == (2, True)
        again = parley(tmp_path, *asked, "--yes", PARLEY_POSTGRES_DSN=postgres)
        assert again.returncode == 1
        assert "It is accepted: only what is unresolved, rejected or expired" in again.stderr
    assert kinds(stage, command) == ["unknown", "unresolved", "resent", "accepted"]
    assert stage.outcomes_of(command)[2].reason == "operator"
    assert stage.sql("SELECT asked_by, why, is_sent FROM sender.resends") == [("ana", "she waits", True)]
    story = parley(tmp_path, "trace", command.command_id, PARLEY_POSTGRES_DSN=postgres).stdout
    assert "ana wanted it sent again: she waits" in story


def test_an_expired_command_that_is_sent_again_gets_the_time_it_had(stage: Scene, postgres: str, tmp_path: Path) -> None:
    stage.sql("UPDATE registry.phone_numbers SET state = 'paused'")
    with stage.sender(**SOON) as sender:
        sender.wait_ready()
        command = text()
        stage.put(command)
        stage.wait_outcome(command, "deferred")
        stage.sql("UPDATE sender.send_commands SET expires_at = now()")
        stage.wait_outcome(command, "expired")
        stage.sql("UPDATE registry.phone_numbers SET state = 'active'")
        done = parley(tmp_path, "resend", command.command_id, "--reason", "now it may", "--yes", PARLEY_POSTGRES_DSN=postgres)
        assert (done.returncode, done.stderr) == (0, "")
        accepted = stage.wait_outcome(command, "accepted")
        assert (accepted.attempt_no, accepted.possible_duplicate) == (1, None)
