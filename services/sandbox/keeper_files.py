"""Does a stack run in this directory, and where is it? The keeper's locked pid file tells, and what it published."""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from services.sandbox.stack import Row
from services.sandbox.stack_env import FILE_NAME, write_private

TRIES, PAUSE_SECONDS = 20, 0.05


class KeeperFiles:
    """What is found in the state directory of a kept stack."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self.pid_path = state_dir / "keeper.pid"
        self.log_path = state_dir / "keeper.log"
        self.env_path = state_dir / FILE_NAME
        self._addresses_path = state_dir / "addresses.json"

    def publish(self, rows: list[Row]) -> None:
        write_private(self._addresses_path, json.dumps(rows))

    def addresses(self) -> list[Row]:
        """Those of a running stack; empty while none is ready."""
        try:
            rows = json.loads(self._addresses_path.read_text())
        except FileNotFoundError:
            return []
        return [(name, address, note) for name, address, note in rows]

    def forget(self) -> None:
        """Remove what is true of a running stack only."""
        self.env_path.unlink(missing_ok=True)
        self._addresses_path.unlink(missing_ok=True)

    def keeper(self) -> int | None:
        """The pid of the keeper that runs here. The lock tells, not the file: a pid left behind by a crash means nothing."""
        try:
            with self.pid_path.open() as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    return int(file.read() or 0) or None
        except FileNotFoundError:
            return None
        return None


def _locked(file: TextIO) -> bool:
    """Whoever only looks who the keeper is holds the lock for a moment, hence more than one try."""
    for _ in range(TRIES):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(PAUSE_SECONDS)
        else:
            return True
    return False


class TakenError(Exception):
    """Another keeper has the directory."""


class Claim:
    """The sole right to keep a stack in a directory, for the life of this process at most."""

    def __init__(self, files: KeeperFiles) -> None:
        """TakenError when somebody else has it."""
        files.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = files.pid_path.open("a+")
        if not _locked(self._file):
            self._file.close()
            raise TakenError
        self._file.seek(0)
        self.follows_a_crash = bool(self._file.read())
        """Whether the keeper before this one did not end by itself: what it had started may still be ending."""
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        self._file.truncate(0)
        self._file.close()
