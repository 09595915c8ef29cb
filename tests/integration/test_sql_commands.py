"""Do the named questions get true answers, in each form, and sentences where they cannot be answered?"""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from services.cli.sql import CATALOGUE
from services.projector.fold import Event
from tests.support.command_line import parley
from tests.support.read_models import project
from tests.support.told import BRAZILIAN, GERMAN, received, sent, status

_MINUTE = 60_000
_PERSON, _OTHER = BRAZILIAN, GERMAN

Ask = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def ask(postgres: str, tmp_path: Path) -> Ask:
    """The command, as an analyst of this database."""
    dsn = make_conninfo(postgres, options="-c role=parley_analytics")
    return lambda *arguments: parley(tmp_path, "sql", *arguments, PARLEY_ANALYTICS_DSN=dsn)


def now() -> int:
    """In whole seconds, as Meta tells them. Asked for in each test: a run of all takes longer than what is measured here."""
    return int(time.time()) * 1000


def answers(ask: Ask, *arguments: str) -> list[dict[str, Any]]:
    done = ask(*arguments, "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def an_afternoon(postgres: str) -> int:
    """Two people get an offer. One reads it, asks and is answered after five minutes; the other one's fails, and asks in vain."""
    begin = now() - 120 * _MINUTE
    events: list[Event] = [
        sent("1", _PERSON, begin),
        status("1", "sent", _PERSON, begin + 1_000),
        status("1", "delivered", _PERSON, begin + 2_000),
        status("1", "read", _PERSON, begin + 12_000),
        received("2", _PERSON, begin + 20 * _MINUTE, context_wamid="wamid.1"),
        received("3", _PERSON, begin + 21 * _MINUTE),
        sent("4", _PERSON, begin + 25 * _MINUTE, template_name="answer"),
        sent("5", _OTHER, begin),
        status("5", "failed", _OTHER, begin + 3_000, error_code=131049),
        received("6", _OTHER, begin + 60 * _MINUTE),
    ]
    project(postgres, events)
    return begin


def test_every_question_has_an_answer_with_and_without_messages(postgres: str) -> None:
    with psycopg.connect(postgres, autocommit=True, options="-c role=parley_analytics") as connection:
        for query in CATALOGUE:
            assert connection.execute(query.statement, query.values({})).fetchall() == []
        project(postgres, [sent("1", _PERSON, now()), received("2", _OTHER, now())])
        for query in CATALOGUE:
            shown = repr(connection.execute(query.statement, query.values({})).fetchall())
            assert not {_PERSON, _OTHER} & set(re.findall(r"\d+", shown))


@pytest.mark.usefixtures("an_afternoon")
def test_the_funnel_counts_each_message_once_at_each_stage(ask: Ask) -> None:
    rows = {(row.pop("template_name"), row.pop("country")): row for row in answers(ask, "delivery_funnel")}
    stages = {
        key: tuple(row[name] for name in ("accepted", "delivered", "read", "answered", "failed")) for key, row in rows.items()
    }
    assert stages == {("offer", "BR"): (1, 1, 1, 1, 0), ("offer", "DE"): (1, 0, 0, 0, 1), ("answer", "BR"): (1, 0, 0, 0, 0)}
    assert rows["offer", "BR"]["read_percent"] == "100.0"
    assert answers(ask, "delivery_funnel", "-p", "number=999") == []


@pytest.mark.usefixtures("an_afternoon")
def test_who_waits_for_an_answer_and_how_long_others_waited(ask: Ask) -> None:
    [waiting] = answers(ask, "unanswered")
    assert waiting["country"] == "DE"
    assert 59 <= waiting["minutes_waiting"] <= 62
    assert 22 * 60 <= waiting["minutes_left"] <= 23 * 60 + 1
    hours = answers(ask, "first_response")
    assert [sum(row[name] for row in hours) for name in ("conversations", "answered")] == [2, 1]
    [waited] = [row["wait_p50"] for row in hours if row["wait_p50"] is not None]
    assert waited == "300.0", "from the first of the two messages that were not answered yet"


@pytest.mark.usefixtures("an_afternoon")
def test_times_failures_and_costs(ask: Ask) -> None:
    times = {row["template_name"]: row for row in answers(ask, "time_to_read")}
    assert (times["offer"]["delivered_p50"], times["offer"]["read_p50"]) == ("2.0", "10.0")
    assert times["answer"]["delivered_p50"] is None, "what is not delivered took no time"
    assert answers(ask, "failures") == [{"error_code": 131049, "template_name": "offer", "country": "DE", "failed": 1}]
    [cost] = answers(ask, "costs")
    assert (cost["country"], cost["cost"], cost["messages_of_unknown_rate"]) == ("BR", None, 1)


def test_who_withdrew_after_an_offer_why_commands_did_not_go_and_how_full_numbers_were(
    ask: Ask, postgres: str, an_afternoon: int
) -> None:
    begin = an_afternoon
    stop = received("7", _PERSON, begin + 30 * _MINUTE, text="STOP")
    refused = replace(sent("", _PERSON, begin), event_id="r", kind="refused", wamid=None, reason="window_closed", attempt_no=0)
    late_stop = received("8", _OTHER, begin + 90 * _MINUTE, text="STOP")
    project(postgres, [stop, refused, late_stop])
    assert answers(ask, "opt_outs") == [{"template_name": "offer", "reached": 1, "withdrew": 1, "withdrew_percent": "100.00"}]
    told = {"kind": "refused", "reason": "window_closed", "error_code": None, "lane": "bulk", "outcomes": 1, "commands": 1}
    assert answers(ask, "send_reasons") == [told]
    assert answers(ask, "retries") == [{"lane": "bulk", "attempts": 1, "accepted": 3}]
    hours = answers(ask, "utilisation")
    assert [sum(int(row[name]) for row in hours) for name in ("accepted", "received")] == [3, 5]
    assert max(row["busiest_second"] for row in hours) == 2, "two offers in one second"


@pytest.mark.usefixtures("an_afternoon")
def test_csv_is_csv_and_a_table_is_for_people(ask: Ask) -> None:
    rows = list(csv.DictReader(io.StringIO(ask("failures", "--format", "csv").stdout)))
    assert rows == [{"error_code": "131049", "template_name": "offer", "country": "DE", "failed": "1"}]
    head, row = ask("failures").stdout.splitlines()
    assert head.split() == ["ERROR_CODE", "TEMPLATE_NAME", "COUNTRY", "FAILED"]
    assert row.split() == ["131049", "offer", "DE", "1"]


def test_what_cannot_be_asked_is_refused_with_what_can(ask: Ask, tmp_path: Path) -> None:
    listed = ask()
    assert all(f"{query.name}: {query.question}" in listed.stdout for query in CATALOGUE)
    for arguments, says in (
        (("nothing",), "There is no query nothing."),
        (("costs", "-p", "weeks=1"), "costs has days, not weeks."),
        (("costs", "-p", "days"), "NAME=VALUE is needed"),
        (("costs", "-p", "days=many"), "A parameter is no value of its type."),
    ):
        done = ask(*arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert says in done.stderr
    assert parley(tmp_path, "sql", "costs").returncode == 78
