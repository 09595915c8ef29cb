"""How does a benchmark run a service? As the real process, pinned to a core, asked over its operations port."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Final, Self

import psutil

from benchmarks.machine import pin

ROOT: Final = Path(__file__).resolve().parents[1]
PROFILE_VARIABLE: Final = "PARLEY_BENCH_PROFILE"
"""A folder: every measured process then runs under cProfile and leaves its profile there. Its figures mean nothing."""
_POLL_SECONDS: Final = 0.02
_STOP_SECONDS: Final = 20.0


class BenchmarkError(Exception):
    """What was to be measured did not happen."""


def wait_until(condition: Callable[[], bool], seconds: float, what: str, *, every_seconds: float = _POLL_SECONDS) -> None:
    """Poll until it is true; BenchmarkError after the time. What costs the measured ones something is asked less often."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise BenchmarkError(f"{what}: not within {seconds:g} s")
        time.sleep(every_seconds)


class Process:
    """`python -m <module>` with these variables and none of ours from the environment; its output in a file.

    It is on one core, or without one on all that are there.
    """

    def __init__(
        self, module: str, env: Mapping[str, str], *, core: int | None, folder: Path, arguments: Sequence[str] = ()
    ) -> None:
        self.name = module.rpartition(".")[2]
        self._path = folder / f"{self.name}-{time.monotonic_ns()}.log"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")}
        with self._path.open("wb") as out:
            self._popen = subprocess.Popen(
                [sys.executable, "-m", *_profiled(self.name), module, *arguments],
                cwd=ROOT,
                env={**inherited, "PARLEY_LOG_FORMAT": "json", **env},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        pin(self._popen.pid, *(range(os.cpu_count() or 1) if core is None else [core]))
        self._ops: tuple[str, int] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        return self._popen.pid

    def stop(self) -> None:
        """SIGTERM, wait, and kill what does not end."""
        self._popen.terminate()
        try:
            self._popen.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._popen.send_signal(number)

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self._popen.kill()
        self._popen.wait()

    def lines(self) -> list[dict[str, Any]]:
        """The JSON lines it has written so far."""
        with self._path.open(encoding="utf-8", errors="replace") as out:
            return [json.loads(line) for line in out if line.startswith("{") and line.endswith("}\n")]

    def wait_for(self, found: Callable[[dict[str, Any]], bool], seconds: float, what: str) -> dict[str, Any]:
        """The first line that `found` says yes to; BenchmarkError when the process ended or the time is over."""
        deadline = time.monotonic() + seconds
        while True:
            ended = self._popen.poll() is not None
            for line in self.lines():
                if found(line):
                    return line
            if ended or time.monotonic() > deadline:
                state = f"ended with {self._popen.returncode}" if ended else f"did not within {seconds:g} s"
                raise BenchmarkError(f"{self.name} {state}: {what}\n{self._tail()}")
            time.sleep(_POLL_SECONDS)

    def wait_for_text(self, pattern: re.Pattern[str], seconds: float) -> re.Match[str]:
        """Where its output first matches."""
        deadline = time.monotonic() + seconds
        while True:
            found = pattern.search(self._path.read_text(encoding="utf-8", errors="replace"))
            if found is not None:
                return found
            if self._popen.poll() is not None or time.monotonic() > deadline:
                raise BenchmarkError(f"{self.name} did not say {pattern.pattern}\n{self._tail()}")
            time.sleep(_POLL_SECONDS)

    def wait_for_event(self, event: str, seconds: float = 60.0) -> dict[str, Any]:
        """A line of our services' log."""
        return self.wait_for(lambda line: line.get("event") == event, seconds, f"log {event}")

    def wait_ready(self, seconds: float = 60.0) -> None:
        """Return when /ready says yes."""
        deadline = time.monotonic() + seconds
        while self._get("/ready")[0] != 200:
            if self._popen.poll() is not None or time.monotonic() > deadline:
                raise BenchmarkError(f"{self.name} is not ready\n{self._tail()}")
            time.sleep(_POLL_SECONDS)

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that carry these labels; 0 when there is none."""
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        total = 0.0
        for line in self._get("/metrics")[1].splitlines():
            series, _, value = line.rpartition(" ")
            if series.partition("{")[0] == name and all(label in series for label in wanted):
                total += float(value)
        return total

    def processed(self) -> int:
        """Records of its consumer group whose effect is durable, as it counts them itself."""
        return int(self.metric("parley_records_processed_total"))

    def _get(self, path: str) -> tuple[int, str]:
        if self._ops is None:
            event = self.wait_for_event("ops.listening")
            self._ops = (str(event["host"]), int(event["port"]))
        connection = HTTPConnection(*self._ops, timeout=10.0)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, HTTPException):
            return 0, ""
        finally:
            connection.close()

    def _tail(self) -> str:
        return "\n".join(self._path.read_text(encoding="utf-8", errors="replace").splitlines()[-20:])


def run_json(module: str, arguments: Sequence[str], *, seconds: float) -> dict[str, Any]:
    """Run a helper to its end and return the JSON line it printed. It pins itself."""
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=seconds)
    if done.returncode != 0:
        raise BenchmarkError(f"{module} ended with {done.returncode}\n{done.stderr[-4000:]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def peak_rss_mib(pid: int) -> float:
    """The most memory a process ever had resident."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return psutil.Process(pid).memory_info().rss / 2**20


def forget_peak_rss(pid: int) -> None:
    """From now on `peak_rss_mib` tells of what comes."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _profiled(name: str) -> list[str]:
    folder = os.environ.get(PROFILE_VARIABLE)
    return ["benchmarks.profiled", str(Path(folder) / f"{name}-{time.time_ns()}.prof")] if folder else []
