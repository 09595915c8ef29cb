"""How does a test start a service or `parley` in milliseconds? A process that has imported all of them forks a life of its own.

What is forked has run none of a service's code but its imports: no loop, no thread, no connection. It is killed, stopped and
waited for as any process, and dies with the nursery, as that dies with the test.
"""

from __future__ import annotations

import functools
import gc
import importlib
import json
import logging
import os
import pkgutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

import services.cli
from services.sandbox.leash import tie

ROOT: Final = Path(__file__).resolve().parents[2]
MODULES: Final = {
    **{f"services.{name}": f"services.{name}.__main__" for name in ("ingest", "router", "projector", "sender")},
    "services.sandbox.simulator": "services.sandbox.simulator.__main__",
    "services.cli": "services.cli.__main__",
    "tests.support.sender_of_links": "tests.support.sender_of_links",
    "tests.support.sender_with_clock": "tests.support.sender_with_clock",
}
"""What can be started, and where its `main` is."""
_ALSO: Final = tuple(f"services.cli.{module.name}" for module in pkgutil.iter_modules(services.cli.__path__))
"""Imported by a command only when it is called."""
_POLL_SECONDS: Final = 0.002


class Life:
    """One forked process, with what `subprocess.Popen` has of it that tests need."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.ended_at: float | None = None
        """Monotonic, when the nursery told of it."""
        self.cpu_seconds = 0.0
        """Of processor time, once it ended."""
        self.is_stopped = False

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self.returncode

    def wait(self, timeout: float) -> int:
        """The exit code once it ended; TimeoutExpired as Popen has it."""
        deadline = time.monotonic() + timeout
        while self.returncode is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            time.sleep(_POLL_SECONDS)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """To the process, if it still runs."""
        if self.returncode is None:
            os.kill(self.pid, number)


class Nursery:
    """Starts services by forking. A context manager: its end is the end of all that it started."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._listener: threading.Thread | None = None
        self._lives: dict[int, Life] = {}
        self._born: dict[int, Life] = {}
        self._told = threading.Condition()
        self._orders = 0

    def __enter__(self) -> Self:
        self._listener = threading.Thread(target=self._live, name="nursery", daemon=True)
        self._listener.start()
        with self._told:
            assert self._told.wait_for(lambda: self._process is not None, 60.0), "the nursery does not start"
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        if self._process is not None and self._process.stdin is not None and self._listener is not None:
            self._process.kill()
            self._process.wait(10.0)
            self._listener.join(10.0)
            self._process.stdin.close()

    def start(
        self,
        module: str,
        arguments: Sequence[str],
        env: Mapping[str, str],
        log: Path,
        *,
        errors: Path | None = None,
        stdin: Path | None = None,
        folder: Path = ROOT,
    ) -> Life:
        """Fork a life of a module of MODULES, with this environment, in this folder.

        Its output is appended to `log`, what it complains of to `errors`, else to `log`, too. It reads `stdin`, or nothing.
        """
        assert self._process is not None
        assert self._process.stdin is not None
        with self._told:
            self._orders += 1
            order = self._orders
        told = {
            "order": order,
            "module": module,
            "arguments": list(arguments),
            "env": dict(env),
            "folder": str(folder),
            "files": [str(stdin or os.devnull), str(log), str(errors or log)],
        }
        self._process.stdin.write(json.dumps(told).encode() + b"\n")
        self._process.stdin.flush()
        with self._told:
            assert self._told.wait_for(lambda: order in self._born, 60.0), "the nursery does not answer"
            return self._born.pop(order)

    def _live(self) -> None:
        """The whole life of the process in one thread: it would end with the thread that started it."""
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.nursery", str(os.getpid())],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        with self._told:
            self._process = process
            self._told.notify_all()
        assert process.stdout is not None
        self._listen(process.stdout)

    def _listen(self, lines: IO[bytes]) -> None:
        for line in iter(lines.readline, b""):
            told = json.loads(line)
            with self._told:
                if "order" in told:
                    self._born[told["order"]] = self._lives[told["pid"]] = Life(told["pid"])
                elif "stopped" in told:
                    self._lives[told["pid"]].is_stopped = told["stopped"]
                else:
                    life = self._lives.pop(told["pid"])
                    life.ended_at, life.cpu_seconds, life.returncode = time.monotonic(), told["cpu"], told["code"]
                self._told.notify_all()
        lines.close()


@functools.cache
def shared() -> Nursery:
    """The one of all tests of this Python. It dies with it."""
    return Nursery().__enter__()


def _serve(parent: int) -> None:
    """Fork on every line of the input, and tell of every birth, stop and end, until the input ends."""
    tie(parent, signal.SIGKILL)
    for module in (*MODULES.values(), *_ALSO):
        importlib.import_module(module)
    gc.collect()
    gc.freeze()
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the test decides who ends, and when
    threading.Thread(target=_read_orders, args=(waker,), daemon=True).start()
    while True:
        os.read(woken, 4096)
        while _ORDERS:
            order = _ORDERS.pop(0)
            if order is None:
                return
            pid = _fork(order)
            _tell({"order": order["order"], "pid": pid})
        _reap()


_ORDERS: Final[list[dict[str, Any] | None]] = []


def _read_orders(waker: int) -> None:
    for line in sys.stdin.buffer:
        _ORDERS.append(json.loads(line))
        os.write(waker, b"o")
    _ORDERS.append(None)
    os.write(waker, b"o")


def _tell(what: Mapping[str, object]) -> None:
    sys.stdout.buffer.write(json.dumps(what).encode() + b"\n")
    sys.stdout.buffer.flush()


def _reap() -> None:
    while True:
        try:
            pid, status, used = os.wait4(-1, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
        except ChildProcessError:
            return
        if pid == 0:
            return
        if os.WIFSTOPPED(status):
            _tell({"pid": pid, "stopped": True})
        elif os.WIFCONTINUED(status):
            _tell({"pid": pid, "stopped": False})
        else:
            _tell({"pid": pid, "code": os.waitstatus_to_exitcode(status), "cpu": used.ru_utime + used.ru_stime})


def _fork(order: dict[str, Any]) -> int:
    server = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL if number is signal.SIGCHLD else signal.default_int_handler)
        tie(server, signal.SIGKILL)
        for target, file in enumerate(order["files"]):
            os.dup2(os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT if target else os.O_RDONLY, 0o600), target)
        os.environ.clear()
        os.environ.update(order["env"])
        os.chdir(order["folder"])
        sys.stdin = os.fdopen(0, encoding="utf-8")  # ours is locked by the thread that reads the orders
        module = sys.modules["__main__"] = importlib.import_module(MODULES[order["module"]])
        sys.argv = [str(module.__file__), *order["arguments"]]
        found = module.main()
        code = found if isinstance(found, int) else 0
    except SystemExit as asked:
        code = asked.code if isinstance(asked.code, int) else int(asked.code is not None)
    except Exception:  # the process's boundary
        logging.getLogger(__name__).exception("a life of %s broke", order["module"])
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
