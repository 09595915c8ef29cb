"""On what was this measured, and which core is for whom?"""

from __future__ import annotations

import contextlib
import os
import platform
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import psutil


@dataclass(frozen=True, slots=True, kw_only=True)
class Cores:
    """`measured` is for what is measured, `other` for load and whatever else; on a single core they are the same."""

    measured: int
    other: int

    @classmethod
    def here(cls) -> Self:
        """The first and the last core that this process may use."""
        usable = sorted(os.sched_getaffinity(0))
        return cls(measured=usable[0], other=usable[-1])


def pin(pid: int, *cores: int) -> None:
    """Move a process, all its threads and its children to these cores; what they start later follows them."""
    process = psutil.Process(pid)
    for one in [process, *process.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):  # a child that has ended meanwhile
            for thread in one.threads():
                with contextlib.suppress(ProcessLookupError):  # and a thread
                    os.sched_setaffinity(thread.id, cores)


def describe(*, kafka: str, postgres: str, arguments: list[str]) -> dict[str, Any]:
    """The machine, the versions and the command of this run."""
    return {
        "command": " ".join(["python -m benchmarks", *arguments]),
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "load_average_before": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "kafka": kafka,
        "postgres": postgres,
        "packages": {name: version(name) for name in ("aiohttp", "aiokafka", "faust-streaming", "psycopg", "uvloop")},
    }


def header_line(machine: dict[str, Any]) -> str:
    """The description in one paragraph."""
    packages = ", ".join(f"{name} {number}" for name, number in machine["packages"].items())
    return (
        f"{machine['command']}\n"
        f"{machine['cores']} cores, {machine['cpu']}, {machine['memory_gib']} GiB, {machine['system']}, "
        f"load average before {machine['load_average_before']}\n"
        f"Python {machine['python']}, {packages}\nKafka: {machine['kafka']} · Postgres: {machine['postgres']}, fsync on"
    )


def _cpu_model() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or sys.platform
