"""How does a stack go on running after the shell that started it is gone? This process keeps it, alone in its session.

Run as `python -m services.sandbox.keeper STATE_DIR REPORT_FD`. It tells its starter over the pipe REPORT_FD, one JSON object a
line, how the start goes: {"step": …}, then {"ready": …} or {"failed": …}. After that it lives until SIGTERM.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from services.sandbox import stack_env
from services.sandbox.keeper_files import Claim, KeeperFiles, TakenError
from services.sandbox.stack import Stack, StackError
from services.sandbox.stack_servers import CalledOffError
from services.sandbox.stack_state import wait_for_release

EXIT_FAILED = 1
RELEASE_SECONDS = 20.0
"""Longer than any server takes to end after its keeper was killed."""


class Pipe:
    """To the starter, which may have gone: then nobody needs to be told."""

    def __init__(self, descriptor: int) -> None:
        os.set_inheritable(descriptor, False)
        self._descriptor = descriptor

    def tell(self, **what: Any) -> None:
        with contextlib.suppress(BrokenPipeError):
            os.write(self._descriptor, json.dumps(what).encode() + b"\n")

    def step(self, line: str) -> None:
        self.tell(step=line)

    def close(self) -> None:
        os.close(self._descriptor)


def keep(files: KeeperFiles, pipe: Pipe) -> int:
    """Start the stack, publish where it is, and stop it when told to. Returns the exit code."""
    stack = Stack(files.state_dir, durable=True)
    over = threading.Event()

    def end(*_: object) -> None:
        over.set()
        stack.call_off()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, end)
    files.forget()
    try:
        stack.start(pipe.step)
        try:
            stack_env.write(files.env_path, stack.env)
            files.publish(stack.addresses())
            pipe.tell(ready=stack.addresses())
            pipe.close()
            over.wait()
        finally:
            files.forget()
            stack.stop()
    except CalledOffError:
        return 0
    except StackError as problem:
        pipe.tell(failed=str(problem))
        return EXIT_FAILED
    return 0


def main(arguments: list[str]) -> int:
    """Claim the directory for the life of this process and keep a stack there."""
    files, pipe = KeeperFiles(Path(arguments[0])), Pipe(int(arguments[1]))
    try:
        claim = Claim(files)
    except TakenError:
        pipe.tell(failed="another start is in progress.")
        return EXIT_FAILED
    with claim:
        if claim.follows_a_crash:
            wait_for_release(files.state_dir, RELEASE_SECONDS)
        return keep(files, pipe)


def _end_group() -> None:
    """What a called-off start may have left under way, such as Maven: it is in our process group, the servers are not."""
    if os.getpgrp() == os.getpid():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.killpg(os.getpgrp(), signal.SIGTERM)


if __name__ == "__main__":
    code = main(sys.argv[1:])
    _end_group()
    os._exit(code)  # a thread that still waits for a download would hold a normal exit up
