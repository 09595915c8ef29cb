"""Is nothing sent that the true time forbids when the sender's clock is set back by five minutes, while it runs or before?"""

from __future__ import annotations

import signal
from typing import Final

import pytest

from services.common.domain.reasons import Reason
from services.common.domain.records import SendOutcome
from services.sandbox.providers import Kafka
from tests.support.processes import ServiceProcess
from tests.support.sender_with_clock import JUMP_SECONDS
from tests.support.sending import PERSON, Scene, now_ms, scene, text

TOO_LATE: Final = "16505550142"
"""Her window ended two minutes ago: by a clock that was set back it is open for three more."""
DAY_MINUTES: Final = 24 * 60


@pytest.mark.failure("R21")
def test_a_clock_that_is_set_back_opens_no_window_and_keeps_no_command_alive(cluster: Kafka, postgres: str) -> None:
    with scene(cluster, postgres) as stage:
        stage.register()
        stage.open_window()
        stage.open_window(TOO_LATE, minutes_ago=DAY_MINUTES + 2)
        with ServiceProcess("sender", stage.env, module="tests.support.sender_with_clock") as process:
            process.wait_ready()
            begun = now_ms()
            process.signal(signal.SIGUSR1)
            accepted = sends_only_what_it_may(stage)
            assert begun <= accepted.occurred_at <= now_ms(), "its outcomes go on by the time that it knew"
            assert JUMP_SECONDS - 1 < process.metric("parley_clock_behind_seconds") < JUMP_SECONDS + 1
            assert len(process.events("clock.jumped_back")) == 1
            process.kill()
            process.start(CLOCK_BACK_SECONDS=str(JUMP_SECONDS)).wait_ready()
            sends_only_what_it_may(stage)
            assert process.metric("parley_clock_behind_seconds") < 1, "it never knew another time"
        assert {arrival.recipient for arrival in stage.accepted()} == {f"+{PERSON}"}


def sends_only_what_it_may(stage: Scene) -> SendOutcome:
    may, too_late, over = text(), text(to=f"+{TOO_LATE}"), text(expires_at=now_ms() - 60_000)
    stage.put(may, too_late, over)
    assert stage.wait_outcome(too_late, "refused").reason == Reason.WINDOW_CLOSED
    accepted = stage.wait_outcome(may, "accepted")
    stage.wait_outcome(over, "expired")
    return accepted
