"""Does `parley replay` show what the log says of one person, number or time, and touch nothing else?"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from services.common.domain import topics
from services.common.domain.events import ContactChanged, WebhookEvent
from services.common.domain.ids import record_key
from services.common.domain.records import TOPIC_OF, Record, SendOutcome
from services.common.platform.avro import Codec
from services.common.platform.kafka import NewRecord
from services.sandbox.providers import Kafka
from tests.support.command_line import parley
from tests.support.log import append, end_offsets, read
from tests.support.read_models import project, replayed, stored
from tests.support.told import BRAZILIAN, GERMAN, JULY, received, sent, status
from tests.support.waiting import wait_for

BSUID = "DE.1349120865530274"
MOVED = JULY + 60_000


def _records(events: Sequence[Record]) -> list[NewRecord]:
    """As the router appends them."""
    codec = Codec()
    keys = [record_key(getattr(one, "phone_number_id", None) or "", getattr(one, "contact", None)) for one in events]
    return [NewRecord(TOPIC_OF[type(one)], key.encode(), codec.encode(one), []) for one, key in zip(events, keys, strict=True)]


def _of_the_german() -> list[WebhookEvent | SendOutcome]:
    """A person writes under a number, is answered, changes the number, and writes under the user id."""
    return [
        received("1", GERMAN, JULY),
        sent("2", GERMAN, JULY + 1_000),
        status("2", "delivered", GERMAN, JULY + 2_000),
        ContactChanged(
            event_id="moved",
            recorded_at=MOVED,
            occurred_at=MOVED,
            waba_id="1",
            phone_number_id="100",
            field="messages",
            type="user_changed_number",
            raw="{}",
            contact=BSUID,
            bsuid=BSUID,
            wa_id="4915999",
            previous_wa_id=GERMAN,
        ),
        replace(received("3", BSUID, MOVED + 1_000, bsuid=BSUID, phone_number_id="200"), wa_id="4915999"),
    ]


def _of_others() -> list[WebhookEvent | SendOutcome]:
    """One of them got the number that the person gave up."""
    return [
        received("4", BRAZILIAN, JULY),
        status("5", "read", BRAZILIAN, JULY + 5_000, phone_number_id="200"),
        received("6", GERMAN, MOVED + 3_600_000),
    ]


@pytest.fixture
def stack(cluster: Kafka, postgres: str) -> dict[str, str]:
    """A log, and live tables that know it."""
    events = [*_of_the_german(), *_of_others()]
    append(cluster.bootstrap_servers, [*_records(events), NewRecord(topics.INBOUND_MESSAGES, None, b"broken", [])])
    project(postgres, events)
    return {"PARLEY_KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap_servers, "PARLEY_POSTGRES_DSN": postgres}


def test_a_person_is_shown_under_every_name_and_nobody_else(
    cluster: Kafka, stack: dict[str, str], postgres: str, tmp_path: Path
) -> None:
    before = (stored(postgres), end_offsets(cluster.bootstrap_servers, *topics.ALL))
    done = parley(tmp_path, "replay", "--contact", "-", "--json", stdin="+49 1599 9\n", **stack)
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert (report["schema"], report["records"]) == (
        "parley_replay_scratch",
        end_offsets(cluster.bootstrap_servers, *topics.PROJECTOR_SOURCES),
    )
    rows = stored(postgres, "parley_replay_scratch")
    assert {row[0] for row in rows["messages"]} == {"wamid.1", "wamid.2", "wamid.3"}
    assert {row[0] for row in rows["contacts"]} == {GERMAN, BSUID}
    assert report["rows"] == {name: len(table) for name, table in rows.items()}
    assert (stored(postgres), end_offsets(cluster.bootstrap_servers, *topics.ALL)) == before


def test_a_number_is_shown_alone_and_a_question_may_be_asked_again_beside_another(
    stack: dict[str, str], postgres: str, tmp_path: Path
) -> None:
    for name, number in (("one", "100"), ("two", "200"), ("one", "100")):
        done = parley(tmp_path, "replay", "--number", number, "--schema", name, **stack)
        assert (done.returncode, done.stderr) == (0, "")
        assert f"SET search_path TO parley_replay_{name};" in done.stdout
        assert GERMAN not in done.stdout
    numbers = [{row[2] for row in stored(postgres, f"parley_replay_{name}")["messages"]} for name in ("one", "two")]
    assert numbers == [{"100"}, {"200"}]
    with psycopg.connect(postgres) as connection:
        granted = connection.execute(
            "SELECT count(*) FROM pg_class WHERE relnamespace = 'parley_replay_one'::regnamespace AND relacl IS NOT NULL"
        ).fetchone()
        assert granted == (0,), "whoever asked may read it, and nobody else"
    dropped = parley(tmp_path, "replay", "--schema", "one", "--drop", **stack)
    assert dropped.stdout == "Schema parley_replay_one is dropped.\n"
    assert parley(tmp_path, "replay", "--schema", "one", "--drop", **stack).stdout == "There is no schema parley_replay_one.\n"


def test_a_time_is_that_of_the_log(cluster: Kafka, stack: dict[str, str], postgres: str, tmp_path: Path) -> None:
    whole = replayed(cluster.bootstrap_servers)
    last = max(record.appended_at for record in read(cluster.bootstrap_servers, *topics.PROJECTOR_SOURCES))
    wait_for(lambda: time.time() * 1000 > last + 1, 5, "a later millisecond than that of the last record")
    instant = datetime.fromtimestamp((last + 1) / 1000, UTC).isoformat()
    append(cluster.bootstrap_servers, _records([received("7", BRAZILIAN)]))
    after = json.loads(parley(tmp_path, "replay", "--since", instant, "--json", **stack).stdout)
    assert (after["records"], after["rows"]["messages"]) == (1, 1)
    assert {row[0] for row in stored(postgres, "parley_replay_scratch")["messages"]} == {"wamid.7"}
    before = parley(tmp_path, "replay", "--until", instant, **stack)
    assert before.returncode == 0
    assert stored(postgres, "parley_replay_scratch") == whole


def test_a_question_that_is_none_is_refused_without_its_contents(tmp_path: Path) -> None:
    for arguments, says in (
        ((), "Say what it is about"),
        (("--contact", "-"), "Say what it is about"),
        (("--since", "yesterday"), "no instant"),
        (("--since", "2026-11-02", "--until", "2026-11-01T00:00+00:00"), "--since is not before --until"),
        (("--number", "1", "--schema", "Drop;"), "a name is up to 40"),
    ):
        done = parley(tmp_path, "replay", *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert says in " ".join(done.stderr.split())
    away = parley(
        tmp_path,
        "replay",
        "--contact",
        GERMAN,
        PARLEY_KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1",
        PARLEY_POSTGRES_DSN="postgresql://127.0.0.1:1/x",
    )
    assert (away.returncode, away.stdout) == (1, "")
    assert GERMAN not in away.stderr
