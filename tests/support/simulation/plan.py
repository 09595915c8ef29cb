"""What happens in a run? Inputs and troubles, all from one seed, as a list that can be made shorter."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Final, Literal, TypeVar

from services.common.domain.resending import HOLD, RESEND_ONCE

Service = Literal["router", "projector", "sender"]
SERVICES: Final[tuple[Service, ...]] = ("router", "projector", "sender")

TROUBLE_SECONDS: Final = 10.0
"""What goes wrong goes wrong in these first seconds of a run; then everything heals, and has to come to rest."""
NUMBERS: Final = ("1065403522429", "1065403522430")
PAIR_SECONDS: Final = 1.5
"""One message to the same person each so many seconds; shorter than Meta's, so that a run is short."""
PEOPLE: Final = ("491700000001", "491700000002", "491700000003")
LANES: Final = ("transactional",) * 8 + ("bulk",) * 3 + ("otp",)
"""A free-form message has nothing to do in `otp`: the gate refuses it there."""

T = TypeVar("T")


class Kind(StrEnum):
    """What goes wrong with a process or with what it asks for."""

    CRASH = "crash at an instant"
    CRASH_BEFORE = "crash before an effect"
    CRASH_AFTER = "crash after an effect"
    STOP = "asked to stop"
    PAUSE = "stopped for a while"
    EXPELLED = "taken for dead by its group"
    REFUSED = "request refused"
    ANSWER_LOST = "effect done, answer lost"
    SLOW = "answer late"
    POSTGRES_AWAY = "Postgres away"
    KAFKA_AWAY = "Kafka away"


class Fate(StrEnum):
    """What becomes of a request to Meta."""

    ACCEPTED = "accepted"
    ANSWER_LOST = "accepted, no answer"
    RESET = "accepted, connection reset"
    SLOW = "accepted, answered too late"
    NO_ID = "accepted, answer without an id"
    GATEWAY = "accepted, 502 from somebody between"
    LIE = "accepted, answered with a final refusal"
    AMBIGUOUS = "accepted, 500 with a code that proves nothing"
    REQUEST_LOST = "lost on the way"
    NOT_TAKEN = "not accepted, 500 with a code that proves nothing"
    REJECTED = "refused for ever"
    THROTTLED = "refused for the number's rate"
    PAIR = "refused for the pair's rate"
    UNAVAILABLE = "refused, service not available"
    UNREACHABLE = "no connection"


