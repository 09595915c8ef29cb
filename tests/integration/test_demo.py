"""Does the demo run from nothing to an honest verdict, and leave nothing behind, however it ends?"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 15
MARK = "DEMO_UNDER_TEST"
CLOSING_LINE = re.compile(
    r"events [\d\N{NARROW NO-BREAK SPACE}]+ · duplicates absorbed [\d\N{NARROW NO-BREAK SPACE}]+ · double sends 0 · lost 0"
)


def environment(temporary: Path) -> dict[str, str]:
    """Without addresses of others' servers: the demo judges a log that begins with it. All its processes inherit MARK."""
    inherited = {name: value for name, value in os.environ.items() if not (name.startswith("PARLEY_") and ":" in value)}
    return {**inherited, "TMPDIR": str(temporary), MARK: str(temporary)}


@contextmanager
def demo(temporary: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "services.cli", "demo", "--seconds", str(SECONDS), "--seed", "4", *options]
    log = (temporary.parent / "demo.log").open("w")
    with log, subprocess.Popen(command, cwd=ROOT, env=environment(temporary), stdout=log, stderr=log, text=True) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(60)


def left_behind(temporary: Path) -> list[str]:
    """What is still there of a demo: processes, by the mark they inherited, and files."""
    found = [path.name for path in temporary.iterdir()]
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == str(temporary) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline()))
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    made = tmp_path / "tmp"
    made.mkdir()
    return made


def output(temporary: Path) -> str:
    return (temporary.parent / "demo.log").read_text()


def test_a_short_demo_keeps_every_promise_and_leaves_nothing_behind(temporary: Path) -> None:
    with demo(temporary, "--plain") as process:
        code = process.wait(280)
    lines = output(temporary).splitlines()
    assert code == 0, output(temporary)
    assert lines[0].startswith("kafka: ")
    assert CLOSING_LINE.fullmatch(lines[-1])
    assert [line for line in lines if line.endswith("! sender killed with SIGKILL")]
    assert left_behind(temporary) == []


@pytest.mark.parametrize(
    "moment", ["kafka: ", "starting ingest", "sends "], ids=["at once", "while services start", "under traffic"]
)
def test_ctrl_c_ends_with_130_and_leaves_nothing_behind(temporary: Path, moment: str) -> None:
    with demo(temporary, "--plain") as process:
        wait_for(lambda: moment in output(temporary) or process.poll() is not None, 150, moment)
        process.send_signal(signal.SIGINT)
        code = process.wait(60)
    assert code == 130, output(temporary)
    assert left_behind(temporary) == []
