"""Which fault, on whom, when, for how long, and how much traffic meanwhile? Drawn from a seed: the same seed, the same storm."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from tests.faults.storm.toxics import Toxic, ToxicKind


class Kind(StrEnum):
    """What can happen to a part."""

    KILL = "kill -9"
    FREEZE = "SIGSTOP, SIGCONT"
    TERM = "SIGTERM"
    CUT = "cut"
    BLACK_HOLE = "black hole"
    LATENCY = "latency"
    SLOW = "slow"
    RESET = "reset"
    BROKER_KILL = "broker killed"
    LEADER_KILL = "leader killed"
    BROKER_FREEZE = "broker frozen"
    POSTGRES_CRASH = "Postgres crashed"
    STANDBY_AWAY = "standby away"


BROKERS: Final = ("broker-1", "broker-2", "broker-3")
INSTANCES: Final[Mapping[str, int]] = {"router": 2, "projector": 2, "sender": 2}
SERVICES: Final = ("ingest", "router", "router-2", "projector", "projector-2", "sender", "sender-2")
WAYS: Final = (*BROKERS, "postgres", "graph")
"""What has a proxy before it."""
LEADER: Final = "leader"
"""The broker that leads when the time has come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Habit:
    """How a kind is drawn: how many cards it has in the deck, whom it strikes, how long and how hard."""

    cards: int
    targets: Sequence[str]
    seconds: tuple[float, float] = (0.0, 0.0)
    strength: tuple[float, float] = (0.0, 0.0)


_HABITS: Final[Mapping[Kind, _Habit]] = {
    Kind.KILL: _Habit(cards=4, targets=SERVICES),
    Kind.FREEZE: _Habit(cards=2, targets=SERVICES, seconds=(1.0, 15.0)),
    Kind.TERM: _Habit(cards=2, targets=SERVICES),
    Kind.CUT: _Habit(cards=1, targets=WAYS, seconds=(1.0, 15.0)),
    Kind.BLACK_HOLE: _Habit(cards=2, targets=WAYS, seconds=(2.0, 30.0)),
    Kind.LATENCY: _Habit(cards=1, targets=WAYS, seconds=(5.0, 15.0), strength=(0.02, 0.3)),
    Kind.SLOW: _Habit(cards=1, targets=WAYS, seconds=(5.0, 15.0), strength=(20_000.0, 200_000.0)),
    Kind.RESET: _Habit(cards=1, targets=WAYS, seconds=(0.5, 6.0)),
    Kind.BROKER_KILL: _Habit(cards=1, targets=BROKERS, seconds=(1.0, 12.0)),
    Kind.LEADER_KILL: _Habit(cards=1, targets=(LEADER,), seconds=(1.0, 12.0)),
    Kind.BROKER_FREEZE: _Habit(cards=1, targets=BROKERS, seconds=(2.0, 15.0)),
    Kind.POSTGRES_CRASH: _Habit(cards=2, targets=("primary",)),
    Kind.STANDBY_AWAY: _Habit(cards=1, targets=("standby",), seconds=(1.0, 10.0)),
}
_ON_THE_WAY: Final = {
    Kind.CUT: ToxicKind.CUT,
    Kind.BLACK_HOLE: ToxicKind.BLACK_HOLE,
    Kind.LATENCY: ToxicKind.LATENCY,
    Kind.SLOW: ToxicKind.SLOW,
    Kind.RESET: ToxicKind.RESET,
}
ALL: Final = tuple(Kind)
_FIRST_SECONDS: Final = (2.0, 5.0)
_CALM_SECONDS: Final = (5.0, 12.0)
_TOGETHER: Final = 0.25
"""The share of faults that begin while the one before them lasts, or just after."""
_TOGETHER_SECONDS: Final = (0.2, 2.0)
_STRETCH_SECONDS: Final = (15.0, 45.0)
_IN_TURN_SECONDS: Final = {Kind.FREEZE: 30.0, Kind.BLACK_HOLE: 60.0}
"""One by one who is frozen outlasts its session, so that somebody takes over, and nothing gets through for a minute."""
_BETWEEN_SECONDS: Final = 20.0
_RETURN_SECONDS: Final = {Kind.BROKER_KILL: 25.0, Kind.LEADER_KILL: 25.0}
"""A broker starts for as long as this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One trouble: it begins `at` seconds after the first traffic of the storm and lasts so long."""

    at: float
    kind: Kind
    target: str
    seconds: float = 0.0
    strength: float = 0.0

    @property
    def ends_at(self) -> float:
        return self.at + self.seconds

    @property
    def part(self) -> str:
        return part_of(self.target)

    @property
    def toxic(self) -> Toxic | None:
        """What the proxy before the target is told; None for what is done to a process."""
        kind = _ON_THE_WAY.get(self.kind)
        return None if kind is None else Toxic(kind=kind, strength=self.strength)


