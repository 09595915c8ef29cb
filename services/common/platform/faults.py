"""Where can a test kill, stop or delay us? At named points of the real code path, inert unless `PARLEY_FAULT` says so."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from services.common.platform import logging

log = logging.get(__name__)


class Action(StrEnum):
    """What happens there."""

    KILL = "kill"
    STOP = "stop"
    RAISE = "raise"
    SLEEP = "sleep"


POINTS: Final = frozenset(
    {
        "ingest.after_read",
        "ingest.after_hmac",
        "ingest.before_produce",
        "ingest.after_ack_before_200",
        "router.after_fetch",
        "router.mid_batch_emit",
        "router.after_emit_before_commit",
        "router.after_reopen_before_commit",
        "router.on_assign",
        "router.on_revoke",
        "projector.after_fetch",
        "projector.before_pg_commit",
        "projector.after_pg_commit_before_offset",
        "projector.after_rebuild_batch",
        "projector.on_assign",
        "projector.on_revoke",
        "sender.after_intake_before_commit",
        "sender.after_gate",
        "sender.before_started",
        "sender.after_started",
        "sender.before_write",
        "sender.mid_write",
        "sender.after_write",
        "sender.after_response",
        "sender.before_outcome_commit",
        "sender.after_outcome_commit",
        "sender.after_emit_before_commit",
        "sender.media_before_upload",
        "sender.media_after_upload",
        "sender.on_assign",
        "sender.on_revoke",
        "cli.after_redrive_begun",
        "cli.after_redrive_appended",
    }
)


class FaultInjected(Exception):  # noqa: N818 - what happened, not an error of ours
    """Raised by a fault point whose action is `raise`."""


@dataclass(slots=True)
class Fault:
    """Fire once, at the nth pass of one point."""

    point: str
    nth: int
    action: Action
    seconds: float = 0.0
    passes: int = 0


def parse(text: str) -> Fault:
    """`name:nth:kill|stop|raise|sleep[=seconds]`; a ValueError names what is wrong."""
    parts = text.split(":")
    if len(parts) != 3:
        raise ValueError("PARLEY_FAULT must be name:nth:action")
    point, nth, action = parts
    word, _, seconds = action.partition("=")
    if point not in POINTS:
        raise ValueError(f"PARLEY_FAULT: unknown fault point {point!r}")
    if not nth.isdigit() or int(nth) < 1:
        raise ValueError("PARLEY_FAULT: nth must be a whole number from 1")
    if word not in tuple(Action):
        raise ValueError(f"PARLEY_FAULT: unknown action {word!r}")
    return Fault(point=point, nth=int(nth), action=Action(word), seconds=float(seconds or 1.0))


_armed: Fault | None = None


def arm(text: str | None) -> None:
    """Called once at start with the setting; None or an empty text disarms."""
    global _armed  # noqa: PLW0603 - one fault per process, by design
    _armed = parse(text) if text else None


def fault(point: str) -> None:
    """A named point. Costs one comparison when nothing is armed."""
    if _armed is not None and _armed.point == point:
        _pass(_armed)


def is_armed(point: str) -> bool:
    """Will this point still fire? For what has a middle only when it is done in two steps."""
    return _armed is not None and _armed.point == point and _armed.passes < _armed.nth


def _pass(armed: Fault) -> None:
    armed.passes += 1
    if armed.passes != armed.nth:
        return
    log.warning("fault.fired", point=armed.point, nth=armed.nth, action=str(armed.action))
    if armed.action is Action.RAISE:
        raise FaultInjected(armed.point)
    if armed.action is Action.SLEEP:
        time.sleep(armed.seconds)
        return
    os.kill(os.getpid(), signal.SIGKILL if armed.action is Action.KILL else signal.SIGSTOP)
