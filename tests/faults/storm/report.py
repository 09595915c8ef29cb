"""What was a storm worth? Its figures as one record, as Markdown for people and as JSON for machines. Pure."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from services.sandbox.ledger import Figure, Verdict
from tests.faults.storm.delays import Spread, spread
from tests.support.read_models import Compared
from tests.support.search import Sought

_FINDINGS_SHOWN: Final = 40
_WAYS: Final = ("row", "Graph")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """One fault and what came after it. Seconds; the delays' limit is the report's."""

    kind: str
    target: str
    at: float
    lasted: float
    webhook_to_row: float | None
    command_to_graph: float | None
    """None when the next fault began before it was normal again: whose the delay is then cannot be told."""
    row_since_beginning: float | None
    graph_since_beginning: float | None
    """The same from its beginning on: how long it was felt, and how soon somebody else had taken over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A whole storm."""

    seed: int
    seconds: float
    replay: str
    limit_seconds: float
    described: str
    traffic: Mapping[str, int]
    restarts: Mapping[str, int]
    recoveries: Sequence[Recovery]
    delays: Mapping[str, Spread | None]
    verdict: Verdict
    tables: Compared
    left: str
    """What was still on its way when the wait was over; `nothing`."""
    drained_seconds: float
    searches: Mapping[str, Sought]
    """Where people and secrets were looked for, and what was seen of them."""

    @property
    def figures(self) -> tuple[Figure, ...]:
        """Those of the judge, and the read models beside a replay of the log."""
        return (*self.verdict.figures, Figure(name="tables", found=len(self.tables.differing), n=self.tables.n))

    @property
    def is_clean(self) -> bool:
        """True when every figure is 0, nothing was left, and nothing was seen that must not be."""
        seen = any(one.sightings for one in self.searches.values())
        return self.verdict.is_clean and not self.tables.differing and self.left == "nothing" and not seen


def as_json(report: Report) -> str:
    """Every figure."""
    told: dict[str, Any] = asdict(report)
    figures = {one.name: {"found": one.found, "n": one.n} for one in report.figures}
    return json.dumps({"ok": report.is_clean, "figures": figures, **told}, indent=2)


def as_markdown(report: Report) -> str:
    """Tables and, where a promise was broken, what was found."""
    faults = len(report.recoveries)
    parts = [
        f"# A storm: seed {report.seed}, {report.seconds / 60:.1f} minutes, {faults} faults",
        report.described,
        f"Replay: `{report.replay}`",
        "## Promises",
        _table(
            ("figure", "count", "n", "bar"),
            [(one.name, one.found, one.n, 0) for one in report.figures],
        ),
        *_lines([*(f"{one.kind}: {one.what}: {one.why}" for one in report.verdict.findings), *report.tables.differing]),
        "## What must not be seen",
        "Secrets, and numbers, names and texts of people, in what the services show to operators.",
        _table(
            ("looked into", "hits", "places", "bytes", "bar"),
            [(name, len(one.sightings), one.places, one.size, 0) for name, one in report.searches.items()],
        ),
        *_lines([sighting for one in report.searches.values() for sighting in one.sightings]),
        "## Faults",
        f"Recovery: seconds from the end of a fault until nothing takes longer than {report.limit_seconds:g} s, and the worst of "
        "those from its beginning; of those faults after which no other began before that.",
        _table(
            (
                "fault",
                "n",
                *(f"{what}{column}" for what in _WAYS for column in (": n", " median", " worst", " since its beginning")),
            ),
            [_recovered(kind, group) for kind, group in _by_kind(report.recoveries)],
        ),
        "## Traffic",
        _table(("what", "count"), [*report.traffic.items()]),
        _table(
            ("delay, faults and all", "n", "median s", "p99 s", "worst s"),
            [(name, *_spread(found)) for name, found in report.delays.items()],
        ),
        "## Restarts",
        _table(("process", "times"), [*report.restarts.items()]),
        f"Everything had come to its end {report.drained_seconds:.1f} s after the last of the traffic; left: {report.left}.",
    ]
    return "\n\n".join(parts) + "\n"


def _lines(findings: Sequence[str]) -> list[str]:
    """A list of them, as far as one can read it; nothing of none."""
    lines = [f"- {one}" for one in findings[:_FINDINGS_SHOWN]]
    if len(findings) > len(lines):
        lines.append(f"- and {len(findings) - len(lines)} more")
    return ["\n".join(lines)] if lines else []


def _by_kind(recoveries: Iterable[Recovery]) -> list[tuple[str, list[Recovery]]]:
    groups: dict[str, list[Recovery]] = defaultdict(list)
    for one in recoveries:
        groups[f"{one.kind}: {one.target.partition('-')[0]}"].append(one)
    return sorted(groups.items())


def _recovered(kind: str, group: Sequence[Recovery]) -> tuple[object, ...]:
    rows = _alone([one.webhook_to_row for one in group], [one.row_since_beginning for one in group])
    graph = _alone([one.command_to_graph for one in group], [one.graph_since_beginning for one in group])
    return (kind, len(group), *rows, *graph)


def _alone(since_end: Sequence[float | None], since_beginning: Sequence[float | None]) -> tuple[object, ...]:
    """How many can be told, their median and the worst of them, and the worst from the beginning on."""
    found, felt = (spread(one for one in seconds if one is not None) for seconds in (since_end, since_beginning))
    worst = "-" if felt is None else f"{felt.worst:.1f}"
    return (0, "-", "-", worst) if found is None else (found.count, f"{found.median:.1f}", f"{found.worst:.1f}", worst)


def _spread(found: Spread | None) -> tuple[object, ...]:
    return (0, "-", "-", "-") if found is None else (found.count, *(f"{x:.2f}" for x in (found.median, found.p99, found.worst)))


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [columns, ["---", *("---:" for _ in columns[1:])], *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