REQUESTS: Final[Mapping[Service, tuple[str, ...]]] = {
    "router": ("fetches", "appends", "appends", "commits"),
    "projector": ("fetches", "begins", "saves", "saves", "appends", "commits", "reads"),
    "sender": (
        *("take_in", "commits", "start", "writes", "hears", "record", "untold", "appends", "told"),
        *("take_over", "recent_starts", "orphans", "backlog", "tell", "settle", "evidence", "overdue", "contradictions", "polls"),
    ),
}
"""What each asks servers for, by the first word of it: where a crash may be."""
TAKEN: Final = frozenset(
    {Fate.ACCEPTED, Fate.ANSWER_LOST, Fate.RESET, Fate.SLOW, Fate.NO_ID, Fate.GATEWAY, Fate.LIE, Fate.AMBIGUOUS}
)
"""Meta has the message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish:
    """A producer publishes a command; the same `command` again is the same command, unless `conflicts`."""

    at: float
    command: int
    number: str
    person: str
    expires_at: float
    """Seconds after the beginning of the run."""
    lane: str = "transactional"
    policy: str = HOLD
    conflicts: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """A person writes to a number; `broken` bodies are no JSON, and odd ones are of a field that nobody knows."""

    at: float
    number: str
    person: str
    broken: bool = False
    odd: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Something goes wrong: at an instant, or at the nth request of its sort that a process slot makes."""

    kind: Kind
    slot: str
    at: float
    request: str
    nth: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ill:
    """The nth request that Meta hears of has another fate than being accepted and answered."""

    nth: int
    fate: Fate


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The nth webhook comes so many times more, so late."""

    nth: int
    copies: int = 0
    late_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One run. `slots`: how many processes of each service."""

    seed: int
    limit: int
    slots: tuple[tuple[Service, int], ...]
    publishes: tuple[Publish, ...] = ()
    says: tuple[Say, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    ills: tuple[Ill, ...] = ()
    deliveries: tuple[Delivery, ...] = ()

    @property
    def size(self) -> int:
        """How much happens in it."""
        parts = (self.publishes, self.says, self.troubles, self.ills, self.deliveries)
        return sum(len(part) for part in parts) + sum(count for _, count in self.slots)


def plan_of(seed: int) -> Plan:
    """The run of a seed: a handful of commands and messages, and up to a dozen troubles; one in eight is without any."""
    rng = Random(seed)
    slots = tuple((service, 1 + (rng.random() < 0.4)) for service in SERVICES)
    harm = rng.choice((0.0, 0.5, 1.0, 1.0, 2.0, 2.0, 3.0, 3.0))
    publishes = tuple(_publishes(rng))
    return Plan(
        seed=seed,
        limit=rng.choice((1, 2, 5, 80)),
        slots=slots,
        publishes=publishes,
        says=tuple(_says(rng)),
        troubles=tuple(_trouble(rng, slots) for _ in range(_count(rng, 1.5 * harm))),
        ills=tuple(
            Ill(nth=rng.randrange(len(publishes) + 1), fate=rng.choice(tuple(Fate)[1:])) for _ in range(_count(rng, 2.0 * harm))
        ),
        deliveries=tuple(
            Delivery(nth=rng.randrange(18), copies=rng.choice((0, 1, 1, 2)), late_seconds=rng.choice((0.0, 2.0, 12.0, 45.0)))
            for _ in range(_count(rng, 1.5 * harm))
        ),
    )


def shorter(plan: Plan) -> Iterator[Plan]:
    """The same run with one thing less, the largest things first."""
    for name in ("troubles", "ills", "deliveries", "says", "publishes"):
        part = getattr(plan, name)
        if len(part) > 2:
            yield dataclasses.replace(plan, **{name: part[: len(part) // 2]})
            yield dataclasses.replace(plan, **{name: part[len(part) // 2 :]})
        for place in range(len(part)):
            yield dataclasses.replace(plan, **{name: part[:place] + part[place + 1 :]})
    for place, (service, count) in enumerate(plan.slots):
        if count > 1:
            yield dataclasses.replace(plan, slots=(*plan.slots[:place], (service, 1), *plan.slots[place + 1 :]))


def _publishes(rng: Random) -> Iterator[Publish]:
    many = rng.randint(1, 6)
    crowded = rng.random() < 0.3
    for command in range(many):
        at = rng.uniform(0.0, 1.0 if crowded else 6.0)
        first = Publish(
            at=at,
            command=command,
            number=rng.choice(NUMBERS),
            person=rng.choices(PEOPLE, weights=(4, 4, 1))[0],
            lane=rng.choice(LANES),
            policy=rng.choice((HOLD, HOLD, RESEND_ONCE)),
            expires_at=at + rng.choice((3.0, 20.0, 60.0, 60.0)),
        )
        yield first
        while rng.random() < 0.25:
            yield dataclasses.replace(first, at=rng.uniform(0.0, 9.0), conflicts=rng.random() < 0.2)


def _says(rng: Random) -> Iterator[Say]:
    """The first two people have written to both numbers, one of them maybe late; the third never does."""
    for number in NUMBERS:
        for person in PEOPLE[:2]:
            yield Say(at=rng.choice((0.0, 0.0, 0.0, rng.uniform(0.0, 6.0))), number=number, person=person)
    for _ in range(_count(rng, 1.0)):
        oddness = rng.random()
        yield Say(
            at=rng.uniform(0.0, 8.0),
            number=rng.choice(NUMBERS),
            person=rng.choice(PEOPLE[:2]),
            broken=oddness < 0.15,
            odd=oddness > 0.85,
        )


def _trouble(rng: Random, slots: tuple[tuple[Service, int], ...]) -> Trouble:
    kind = rng.choice((*Kind, Kind.CRASH_BEFORE, Kind.CRASH_AFTER, Kind.CRASH_BEFORE, Kind.CRASH_AFTER))
    # The sender does most, and has most to lose.
    service, count = rng.choices(slots, weights=(1, 1, 3))[0]
    return Trouble(
        kind=kind,
        slot=f"{service}-{rng.randrange(count)}",
        at=rng.uniform(0.0, TROUBLE_SECONDS),
        request=rng.choice(REQUESTS[service]),
        nth=int(rng.triangular(0, 6, 0)),
        seconds=rng.choice((0.3, 1.0, 3.0, 8.0)),
    )


def _count(rng: Random, mean: float) -> int:
    """Sometimes none, mostly about so many, seldom twice as many."""
    return min(int(rng.expovariate(1.0 / mean) + 0.5), 8) if mean else 0
