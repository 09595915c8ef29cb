"""Did every command become one message at most, and was the log told of each? Judged by what reached the simulated Meta."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from services.common.domain.records import SendMessage
from tests.support.sending import Scene, text
from tests.support.waiting import wait_for

QUICK: Final = {
    "PARLEY_SENDER_TRANSACTIONAL_HORIZON_SECONDS": "4",
    "PARLEY_SENDER_BULK_HORIZON_SECONDS": "4",
    "PARLEY_SENDER_SETTLE_SECONDS": "0.1",
}
"""Evidence is not waited for as long as it is worth in life."""
_ENDED: Final = {"accepted", "unresolved"}


def people(stage: Scene, count: int, prefix: str) -> list[SendMessage]:
    """A command for each of so many people who wrote lately."""
    found = [f"49170{prefix}{number:05d}" for number in range(count)]
    for person in found:
        stage.open_window(person)
    return [text(to=f"+{person}") for person in found]


def acceptances(stage: Scene) -> Counter[str]:
    """How often Meta took each command."""
    arrivals = stage.accepted()  # first: the row of what has arrived is there already
    command_of = dict(stage.sql("SELECT attempt_id, command_id FROM sender.send_attempts"))
    return Counter(command_of[arrival.opaque] for arrival in arrivals)


def wait_until_ended(stage: Scene, commands: Sequence[SendMessage], seconds: float) -> None:
    """Return when the ledger has ended all of them; status webhooks arrive meanwhile."""

    def have_ended() -> bool:
        stage.settle_everything()
        states = stage.states()
        return all(states.get(command.command_id) in _ENDED for command in commands)

    wait_for(have_ended, seconds, "every command to end")


def assert_each_once_and_told(stage: Scene, commands: Sequence[SendMessage]) -> None:
    """Nothing lost, nothing sent twice, and the log knows what the ledger knows."""
    taken, states = acceptances(stage), stage.states()
    assert set(states) == {command.command_id for command in commands}
    assert all(count == 1 for count in taken.values()), "a command was accepted twice"
    assert {one for one, state in states.items() if state == "accepted"} == set(taken)
    wait_for(lambda: stage.sql("SELECT count(*) FROM sender.outbox") == [(0,)], 20.0, "the outbox to be told")
    told: dict[str, set[str]] = {}
    for outcome in stage.outcomes():
        told.setdefault(outcome.command_id, set()).add(outcome.kind)
    assert all(states[one] in kinds for one, kinds in told.items())
    assert set(told) == set(states)
