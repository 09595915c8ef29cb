"""Do `parley sends` and `parley trace` say what the ledger says, without whom a command is for and what it says?"""

from __future__ import annotations

import base64
import json
import re
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest

from services.cli.overview import State
from services.common.domain.ids import attempt_id, outcome_event_id
from services.common.domain.records import SendMessage
from services.sandbox.providers import Kafka
from services.sandbox.simulator.rules import DropAfter, Error
from tests.support.command_line import parley
from tests.support.sending import NUMBER, PERSON, Scene, scene, text
from tests.support.waiting import wait_for

WORDS: Final = "nobody else may read this"
STRANGER: Final = "491700000999"
LATER: Final = 134101
"""An error of Meta's after which the sender waits for ten minutes."""
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(postgres: str, tmp_path: Path) -> Run:
    """The command, as the operator of this database; whatever it is asked, it tells nothing of the recipient or the text."""

    def running(*arguments: str) -> subprocess.CompletedProcess[str]:
        done = parley(tmp_path, *arguments, PARLEY_POSTGRES_DSN=postgres)
        for secret in (PERSON, STRANGER, WORDS):
            assert secret not in done.stdout + done.stderr
        return done

    return running


@pytest.fixture
def stage(cluster: Kafka, postgres: str) -> Iterator[Scene]:
    """A registered number and a simulated Meta."""
    with scene(cluster, postgres) as made:
        made.register()
        yield made


