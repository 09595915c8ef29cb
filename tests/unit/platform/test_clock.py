"""Does a process say once that its clock was set back, and show it while that lasts?"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from services.common.platform import clock, metrics


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Where the wall's clock stands; the other one stands still."""
    at = [1_800_000_000_000_000_000]
    monkeypatch.setattr(time, "time_ns", lambda: at[0])
    monkeypatch.setattr(time, "monotonic_ns", lambda: 0)
    clock.begin()
    yield at
    monkeypatch.undo()
    clock.begin()


def shown() -> float:
    return next(iter(metrics.CLOCK_BEHIND_SECONDS.collect())).samples[0].value


def test_a_jump_back_is_told_once_and_shown_while_it_lasts(wall: list[int], capsys: pytest.CaptureFixture[str]) -> None:
    before = clock.now_ms()
    wall[0] -= 300_000_000_000
    assert [clock.now_ms() for _ in range(3)] == [before] * 3
    assert clock.behind_seconds() == shown() == 300.0
    assert "".join(capsys.readouterr()).count("clock.jumped_back") == 1
    wall[0] += 300_000_000_000
    assert shown() == 0.0
