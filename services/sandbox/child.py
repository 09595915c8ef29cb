"""How is a server process started, stopped and killed? As a child that does not outlive the process that started it."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path

LEASH = Path(__file__).with_name("leash.py")
TAIL_BYTES = 4_000

Start = Callable[[], "subprocess.Popen[bytes]"]


class Starter:
    """One thread that never ends and starts all children: the kernel ties a child to the *thread* that started it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._orders: queue.SimpleQueue[tuple[Start, Future[subprocess.Popen[bytes]]]] = queue.SimpleQueue()

    def run(self, start: Start) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._forever, name="sandbox-starter", daemon=True)
                self._thread.start()
        result: Future[subprocess.Popen[bytes]] = Future()
        self._orders.put((start, result))
        return result.result()

    def _forever(self) -> None:
        while True:
            start, result = self._orders.get()
            try:
                result.set_result(start())
            except OSError as problem:
                result.set_exception(problem)


STARTER = Starter()


class Child:
    """One running server. Its output goes to `log_path`; it gets `farewell` when its parent ends, however that ends."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        log_path: Path,
        cwd: Path,
        env: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
        user: str | None = None,
        farewell: signal.Signals = signal.SIGTERM,
    ) -> None:
        """`prefix` is put before the leash (a change of namespace would drop the tie), `user` is changed inside it."""
        leashed = [sys.executable, "-I", "-S", str(LEASH), str(int(farewell)), str(os.getpid()), user or "-"]
        self.log_path = log_path
        self._farewell = farewell
        log_path.parent.mkdir(parents=True, exist_ok=True)
        with log_path.open("ab") as log:
            self._process = STARTER.run(
                lambda: subprocess.Popen(
                    [*prefix, *leashed, *command],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=cwd,
                    env=dict(env) if env is not None else None,
                    start_new_session=True,  # Ctrl-C in a terminal is for the supervisor, which stops its children in order
                )
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def stop(self, within_seconds: float, by: signal.Signals | None = None) -> None:
        """Ask it to end (by its farewell signal unless another is named), wait, and kill it if it does not."""
        if self.exit_code is None:
            self._process.send_signal(by or self._farewell)
        try:
            self._process.wait(within_seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def send(self, which: signal.Signals) -> None:
        self._process.send_signal(which)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self._process.kill()
        self._process.wait()


def last_lines(log_path: Path) -> str:
    """The end of a log, for the message of a server that did not start."""
    if not log_path.exists():
        return "(no log)"
    with log_path.open("rb") as log:
        log.seek(max(0, log_path.stat().st_size - TAIL_BYTES))
        return log.read().decode(errors="replace").strip() or "(empty log)"
