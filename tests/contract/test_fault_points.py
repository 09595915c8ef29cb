"""Is there a fault point wherever a death tells something, passed in the code, shot at by some test, and among the cycles?"""

from __future__ import annotations

import ast
from pathlib import Path
from types import ModuleType
from typing import Final

from services.common.platform.faults import POINTS
from tests.faults import test_cycles, test_cycles_sender
from tests.faults.cycles.__main__ import chosen
from tests.faults.cycles.points import PLANS

ROOT = Path(__file__).resolve().parents[2]
WANTED: Final = {
    "ingest": {"after_read", "after_hmac", "before_produce", "after_ack_before_200"},
    "router": {"after_fetch", "mid_batch_emit", "after_emit_before_commit", "on_assign", "on_revoke"},
    "projector": {"before_pg_commit", "after_pg_commit_before_offset", "on_assign", "on_revoke"},
    "sender": {
        "after_gate",
        "before_started",
        "after_started",
        "before_write",
        "mid_write",
        "after_write",
        "after_response",
        "before_outcome_commit",
        "after_outcome_commit",
        "after_emit_before_commit",
        "on_assign",
        "on_revoke",
    },
}
"""Written out by hand: a point that goes away with the code that passed it is missed. There may be others."""
NAMES: Final = {"before_ack", "on_assign", "on_revoke"}
"""By which a part is told the points that it passes for whoever made it."""


def texts(node: ast.AST) -> set[str]:
    """Every literal text below a node."""
    return {one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)}


def passed(source: str) -> set[str]:
    """The points a module passes: arguments of `fault(...)`, or given to a part by one of NAMES."""
    found: set[str] = set()
    for call in ast.walk(ast.parse(source)):
        if isinstance(call, ast.Call):
            if isinstance(call.func, ast.Name) and call.func.id == "fault":
                found |= texts(call)
            found |= {text for keyword in call.keywords if keyword.arg in NAMES for text in texts(keyword.value)}
    return found


def test_no_point_that_is_wanted_is_missing() -> None:
    assert {f"{service}.{name}" for service, names in WANTED.items() for name in names} - POINTS == set()


def test_every_declared_point_is_passed_by_its_service_and_no_other_is() -> None:
    found = {
        (path.relative_to(ROOT / "services").parts[0], point)
        for path in (ROOT / "services").rglob("*.py")
        for point in passed(path.read_text("utf-8"))
    }
    assert found == {(point.partition(".")[0], point) for point in POINTS}


def cycled(*modules: ModuleType) -> set[str]:
    """The points that pytest gives to the cycles of these modules, one test each."""
    marks = [mark for module in modules for mark in module.test_lives_that_end_at_a_point_leave_nothing_wrong.pytestmark]
    return {point for mark in marks if mark.name == "parametrize" for point in mark.args[1]}


def test_every_declared_point_is_shot_at_by_a_test() -> None:
    """The table of the cycles names every point: what counts of it is what their tests take from it."""
    tests = [path for tier in ("faults", "integration") for path in (ROOT / "tests" / tier).glob("test_*.py")]
    by_hand = {text for path in tests for text in texts(ast.parse(path.read_text("utf-8")))}
    shot_at = {text.partition(":")[0] for text in by_hand} | cycled(test_cycles, test_cycles_sender)
    assert sorted(set(POINTS) - shot_at) == []


def test_lives_are_ended_at_every_declared_point_again_and_again() -> None:
    # A command has one life: it is ended where it is tested.
    of_services = {point for point in POINTS if not point.startswith("cli.")}
    assert set(PLANS) == of_services
    assert cycled(test_cycles, test_cycles_sender) == of_services
    assert set(chosen("all")) == of_services
    assert all(plan.victim in {point.partition(".")[0], "rebuild"} for point, plan in PLANS.items())
