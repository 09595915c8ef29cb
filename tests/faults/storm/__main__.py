"""`python -m tests.faults.storm`: break everything by a seeded schedule under traffic. 0 when every promise was kept, else 1.

2 when a server did not start, at the beginning or after a fault.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
from pathlib import Path
from random import SystemRandom

from rich.console import Console

from services.sandbox.problems import ProviderError
from services.sandbox.stack import StackError
from tests.faults.storm.report import Report, as_json, as_markdown
from tests.faults.storm.run import rage
from tests.faults.storm.schedule import ALL, Kind, draw, in_turn
from tests.faults.storm.show import Plain, Show, Terminal

EXIT_OK, EXIT_BROKEN_PROMISE, EXIT_NO_STACK = 0, 1, 2


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.storm", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, help="the same seed, the same storm; by default a new one, which is printed")
    parser.add_argument(
        "--in-turn",
        nargs="*",
        choices=[kind.name.lower() for kind in ALL],
        metavar="KIND",
        help="no storm: these kinds of fault, or all, once on each of their targets, with a calm after each",
    )
    parser.add_argument("--folder", type=Path, help="for the report, the logs and the data; by default a new one")
    options = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # brokers that are away are no news here
    os.environ.setdefault("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")  # brokers that live for minutes
    seed = SystemRandom().randrange(1_000_000) if options.seed is None else options.seed
    folder: Path = options.folder or Path(tempfile.mkdtemp(prefix="parley-storm-"))
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)  # Postgres runs under an account of its own when we are root
    console = Console(highlight=False)
    show: Show = Terminal(console) if console.is_terminal and not console.is_dumb_terminal else Plain(console)
    storm = draw(seed=seed, seconds=options.minutes * 60.0)
    if options.in_turn is not None:
        storm = in_turn(seed=seed, kinds=[Kind[name.upper()] for name in options.in_turn] or ALL)
    show.say(f"seed {seed}, {storm.seconds / 60.0:.0f} minutes, report and logs in {folder}")
    report: Report | None = None
    try:
        report = rage(storm, folder, show)
    except* (ProviderError, StackError) as problems:
        for problem in problems.exceptions:
            print(problem, file=sys.stderr)
    if report is None:
        return EXIT_NO_STACK
    (folder / "report.json").write_text(as_json(report), "utf-8")
    (folder / "report.md").write_text(as_markdown(report), "utf-8")
    print(as_markdown(report))
    return EXIT_OK if report.is_clean else EXIT_BROKEN_PROMISE


if __name__ == "__main__":
    sys.exit(main())
