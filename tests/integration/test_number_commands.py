"""Does an operator hold a number back, let it go, and change its limit, while a sender runs?"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from services.sandbox.providers import Kafka
from services.sandbox.simulator.rules import Error
from tests.support.command_line import parley
from tests.support.sending import NUMBER, PERSON, TOKEN_KEY, WABA, Scene, now_ms, scene, text
from tests.support.waiting import wait_for

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(postgres: str, tmp_path: Path) -> Run:
    """The command, as the operator of this database."""
    return lambda *arguments, **env: parley(tmp_path, *arguments, PARLEY_POSTGRES_DSN=postgres, **env)


@pytest.fixture
def stage(cluster: Kafka, postgres: str) -> Iterator[Scene]:
    """A registered number and a simulated Meta."""
    with scene(cluster, postgres) as made:
        made.register()
        yield made


def listed(run: Run) -> dict[str, object]:
    done = run("number", "list", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    number: dict[str, object] = json.loads(done.stdout)
    return number


def test_a_paused_number_keeps_its_commands_lets_them_expire_and_sends_the_rest_when_resumed(stage: Scene, run: Run) -> None:
    stage.open_window()
    done = run("number", "pause", NUMBER)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"parley number resume {NUMBER}" in done.stdout
    assert listed(run)["state"] == "paused"
    with stage.sender() as sender:
        sender.wait_ready()
        kept, short = text(), text(expires_at=now_ms() + 1_500)
        stage.put(kept, short)
        assert stage.wait_outcome(short, "expired").detail == "the number is paused"
        told = stage.wait_outcome(kept, "deferred")
        assert (told.kind, told.reason, told.not_before_at, told.attempt_no) == ("deferred", "phone_paused", None, 0)
        assert stage.arrivals() == []
        assert run("number", "resume", NUMBER).stdout == f"{NUMBER} sends again.\n"
        assert stage.wait_outcome(kept, "accepted").attempt_no == 1
        run("number", "pause", NUMBER)
        wait_for(lambda: len(sender.events("number.state_changed")) == 2, 20, "take the second pause over")
        held = text()
        stage.put(held)
        wait_for(
            lambda: stage.sql("SELECT count(*) FROM sender.send_commands WHERE state = 'waiting'") == [(1,)], 20, "take it in"
        )
        run("number", "resume", NUMBER)
        assert stage.wait_outcome(held, "accepted").attempt_no == 1
    assert [arrival.recipient for arrival in stage.arrivals()] == [f"+{PERSON}"] * 2


def test_a_limit_is_changed_while_a_sender_runs(stage: Scene, run: Run) -> None:
    with stage.sender() as sender:
        sender.wait_ready()
        stage.open_window()
        first = text()
        stage.put(first)
        stage.wait_outcome(first)
        assert run("number", "limit", NUMBER, "20").stdout == f"{NUMBER}: at most 20 messages a second.\n"
        wait_for(lambda: bool(sender.events("number.limit_changed")), 20, "take the limit over")
        assert sender.events("number.limit_changed")[0]["limit"] == 20
    assert listed(run) == {
        "phone_number_id": NUMBER,
        "display_phone_number": "15550100001",
        "waba_id": WABA,
        "messages_per_second": 20,
        "state": "active",
        "coexistence": False,
        "stops": [],
        "tenant_id": "default",
    }


def test_a_number_that_meta_refuses_is_seen_in_the_list(stage: Scene, run: Run) -> None:
    stage.open_window()
    stage.misbehave(Error(code=190))
    with stage.sender() as sender:
        sender.wait_ready()
        stage.put(text())
        wait_for(lambda: stage.sql("SELECT count(*) FROM sender.stops WHERE is_stopped") == [(1,)], 20, "be refused")
    [stop] = cast("list[dict[str, object]]", listed(run)["stops"])
    told = {name: stop[name] for name in ("cause", "covers", "reason", "error_code", "source", "until_at", "is_of_account")}
    assert told == {
        "cause": "access_token",
        "covers": "everything",
        "reason": "access_token",
        "error_code": 190,
        "source": "response",
        "until_at": None,
        "is_of_account": False,
    }
    since, probe = cast("int", stop["since_at"]), cast("int", stop["next_probe_at"])
    assert 29_000 < probe - since < 31_000
    shown = run("number", "list").stdout.splitlines()
    assert "META STOPS" in shown[0]
    assert "everything  access_token" in shown[1]


def test_a_number_that_is_shared_with_the_business_app_is_at_twenty_a_second(stage: Scene, run: Run) -> None:
    env = {"PARLEY_ACCESS_TOKEN": "token", "PARLEY_TOKEN_KEY": TOKEN_KEY}
    add = ("number", "add", NUMBER, "--waba-id", WABA, "--coexistence")
    refused = run(*add, "--limit", "80", **env)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "20 messages a second, no more" in refused.stderr
    assert run(*add, **env).stdout == f"{NUMBER} is registered: at most 20 messages a second.\n"
    assert "20 messages a second, no more" in run("number", "limit", NUMBER, "21").stderr
    assert stage.sql("SELECT messages_per_second, is_coexistence FROM registry.phone_numbers") == [(20, True)]


def test_a_disabled_number_keeps_its_commands_until_their_time_is_over(stage: Scene) -> None:
    stage.open_window()
    stage.sql("UPDATE registry.phone_numbers SET state = 'disabled'")
    command = text()
    with stage.sender() as sender:
        sender.wait_ready()
        stage.put(command)
        assert stage.wait_outcome(command, "deferred").reason == "phone_disabled"
        stage.sql("UPDATE sender.send_commands SET expires_at = now()")
        assert stage.wait_outcome(command, "expired").detail == "the number is disabled"
    assert [one.kind for one in stage.outcomes_of(command)] == ["deferred", "expired"]
    assert stage.arrivals() == []


@pytest.mark.usefixtures("stage")
def test_a_tenant_is_added_and_gets_a_number(run: Run) -> None:
    secrets = {"PARLEY_ACCESS_TOKEN": "t", "PARLEY_TOKEN_KEY": TOKEN_KEY}
    assert run("tenant", "add", "acme", "--resend-once", "otp").stdout == "acme: resend_once counts in otp.\n"
    assert run("tenant", "add", "acme", "--resend-once", "bulk").returncode == 2
    added = run("number", "add", "8", "--waba-id", WABA, "--tenant", "acme", **secrets)
    assert added.returncode == 0
    assert run("number", "add", "8", "--waba-id", WABA, **secrets).returncode == 0
    assert run("number", "add", "8", "--waba-id", WABA, "--tenant", "nobody", **secrets).returncode == 1
    tenants = [json.loads(line) for line in run("tenant", "list", "--json").stdout.splitlines()]
    assert [(one["tenant_id"], one["numbers"], one["resend_once"]) for one in tenants] == [
        ("acme", 1, ["otp"]),
        ("default", 1, []),
    ]


@pytest.mark.parametrize("arguments", [("pause", "7"), ("resume", "7"), ("limit", "7", "20")])
@pytest.mark.usefixtures("stage")
def test_a_number_that_nobody_registered_is_said_to_be_none(run: Run, arguments: tuple[str, ...]) -> None:
    done = run("number", *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == ["Number 7 is not registered, or disabled.", "See: parley number list."]
