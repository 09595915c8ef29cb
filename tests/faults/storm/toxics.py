"""What does a bad network do to a connection, and to each piece of what flows over it? Pure: the proxy asks and obeys."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

PIECE_BYTES: Final = 64 * 1024
_SLICES_PER_SECOND: Final = 10


class ToxicKind(StrEnum):
    """How a way through the network can be bad."""

    CUT = "cut"
    """Open connections end, and new ones are refused."""
    BLACK_HOLE = "black hole"
    """Nothing gets through and nobody is told. As TCP does, what was under way arrives when it is over, unless its
    sender has reset the connection."""
    LATENCY = "latency"
    """Everything arrives later, in its order."""
    SLOW = "slow"
    """So many bytes a second, each way, of each connection."""
    RESET = "reset"
    """Open connections are reset at once, later ones as soon as the other side answers: what was asked happens, unheard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Toxic:
    """One trouble. `strength`: seconds of LATENCY each way, bytes a second of SLOW; without meaning for the others."""

    kind: ToxicKind
    strength: float = 0.0

    def __post_init__(self) -> None:
        if self.kind in (ToxicKind.LATENCY, ToxicKind.SLOW) and self.strength <= 0:
            raise ValueError(f"{self.kind} needs a strength above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """What becomes of a piece: `late_seconds` after it came in, and `busy_seconds` in which nothing else passes."""

    is_reset: bool = False
    late_seconds: float = 0.0
    busy_seconds: float = 0.0


FREE: Final = Passage()


def passage(toxic: Toxic | None, size: int, *, is_answer: bool) -> Passage:
    """How a piece of `size` bytes passes; `is_answer`: it comes from the server. A black hole holds it before."""
    if toxic is None:
        return FREE
    if toxic.kind is ToxicKind.LATENCY:
        return Passage(late_seconds=toxic.strength)
    if toxic.kind is ToxicKind.SLOW:
        return Passage(busy_seconds=size / toxic.strength)
    return Passage(is_reset=toxic.kind is ToxicKind.RESET and is_answer)


def piece_bytes(toxic: Toxic | None) -> int:
    """How much is taken at once: of a slow way a tenth of a second."""
    if toxic is not None and toxic.kind is ToxicKind.SLOW:
        return max(1, min(PIECE_BYTES, int(toxic.strength / _SLICES_PER_SECOND)))
    return PIECE_BYTES


def holds(toxic: Toxic | None) -> bool:
    """Whether everything waits."""
    return toxic is not None and toxic.kind is ToxicKind.BLACK_HOLE


def refuses(toxic: Toxic | None) -> bool:
    """Whether nobody listens."""
    return toxic is not None and toxic.kind is ToxicKind.CUT


def ends_open_ones(toxic: Toxic | None) -> bool:
    """Whether the connections that are open end when it begins."""
    return toxic is not None and toxic.kind in (ToxicKind.CUT, ToxicKind.RESET)
