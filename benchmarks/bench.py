"""What does every benchmark need? The servers, the cores, a folder, how thorough to be, and whom to tell."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import Cores
from benchmarks.servers import Servers


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """One run."""

    servers: Servers
    cores: Cores
    folder: Path
    quick: bool

    @property
    def rounds(self) -> int:
        """A median needs three."""
        return 3

    def pick(self, *, full: int, quick: int) -> int:
        """How many, by the thoroughness of this run."""
        return quick if self.quick else full

    @staticmethod
    def say(text: str) -> None:
        """Progress, for whoever waits; not part of the result."""
        print(f"  {text}", file=sys.stderr, flush=True)
