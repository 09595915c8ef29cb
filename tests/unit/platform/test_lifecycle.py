"""Does a process keep its memory to itself?"""

from __future__ import annotations

import subprocess
import sys

ASKED = """
import ctypes, resource
from services.common.platform.lifecycle import keep_memory_private
PR_GET_DUMPABLE = 3
before = ctypes.CDLL(None).prctl(PR_GET_DUMPABLE, 0, 0, 0, 0)
keep_memory_private()
print(before, ctypes.CDLL(None).prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), *resource.getrlimit(resource.RLIMIT_CORE))
"""


def test_neither_a_core_dump_nor_another_process_shows_what_it_holds() -> None:
    told = subprocess.run([sys.executable, "-c", ASKED], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["1", "0", "0", "0"]
