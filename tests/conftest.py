"""Which tier is a test of? The folder it is in: the folder's name is its marker."""

from __future__ import annotations

import gc
import os
import signal
from pathlib import Path

import pytest

from services.sandbox.ports import keep_to_part

pytest_plugins = ["tests.support.infrastructure"]

HERE = Path(__file__).parent
TIERS = ("unit", "contract", "integration", "faults")


def pytest_configure() -> None:
    """A run that a shell put into its background ignores Ctrl-C, and what it starts would ignore it too."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    nth = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    keep_to_part(int(nth), of=int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


def pytest_collection_finish() -> None:
    """Thousands of tests live as long as the session: no search for garbage has to look at them."""
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with its tier; a test in no tier's folder is an error, because no `make` target would run it."""
    for item in items:
        if not item.path.is_relative_to(HERE):
            continue
        tier = item.path.relative_to(HERE).parts[0]
        if tier not in TIERS:
            raise pytest.UsageError(f"{item.path.relative_to(HERE.parent)}: tests belong into one of {', '.join(TIERS)}")
        item.add_marker(tier)
