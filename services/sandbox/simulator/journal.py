"""How does the ledger outlive the process: one JSON line for each fact, written before anyone is told?"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

import orjson

from services.sandbox.simulator.records import Arrival, JsonObject, Update


class Journal:
    """An append-only file. A line is in the operating system's hands when `append` returns, so it survives
    the death of the process (not of the machine). Without a path nothing is written."""

    def __init__(self, path: Path | None) -> None:
        self._file = None if path is None else _open_whole(path)

    def append(self, kind: str, fact: JsonObject | Arrival | Update) -> None:
        """Write one fact."""
        if self._file is not None:
            said = fact if isinstance(fact, dict) else dataclasses.asdict(fact)
            line = orjson.dumps({**said, "fact": kind}, option=orjson.OPT_APPEND_NEWLINE)
            while line:
                line = line[os.write(self._file, line) :]

    def close(self) -> None:
        """Let the file go."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def read(path: Path | None) -> Iterator[JsonObject]:
    """The facts since the last reset, oldest first; a torn last line was told to no one and is no fact."""
    if path is None or not path.exists():
        return
    facts: list[JsonObject] = []
    with path.open("rb") as lines:
        for line in lines:
            if not line.endswith(b"\n"):
                continue
            fact = orjson.loads(line)
            if fact["fact"] == "reset":
                facts.clear()
            else:
                facts.append(fact)
    yield from facts


def _open_whole(path: Path) -> int:
    """Open for appending, without a torn last line."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    size = os.fstat(file).st_size
    while size and os.pread(file, 1, size - 1) != b"\n":
        size -= 1
    os.ftruncate(file, size)
    return file
