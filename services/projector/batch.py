"""Which records of a batch are new to the tables, and is any missing before them? Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from services.common.domain.failure import Unprocessable
from services.common.domain.loud_stops import LogHole
from services.common.domain.topics import FOREIGN
from services.common.platform.kafka import LogRecord
from services.projector.fold import Event

Partition = tuple[str, int]


class HoleError(LogHole):
    """Records between the position and the next record were not delivered. Going on would lose them."""


class Read(NamedTuple):
    """A record and what it means. `problem` says why it is a dead letter of ours; `event` is then its row.

    Without an event it is none of those that are looked for: its offset counts, and it makes no rows.
    """

    record: LogRecord
    event: Event | None
    problem: Unprocessable | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The records that are new, where each partition stands after them, and when the last of each was appended (milliseconds)."""

    fresh: list[Read]
    reached: dict[Partition, int]
    appended_at: dict[Partition, int]


def first_offsets(batch: Iterable[Read]) -> dict[Partition, int]:
    """The lowest offset of each partition in the batch, partitions sorted."""
    first: dict[Partition, int] = {}
    for read in batch:
        topic, partition, offset = read.record[:3]
        place = (topic, partition)
        if offset < first.get(place, offset + 1):
            first[place] = offset
    return dict(sorted(first.items()))


def advance(batch: Iterable[Read], held: Mapping[Partition, int]) -> Progress:
    """Drop what the tables already have, even twice in one batch; raise HoleError when something is missing.

    Every topic of ours is contiguous. Consent records may come from transactional producers, whose markers take offsets.
    """
    reached = dict(held)
    appended_at: dict[Partition, int] = {}
    fresh: list[Read] = []
    for read in batch:
        topic, partition, offset, at = read.record[:4]
        expected = reached[topic, partition]
        if offset < expected:
            continue
        if offset > expected and topic not in FOREIGN:
            raise HoleError(f"{topic}/{partition}: expected offset {expected}, got {offset}")
        reached[topic, partition] = offset + 1
        appended_at[topic, partition] = at
        fresh.append(read)
    return Progress(fresh=fresh, reached=reached, appended_at=appended_at)
