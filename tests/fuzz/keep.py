"""`python -m tests.fuzz.keep TARGET FOLDER`: of what a search found, what reaches code that nothing else does? That is kept.

Steps from one line to the next are counted, in the code that the search is guided by; what breaks the target is not kept.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, Final

from tests.fuzz.oracle import CORPUS, TARGETS
from tests.fuzz.seeds import MOST_BYTES, seeds

ROOT: Final = Path(__file__).resolve().parents[2]
WATCHED: Final = tuple(str(ROOT / "services" / part) for part in ("router", "sender/content", "sender/commands.py"))

Step = tuple[str, int, int]


def reached(run: Callable[[bytes], None], data: bytes) -> set[Step]:
    """From which line to which, in the watched files."""
    steps: set[Step] = set()

    def called(frame: FrameType, _event: str, _argument: Any) -> Any:
        name = frame.f_code.co_filename
        if not name.startswith(WATCHED):
            return None
        before = frame.f_lineno

        def went(frame: FrameType, event: str, _argument: Any) -> Any:
            nonlocal before
            if event == "line":
                steps.add((name, before, frame.f_lineno))
                before = frame.f_lineno
            return went

        return went

    sys.settrace(called)
    try:
        run(data)
    finally:
        sys.settrace(None)
    return steps


def keep(target: str, folder: Path) -> int:
    """How many were added."""
    run, corpus = TARGETS[target], CORPUS / target
    known: set[Step] = set()
    for seed in (*seeds(target, MOST_BYTES), *(path.read_bytes() for path in sorted(corpus.iterdir()))):
        known |= reached(run, seed)
    added = 0
    # The shortest first: what a long one reaches a short one often does, too.
    for data in sorted((path.read_bytes() for path in folder.iterdir()), key=len):
        new = reached(run, data) - known
        if new:
            (corpus / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
            known |= new
            added += 1
    return added


if __name__ == "__main__":
    print(f"{keep(sys.argv[1], Path(sys.argv[2]))} kept")
