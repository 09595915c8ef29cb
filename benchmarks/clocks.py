"""How much CPU time has a server used? From the kernel's clocks: robust against a machine that does other things, too."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import psutil


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, of its children that live, and of those that ended."""
    process = psutil.Process(pid)
    total = 0.0
    for one in [process, *process.children(recursive=True)]:
        try:
            times = one.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


@dataclass(frozen=True, slots=True)
class Clocks:
    """The CPU clocks of several servers at one moment."""

    at: float
    seconds: Mapping[str, float]

    @classmethod
    def read(cls, pids: Mapping[str, int]) -> Self:
        """Now."""
        return cls(time.monotonic(), {name: cpu_seconds(pid) for name, pid in pids.items()})

    def since(self, earlier: Clocks) -> dict[str, float]:
        """What each used between the two moments."""
        return {name: seconds - earlier.seconds[name] for name, seconds in self.seconds.items()}
