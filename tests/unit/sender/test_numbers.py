"""Does a refusal hold exactly the numbers it is about?"""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter
from collections.abc import Mapping
from math import inf

import pytest

from services.common.domain import sublanes
from services.common.domain.graph_codes import Scope
from services.common.domain.pair_limit import PairPolicy
from services.common.domain.reasons import Reason
from services.common.platform import metrics, postgres
from services.common.platform.kafka import partition_of
from services.common.platform.registry import RegisteredNumber
from services.common.platform.tokens import KEY_BYTES, TokenBox
from services.sender.numbers import Number, Numbers
from services.sender.response import Proof, Result
from services.sender.sharing import Sharing
from tests.support.registered import TOKENS
from tests.support.registered import registered as of_account

WABAS = {"1": "one", "2": "one", "3": "other"}
PARTITIONS = 24
UNSHARED = Sharing(counts={}, partitions=1)


def registered(phone_number_id: str) -> RegisteredNumber:
    return of_account(phone_number_id, WABAS[phone_number_id])


async def held_after(refused: str, result: Result) -> set[str]:
    """The numbers that start nothing after an answer to one of them. "4" is served and not registered."""
    closed = postgres.pool("postgresql://nowhere.invalid", service="test")
    numbers = Numbers(closed, TOKENS, jitter_seconds=0.0, pair_policy=PairPolicy(), sharing=UNSHARED)
    numbers.know([registered(phone_number_id) for phone_number_id in WABAS])
    serving = [numbers.serve(phone_number_id, shard=0, epoch=1) for phone_number_id in (*WABAS, "4")]
    numbers.heed(next(number for number in serving if number.phone_number_id == refused), result)
    return {number.phone_number_id for number in serving if number.hold_seconds() > 0}


@pytest.mark.parametrize(
    ("scope", "refused", "held"),
    [
        (Scope.COMMAND, "1", set()),
        (Scope.PAIR, "1", set()),
        (Scope.NUMBER, "1", {"1"}),
        (Scope.WABA, "1", {"1", "2"}),
        (Scope.WABA, "3", {"3"}),
        (Scope.WABA, "4", {"4"}),
        (Scope.APP, "1", {"1", "2", "3", "4"}),
    ],
)
def test_a_refusal_for_now_holds_the_numbers_it_is_about(scope: Scope, refused: str, held: set[str]) -> None:
    result = Result(proof=Proof.RETRY, reason=Reason.THROTTLED, error_code=4, scope=scope, wait_seconds=30.0)
    assert asyncio.run(held_after(refused, result)) == held


@pytest.mark.parametrize("proof", [Proof.ACCEPTED, Proof.REJECTED, Proof.UNKNOWN])
def test_what_needs_no_wait_holds_nothing(proof: Proof) -> None:
    assert asyncio.run(held_after("1", Result(proof=proof, wamid="wamid.1"))) == set()


async def holds_through(*states: str) -> list[bool]:
    """Whether a number that is served meanwhile is held in each of these states."""
    closed = postgres.pool("postgresql://nowhere.invalid", service="test")
    numbers = Numbers(closed, TOKENS, jitter_seconds=0.0, pair_policy=PairPolicy(), sharing=UNSHARED)
    number, held = registered("1"), []
    for state in states:
        numbers.know([dataclasses.replace(number, state=state)])
        held.append(numbers.serve("1", shard=0, epoch=1).hold_seconds() > 0)
    return held


def test_an_operator_pauses_and_resumes_a_number_that_is_served() -> None:
    assert asyncio.run(holds_through("active", "paused", "paused", "active")) == [False, True, True, False]
    assert asyncio.run(holds_through("paused", "active")) == [True, False]


def test_an_account_has_the_tokens_of_its_numbers_that_open() -> None:
    async def known() -> dict[str, list[str]]:
        closed = postgres.pool("postgresql://nowhere.invalid", service="test")
        numbers = Numbers(closed, TOKENS, jitter_seconds=0.0, pair_policy=PairPolicy(), sharing=UNSHARED)
        damaged = dataclasses.replace(registered("3"), sealed_token=b"x" * 40)
        numbers.know([registered("1"), registered("2"), damaged])
        return numbers.tokens_by_account()

    assert asyncio.run(known()) == {"one": ["token", "token"]}


SHARDS = Counter(partition_of(key, PARTITIONS) for key in sublanes.keys("1", 4))
"""Where the four sub-lanes of number 1 are, and how many of them each time."""
OWN = partition_of(b"1", PARTITIONS)
"""Where it is without sub-lanes."""


def shared(counts: Mapping[str, int]) -> Numbers:
    closed = postgres.pool("postgresql://nowhere.invalid", service="test")
    sharing = Sharing(counts=counts, partitions=PARTITIONS)
    numbers = Numbers(closed, TOKENS, jitter_seconds=0.0, pair_policy=PairPolicy(), sharing=sharing)
    numbers.know([registered("1")])
    return numbers


