"""Does the simulator find nothing in what we have, and all that we plant? A hundred runs; `make simulate` has more."""

from __future__ import annotations

import ast
import dataclasses
import inspect
from collections import Counter

import pytest

from tests.support.simulation import judge
from tests.support.simulation.campaign import kind_of, shrunk
from tests.support.simulation.plan import Fate, Ill, Kind, Trouble, plan_of
from tests.support.simulation.planted import PLANTED
from tests.support.simulation.run import Verdict, run
from tests.support.simulation.workers import Wiring

SEEDS = range(100)
SEEN_WITHIN = 60
"""Runs in which each planted bug is seen at the latest."""


@pytest.mark.failure("R1", "R2", "R6", "R8", "R25", "S1", "S2", "S3", "S4", "S5", "S7", "S10", "S11", "S12", "S16")
def test_no_run_breaks_a_promise_and_together_they_reach_what_there_is_to_reach() -> None:
    seen: Counter[str] = Counter()
    fates = tuple(Fate)
    for seed in SEEDS:
        # Chance alone would take a few hundred runs until every fate has had its turn.
        plan = plan_of(seed)
        first = Ill(nth=0, fate=fates[seed % len(fates)])
        verdict = run(plan if seed >= 4 * len(fates) else dataclasses.replace(plan, ills=(first, *plan.ills)))
        assert verdict.violations == (), f"seed {seed}: {verdict.plan}"
        seen.update(verdict.seen.keys())
    assert {f"trouble: {kind}" for kind in Kind} <= seen.keys()
    assert {f"meta: {fate}" for fate in Fate} <= seen.keys()
    assert {f"command: {state}" for state in ("accepted", "refused", "rejected", "expired", "unresolved")} <= seen.keys()
    assert {"member: zombie", "member: session over", "webhook: delivered again"} <= seen.keys()


@pytest.mark.failure("S10")
def test_a_start_whose_answer_is_lost_leaves_no_message_in_doubt() -> None:
    seen: Counter[str] = Counter()
    for seed in range(12):
        for nth in range(3):
            lost = Trouble(kind=Kind.ANSWER_LOST, slot="sender-0", request="start", at=0.0, nth=nth, seconds=0.0)
            verdict = run(dataclasses.replace(plan_of(seed), troubles=(lost,), ills=()))
            assert verdict.violations == ()
            seen.update(verdict.seen.keys())
    assert seen[f"trouble: {Kind.ANSWER_LOST}"] > 20
    assert seen["command: accepted"] > 20
    assert seen["command: unresolved"] == 0, "no byte of it had left, and that is known"


def test_the_same_seed_is_the_same_run() -> None:
    first, second = run(plan_of(7), traced=True), run(plan_of(7), traced=True)
    assert first.trace == second.trace
    assert len(first.trace) > 50


@pytest.mark.parametrize("wiring", PLANTED, ids=lambda wiring: wiring.__name__)
def test_a_planted_bug_is_seen_and_stays_seen_in_a_smaller_run(wiring: type[Wiring]) -> None:
    seen = _first(wiring)
    small = shrunk(seen, wiring, most_tries=4)
    assert kind_of(seen.violations[0]) in {kind_of(one) for one in small.violations}
    assert small.plan.size < seen.plan.size


def test_whatever_the_judge_may_find_some_planted_bug_shows() -> None:
    """Of each sort at least one: a sort that nothing shows could be deaf."""
    said = [one.value for one in ast.walk(ast.parse(inspect.getsource(judge))) if isinstance(one, ast.Yield)]
    texts = [one.values[0] if isinstance(one, ast.JoinedStr) else one for one in said]
    sorts = {kind_of(str(one.value)) for one in texts if isinstance(one, ast.Constant)}
    assert {"lost", "phantom", "order", "pace"} < sorts
    assert sorts <= {kind_of(planted.shows) for planted in PLANTED.values()}


def _first(wiring: type[Wiring]) -> Verdict:
    """Without what the runs are aimed at it takes some hundred: `make simulate ARGS="--planted NAME"` counts them."""
    planted = PLANTED[wiring]
    for seed in range(SEEN_WITHIN):
        verdict = run(planted.aimed(plan_of(seed)), wiring)
        if any(planted.shows in one for one in verdict.violations):
            return verdict
    raise AssertionError(f"not seen in {SEEN_WITHIN} runs")
