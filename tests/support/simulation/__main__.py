"""`python -m tests.support.simulation`: run seeds in virtual time, say what was reached, make the first failure small."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterator, Sequence
from typing import Final

from services.cli.show import meter
from tests.support.simulation.campaign import Report, campaign, processors, shrunk
from tests.support.simulation.plan import Plan, plan_of
from tests.support.simulation.planted import PLANTED
from tests.support.simulation.run import Verdict, run
from tests.support.simulation.workers import Wiring

_PLANTED: Final = {wiring.__name__: wiring for wiring in PLANTED}


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when no run broke a promise, 1 when one did."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.simulation", description=__doc__)
    parser.add_argument("--runs", type=int, default=100_000, help="how many seeds; 1 prints all that happens in it")
    parser.add_argument("--seed", type=int, default=0, help="the first of them")
    parser.add_argument("--processes", type=int, default=processors(), help="how many at a time")
    parser.add_argument("--planted", choices=sorted(_PLANTED), help="with this mistake in the code: how many runs see it?")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of text")
    options = parser.parse_args(arguments)
    if options.runs < 1 or options.processes < 1:
        parser.error("--runs and --processes are 1 or more")
    wiring = Wiring if options.planted is None else _PLANTED[options.planted]
    if options.runs == 1:
        return _replay(options.seed, wiring, as_json=options.json)
    with meter() as at:
        report = campaign(
            options.seed,
            options.runs,
            processes=options.processes,
            heard=lambda so_far: at(_progress(so_far), so_far.runs, options.runs),
            wiring=wiring,
        )
    smallest = shrunk(run(plan_of(report.failures[0].seed), wiring), wiring) if report.failures else None
    if options.json:
        print(json.dumps({**report.as_json(), "smallest": None if smallest is None else _as_json(smallest)}, indent=1))
    else:
        print("\n".join(_lines(report, smallest)))
    return 1 if report.failed else 0


def _replay(seed: int, wiring: type[Wiring], *, as_json: bool) -> int:
    verdict = run(plan_of(seed), wiring, traced=True)
    if as_json:
        print(json.dumps({**_as_json(verdict), "trace": verdict.trace}, indent=1))
        return 1 if verdict.violations else 0
    print("\n".join(_story(verdict)))
    if verdict.violations:
        small = run(shrunk(verdict, wiring).plan, wiring, traced=True)
        print("\nThe same with less in it:\n")
        print("\n".join(_story(small)))
    return 1 if verdict.violations else 0


def _progress(report: Report) -> str:
    return "simulating" if not report.failed else f"simulating, {report.failed:,} failed"


def _lines(report: Report, smallest: Verdict | None) -> Iterator[str]:
    rate = report.runs / report.seconds if report.seconds else 0.0
    yield f"{report.runs:,} runs from seed {report.first_seed}, {report.virtual_seconds / 3600:,.0f} virtual hours"
    yield f"in {report.seconds:,.0f} s ({rate:,.0f} runs a second); {report.failed:,} broke a promise"
    yield ""
    yield f"{'reached':<60}{'times':>12}{'in runs':>12}"
    for what, count in sorted(report.seen.items()):
        yield f"{what:<60}{count:>12,}{report.runs_with[what]:>12,}"
    for failure in report.failures:
        yield f"FAILED seed {failure.seed}: {'; '.join(failure.violations)}"
    if smallest is not None:
        yield ""
        yield f"make simulate SEED={smallest.plan.seed} RUNS=1 tells the story of the first. The smallest that was found:"
        yield from _plan(smallest.plan)
        yield from (f"  {one}" for one in smallest.violations)


def _story(verdict: Verdict) -> Iterator[str]:
    yield from _plan(verdict.plan)
    yield from verdict.trace
    yield f"{verdict.virtual_seconds:.1f} virtual seconds; " + ("; ".join(verdict.violations) or "every promise kept")


def _plan(plan: Plan) -> Iterator[str]:
    yield f"  seed {plan.seed}, limit {plan.limit}/s, {', '.join(f'{count} x {service}' for service, count in plan.slots)}"
    for part in (plan.publishes, plan.says, plan.troubles, plan.ills, plan.deliveries):
        yield from (f"  {one}" for one in part)


def _as_json(verdict: Verdict) -> dict[str, object]:
    return {"plan": dataclasses.asdict(verdict.plan), "violations": verdict.violations, "seen": dict(verdict.seen)}


if __name__ == "__main__":
    sys.exit(main())
