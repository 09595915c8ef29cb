"""`python -m benchmarks`: measure, print tables. `--only NAME` picks some, `--quick` is less precise, `--json` for machines."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from benchmarks import abuse, adaptive, backlog, cost, drain, ingest, lanes, large, latency, rebuild, sliding, thousand
from benchmarks.bench import Bench
from benchmarks.figures import Section, as_json, show
from benchmarks.machine import Cores, describe, header_line
from benchmarks.processes import BenchmarkError
from benchmarks.servers import Servers
from services.sandbox.problems import ProviderError

_BENCHMARKS: Final[dict[str, Callable[[Bench], Section]]] = {
    "ingest": ingest.ingest,
    "router": drain.router,
    "samples": drain.samples,
    "bodies": large.bodies,
    "projector": drain.projector,
    "rebuild": rebuild.rebuild,
    "latency": latency.latency,
    "freshness": latency.freshness,
    "webhooks": cost.webhooks,
    "sends": cost.sends,
    "virtual": sliding.virtual,
    "sliding": sliding.sliding,
    "thousand": thousand.thousand,
    "otp": lanes.otp,
    "adaptive": adaptive.adaptive,
    "pairs": adaptive.pairs,
    "isolation": lanes.isolation,
    "backlog": backlog.backlog,
    "abuse": abuse.abuse,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when everything asked for was measured, whether goals were met or not."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", choices=sorted(_BENCHMARKS), help="may be given several times")
    parser.add_argument("--quick", action="store_true", help="fewer records: less precise, under three minutes")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of tables")
    options = parser.parse_args(given)
    # Of topics just made it tells that they have no leader yet; what fails is raised.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    cores = Cores.here()
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # Postgres runs under an account of its own when we are root
        try:
            servers = Servers(folder)
        except ProviderError as reason:
            print(reason, file=sys.stderr)
            return 1
        try:
            machine = describe(kafka=servers.descriptions[0], postgres=servers.descriptions[1], arguments=given)
            os.sched_setaffinity(0, {cores.other})
            bench = Bench(servers=servers, cores=cores, folder=folder, quick=options.quick)
            if not options.json:
                print(header_line(machine), flush=True)
            sections = _run(bench, options.only or list(_BENCHMARKS), silent=options.json)
        except BenchmarkError as problem:
            print(problem, file=sys.stderr)
            return 1
        finally:
            servers.stop()
        if options.json:
            print(as_json(machine, sections))
    return 0


def _run(bench: Bench, names: Sequence[str], *, silent: bool) -> list[Section]:
    sections = []
    for name in names:
        sections.append(_BENCHMARKS[name](bench))
        if not silent:
            show(sections[-1])
    return sections


if __name__ == "__main__":
    sys.exit(main())
