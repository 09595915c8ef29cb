"""Does a refusal hold exactly the numbers it is about?"""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from services.common.domain.graph_codes import Scope
from services.common.domain.pair_limit import PairPolicy
from services.common.domain.reasons import Reason
from services.common.platform import postgres
from services.common.platform.registry import RegisteredNumber
from services.common.platform.tokens import KEY_BYTES, TokenBox
from services.sender.numbers import Numbers
from services.sender.response import Proof, Result

WABAS = {"1": "one", "2": "one", "3": "other"}
TOKENS = TokenBox(bytes(KEY_BYTES))


def registered(phone_number_id: str) -> RegisteredNumber:
    return RegisteredNumber(
        phone_number_id=phone_number_id,
        waba_id=WABAS[phone_number_id],
        display_phone_number=None,
        messages_per_second=80,
        state="active",
        sealed_token=TOKENS.seal("token", phone_number_id=phone_number_id),
    )


async def held_after(refused: str, result: Result) -> set[str]:
    """The numbers that start nothing after an answer to one of them. "4" is served and not registered."""
    closed = postgres.pool("postgresql://nowhere.invalid", service="test")
    numbers = Numbers(closed, TOKENS, jitter_seconds=0.0, pair_policy=PairPolicy())
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
    numbers = Numbers(closed, TOKENS, jitter_seconds=0.0, pair_policy=PairPolicy())
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
        numbers = Numbers(closed, TOKENS, jitter_seconds=0.0, pair_policy=PairPolicy())
        damaged = dataclasses.replace(registered("3"), sealed_token=b"x" * 40)
        numbers.know([registered("1"), registered("2"), damaged])
        return numbers.tokens_by_account()

    assert asyncio.run(known()) == {"one": ["token", "token"]}
