"""How is a kept stack started, found and stopped from a shell?"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from services.sandbox.child import last_lines
from services.sandbox.keeper_files import Claim, KeeperFiles, TakenError
from services.sandbox.postgres_account import find_account, usable_folder
from services.sandbox.problems import ProviderError
from services.sandbox.stack import Row
from services.sandbox.stack_services import ROOT

STOP_SECONDS = 120.0
SETTLE_SECONDS = 60.0
POLL_SECONDS = 0.05


class NotUpError(Exception):
    """The stack did not start; the text says which part and why."""


def running(state_dir: Path) -> list[Row] | None:
    """The addresses of the stack that runs here; None when none does. One that is just starting is waited for."""
    files = KeeperFiles(state_dir)
    deadline = time.monotonic() + SETTLE_SECONDS
    while files.keeper() is not None:
        rows = files.addresses()
        if rows:
            return rows
        if time.monotonic() > deadline:
            raise NotUpError(f"a stack has been starting for a long time: look at {files.log_path}, or stop it with `make down`.")
        time.sleep(POLL_SECONDS)
    return None


def start(state_dir: Path, report: Callable[[str], None]) -> list[Row]:
    """Start a stack that outlives us and return its addresses when it is ready; NotUpError, with nothing left running, if not.

    Whatever ends this wait early (Ctrl-C) ends the start as well.
    """
    files = KeeperFiles(state_dir)
    state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    reading, writing = os.pipe()
    with os.fdopen(reading) as reports, files.log_path.open("ab") as log:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "services.sandbox.keeper", str(state_dir.resolve()), str(writing)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=ROOT,
            pass_fds=[writing],
            start_new_session=True,
        )
        os.close(writing)
        rows: list[Row] | None = None
        try:
            rows = _follow(reports, report)
        finally:
            if rows is None:
                _end(keeper)
    if rows is None:
        raise NotUpError(f"the keeper of the stack ended; its log ends with:\n{last_lines(files.log_path)}")
    return rows


def _follow(reports: Iterable[str], report: Callable[[str], None]) -> list[Row] | None:
    for line in reports:
        told = json.loads(line)
        if "failed" in told:
            raise NotUpError(told["failed"])
        if "ready" in told:
            return [(name, address, note) for name, address, note in told["ready"]]
        report(told["step"])
    return None


def _end(keeper: subprocess.Popen[bytes]) -> None:
    """It stops what it has started; only if it does not is it killed, and its children with it."""
    with contextlib.suppress(ProcessLookupError):
        keeper.send_signal(signal.SIGTERM)
    try:
        keeper.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        keeper.kill()
        keeper.wait()


def stop(state_dir: Path) -> bool:
    """Stop the stack that runs here and return when nothing of it is left; False when none ran."""
    files = KeeperFiles(state_dir)
    keeper = files.keeper()
    if keeper is not None:
        _signal(keeper, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while files.keeper() == keeper:
            if time.monotonic() > deadline:
                _signal(keeper, signal.SIGKILL)  # its children are tied to it and go as well
            time.sleep(POLL_SECONDS)
    if state_dir.is_dir():
        files.forget()
    return keeper is not None


def purge(state_dir: Path) -> None:
    """Remove all data of a stopped stack."""
    if not state_dir.is_dir():
        return
    try:
        with Claim(KeeperFiles(state_dir)):
            _remove_postgres(state_dir)
            shutil.rmtree(state_dir)
    except TakenError:
        raise NotUpError("a stack was started meanwhile: stop it first.") from None


def _remove_postgres(state_dir: Path) -> None:
    """Its data may be elsewhere, where the account that runs Postgres cannot reach the state directory."""
    try:
        who = find_account()
    except ProviderError:
        return  # then it never ran here by itself
    shutil.rmtree(usable_folder(state_dir.resolve() / "postgres" / "data", who))


def _signal(pid: int, which: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, which)
