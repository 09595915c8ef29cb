"""Are the figures about sending read rightly from Meta's arrival log?"""

from __future__ import annotations

import dataclasses
from math import inf

import pytest

from benchmarks.__main__ import main
from benchmarks.adaptive import found_after, gaps_and_disorder
from benchmarks.figures import judged
from benchmarks.limiter_simulation import busiest_window
from benchmarks.sending import Command, code, doubles, message, owners, person, phone_number_ids
from services.common.domain.ids import attempt_id
from services.sandbox.simulator.records import Arrival

pytestmark = pytest.mark.unit

[NUMBER] = phone_number_ids(1)


def arrival(command: Command, at: float, *, attempt: int = 1, accepted: bool = True) -> Arrival:
    return Arrival(
        seq=1,
        read_at=1000 * at,
        read_monotonic=at,
        phone_number_id=NUMBER,
        recipient=command.message.to,
        opaque=attempt_id(command.message.command_id, attempt),
        type="text",
        decision="accepted" if accepted else "refused",
        wamid="wamid.1" if accepted else None,
        code=None if accepted else 130429,
    )


def commands(*people: int) -> list[Command]:
    return [Command(message=message(NUMBER, one)) for one in people]


def test_a_value_is_judged_by_its_bars() -> None:
    assert judged(80, at_most=80, digits=0) == "80 ✓"
    assert judged(80.1, at_most=80, digits=1) == "80.1 ✗"
    assert judged(0.98, at_least=0.98, digits=2) == "0.98 ✓"
    assert judged(0.97, at_least=0.98, digits=2) == "0.97 ✗"
    assert judged(3, at_least=2, at_most=2, digits=0) == "3 ✗"


def test_the_hidden_rate_is_found_where_its_share_fits_into_the_stretch() -> None:
    slow = [n / 20 for n in range(60)]  # 20/s for three seconds
    full = [3.0 + n / 40 for n in range(400)]  # then 40/s
    assert 2.8 <= found_after([*slow, *full], 0.0, 13.0, 40) <= 3.0
    assert found_after(full, 3.0, 13.0, 40) == 0.0
    assert found_after(slow, 0.0, 3.0, 40) == inf
    assert found_after(full, 3.0, 4.0, 40) == inf


def test_gaps_count_accepted_messages_of_one_person_and_order_is_that_of_the_commands() -> None:
    made = commands(1, 2, 1, 2)
    log = [
        arrival(made[0], 0.0),
        arrival(made[3], 1.0),
        arrival(made[2], 3.0, accepted=False),
        arrival(made[2], 6.5, attempt=2),
        arrival(made[1], 7.5),
    ]
    gaps, disorder = gaps_and_disorder(log, made)
    assert (sorted(gaps), disorder) == ([6.5, 6.5], 1)


def test_a_command_accepted_under_two_attempts_is_double_and_a_refused_one_is_not() -> None:
    made = commands(1, 2)
    once = [arrival(made[0], 0.0, accepted=False), arrival(made[0], 1.0, attempt=2), arrival(made[1], 1.0)]
    assert doubles(once, made) == 0
    assert doubles([*once, arrival(made[0], 2.0, attempt=3)], made) == 1


def test_what_is_not_of_these_commands_is_nobodys() -> None:
    made = commands(1)
    assert doubles([dataclasses.replace(arrival(made[0], 0.0), opaque="another")] * 2, made) == 0
    assert set(owners(made).values()) == {0}


def test_a_code_goes_to_the_lane_for_codes_and_everybody_is_somebody_else() -> None:
    assert (code(NUMBER, 7).lane, code(NUMBER, 7).to) == ("otp", f"+{person(7)}")
    assert len({person(n) for n in range(1000)}) == 1000


def test_only_known_figures_can_be_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--only", "nonsense"])
    told = capsys.readouterr().err
    for name in ("virtual", "sliding", "thousand", "otp", "adaptive", "pairs", "isolation", "backlog"):
        assert name in told


def test_the_judge_of_sliding_seconds_sees_one_too_many() -> None:
    assert busiest_window([n / 100 for n in range(81)]) == 81
