"""`python -m tests.support.sender_with_clock`: the sender on a machine whose clock is set back.

By `CLOCK_BACK_SECONDS` before it starts, and by five minutes when it gets SIGUSR1. The clock that nobody sets goes on.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Final

from services.sender.__main__ import main as sender

JUMP_SECONDS: Final = 300


def main() -> None:
    """As `services.sender`."""
    back_ns = int(os.environ.get("CLOCK_BACK_SECONDS", "0")) * 1_000_000_000
    real = time.time_ns

    def jump(_number: int, _frame: object) -> None:
        nonlocal back_ns
        back_ns += JUMP_SECONDS * 1_000_000_000

    signal.signal(signal.SIGUSR1, jump)
    for name, told_by in {"time_ns": lambda: real() - back_ns, "time": lambda: (real() - back_ns) / 1e9}.items():
        setattr(time, name, told_by)
    sender()


if __name__ == "__main__":
    main()