def objects(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def insert(dsn: str, command: SendMessage, state: str, *, lane: int = 1, due: str = "0 s") -> None:
    """A row of the ledger as the sender would have it."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO sender.send_commands (command_id, period, shard, fingerprint, phone_number_id, lane, policy, state,"
            " type, content, to_number, pair, appended_at, expires_at, next_action_at)"
            " VALUES (%s, sender.period_of(now()), 0, '', %s, %s, 'hold', %s, %s, %s, %s, %s, now(),"
            " now() + interval '1 h', now() + %s::interval)",
            (
                command.command_id,
                command.phone_number_id,
                lane,
                state,
                command.type,
                command.content,
                command.to,
                PERSON,
                due,
            ),
        )


def test_commands_are_counted_and_listed_as_the_sender_left_them(stage: Scene, run: Run) -> None:
    stage.open_window()
    accepted, unknown, retry = text(WORDS), text(WORDS), text(WORDS)
    refused = text(WORDS, to=f"+{STRANGER}", lane="bulk")
    with stage.sender() as sender:
        sender.wait_ready()
        stage.put(accepted, refused)
        stage.wait_outcome(accepted, "accepted")
        stage.wait_outcome(refused, "refused")
        stage.misbehave(DropAfter())
        stage.put(unknown)
        stage.wait_outcome(unknown, "unknown")
        stage.misbehave(Error(code=LATER))
        stage.put(retry)
        wait_for(lambda: stage.states().get(retry.command_id) == "retry", 20.0, "a retry")
        assert sender.terminate() == 0

    assert [line.split() for line in run("sends").stdout.splitlines()] == [
        ["STATE", "OTP", "TRANSACTIONAL", "BULK"],
        ["retry", "0", "1", "0"],
        ["accepted", "0", "1", "0"],
        ["refused", "0", "0", "1"],
        ["unknown", "0", "1", "0"],
    ]
    assert {"state": "refused", "lane": "bulk", "count": 1} in objects(run("sends", "--json"))

    [told] = objects(run("sends", "--state", "retry", "--json"))
    assert (told["command_id"], told["error_code"], told["attempts"]) == (retry.command_id, LATER, 1)
    assert told["next_look_at"] - told["appended_at"] > 500_000
    [told] = objects(run("sends", "--state", "unknown", "--number", NUMBER, "--json"))
    assert (told["command_id"], told["reason"], told["type"]) == (unknown.command_id, "no_answer", "text")
    [head, row] = run("sends", "--state", "refused").stdout.splitlines()
    assert head.split()[:4] == ["COMMAND", "ID", "NUMBER", "ID"]
    assert row.split()[:6] == [refused.command_id, NUMBER, "bulk", "text", "refused", "window_closed"]


def test_the_story_of_an_accepted_command_goes_from_its_lane_to_metas_status(stage: Scene, run: Run) -> None:
    stage.open_window()
    command = text(WORDS)
    with stage.sender() as sender:
        sender.wait_ready()
        stage.put(command)
        wamid = stage.wait_outcome(command, "accepted").wamid
        stage.settle_everything()
        assert sender.terminate() == 0
    told = run("trace", command.command_id)
    assert (told.returncode, told.stderr) == (0, "")
    assert wamid is not None
    assert wamid not in told.stdout
    first, *story, last = told.stdout.splitlines()
    assert first == f"text in lane transactional, from number {NUMBER}"
    marks = [
        "put into its lane",
        "taken in by the sender",
        "attempt 1 started",
        "attempt 1 accepted",
        "Meta told sent of attempt 1",
    ]
    assert [mark in line for mark, line in zip(marks, story, strict=True)] == [True] * 5
    assert attempt_id(command.command_id, 1) in story[2]
    assert all(re.search(r"  \+\d+(\.\d)? m?s  ", line) for line in story[1:])
    assert last == "accepted: Meta has it, and the last news of it is sent; nothing is left to do. The log has its outcome."
    assert wamid in run("trace", command.command_id, "--wamid").stdout


def test_the_story_of_a_lost_answer_says_until_when_evidence_is_waited_for(stage: Scene, run: Run) -> None:
    stage.open_window()
    stage.misbehave(DropAfter())
    command = text(WORDS)
    with stage.sender() as sender:
        sender.wait_ready()
        stage.put(command)
        stage.wait_outcome(command, "unknown")
        assert sender.terminate() == 0
    last = run("trace", command.command_id).stdout.splitlines()[-1]
    assert re.fullmatch(
        r"unknown: Meta may have it; waits for a status webhook until .*, then is reported as unresolved\. .*", last
    )
    [document] = objects(run("trace", command.command_id, "--json"))
    assert (document["command"]["state"], document["attempts"][0]["outcome"], document["statuses"]) == ("unknown", "unknown", [])
    assert (document["outbox"], document["standing"]) == ([], last)
    stage.settle_everything()
    assert "as a status webhook proves" in run("trace", command.command_id).stdout


def test_an_outcome_that_the_log_does_not_have_is_in_the_story(run: Run, postgres: str) -> None:
    command = text(WORDS)
    insert(postgres, command, "refused")
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO sender.outbox (shard, key, value, event_id, occurred_at)"
            " VALUES (0, '', '', %s, now()), (0, '', '', %s, now())",
            (outcome_event_id(command.command_id, 0, "refused"), outcome_event_id(str(uuid.uuid4()), 0, "refused")),
        )
    [document] = objects(run("trace", command.command_id, "--json"))
    assert [(one["kind"], one["attempt_no"]) for one in document["outbox"]] == [("refused", 0)]
    assert run("trace", command.command_id).stdout.splitlines()[-1].endswith("that waits in the outbox.")


def test_a_message_id_that_holds_the_number_is_shortened_in_both_forms(run: Run, postgres: str) -> None:
    command = text(WORDS)
    wamid = (
        "wamid."
        + base64.b64encode(b"\x1c\x18\x0c" + PERSON.encode() + b"\x15\x02\x00\x11\x18\x125F425A74F13033492A\x00").decode()
    )
    insert(postgres, command, "accepted")
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO sender.send_attempts (command_id, period, attempt_no, attempt_id, shard, epoch, phone_number_id,"
            " outcome, finished_at, wamid) VALUES (%s, sender.period_of(now()), 1, %s, 0, 1, %s, 'accepted', now(), %s)",
            (command.command_id, attempt_id(command.command_id, 1), NUMBER, wamid),
        )
    for arguments in ((), ("--json",)):
        told = run("trace", command.command_id, *arguments).stdout
        assert wamid[6:30] not in told
        assert wamid[-12:] in told


def test_what_is_looked_at_next_comes_first_and_of_the_rest_the_newest(run: Run, postgres: str) -> None:
    waiting = [text(WORDS) for _ in range(3)]
    for command, due in zip(waiting, ("9 s", "-9 s", "99 s"), strict=True):
        insert(postgres, command, "waiting", due=due)
    other = text(WORDS, phone_number_id="2")
    insert(postgres, other, "waiting", lane=0)
    by_due = [waiting[place].command_id for place in (1, 0, 2)]
    own = ("--number", NUMBER, "--json")
    assert [one["command_id"] for one in objects(run("sends", "--state", "waiting", *own))] == by_due
    assert [one["command_id"] for one in objects(run("sends", "--state", "waiting", "--limit", "2", *own))] == by_due[:2]
    assert [one["lane"] for one in objects(run("sends", "--number", "2", "--json"))] == ["otp"]

    ended = [text(WORDS) for _ in range(2)]
    for command in ended:
        insert(postgres, command, "rejected")
    found = objects(run("sends", "--state", "rejected", "--json"))
    assert [(one["command_id"], one["next_look_at"]) for one in found] == [(one.command_id, None) for one in reversed(ended)]
    assert "earlier commands to the same recipient go first (1)" in run("trace", waiting[1].command_id).stdout


@pytest.mark.parametrize("arguments", [[], ["--json"], ["--state", "unknown"], ["--state", "accepted", "--json"]])
def test_an_empty_answer_is_told_out_of_the_way_of_a_pipe(run: Run, arguments: list[str]) -> None:
    done = run("sends", *arguments)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith(("There is no command.", "No command is in state "))


def test_an_id_that_the_sender_does_not_know_is_a_failure_that_says_where_to_look(run: Run) -> None:
    done = run("trace", str(uuid.uuid4()))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("The sender knows no command of this id.\nWas it appended? `parley listen send-commands")


def test_the_command_line_knows_every_state_that_the_ledger_has(postgres: str) -> None:
    with psycopg.connect(postgres) as connection:
        [(rule,)] = connection.execute(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'send_commands_state_check'"
            " AND conrelid = 'sender.send_commands'::regclass"
        ).fetchall()
    assert set(re.findall(r"'(\w+)'", rule)) == set(State)


@pytest.mark.parametrize("arguments", [["sends"], ["trace", "1"]])
def test_a_postgres_that_does_not_answer_is_said_in_a_sentence(tmp_path: Path, arguments: list[str]) -> None:
    done = parley(tmp_path, *arguments, PARLEY_POSTGRES_DSN="host=127.0.0.1 port=9 dbname=none")
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["Postgres does not answer.", "Is the stack running? `make up` starts it."]
