"""Who starts a service again after it died? One thread that looks after all of them."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 2.0
STEADY_SECONDS = 10.0
"""A life this long makes the next pause short again."""
LOOK_SECONDS = 0.05
ASK_SECONDS = 2.0


class Process(Protocol):
    """What is needed of a running service."""

    @property
    def pid(self) -> int: ...
    @property
    def exit_code(self) -> int | None: ...
    def stop(self, within_seconds: float, by: signal.Signals | None = None) -> None: ...
    def send(self, which: signal.Signals) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One process to be kept alive. `spawn` starts it; `ready_url` answers 200 when it can work."""

    name: str
    spawn: Callable[[], Process]
    ready_url: str
    log_path: Path


class Tended:
    """One service and its present life."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._lock = threading.Lock()
        self._process: Process | None = None
        self._is_wanted = False
        self._born = 0.0
        self._again_at: float | None = None
        self._pause = FIRST_PAUSE_SECONDS
        self.deaths = 0
        self.last_exit_code: int | None = None

    @property
    def pid(self) -> int | None:
        """None while it does not run."""
        process = self._process
        return process.pid if process is not None and process.exit_code is None else None

    def start(self) -> None:
        with self._lock:
            self._is_wanted = True
            self._spawn()

    def look(self) -> None:
        """Notice a death, and start it again when the pause is over."""
        with self._lock:
            if not self._is_wanted or self._process is None:
                return
            if self._again_at is None and self._process.exit_code is not None:
                self._mourn(self._process.exit_code)
            elif self._again_at is not None and time.monotonic() >= self._again_at:
                self._spawn()

    def kill(self) -> None:
        """SIGKILL, as a crash would; it is started again."""
        self.signal(signal.SIGKILL)

    def signal(self, which: signal.Signals) -> None:
        """Send it a signal; if it ends of it, it is started again. Not running: does nothing."""
        process = self._process
        if process is not None and process.exit_code is None:
            process.send(which)

    def stop(self, within_seconds: float) -> None:
        """For good: SIGTERM, and SIGKILL when the time is over. Not running: does nothing."""
        with self._lock:
            self._is_wanted = False
            process = self._process
        if process is not None:
            process.stop(within_seconds)

    def is_ready(self) -> bool:
        """Whether it says so itself."""
        return self.pid is not None and answers_ok(self.service.ready_url)

    def _spawn(self) -> None:
        self._process = self.service.spawn()
        self._born = time.monotonic()
        self._again_at = None

    def _mourn(self, exit_code: int) -> None:
        now = time.monotonic()
        if now - self._born >= STEADY_SECONDS:
            self._pause = FIRST_PAUSE_SECONDS
        self.deaths += 1
        self.last_exit_code = exit_code
        self._again_at = now + self._pause
        self._pause = min(LONGEST_PAUSE_SECONDS, self._pause * 2)


class Supervisor:
    """Keeps services alive until `stop`. Whatever the exit code, a service that ends unasked is started again."""

    def __init__(self, services: Sequence[Service]) -> None:
        """`services` in the order in which they are stopped."""
        self._tended = {service.name: Tended(service) for service in services}
        self._is_over = threading.Event()
        self._thread: threading.Thread | None = None

    def __getitem__(self, name: str) -> Tended:
        return self._tended[name]

    def tended(self) -> list[Tended]:
        return list(self._tended.values())

    def start(self) -> None:
        """Start every service; returns before they are ready."""
        for one in self._tended.values():
            one.start()
        self._thread = threading.Thread(target=self._look_after, name="stack-supervisor", daemon=True)
        self._thread.start()

    def stop(self, within_seconds: float) -> None:
        """Stop one after the other, each within the time."""
        self._is_over.set()
        if self._thread is not None:
            self._thread.join()
        for one in self._tended.values():
            one.stop(within_seconds)

    def _look_after(self) -> None:
        while not self._is_over.wait(LOOK_SECONDS):
            for one in self._tended.values():
                one.look()


def answers_ok(url: str) -> bool:
    """Whether a GET is answered 200. Asked directly: no proxy stands between us and our own machine."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=ASK_SECONDS)
    try:
        connection.request("GET", parts.path)
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
