"""Does a process keep its memory to itself, and end when it has none?"""

from __future__ import annotations

import subprocess
import sys

import pytest

from services.common.platform.lifecycle import EXIT_FATAL

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


OUT_OF_MEMORY = """
import asyncio
from services.common.platform.lifecycle import run

def no_memory():
    raise MemoryError

async def main(stopping):
    loop = asyncio.get_running_loop()
    loop.call_exception_handler({"message": "closed", "exception": MemoryError(), "transport": None})
    print("a connection was closed", flush=True)
    loop.call_soon(no_memory)
    await stopping.wait()

run(main)
"""


@pytest.mark.failure("I10")
def test_a_callback_without_memory_ends_the_process_and_a_connection_without_it_does_not() -> None:
    told = subprocess.run([sys.executable, "-c", OUT_OF_MEMORY], capture_output=True, text=True, check=False, timeout=60)
    assert told.returncode == EXIT_FATAL
    first, second = told.stdout.splitlines()
    assert first == "a connection was closed"
    assert "process.out_of_memory" in second
