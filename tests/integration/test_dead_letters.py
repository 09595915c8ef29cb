"""Are dead letters seen, redriven once and discarded, and does what became of them stay known? On real services."""

from __future__ import annotations

import asyncio
import json
import signal
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import orjson
import psycopg
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from services.common.domain import sublanes, topics
from services.common.domain.failure import Unprocessable
from services.common.domain.ids import event_id_of_element
from services.common.domain.reasons import Reason
from services.common.platform.envelope import REDRIVE_ID, dead_letter_headers, header
from services.common.platform.kafka import LogRecord, NewRecord
from services.projector.decode import dead_letter
from services.router.routing import GROUP as ROUTER
from services.sandbox.providers import Kafka
from tests.support import log
from tests.support.command_line import parley
from tests.support.processes import ServiceProcess
from tests.support.read_models import in_log, project
from tests.support.sending import NUMBER, PERSON, scene, text
from tests.support.told import received
from tests.support.waiting import wait_for
from tests.support.webhooks import body, message, raw_record

ELEMENT: Final = "/entry/0/changes/0/value/messages/1"
POINTER: Final = f"{ELEMENT}/timestamp"

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(cluster: Kafka, postgres: str, tmp_path: Path) -> Run:
    """The command, as the operator of this stack."""
    env = {"PARLEY_POSTGRES_DSN": postgres, "PARLEY_KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap_servers}
    return lambda *arguments, **more: parley(tmp_path, "dlq", *arguments, **{**env, **more})


@pytest.fixture
def look(postgres: str, tmp_path: Path) -> Run:
    """The command without Kafka, for what needs none."""
    return lambda *arguments, **more: parley(tmp_path, "dlq", *arguments, PARLEY_POSTGRES_DSN=postgres, **more)


@pytest.fixture
def projector(cluster: Kafka, postgres: str) -> Iterator[ServiceProcess]:
    env = {"PARLEY_KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap_servers, "PARLEY_POSTGRES_DSN": postgres}
    with ServiceProcess("projector", env) as process:
        yield process


@pytest.fixture
def router(cluster: Kafka) -> Iterator[ServiceProcess]:
    """Not yet running."""
    with ServiceProcess("router", {"PARLEY_KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap_servers}) as process:
        process.kill()
        yield process


def sql(dsn: str, statement: str, *, role: str = "none") -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn, autocommit=True, options=f"-c role={role}") as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description is not None else []


def letters(run: Run, *arguments: str) -> list[dict[str, Any]]:
    done = run("list", "--json", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    found: list[dict[str, Any]] = json.loads(done.stdout)["letters"]
    return found


def first_letter(postgres: str, run: Run) -> dict[str, Any]:
    """Once the projector has it."""
    wait_for(lambda: bool(sql(postgres, "SELECT FROM projector.dead_letters")), 30.0, "a dead letter")
    [letter] = letters(run)
    return letter


def states(run: Run) -> list[str]:
    return [letter["state"] for letter in letters(run)]


def redriven(cluster: Kafka, topic: str) -> list[LogRecord]:
    return [record for record in log.read(cluster.bootstrap_servers, topic) if header(record, REDRIVE_ID) is not None]


def read_by_an_older_router(cluster: Kafka) -> LogRecord:
    """A webhook with three messages, the second of which it could not read; its group is past it."""
    posted = body(messages=[message(f"wamid.{n}") for n in range(3)])
    log.append(cluster.bootstrap_servers, [raw_record(posted, key=b"106540352242922/5511999990001")])
    [raw] = log.read(cluster.bootstrap_servers, topics.WEBHOOKS)
    problem = Unprocessable(Reason.TIMESTAMP, pointer=POINTER)
    element = orjson.dumps(orjson.loads(posted)["entry"][0]["changes"][0]["value"]["messages"][1])
    headers = dead_letter_headers(raw, problem, group=ROUTER)
    log.append(cluster.bootstrap_servers, [NewRecord(topics.ROUTER_DEAD_LETTERS, raw.key, element, headers)])
    asyncio.run(_pass(cluster.bootstrap_servers, raw))
    return raw


async def _pass(bootstrap_servers: str, raw: LogRecord) -> None:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers, group_id=ROUTER, enable_auto_commit=False)
    await consumer.start()
    try:
        place = TopicPartition(raw.topic, raw.partition)
        consumer.assign([place])
        await consumer.commit({place: raw.offset + 1})
    finally:
        await consumer.stop()


def event_ids(cluster: Kafka) -> list[str]:
    records = log.read(cluster.bootstrap_servers, *topics.WEBHOOK_EVENTS)
    return [(header(record, "ce_id") or b"").decode() for record in records]


@pytest.mark.usefixtures("projector")
def test_an_element_of_a_webhook_goes_through_alone_under_its_own_id_and_stays_resolved_after_a_rebuild(
    cluster: Kafka, postgres: str, router: ServiceProcess, run: Run, tmp_path: Path
) -> None:
    raw = read_by_an_older_router(cluster)
    place = f"{raw.topic}/{raw.partition}/{raw.offset}#{POINTER}"
    letter = first_letter(postgres, run)
    assert (letter["place"], letter["reason"], letter["state"]) == (place, "timestamp", "open")
    assert letter["phone_number_id"] == "106540352242922"
    router.start().wait_ready()

    done = run("redrive", place, "--reason", "the router reads it now", "--as", "ops", "--wait", "30")
    assert (done.returncode, done.stdout) == (0, "1 letter appended again: 1 resolved.\n"), done.stderr
    expected = event_id_of_element(f"{raw.topic}/{raw.partition}/{raw.offset}", ELEMENT)
    assert event_ids(cluster) == [expected]

    refused = run("redrive", place, "--reason", "once more")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert f"{place} is resolved already: nothing was done." in refused.stderr
    asked = run("redrive", place, "--reason", "once more", "--again", "--json", "--wait", "30")
    assert [one["state"] for one in json.loads(asked.stdout)["redriven"]] == ["resolved"]
    assert event_ids(cluster) == [expected, expected]
    [message_row] = sql(postgres, "SELECT wamid FROM projector.messages")
    assert message_row == ("wamid.1",)

    env = {"PARLEY_POSTGRES_DSN": postgres, "PARLEY_KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap_servers}
    assert parley(tmp_path, "rebuild", **env).returncode == 0
    assert states(run) == ["resolved"]
    view = "SELECT state, phone_number_id, decided_at IS NOT NULL FROM analytics.ops_dead_letter"
    assert sql(postgres, view, role="parley_analytics") == [("resolved", "106540352242922", True)]
    audit = "SELECT decided_by, why, reason, outcome FROM registry.dead_letter_decisions ORDER BY decision_id"
    assert sql(postgres, audit)[0] == ("ops", "the router reads it now", "timestamp", "resolved")


@pytest.mark.usefixtures("projector")
def test_a_redrive_killed_at_each_point_and_begun_again_appends_once(
    cluster: Kafka, postgres: str, router: ServiceProcess, run: Run
) -> None:
    raw = read_by_an_older_router(cluster)
    assert first_letter(postgres, run)["state"] == "open"
    command = ("redrive", "--source", "router", "--reason", "mended", "--yes")
    for point, appended in (("cli.after_redrive_begun", 0), ("cli.after_redrive_appended", 1)):
        killed = run(*command, PARLEY_FAULT=f"{point}:1:kill")
        assert killed.returncode == -signal.SIGKILL
        assert len(redriven(cluster, topics.WEBHOOKS)) == appended
    found = run(*command)
    assert (found.returncode, "Left out: 1 redriven." in found.stderr) == (0, True), found.stderr
    assert len(redriven(cluster, topics.WEBHOOKS)) == 1
    router.start().wait_until(lambda: bool(event_ids(cluster)), 30.0, "read it again")
    wait_for(lambda: states(run) == ["resolved"], 30.0, "what became of it")
    assert event_ids(cluster) == [event_id_of_element(f"{raw.topic}/{raw.partition}/{raw.offset}", ELEMENT)]
    audit = "SELECT outcome FROM registry.dead_letter_decisions ORDER BY decision_id"
    assert sql(postgres, audit) == [("not_appended",), ("resolved",)]


def test_what_postgres_refused_comes_back_until_it_is_mended(
    cluster: Kafka, postgres: str, projector: ServiceProcess, run: Run
) -> None:
    sql(postgres, "ALTER TABLE projector.messages ADD CONSTRAINT too_strict CHECK (wamid <> 'wamid.a')")
    log.append(cluster.bootstrap_servers, [in_log(received("a")), in_log(received("b"))])
    first = first_letter(postgres, run)
    back = run("redrive", first["place"], "--reason", "perhaps", "--json", "--wait", "30")
    [told] = json.loads(back.stdout)["redriven"]
    assert (back.returncode, told["state"]) == (1, "returned")
    found = {letter["place"]: letter["state"] for letter in letters(run)}
    assert found == {first["place"]: "returned", told["appended_to"]: "open"}

    sql(postgres, "ALTER TABLE projector.messages DROP CONSTRAINT too_strict")
    done = run("redrive", "--cause", "value_range", "--reason", "constraint dropped", "--yes", "--wait", "30")
    assert (done.returncode, done.stdout) == (0, "1 letter appended again: 1 resolved.\n"), done.stderr
    assert sorted(sql(postgres, "SELECT wamid FROM projector.messages")) == [("wamid.a",), ("wamid.b",)]
    assert projector.alive
    ids = [header(record, "content-type") for record in log.read(cluster.bootstrap_servers, topics.INBOUND_MESSAGES)]
    assert len(ids) == 4, "each redrive is one record"


def test_a_command_under_another_key_is_sent_once_when_the_sender_knows_its_sublanes(
    cluster: Kafka, postgres: str, projector: ServiceProcess, run: Run
) -> None:
    with scene(cluster, postgres) as stage:
        stage.register()
        stage.open_window()
        wanted = text()
        with stage.sender() as sender:
            sender.wait_ready()
            stage.sublanes = {NUMBER: 4}
            assert sublanes.key_of(wanted, stage.sublanes) != NUMBER.encode()
            stage.put(wanted)
            letter = first_letter(postgres, run)
        assert (letter["consumer_group"], letter["reason"], letter["phone_number_id"]) == (
            "parley.sender",
            "key_mismatch",
            NUMBER,
        )
        with stage.sender() as sender:
            sender.wait_ready()
            done = run("redrive", "--source", "sender", "--number", NUMBER, "--reason", "sub-lanes set", "--yes", "--wait", "30")
            assert (done.returncode, "1 resolved" in done.stdout) == (0, True), done.stderr
            assert "expires_at" in done.stderr
            assert stage.wait_outcome(wanted, "accepted").attempt_no == 1
            again = run("redrive", letter["place"], "--reason", "by mistake", "--again", "--wait", "30")
            assert again.returncode == 0, again.stderr
            wait_for(lambda: len(log.read(cluster.bootstrap_servers, topics.SEND_OUTCOMES)) == 2, 20.0, "the same outcome again")
        assert [one.recipient for one in stage.accepted()] == [f"+{PERSON}"]
    assert projector.alive


def set_aside(postgres: str, *kinds: tuple[str, str, str, bytes | None, bytes]) -> None:
    """Dead letters of (topic, reason, group, key, bytes), each at an offset of its own, as the projector keeps them."""
    rows = []
    for offset, (topic, reason, group, key, value) in enumerate(kinds):
        at = 1_783_000_800_000 + offset * 86_400_000
        record = LogRecord(topic, 2, offset, at, key, value, [("traceparent", b"00-1-2-01"), ("odd", b"\xff")])
        headers = dead_letter_headers(record, Unprocessable(Reason(reason), pointer="/x", detail="why"), group=group)
        rows.append(dead_letter(LogRecord(topics.ROUTER_DEAD_LETTERS, 0, offset, at, key, value, headers)))
    project(postgres, rows)


SECRET: Final = "Grüße: call +4915112345678 at once".encode()
KINDS: Final = (
    (topics.SEND_COMMANDS, "command_schema", "parley.router", b"4915112345678", SECRET),
    (topics.WEBHOOKS, "element_shape", "parley.router", b"106/4915112345678", SECRET),
    (topics.SENDER_SOURCES[0], "key_mismatch", "parley.sender", b"107#3", SECRET),
    (topics.SENDER_SOURCES[0], "command_id", "parley.sender", b"107", b"\0\xff\r\n"),
)


def test_list_counts_by_reason_and_filters_and_shows_nothing_of_people(postgres: str, look: Run) -> None:
    set_aside(postgres, *KINDS)
    done = look("list")
    assert (done.returncode, done.stderr) == (0, "")
    assert "4915112345678" not in done.stdout
    assert "call" not in done.stdout
    assert "parley.sender  key_mismatch    open   1" in done.stdout
    everything = [letter["reason"] for letter in letters(look)]
    assert everything == ["command_id", "key_mismatch", "element_shape", "command_schema"], "the newest first"
    filters = {
        ("--source", "sender"): {"command_id", "key_mismatch"},
        ("--cause", "key_mismatch"): {"key_mismatch"},
        ("--topic", "send-commands"): {"command_schema"},
        ("--number", "107"): {"command_id", "key_mismatch"},
        ("--number", "106"): {"element_shape"},
        ("--number", "4915112345678"): set(),
        ("--since", "2026-07-04"): {"command_id", "key_mismatch"},
        ("--until", "2026-07-03"): {"command_schema"},
        ("--state", "discarded"): set(),
        ("--source", "router", "--since", "2026-07-03"): {"element_shape"},
    }
    assert {given: {letter["reason"] for letter in letters(look, *given)} for given in filters} == filters
    assert "1 of 4 are listed" in look("list", "--limit", "1").stderr


def test_show_tells_all_but_the_bytes_and_these_only_on_demand(postgres: str, look: Run, tmp_path: Path) -> None:
    set_aside(postgres, *KINDS)
    done = look("show", "webhooks/2/1")
    assert done.returncode == 0, done.stderr
    assert all(told in done.stdout for told in ("parley.webhooks.v1/2/1#/x", "element_shape", "why", "traceparent", "106"))
    assert "4915112345678" not in done.stdout
    told = json.loads(look("show", "parley.webhooks.v1/2/1#/x", "--json").stdout)["letters"][0]
    assert (told["bytes"], told["pointer"], told["headers"][0]) == (len(SECRET), "/x", ["traceparent", "00-1-2-01"])

    assert look("show", "webhooks/2/1", "--raw").stdout.encode() == SECRET
    file = tmp_path / "raw"
    assert look("show", "sends.otp/2/3", "--raw", "--to", str(file)).stdout == ""
    assert (file.read_bytes(), stat.S_IMODE(file.stat().st_mode)) == (b"\0\xff\r\n", 0o600)
    assert "is there already" in look("show", "webhooks/2/1", "--raw", "--to", str(file)).stderr
    missing = look("show", "webhooks/2/7")
    assert (missing.returncode, "no dead letter at parley.webhooks.v1/2/7" in missing.stderr) == (1, True)
    assert look("show", "webhooks/2").returncode == 2


def test_discard_marks_with_a_reason_counts_before_it_does_many_and_deletes_nothing(postgres: str, look: Run) -> None:
    set_aside(postgres, *KINDS)
    counted = look("discard", "--source", "sender", "--reason", "tests of last week")
    assert (counted.returncode, counted.stdout.splitlines()[-1]) == (
        0,
        "2 letters would be discarded. Nothing was done: --yes does it.",
    )
    assert states(look) == ["open"] * 4
    done = look("discard", "--source", "sender", "--reason", "tests of last week", "--as", "ops", "--yes")
    assert (done.returncode, done.stdout.startswith("2 letters discarded.")) == (0, True)
    assert [letter["state"] for letter in letters(look, "--source", "sender")] == ["discarded"] * 2
    assert sql(postgres, "SELECT count(*) FROM projector.dead_letters") == [(4,)]
    shown = look("show", f"{topics.SENDER_SOURCES[0]}/2/3").stdout
    assert "discard by ops: tests of last week" in shown

    left = look("discard", "--source", "sender", "--reason", "again", "--yes", "--json")
    assert (json.loads(left.stdout), "Left out: 2 discarded." in left.stderr) == ({"discarded": 0}, True)
    named = look("discard", f"{topics.SENDER_SOURCES[0]}/2/3", "--reason", "again")
    assert (named.returncode, "is discarded already" in named.stderr) == (1, True)


def test_what_is_not_there_is_refused_and_what_is_gone_from_the_log_is_named_and_stays_open(postgres: str, run: Run) -> None:
    set_aside(postgres, *KINDS)
    missing = run("redrive", "webhooks/2/9", "--reason", "x")
    assert (missing.returncode, "There is no dead letter at parley.webhooks.v1/2/9" in missing.stderr) == (1, True)
    gone = run("redrive", "webhooks/2/1", "--reason", "x")
    assert (gone.returncode, "its webhook is no longer in the log" in gone.stderr) == (1, True)
    assert states(run) == ["open"] * 4


def test_only_one_decides_at_a_time_and_without_kafka_nothing_is_begun(postgres: str, look: Run) -> None:
    set_aside(postgres, *KINDS)
    given = ("redrive", "--source", "sender", "--reason", "x", "--yes")
    with psycopg.connect(postgres, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(hashtextextended('parley dlq', 0))")
        done = look(*given, PARLEY_KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:9")
        assert (done.returncode, "Another `parley dlq` is at work" in done.stderr) == (1, True)
    away = look(*given, PARLEY_KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:9")
    assert (away.returncode, "Kafka does not answer." in away.stderr) == (1, True)
    assert sql(postgres, "SELECT count(*) FROM registry.dead_letter_decisions") == [(0,)]
