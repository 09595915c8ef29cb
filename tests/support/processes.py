"""How does a test run one of our services as a real process, and end it in every way a machine can?"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

from tests.support.nursery import Life, shared

ROOT: Final = Path(__file__).resolve().parents[2]
_POLL_SECONDS: Final = 0.02
_LOG_TAIL: Final = 40


class ProcessError(AssertionError):
    """The process did not do in time what the test waited for; the text ends with the last lines of its log."""


class ServiceProcess:
    """What `python -m services.<name>` runs, with `env` (full `PARLEY_*` names) and nothing else of ours from the environment.

    As a context manager it is started on entry and killed, if still alive, on exit. After it ended, `start()` starts it again;
    the log of all its lives is one text. Each life is forked in a nursery, in milliseconds, unless it has to be a Python of its
    own, whose environment and command line are there for all to see.
    """

    def __init__(
        self,
        name: str,
        env: Mapping[str, str],
        *,
        module: str | None = None,
        arguments: Sequence[str] = (),
        forked: bool = True,
    ) -> None:
        self.name = name
        self.env = dict(env)
        self._module, self._arguments = module or f"services.{name}", list(arguments)
        self._forked = forked
        self._process: subprocess.Popen[bytes] | Life | None = None
        self._directory = tempfile.TemporaryDirectory(prefix=f"parley-{name}-")
        self._path = Path(self._directory.name) / "log"
        self._path.touch()
        self._life_from = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        self.kill()
        self._directory.cleanup()

    def start(self, **more: str) -> Self:
        """Start it (again), with `more` variables for this life only."""
        if self.alive:
            raise ProcessError(f"{self.name} runs already")
        self._life_from = self._path.stat().st_size
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")}
        env = {**inherited, "PARLEY_LOG_FORMAT": "json", **self.env, **more}
        if self._forked:
            self._process = shared().start(self._module, self._arguments, env, self._path)
            return self
        with self._path.open("ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self._module, *self._arguments],
                cwd=ROOT,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        return self

    @property
    def alive(self) -> bool:
        """Started and not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def is_stopped(self) -> bool:
        """Whether it stands still after SIGSTOP; only of what was forked."""
        return isinstance(self._process, Life) and self._process.is_stopped

    @property
    def pid(self) -> int:
        """The process id of the current or last life."""
        assert self._process is not None, "not started"
        return self._process.pid

    @property
    def log(self) -> str:
        """All it wrote so far, in all its lives."""
        return self._path.read_text(encoding="utf-8", errors="replace")

    def events(self, name: str | None = None) -> list[dict[str, Any]]:
        """The log lines of the current life as objects; only those of event `name` when given."""
        with self._path.open("rb") as file:
            file.seek(self._life_from)
            lines = file.read().decode("utf-8", "replace").splitlines()
        parsed = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
        return [event for event in parsed if name is None or event.get("event") == name]

    @property
    def ops_url(self) -> str:
        """`http://host:port` of /live, /ready and /metrics; waits until the process listens there."""
        event = self.wait_for_event("ops.listening")
        return f"http://{event['host']}:{event['port']}"

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of an operations page; status 0 when nobody answers."""
        connection = HTTPConnection(urlsplit(self.ops_url).netloc, timeout=5.0)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, HTTPException):
            return 0, ""
        finally:
            connection.close()

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that carry these labels; 0 when there is none."""
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        total = 0.0
        for line in self.get("/metrics")[1].splitlines():
            series, _, value = line.rpartition(" ")
            if series.partition("{")[0] == name and all(label in series for label in wanted):
                total += float(value)
        return total

    def wait_ready(self, seconds: float = 30.0) -> Self:
        """Return when /ready says yes."""
        self.wait_until(lambda: self.get("/ready")[0] == 200, seconds, "be ready")
        return self

    def wait_for_event(self, name: str, seconds: float = 30.0) -> dict[str, Any]:
        """The first log line of this event in the current life."""
        self.wait_until(lambda: bool(self.events(name)), seconds, f"log {name}")
        return self.events(name)[0]

    def wait_until(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        """Poll until `condition`; ProcessError after the time, or at once when the process has ended."""
        deadline = time.monotonic() + seconds
        while not condition():
            if not self.alive:
                if condition():
                    return
                raise ProcessError(f"{self.name} ended with {self.returncode}, expected it to {what}\n{self._tail()}")
            if time.monotonic() > deadline:
                raise ProcessError(f"{self.name} did not {what} within {seconds} s\n{self._tail()}")
            time.sleep(_POLL_SECONDS)

    @property
    def returncode(self) -> int | None:
        """Exit code of the last life, negative for a signal; None while it runs."""
        return None if self._process is None else self._process.poll()

    def wait_exit(self, seconds: float = 15.0) -> int:
        """Exit code once it ended by itself."""
        assert self._process is not None, "not started"
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise ProcessError(f"{self.name} did not end within {seconds} s\n{self._tail()}") from None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it still runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait(10.0)

    def terminate(self, seconds: float = 15.0) -> int:
        """SIGTERM; the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait_exit(seconds)

    def _tail(self) -> str:
        return "\n".join(self.log.splitlines()[-_LOG_TAIL:])
