"""Does docs/reliability.md tell of every failure how it is shown, by tests that exist and carry its number?"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = ROOT / "docs" / "reliability.md"
HEADING: Final = "## Failures, one by one"
NUMBERS: Final = [f"{letter}{n}" for letter, count in (("I", 13), ("R", 25), ("S", 21)) for n in range(1, count + 1)]
_ROW: Final = re.compile(r"^\| ([IRS]\d+) \|(.+)\|$", re.MULTILINE)
_TEST: Final = re.compile(r"`([\w/]+\.py)(?:::(\w+))?`")


class Shown(NamedTuple):
    """A test, and a number that is its marker's."""

    path: str
    test: str
    number: str


def rows() -> list[tuple[str, str]]:
    """Number, and the rest of its line."""
    return _ROW.findall(PAGE.read_text("utf-8").partition(HEADING)[2])


def named() -> list[tuple[str, str, str]]:
    """Number, and a test that its line names: a file below tests, and a function of it or none."""
    return [(number, path, test) for number, line in rows() for path, test in _TEST.findall(line)]


def numbers_of(node: ast.AST) -> Iterator[str]:
    """What is given to the markers below a node."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "failure":
            yield from (ast.literal_eval(argument) for argument in call.args)


@cache
def shown() -> tuple[list[Shown], set[tuple[str, str]], list[str]]:
    """What markers of tests say, all tests there are, and where a marker is of no test."""
    found: list[Shown] = []
    tests: set[tuple[str, str]] = set()
    stray: list[str] = []
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        path, source = str(file.relative_to(ROOT / "tests")), file.read_text("utf-8")
        functions = re.findall(r"^ *(?:async )?def (test_\w+)", source, re.MULTILINE)
        tests |= {(path, test) for test in functions}
        if "mark.failure(" not in source:  # parsing takes a hundred times longer than looking
            continue
        tree = ast.parse(source)
        before = len(found)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                found += [Shown(path, node.name, number) for one in node.decorator_list for number in numbers_of(one)]
        if len(found) - before != sum(1 for _ in numbers_of(tree)):
            stray.append(path)
    return found, tests, stray


def test_every_failure_has_one_line() -> None:
    assert [number for number, _ in rows()] == NUMBERS


def test_a_line_says_how_it_is_shown_or_that_it_is_not() -> None:
    with_tests = {number for number, _, _ in named()}
    assert [number for number, line in rows() if (number in with_tests) == ("No test" in line)] == []


def test_what_a_line_names_exists_and_carries_its_number() -> None:
    found, tests, stray = shown()
    assert stray == [], "markers belong to tests"
    assert {one.number for one in found} <= set(NUMBERS)
    files = {path for path, _ in tests}
    assert [one for one in named() if (one[1] not in files if one[2] == "" else one[1:] not in tests)] == []
    with_marker = {(one.number, one.path, one.test) for one in found} | {(one.number, one.path, "") for one in found}
    assert sorted({*named()} - with_marker) == [], "named by the line of a number that it does not carry"


def test_a_marker_says_a_number_once() -> None:
    found, _, _ = shown()
    assert [one for one, count in Counter(found).items() if count > 1] == []