def part_of(target: str) -> str:
    """What may be struck once at a time: two of three brokers down would be an outage of its own."""
    if target in (*BROKERS, LEADER):
        return "kafka"
    return "postgres" if target in ("primary", "standby", "postgres") else target


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """How much happens from `at` on: messages of customers and commands of producers a second."""

    at: float
    messages: float
    commands: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Storm:
    """All of it, in the order in which it begins. Everything has ended by `seconds`."""

    seed: int
    seconds: float
    faults: tuple[Fault, ...]
    stretches: tuple[Stretch, ...]
    replay: str
    """The command that does the same again."""

    def at(self, seconds: float) -> Stretch:
        """The traffic at a moment."""
        return [one for one in self.stretches if one.at <= seconds][-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Between which figures the traffic is drawn, a second."""

    messages: tuple[float, float] = (6.0, 16.0)
    commands: tuple[float, float] = (5.0, 12.0)


def draw(*, seed: int, seconds: float, kinds: Collection[Kind] = ALL, tempo: float = 1.0, rates: Rates | None = None) -> Storm:
    """The storm of a seed. `tempo` is multiplied with how long faults and the calm between them last.

    Every kind comes before one comes more often than the deck says: the deck is shuffled anew when it is used up.
    """
    chance = random.Random(seed)
    faults = tuple(_faults(chance, seconds, [kind for kind in ALL if kind in kinds], tempo))
    stretches = tuple(_stretches(chance, seconds, rates or Rates()))
    replay = f"make storm MINUTES={seconds / 60:g} SEED={seed}"
    return Storm(seed=seed, seconds=seconds, faults=faults, stretches=stretches, replay=replay)


def in_turn(*, seed: int, kinds: Collection[Kind] = ALL) -> Storm:
    """Every kind on each of its targets once, as long as it lasts at most, and then a calm: what each costs can be told."""
    chance = random.Random(seed)
    cards = [(kind, target) for kind in ALL if kind in kinds for target in _HABITS[kind].targets]
    chance.shuffle(cards)
    faults, at = list[Fault](), _FIRST_SECONDS[1]
    for kind, target in cards:
        lasts, strength = _IN_TURN_SECONDS.get(kind, _HABITS[kind].seconds[1]), chance.uniform(*_HABITS[kind].strength)
        faults.append(Fault(at=at, kind=kind, target=target, seconds=lasts, strength=strength))
        at = faults[-1].ends_at + _RETURN_SECONDS.get(kind, 0.0) + _BETWEEN_SECONDS
    names = " ".join(kind.name.lower() for kind in ALL if kind in kinds and len(kinds) < len(ALL))
    replay = f'make storm SEED={seed} ARGS="{f"--in-turn {names}".rstrip()}"'
    return Storm(seed=seed, seconds=at, faults=tuple(faults), stretches=tuple(_stretches(chance, at, Rates())), replay=replay)


def _faults(chance: random.Random, seconds: float, kinds: Sequence[Kind], tempo: float) -> Iterator[Fault]:
    at, all_over_at = tempo * chance.uniform(*_FIRST_SECONDS), 0.0
    free_at: dict[str, float] = defaultdict(float)
    for kind in _cards(chance, kinds):
        habit = _HABITS[kind]
        target, lasts = chance.choice(habit.targets), tempo * chance.uniform(*habit.seconds)
        at = max(at, free_at[part_of(target)])
        fault = Fault(at=at, kind=kind, target=target, seconds=lasts, strength=chance.uniform(*habit.strength))
        if fault.ends_at >= seconds:
            return
        yield fault
        free_at[fault.part] = fault.ends_at + tempo * _CALM_SECONDS[0]
        all_over_at = max(all_over_at, fault.ends_at)
        is_together = chance.random() < _TOGETHER
        at = (
            at + tempo * chance.uniform(*_TOGETHER_SECONDS)
            if is_together
            else all_over_at + tempo * chance.uniform(*_CALM_SECONDS)
        )


def _cards(chance: random.Random, kinds: Sequence[Kind]) -> Iterator[Kind]:
    """For ever. Of each deck every kind once comes first, then what else is in it."""
    while kinds:
        first, rest = list(kinds), [kind for kind in kinds for _ in range(_HABITS[kind].cards - 1)]
        chance.shuffle(first)
        chance.shuffle(rest)
        yield from first
        yield from rest


def _stretches(chance: random.Random, seconds: float, rates: Rates) -> Iterator[Stretch]:
    at = 0.0
    while at < seconds:
        yield Stretch(at=at, messages=chance.uniform(*rates.messages), commands=chance.uniform(*rates.commands))
        at += chance.uniform(*_STRETCH_SECONDS)
