"""Are medians, spreads, percentiles and tables of the benchmarks right?"""

from __future__ import annotations

import json

import pytest

from benchmarks.bodies import KINDS, bodies
from benchmarks.figures import Section, Spread, against, as_json, markdown, percentile, ratios

pytestmark = pytest.mark.unit


def test_a_spread_tells_the_median_and_both_ends() -> None:
    spread = Spread.of([5.0, 1.0, 3.0])
    assert (spread.median, spread.low, spread.high, spread.rounds) == (3.0, 1.0, 5.0, 3)
    assert spread.text(1) == "3.0 (1.0–5.0)"


def test_ratios_are_taken_round_by_round_so_a_slow_round_of_both_changes_nothing() -> None:
    spread = ratios([200.0, 20.0, 210.0], [100.0, 10.0, 100.0])
    assert (spread.low, spread.median) == (2.0, 2.0)


def test_ratios_refuse_rounds_without_a_partner() -> None:
    with pytest.raises(ValueError, match="zip"):
        ratios([1.0, 2.0], [1.0])


@pytest.mark.parametrize(("percent", "expected"), [(50, 50.0), (99, 99.0), (100, 100.0), (1, 1.0)])
def test_a_percentile_is_a_value_that_occurred(percent: float, expected: float) -> None:
    assert percentile([float(n) for n in range(100, 0, -1)], percent) == expected


def test_the_percentile_of_one_value_is_that_value() -> None:
    assert percentile([7.0], 99) == 7.0


def test_a_goal_is_judged_by_the_median() -> None:
    assert against(1.2, Spread.of([1.0, 1.2, 9.0])) == "≥ 1.2 ✓"
    assert against(1.2, Spread.of([1.0, 1.19, 9.0])) == "≥ 1.2 ✗"


def test_plain_tables_are_aligned_markdown() -> None:
    section = Section(title="T", columns=["a", "long"], rows=[["x", "1"], ["yy", "22"]], notes=["n"])
    assert markdown(section).splitlines() == [
        "",
        "### T",
        "",
        "| a  | long |",
        "| -- | ---: |",
        "| x  |    1 |",
        "| yy |   22 |",
        "",
        "- n",
    ]


def test_the_document_for_machines_has_every_section() -> None:
    section = Section(title="T", columns=["a"], rows=[["x"]], data={"x": 1})
    assert json.loads(as_json({"command": "c"}, [section])) == {"command": "c", "sections": {"T": {"x": 1}}}


def test_the_mix_has_70_statuses_25_messages_and_5_others_in_every_hundred() -> None:
    sorts = [json.loads(body.data)["entry"][0]["changes"][0] for body in bodies("mix", 300, tag="t")]
    for start in range(0, 300, 100):
        hundred = sorts[start : start + 100]
        assert sum("statuses" in change["value"] for change in hundred) == 70
        assert sum("messages" in change["value"] for change in hundred) == 25
        assert sum(change["field"] != "messages" for change in hundred) == 5


def test_no_two_webhooks_are_the_same_also_across_tags() -> None:
    for kind in KINDS:
        made = [body.data for tag in ("a", "b") for body in bodies(kind, 500, tag=tag)]
        assert len(set(made)) == len(made)
