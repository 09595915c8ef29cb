"""Which metrics are there, and what does each tell? Written from their declarations: `docs/metrics.md`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from tools.contract import ROOT

PATH: Final = "docs/metrics.md"
DECLARED_IN: Final = "services/common/platform/metrics.py"
RULES: Final = "deploy/prometheus/rules"
_SERVICES: Final = ("ingest", "router", "projector", "sender")
_OF_PLATFORM: Final = {
    "ops.py": _SERVICES,
    "clock.py": _SERVICES,
    "kafka.py": ("router", "projector", "sender"),
    "stream.py": ("router", "projector"),
    "postgres.py": ("projector", "sender"),
    "lifecycle.py": ("router", "projector", "sender"),
}
"""Who runs the parts of `services/common/platform` that count something."""
_UNITS: Final = {"_seconds": "seconds", "_bytes": "bytes", "_bytes_total": "bytes"}
NAME: Final = re.compile(r"\bparley_[a-z_]+")
_HEAD: Final = """\
# Metrics

Each process tells its own at `/metrics` on `PARLEY_OPS_HOST` and `PARLEY_OPS_PORT`, in the format of Prometheus, which adds the
label `instance`. Python's own (`process_*`, `python_*`) are there, too. No label holds a phone number, a text or a token:
`phone_number_id` is Meta's id of a business number.

Histograms are told as `_bucket`, `_sum` and `_count`. A counter with labels has no series until it counts for the first time,
which `increase()` does not see: the rules in `deploy/prometheus/rules` show how to count the first one. `make alerts` checks the
rules and runs their tests.

Written by `make docs` from the declarations in `services/common/platform/metrics.py`.

| metric | kind | unit | labels | told by | what it tells | alerts |
| --- | --- | --- | --- | --- | --- | --- |
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """One metric as the code declares it. `variable`: what the code calls it."""

    variable: str
    name: str
    kind: str
    words: str
    labels: tuple[str, ...]

    @property
    def unit(self) -> str:
        """Seconds and bytes by the end of the name; else what is counted, which the words say."""
        return next((unit for end, unit in _UNITS.items() if self.name.endswith(end)), "count")

    @property
    def series(self) -> tuple[str, ...]:
        """The names that its samples have."""
        ends = ("_bucket", "_sum", "_count") if self.kind == "histogram" else ("",)
        return tuple(self.name + end for end in ends)


@cache
def declared() -> tuple[Declared, ...]:
    """Every metric, in the order of the code."""
    return tuple(_declarations(ast.parse((ROOT / DECLARED_IN).read_text("utf-8"))))


def _declarations(tree: ast.Module) -> Iterator[Declared]:
    for node in tree.body:
        match node:
            case ast.AnnAssign(target=ast.Name(variable), value=ast.Call(func=ast.Name(kind), args=arguments)):
                name, words, *rest = (ast.literal_eval(argument) for argument in arguments)
                labels = tuple(rest[0]) if rest else ()
                yield Declared(variable=variable, name=name, kind=kind.lower(), words=words, labels=labels)


@cache
def _texts() -> dict[Path, str]:
    folders = [*_SERVICES, "common/platform"]
    return {path: path.read_text("utf-8") for folder in folders for path in sorted((ROOT / "services" / folder).rglob("*.py"))}


def told_by(one: Declared) -> tuple[str, ...]:
    """The services whose code has it."""
    word = re.compile(rf"metrics\.{one.variable}\b")
    found: set[str] = set()
    for path, text in _texts().items():
        if word.search(text):
            folder = path.relative_to(ROOT / "services").parts[0]
            found |= set(_OF_PLATFORM[path.name]) if folder == "common" else {folder}
    return tuple(service for service in _SERVICES if service in found)


@cache
def alerts() -> tuple[dict[str, Any], ...]:
    """Every alert of the rules, as its file has it."""
    files = sorted((ROOT / RULES).glob("*.yaml"))
    groups = [group for file in files for group in yaml.safe_load(file.read_text("utf-8"))["groups"]]
    return tuple(rule for group in groups for rule in group["rules"])


def text() -> str:
    """The page."""
    return _HEAD + "".join(f"{_row(one)}\n" for one in declared())


def _row(one: Declared) -> str:
    fired = [rule["alert"] for rule in alerts() if set(one.series) & set(NAME.findall(rule["expr"]))]
    cells = (
        f"`{one.name}`",
        one.kind,
        one.unit,
        ", ".join(f"`{label}`" for label in one.labels),
        ", ".join(told_by(one)),
        one.words,
        ", ".join(f"[{name}](runbooks/{name}.md)" for name in fired),
    )
    return f"| {' | '.join(cells)} |"
