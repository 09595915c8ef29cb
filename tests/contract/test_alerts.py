"""Do alerts, their tests, their runbooks and the dashboard name only what there is, and does each alert have all of these?"""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from prometheus_client import PROCESS_COLLECTOR
from prometheus_client.metrics import MetricWrapperBase
from typer.main import get_command

from services.cli.__main__ import app
from services.cli.sql import CATALOGUE
from services.common.domain import topics
from services.common.domain.reasons import Reason
from services.common.platform import metrics
from tools.contract import ROOT
from tools.metrics_page import NAME, RULES, alerts, declared, told_by

RUNBOOKS: Final = ROOT / "docs" / "runbooks"
TESTS: Final = ROOT / "deploy" / "prometheus" / "tests"
DASHBOARDS: Final = ROOT / "deploy" / "grafana"
HEADINGS: Final = ["What it means", "What people notice", "How to look", "What to do", "When it is over"]
OF_TARGETS: Final = {"instance", "job"}
"""What Prometheus adds to each series."""
PYTHON_S_OWN: Final[dict[str, set[str]]] = {family.name: set() for family in PROCESS_COLLECTOR.collect()}
LABELS: Final[dict[str, set[str]]] = {
    series: set(one.labels) | ({"le"} if series.endswith("_bucket") else set()) for one in declared() for series in one.series
}
VALUES: Final[dict[str, set[str]]] = {
    "reason": {str(one) for one in Reason},
    "group": {"parley.router", "parley.projector", "parley.sender", "parley.router.parked"},
    "service": {"ingest", "router", "projector", "sender"},
    "topic": set(topics.ALL),
}
"""What the values of these labels can be."""
_SERIES: Final = re.compile(r"\b((?:parley|process)_[a-z_]+)\s*(?:\{([^}]*)\})?")
_MATCHER: Final = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
_NAMED: Final = re.compile(r"\b(?:by|on|without|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_CODE: Final = re.compile(r"`([^`\n]+)`")
_OF_PARLEY: Final = re.compile(r"parley [a-z]+( .*)?$")
NAMES: Final = [rule["alert"] for rule in alerts()]


def expressions() -> list[tuple[str, str]]:
    """Where each is from, and what it says: of rules, and of the dashboard."""
    found = [(rule["alert"], rule["expr"]) for rule in alerts()]
    for file in sorted(DASHBOARDS.glob("*.json")):
        for panel in json.loads(file.read_text("utf-8"))["panels"]:
            found += [(f"{file.name}: {panel['title']}", target["expr"]) for target in panel.get("targets", ())]
    return found


def without_comments(expression: str) -> str:
    return re.sub(r"#.*", "", expression)


def wrong(expression: str) -> list[str]:
    """What of it there is not: series, labels, values of labels."""
    found: list[str] = []
    usable = set(OF_TARGETS)
    text = without_comments(expression)
    for name, matchers in _SERIES.findall(text):
        labels = {**LABELS, **PYTHON_S_OWN}.get(name)
        if labels is None:
            found.append(name)
            continue
        usable |= labels
        for label, how, value in _MATCHER.findall(matchers):
            if label not in labels | OF_TARGETS:
                found.append(f"{name} has no label {label}")
            elif label in VALUES and not any(fits(one, how, value) for one in VALUES[label]):
                found.append(f"no {label} is {value}")
    named = {label.strip() for labels in _NAMED.findall(text) for label in labels.split(",") if label.strip()}
    return [*found, *(f"by {label}" for label in sorted(named - usable))]


def fits(value: str, how: str, wanted: str) -> bool:
    """Whether a matcher is about this value."""
    return bool(re.fullmatch(wanted, value)) if how.endswith("~") else value == wanted


@pytest.mark.parametrize(("where", "expression"), expressions())
def test_an_expression_names_only_metrics_labels_and_values_that_there_are(where: str, expression: str) -> None:
    assert NAME.search(expression), where
    assert wrong(expression) == []


def test_what_there_is_not_is_found() -> None:
    assert wrong("rate(parley_not_there_total[5m])") == ["parley_not_there_total"]
    assert wrong('parley_dead_letters_total{app="a"}') == ["parley_dead_letters_total has no label app"]
    assert wrong('parley_dead_letters_total{reason=~"no_such.*"}') == ["no reason is no_such.*"]
    assert wrong("sum by (field) (parley_dead_letters_total)") == ["by field"]
    assert wrong("sum by (le, group) (rate(parley_record_age_seconds_bucket[5m]))") == []
    assert wrong("changes(process_start_time_seconds[15m])") == []


def test_every_alert_is_named_once_and_says_how_urgent_it_is_and_where_its_page_is() -> None:
    assert len(set(NAMES)) == len(NAMES) > 0
    for rule in alerts():
        assert rule["labels"] in ({"severity": "page"}, {"severity": "ticket"}), rule["alert"]
        assert rule["annotations"]["runbook_url"] == f"docs/runbooks/{rule['alert']}.md"
        assert rule["annotations"]["summary"].endswith(".")


def test_every_alert_has_a_page_and_every_page_an_alert() -> None:
    assert {page.stem for page in RUNBOOKS.glob("*.md")} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_page_answers_what_one_asks_at_night(name: str) -> None:
    text = (RUNBOOKS / f"{name}.md").read_text("utf-8")
    assert text.startswith(f"# {name}\n")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == HEADINGS
    assert all(len(part.strip()) > 20 for part in re.split(r"^## .+$", text, flags=re.MULTILINE)[1:])
    assert set(re.findall(r"\]\((Parley\w+)\.md\)", text)) <= set(NAMES) - {name}


def test_every_alert_is_tested_to_fire_and_to_keep_silent() -> None:
    fires: set[str] = set()
    keeps_silent: set[str] = set()
    for file in sorted(TESTS.glob("*.yaml")):
        told: dict[str, Any] = yaml.safe_load(file.read_text("utf-8"))
        assert [(TESTS / rules).resolve() for rules in told["rule_files"]] == [ROOT / RULES / file.name]
        for case in [case for test in told["tests"] for case in test["alert_rule_test"]]:
            (fires if case["exp_alerts"] else keeps_silent).add(case["alertname"])
    assert fires == keeps_silent == set(NAMES)


@pytest.mark.failure("R20", "S20")
def test_retention_is_at_risk_after_a_quarter_of_it_for_each_topic_that_has_an_end() -> None:
    kept = {
        one["spec"]["topicName"]: int(one["spec"]["config"]["retention.ms"]) / 1000
        for one in yaml.safe_load_all((ROOT / "deploy" / "kafka" / "topics.yaml").read_text("utf-8"))
    }
    [rule] = [rule for rule in alerts() if rule["alert"] == "ParleyRetentionAtRisk"]
    [(pattern, seconds)] = re.findall(r'topic=~"([^"]+)"\}\)\s*> (\d+)', rule["expr"])
    read = {*topics.ROUTER_SOURCES, *topics.PROJECTOR_SOURCES, *topics.SENDER_SOURCES}
    ending = {topic for topic in read if kept[topic] > 0}
    assert {topic for topic in kept if re.fullmatch(pattern, topic)} == ending
    assert {kept[topic] / 4 for topic in ending} == {float(seconds)}


# what the pages tell people to type


def commands() -> list[tuple[str, str]]:
    """Page and command, of every command of ours that a page names."""
    return [(name, code) for name in NAMES for code in codes(name) if _OF_PARLEY.match(code)]


def codes(name: str) -> list[str]:
    """What a page shows as code, however its lines are broken."""
    return _CODE.findall(" ".join((RUNBOOKS / f"{name}.md").read_text("utf-8").split()))


@pytest.mark.parametrize(("page", "command"), commands())
def test_a_command_of_a_page_exists_with_its_options(page: str, command: str) -> None:
    _, *words = command.split()
    here: Any = get_command(app)
    while hasattr(here, "commands"):
        here = here.commands[words.pop(0)]
    options = {option for one in here.params for option in one.opts}
    assert {word for word in words if word.startswith("-")} <= options, page
    if command.startswith("parley sql "):
        [query] = [one for one in CATALOGUE if one.name == words[0]]
        asked = {word.partition("=")[0] for before, word in pairwise(words) if before == "-p"}
        assert asked <= {one.name for one in query.parameters}
    if command.startswith("parley listen "):
        assert f"parley.{words[0]}.v1" in topics.ALL


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_of_a_page_exists(name: str) -> None:
    assert [code for code in codes(name) if NAME.search(code) and wrong(code)] == []


# and the rest


def test_every_panel_shows_something_and_has_a_place_of_its_own() -> None:
    for file in DASHBOARDS.glob("*.json"):
        panels = json.loads(file.read_text("utf-8"))["panels"]
        assert len({one["id"] for one in panels}) == len(panels) > 10
        assert all(one["type"] == "row" or one["targets"] for one in panels)
        cells = [
            (x, y)
            for one in panels
            for x in range(one["gridPos"]["x"], one["gridPos"]["x"] + one["gridPos"]["w"])
            for y in range(one["gridPos"]["y"], one["gridPos"]["y"] + one["gridPos"]["h"])
        ]
        assert len(set(cells)) == len(cells)


def test_every_metric_is_told_by_somebody_and_says_what() -> None:
    assert [one.name for one in declared() if not told_by(one) or len(one.words) < 10] == []


def test_what_is_declared_is_what_the_process_has() -> None:
    found = {name: one for name, one in vars(metrics).items() if isinstance(one, MetricWrapperBase)}
    assert {one.variable: (one.name.removesuffix("_total"), one.kind, one.words) for one in declared()} == {
        name: (family.name, family.type, family.documentation) for name, one in found.items() for family in one.describe()
    }
    assert {one.variable: one.labels for one in declared()} == {name: one._labelnames for name, one in found.items()}


def test_the_rules_are_checked_where_everything_is() -> None:
    assert re.search(r"^make alerts$", (ROOT / ".ci" / "run").read_text("utf-8"), re.MULTILINE)
    assert sorted(file.name for file in (ROOT / RULES).glob("*.yaml")) == sorted(file.name for file in TESTS.glob("*.yaml"))


def test_every_page_of_docs_that_is_named_here_is_there() -> None:
    links = re.findall(r"\b(docs/[\w/]+\.md)\b", "".join(page.read_text("utf-8") for page in RUNBOOKS.glob("*.md")))
    assert [link for link in links if not Path(ROOT / link).exists()] == []
