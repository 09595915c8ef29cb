"""Is a service that dies started again, in good time, and never after it was told to stop?"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.sandbox.child import Child
from services.sandbox.supervisor import Process, Service, Supervisor
from tests.support.waiting import wait_for

SLEEPS = "import signal; signal.pause()"
SECONDS = 20.0


class Births:
    """A service made of real processes, with the list of all its lives."""

    def __init__(self, folder: Path, name: str, script: str) -> None:
        self.pids: list[int] = []
        self._script, self._log = script, folder / f"{name}.log"
        self.service = Service(name=name, spawn=self._spawn, ready_url="http://127.0.0.1:9/ready", log_path=self._log)

    def _spawn(self) -> Process:
        child = Child([sys.executable, "-I", "-S", "-c", self._script], log_path=self._log, cwd=self._log.parent)
        self.pids.append(child.pid)
        return child


@pytest.fixture
def sleeper(tmp_path: Path) -> Births:
    return Births(tmp_path, "sleeper", SLEEPS)


@pytest.fixture
def supervisor(sleeper: Births) -> Iterator[Supervisor]:
    supervisor = Supervisor([sleeper.service])
    supervisor.start()
    try:
        yield supervisor
    finally:
        supervisor.stop(5.0)


def test_a_killed_service_is_started_again_as_a_new_process(supervisor: Supervisor, sleeper: Births) -> None:
    first = supervisor["sleeper"].pid
    supervisor["sleeper"].kill()
    wait_for(lambda: len(sleeper.pids) == 2, SECONDS, "a second life")
    assert supervisor["sleeper"].pid == sleeper.pids[1] != first
    assert (supervisor["sleeper"].deaths, supervisor["sleeper"].last_exit_code) == (1, -signal.SIGKILL)


def test_a_service_that_is_told_to_end_is_started_again_and_one_that_is_stopped_goes_on(
    supervisor: Supervisor, sleeper: Births
) -> None:
    supervisor["sleeper"].signal(signal.SIGSTOP)
    supervisor["sleeper"].signal(signal.SIGCONT)
    assert sleeper.pids == [supervisor["sleeper"].pid]
    supervisor["sleeper"].signal(signal.SIGTERM)
    wait_for(lambda: len(sleeper.pids) == 2, SECONDS, "a second life")


def test_a_service_that_keeps_dying_is_started_ever_more_slowly_but_never_given_up(tmp_path: Path) -> None:
    births = Births(tmp_path, "dies", "raise SystemExit(7)")
    supervisor = Supervisor([births.service])
    supervisor.start()
    try:
        wait_for(lambda: supervisor["dies"].deaths >= 4, SECONDS, "a fourth death")
        assert supervisor["dies"].last_exit_code == 7
        assert not supervisor["dies"].is_ready()
    finally:
        supervisor.stop(5.0)
    assert len(births.pids) >= 4


def test_nothing_is_started_after_stop(supervisor: Supervisor, sleeper: Births) -> None:
    supervisor["sleeper"].kill()
    supervisor.stop(5.0)
    lives = len(sleeper.pids)
    supervisor["sleeper"].look()
    assert supervisor["sleeper"].pid is None
    assert len(sleeper.pids) == lives


def test_services_are_stopped_in_the_order_given(tmp_path: Path) -> None:
    diary = tmp_path / "diary"
    names = ["first", "second", "third"]
    script = (
        "import signal, sys\n"
        "def end(*_):\n"
        "    with open({diary!r}, 'a') as diary: diary.write({name!r} + ' ')\n"
        "    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "open({ready!r}, 'w').close()\n"
        "while True: signal.pause()\n"
    )
    births = [
        Births(tmp_path, name, script.format(diary=str(diary), name=name, ready=str(tmp_path / f"{name}.ready")))
        for name in names
    ]
    supervisor = Supervisor([one.service for one in births])
    supervisor.start()
    wait_for(lambda: all((tmp_path / f"{name}.ready").exists() for name in names), SECONDS, "their handlers")
    supervisor.stop(5.0)
    assert diary.read_text().split() == names
