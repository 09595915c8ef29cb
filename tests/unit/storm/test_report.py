"""Does the report of a storm say everything that was found, and is it clean only if nothing was?"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from services.sandbox.ledger import FIGURES, Finding, Kind, Ledger, Verdict, judge
from tests.faults.storm.delays import Spread
from tests.faults.storm.report import Recovery, Report, as_json, as_markdown
from tests.support.read_models import Compared
from tests.support.search import Sought

CLEAN = judge(Ledger(limits={}))
SAME = Compared(differing=(), n=11)
OTHER = Compared(differing=("messages: 1 of its rows differ from those of a replay in type",), n=11)
CLEAN_LOGS = {"logs": Sought(places=7, size=4096)}
SEEN = {**CLEAN_LOGS, "metrics": Sought(places=4, size=99, sightings=("a text in metrics of router",))}


def report(**changes: Any) -> Report:
    recovered = [
        Recovery(
            kind="kill -9",
            target=target,
            at=3.0,
            lasted=2.0,
            webhook_to_row=seconds,
            command_to_graph=0.5,
            row_since_beginning=None if seconds is None else seconds + 2.0,
            graph_since_beginning=2.5,
        )
        for target, seconds in (("router", 1.0), ("router-2", 4.0), ("sender", None))
    ]
    fields: dict[str, Any] = {
        "seed": 42,
        "seconds": 300.0,
        "replay": "make storm MINUTES=5 SEED=42",
        "limit_seconds": 2.0,
        "described": "three brokers",
        "traffic": {"webhooks": 1234},
        "restarts": {"router": 3},
        "recoveries": recovered,
        "delays": {"webhook to row": Spread(count=9, median=0.1, p99=0.2, worst=0.3), "command to Graph": None},
        "verdict": CLEAN,
        "tables": SAME,
        "left": "nothing",
        "drained_seconds": 1.5,
        "searches": CLEAN_LOGS,
    }
    return Report(**{**fields, **changes})


def lost() -> Verdict:
    finding = Finding(kind=Kind.LOST, what="message wamid.1", why="neither a row nor a dead letter", weight=2)
    return replace(CLEAN, findings=(finding,))


def test_a_storm_without_a_finding_is_clean() -> None:
    assert report().is_clean
    assert json.loads(as_json(report()))["ok"] is True


@pytest.mark.parametrize("changes", [{"verdict": lost()}, {"tables": OTHER}, {"left": "router 3"}, {"searches": SEEN}])
def test_a_finding_or_something_other_or_left_or_seen_is_not(changes: dict[str, Any]) -> None:
    found = report(**changes)
    assert not found.is_clean
    assert json.loads(as_json(found))["ok"] is False


def test_the_markdown_names_what_was_broken_and_how_to_see_it_again() -> None:
    text = as_markdown(report(verdict=lost()))
    assert "| lost | 2 | " in text
    assert "- lost: message wamid.1: neither a row nor a dead letter" in text
    assert "make storm MINUTES=5 SEED=42" in text


def test_a_read_model_that_is_not_what_a_replay_makes_is_named() -> None:
    assert "| tables | 0 | 11 | 0 |" in as_markdown(report())
    text = as_markdown(report(tables=OTHER))
    assert "| tables | 1 | 11 | 0 |" in text
    assert "- messages: 1 of its rows differ from those of a replay in type" in text
    assert json.loads(as_json(report(tables=OTHER)))["figures"]["tables"] == {"found": 1, "n": 11}


def test_the_markdown_says_where_was_looked_and_what_was_seen() -> None:
    text = as_markdown(report(searches=SEEN))
    assert "| logs | 0 | 7 | 4096 | 0 |" in text
    assert "| metrics | 1 | 4 | 99 | 0 |" in text
    assert "- a text in metrics of router" in text


def test_faults_of_a_kind_are_told_together_for_each_kind_of_target() -> None:
    text = as_markdown(report())
    assert "| kill -9: router | 2 | 2 | 1.0 | 4.0 | 6.0 | 2 | 0.5 | 0.5 | 2.5 |" in text
    assert "| kill -9: sender | 1 | 0 | - | - | - | 1 | 0.5 | 0.5 | 2.5 |" in text


def test_the_json_has_every_figure() -> None:
    told = json.loads(as_json(report()))
    assert told["figures"] == {**{name: {"found": 0, "n": 0} for name in FIGURES}, "tables": {"found": 0, "n": 11}}
    assert [one["target"] for one in told["recoveries"]] == ["router", "router-2", "sender"]
    assert told["delays"]["webhook to row"]["p99"] == 0.2
    assert told["searches"]["logs"] == {"places": 7, "size": 4096, "sightings": []}
