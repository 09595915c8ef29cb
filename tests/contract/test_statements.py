"""Is every named statement used, and does every name that code asks for exist?

A catalogue is an .sql file that a module reads by `queries`. Code asks for a statement by its name: in brackets, or through a
function that puts its argument into the brackets.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from services.projector.fold import TABLES

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDERS: Final = ("services", "tools", "benchmarks")
PUT_TOGETHER: Final = {"services/projector/queries.sql": {f"upsert_{table.name}" for table in TABLES}}
"""Names that code makes of others."""
ASKED_BY_PEOPLE: Final = {"services/cli/analytics.sql"}
"""`parley sql` lists and takes every one."""


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


TEXTS: Final = {module_of(path): path.read_text("utf-8") for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))}


@cache
def tree_of(module: str) -> ast.Module:
    """Parsed when it is asked for: most modules have no word of a catalogue in them."""
    return ast.parse(TEXTS[module])


@cache
def imports(module: str) -> frozenset[tuple[str | None, str]]:
    """What it takes from which other."""
    found = [node for node in ast.walk(tree_of(module)) if isinstance(node, ast.ImportFrom)]
    return frozenset((node.module, alias.name) for node in found for alias in node.names)


PATHS: Final = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in FOLDERS
    for path in (ROOT / folder).rglob("*.sql")
    if "node_modules" not in path.parts
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """A module that can ask a catalogue, by a variable of its."""

    catalogue: str
    module: str
    variable: str


def readers() -> Iterator[Reader]:
    """Those that read the file, and those that import what was read."""
    for module in [module for module, text in TEXTS.items() if "queries(" in text]:
        for node in ast.walk(tree_of(module)):
            value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
            call = next((one for one in ast.walk(value) if is_call_of(one, "queries")), None) if value is not None else None
            if not isinstance(call, ast.Call):
                continue
            package, *file = (ast.literal_eval(argument) for argument in call.args)
            target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
            assert isinstance(target, ast.Name)
            catalogue = f"{package.replace('.', '/')}/{file[0] if file else 'queries.sql'}"
            yield Reader(catalogue=catalogue, module=module, variable=target.id)
            for other, text in TEXTS.items():
                if target.id in text and module in text and (module, target.id) in imports(other):
                    yield Reader(catalogue=catalogue, module=other, variable=target.id)


def is_call_of(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Call) and name in {getattr(node.func, "id", None), getattr(node.func, "attr", None)}


READERS: Final = sorted(set(readers()), key=repr)


def names(path: str) -> list[str]:
    return re.findall(r"^-- (\w+) --$", (ROOT / path).read_text("utf-8"), re.MULTILINE)


def words(tree: ast.Module) -> set[str]:
    """Every text that stands in a module as such."""
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def asked(tree: ast.Module, variable: str) -> Iterator[str]:
    """The names that a module certainly asks for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and is_named(node.value, variable):
            yield from texts(node.slice)
        if is_call_of(node, "pop") and isinstance(node, ast.Call) and is_named(getattr(node.func, "value", None), variable):
            yield from texts(node.args[0])
    for function, place in passing(tree, variable):
        for node in ast.walk(tree):
            if is_call_of(node, function) and isinstance(node, ast.Call) and len(node.args) > place:
                yield from texts(node.args[place])


def passing(tree: ast.Module, variable: str) -> Iterator[tuple[str, int]]:
    """The functions that put an argument into the brackets, and the place of that argument in a call."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        inside = [one.slice for one in ast.walk(node) if isinstance(one, ast.Subscript) and is_named(one.value, variable)]
        parameters = [argument.arg for argument in node.args.args if argument.arg != "self"]
        for name in {one.id for one in inside if isinstance(one, ast.Name)} & set(parameters):
            yield node.name, parameters.index(name)


def is_named(node: ast.AST | None, variable: str) -> bool:
    return isinstance(node, ast.Name) and node.id == variable


def texts(node: ast.AST) -> Iterator[str]:
    """A text, or each of several of which one is chosen."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from texts(node.body)
        yield from texts(node.orelse)


def test_every_file_of_statements_is_read_by_somebody_and_every_file_that_is_read_is_there() -> None:
    assert {reader.catalogue for reader in READERS} == set(PATHS)


@pytest.mark.parametrize("path", PATHS)
def test_every_statement_has_a_name_of_its_own_and_says_what_it_is_for(path: str) -> None:
    found = names(path)
    assert found
    assert len(set(found)) == len(found)
    assert len(re.findall(r"^-- \w+ --\n-- \S", (ROOT / path).read_text("utf-8"), re.MULTILINE)) == len(found)
    before = re.split(r"^-- \w+ --$", (ROOT / path).read_text("utf-8"), maxsplit=1, flags=re.MULTILINE)[0]
    assert all(line.startswith("--") for line in before.splitlines() if line), "a statement without a name"


@pytest.mark.parametrize("path", [path for path in PATHS if path not in ASKED_BY_PEOPLE])
def test_every_statement_is_used(path: str) -> None:
    said = {word for reader in READERS if reader.catalogue == path for word in words(tree_of(reader.module))}
    assert set(names(path)) - said - PUT_TOGETHER.get(path, set()) == set()


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: f"{reader.module} of {reader.catalogue}")
def test_every_name_that_is_asked_for_exists(reader: Reader) -> None:
    wanted = set(asked(tree_of(reader.module), reader.variable))
    assert wanted - set(names(reader.catalogue)) == set()


def test_the_names_that_code_puts_together_exist() -> None:
    assert all(made <= set(names(path)) for path, made in PUT_TOGETHER.items())


def test_all_ways_of_asking_are_seen() -> None:
    tree = ast.parse(
        "SQL = queries('p')\n"
        "NOTED = SQL.pop('popped')\n"
        "def run(self, connection, name, **values): return connection.execute(SQL[name], values)\n"
        "def all(c): return c.execute(SQL['direct']), run(c, 'passed'), other(c, 'not')\n"
        "def one(c): return self.run(c, 'a' if c else 'b', more='not')\n"
    )
    assert set(asked(tree, "SQL")) == {"popped", "direct", "passed", "a", "b"}
