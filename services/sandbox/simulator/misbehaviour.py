"""What does a rule make of a request that has come, and of an answer that was due?"""

from __future__ import annotations

import asyncio
import random

from aiohttp import web

from services.sandbox.simulator.answers import SORRY, no, odd, reset
from services.sandbox.simulator.errors import Refusal, http_status
from services.sandbox.simulator.records import Decision
from services.sandbox.simulator.rules import Delay, DropAfter, DropBefore, Error, FalseError, Garbage, Hang, OddAnswer, Rule


def takes_nothing(rule: Rule) -> bool:
    """True when the message is not looked at."""
    return isinstance(rule.action, DropBefore | Hang | Error) or (isinstance(rule.action, OddAnswer) and not rule.action.accepts)


def accepted_as(rule: Rule | None) -> tuple[Decision, int | None]:
    """How the acceptance of a message is recorded, and the HTTP status that its answer will have, if it gets one."""
    match rule.action if rule is not None else None:
        case DropAfter():
            return "dropped_after", None
        case Garbage():
            return "garbage", 200
        case OddAnswer(http_status=status):
            return "odd_after", status
        case FalseError(code=code, http_status=status):
            return "false_error", status or http_status(code)
        case _:
            return "accepted", 200


async def spoiled(request: web.Request, response: web.Response, rule: Rule | None, chance: random.Random) -> web.Response:
    """Misbehaviour that keeps the decision and spoils its answer: `response`, later or another one."""
    is_accepted = response.status == 200
    match rule.action if rule is not None else None:
        case Delay(seconds=seconds, tail_seconds=tail_seconds):
            await asyncio.sleep(seconds + chance.expovariate(1.0) * tail_seconds)
        case DropAfter():
            return reset(request)
        case Garbage() if is_accepted:
            return web.Response(body=SORRY, content_type="application/json")
        case OddAnswer() as action if is_accepted:
            return odd(action)
        case FalseError(code=code, http_status=status) if is_accepted:
            return no(Refusal(code=code, details="Asked for by a rule."), status or http_status(code))
    return response