def served(numbers: Numbers, *shards: int) -> list[Number]:
    return [numbers.serve("1", shard=shard, epoch=1) for shard in shards]


async def limits_through(*limits: int) -> list[list[int]]:
    """The paces of the shards of a number with four sub-lanes, under each of these limits."""
    numbers = shared({"1": 4})
    ones, found = served(numbers, *SHARDS), []
    for limit in limits:
        numbers.know([dataclasses.replace(registered("1"), messages_per_second=limit)])
        assert served(numbers, *SHARDS) == ones, "a shard of it is served once"
        found.append([one.pacer.limit for one in ones])
    return found


def test_the_shards_of_a_number_share_its_limit_also_when_it_changes() -> None:
    for limit, paces in zip((80, 1000, 203, 4), asyncio.run(limits_through(80, 1000, 203, 4)), strict=True):
        assert sum(paces) == limit
        assert all(limit // 4 * SHARDS[shard] <= pace for shard, pace in zip(SHARDS, paces, strict=True))


async def how_held(counts: Mapping[str, int], *shards: int) -> list[tuple[float, tuple[Reason, float | None] | None]]:
    return [(one.hold_seconds(), one.held()) for one in served(shared(counts), *shards)]


def test_from_a_shard_without_a_sublane_nothing_is_sent_and_producers_hear_of_it() -> None:
    assert OWN not in SHARDS
    held, free = (inf, (Reason.THROTTLED, None)), (0.0, None)
    assert asyncio.run(how_held({"1": 4}, OWN, *SHARDS)) == [held] + [free] * len(SHARDS)
    assert asyncio.run(how_held({}, OWN, *SHARDS)) == [free] + [held] * len(SHARDS)


async def share_when_registered(shard: int) -> tuple[int, int]:
    """Of a number that is served before it is registered: its share there, and then."""
    numbers = shared({"1": 4})
    numbers.know([])
    [number] = served(numbers, shard)
    before = number.share
    numbers.know([dataclasses.replace(registered("1"), messages_per_second=1)])
    return before, number.share


def test_who_is_registered_late_has_its_share_from_then_on() -> None:
    assert {asyncio.run(share_when_registered(shard)) for shard in (OWN, *SHARDS)} == {(1, 0), (1, 1)}
    assert sum(asyncio.run(share_when_registered(shard))[1] for shard in SHARDS) == 1


async def woken_and_frozen() -> tuple[list[bool], list[bool]]:
    numbers = shared({"1": 4})
    ones = served(numbers, *SHARDS)
    numbers.wake("1")
    result = Result(proof=Proof.RETRY, reason=Reason.THROTTLED, error_code=4, scope=Scope.NUMBER, wait_seconds=30.0)
    numbers.heed(ones[0], result)
    return [one.wake.is_set() for one in ones], [one.hold_seconds() > 0 for one in ones]


def test_what_is_about_a_number_is_about_all_its_shards() -> None:
    assert asyncio.run(woken_and_frozen()) == ([True] * len(SHARDS), [True] * len(SHARDS))


async def taken_off(count: int, *, counts: Mapping[str, int], shards: tuple[int, ...]) -> list[bool]:
    """Whether each shard has to wait for what the number has received."""
    numbers = shared(counts)
    ones = served(numbers, *shards)
    numbers.received("1", count)
    numbers.received("2", 1000)
    return [one.pacer.ready_in() > 0.7 for one in ones]


def test_what_a_number_receives_is_taken_off_the_share_of_each_shard() -> None:
    assert asyncio.run(taken_off(76, counts={"1": 4}, shards=tuple(SHARDS))) == [True] * len(SHARDS)
    # The whole of this on each shard would stop them all.
    assert asyncio.run(taken_off(16, counts={"1": 4}, shards=tuple(SHARDS))) == [False] * len(SHARDS)
    assert asyncio.run(taken_off(79, counts={}, shards=(OWN,))) == [True]


def test_a_number_whose_token_cannot_be_read_counts_as_stopped() -> None:
    closed = postgres.pool("postgresql://nowhere.invalid", service="test")
    numbers = Numbers(closed, TOKENS, jitter_seconds=0.0, pair_policy=PairPolicy(), sharing=UNSHARED)
    other = TokenBox(bytes(range(KEY_BYTES))).seal("token", phone_number_id="2")
    numbers.know([registered("1"), dataclasses.replace(registered("2"), sealed_token=other)])
    for phone_number_id in ("1", "2"):
        numbers.serve(phone_number_id, shard=0, epoch=1)
    numbers.stop({})
    assert stopped() == {("2", "access_token")}
    numbers.know([registered("1"), registered("2")])
    numbers.stop({})
    assert stopped() == set()


def stopped() -> set[tuple[str, str]]:
    """Number and reason of each series."""
    [family] = metrics.NUMBERS_STOPPED.collect()
    return {(sample.labels["phone_number_id"], sample.labels["reason"]) for sample in family.samples if sample.value == 1}
