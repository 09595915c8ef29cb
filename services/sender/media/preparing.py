"""How does media become ready while its commands wait in Postgres? A few uploads at a time, beside everything else.

Crash thinking: a command whose media is not ready is parked before any attempt of it exists, so nothing of a message can be lost
or doubled here. What it waits for is made ready, and then it is woken; if the process that would wake it dies, it comes back by
itself when its parking time is over, and asks again.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from services.common.domain.graph_codes import Scope
from services.common.domain.reasons import Reason
from services.common.platform import logging, metrics
from services.sender.content.json import parsed
from services.sender.media import links
from services.sender.media.facts import Failure, Key, NotPrepared, Want
from services.sender.media.ledger import Ledger
from services.sender.media.making import Making, Stopped, Taken
from services.sender.outcomes import Attempt
from services.sender.response import Proof, Result

log = logging.get(__name__)

WORKERS: Final = 4
OF_ONE_NUMBER: Final = 2
"""Uploads of one number at a time: its slow links leave room for the others."""
_FINAL_SECONDS: Final = 60.0
"""How long a failure for good is believed: somebody may have mended what was wrong."""
_LONGEST_SECONDS: Final = 60.0
_TAKEN_SECONDS: Final = 0.5
_KEPT_SECONDS: Final = 600.0
_PRUNE_SECONDS: Final = 3600.0
_RELEASED: Final = 5_000
_NOT_TAKEN: Final = frozenset({100, 131009, 131052, 131053})
"""Codes with which Meta says, among other things, that it does not know a media id."""

_NOT_UPLOADED: Final = 131053
"""The one of them that also comes in a status: Meta took the message, and then could not get at what it is to show."""


@dataclass(slots=True)
class _Job:
    want: Want
    commands: set[str] = field(default_factory=set)


class Preparing:
    """Makes media ready for as long as the process lives. `failures` is what the gate asks about what did not work."""

    def __init__(self, ledger: Ledger, making: Making, *, wake: Callable[[str], None]) -> None:
        """`wake`: lets a number look at its commands."""
        self._ledger, self._making, self._wake = ledger, making, wake
        self._jobs: dict[Key, _Job] = {}
        self._queue: deque[_Job] = deque()
        self._running: dict[str, int] = {}
        self._some = asyncio.Condition()
        self.failures: dict[Key, Failure] = {}

    async def want(self, wants: Iterable[tuple[Want, str | None]]) -> None:
        """Make these ready and wake their commands; without a command there is nobody to wake. Asking again is harmless."""
        asked = list(wants)
        if not asked:
            return
        async with self._some:
            for want, command_id in asked:
                job = self._jobs.get(want.key)
                if job is None:
                    job = self._jobs[want.key] = _Job(want)
                    self._queue.append(job)
                if command_id is not None:
                    job.commands.add(command_id)
            self._some.notify_all()

    async def run(self) -> None:
        """Work until cancelled; what breaks unexpectedly breaks the process."""
        async with asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(self._work())
            group.create_task(self._prune())

    async def heed(self, phone_number_id: str, media_ids: Sequence[str], result: Result) -> Result:
        """What an answer to a message says about the ids of ours in it. What Meta does not know is uploaded again, once a day."""
        if not media_ids or result.error_code not in _NOT_TAKEN or result.proof not in (Proof.REJECTED, Proof.RETRY):
            return result
        with suppress(Stopped):
            if await self._making.postgres(lambda: self._ledger.forget(phone_number_id, media_ids)):
                log.warning("media.gone", phone_number_id=phone_number_id, code=result.error_code)
                return replace(result, proof=Proof.RETRY, reason=Reason.MEDIA, scope=Scope.COMMAND, wait_seconds=0.0)
        return result

    async def heed_late(self, attempt: Attempt, code: int | None) -> None:
        """What a failure that was told after the answer says about the media of its message."""
        if code != _NOT_UPLOADED:
            return
        forget = partial(self._ledger.forget_of, attempt.phone_number_id, attempt.message_type, parsed(attempt.content))
        with suppress(Stopped):
            if await self._making.postgres(forget):
                log.warning("media.gone", phone_number_id=attempt.phone_number_id, code=code)

    async def _work(self) -> None:
        with suppress(Stopped):
            while True:
                job = await self._next()
                await self._end(job, await self._made(job.want))

    async def _next(self) -> _Job:
        """The oldest of a number that has room."""
        async with self._some:
            while True:
                for job in self._queue:
                    number = job.want.phone_number_id
                    if self._running.get(number, 0) < OF_ONE_NUMBER:
                        self._queue.remove(job)
                        self._running[number] = self._running.get(number, 0) + 1
                        return job
                await self._some.wait()

    async def _made(self, want: Want) -> Failure | None:
        """Make it ready; None when it is."""
        before = self.failures.get(want.key)
        tries = 0 if before is None else before.tries
        try:
            await self._making.make(want)
        except Taken:
            return Failure(text="is being uploaded", is_final=False, until=_in(_TAKEN_SECONDS), tries=tries)
        except NotPrepared as problem:
            log.warning(
                "media.not_ready",
                phone_number_id=want.phone_number_id,
                media_type=want.media_type,
                host=links.host_of(want.source.value) if want.source.kind == "link" else None,
                problem=problem.text,
                is_final=problem.is_final,
            )
            metrics.MEDIA_PREPARED.labels("refused" if problem.is_final else "failed").inc()
            wait = _FINAL_SECONDS if problem.is_final else max(problem.wait_seconds, min(_LONGEST_SECONDS, 2.0 ** min(tries, 10)))
            return Failure(
                text=problem.text,
                is_final=problem.is_final,
                until=_in(wait),
                is_too_big=problem.is_too_big,
                tries=tries + 1,
            )
        metrics.MEDIA_PREPARED.labels("ready").inc()
        return None

    async def _end(self, job: _Job, failure: Failure | None) -> None:
        """Say how it went and wake who waits. Who asks from now on is a new job's."""
        key, number = job.want.key, job.want.phone_number_id
        self.failures = {one: kept for one, kept in self.failures.items() if _in(0) < kept.until + _KEPT_SECONDS * 1000}
        if failure is None:
            self.failures.pop(key, None)
        else:
            self.failures[key] = failure
        async with self._some:
            del self._jobs[key]
            self._running[number] -= 1
            if not self._running[number]:
                del self._running[number]
            self._some.notify_all()
        await self._release(number, sorted(job.commands))

    async def _release(self, number: str, command_ids: Sequence[str]) -> None:
        for start in range(0, len(command_ids), _RELEASED):
            some = command_ids[start : start + _RELEASED]
            await self._making.postgres(partial(self._ledger.release, some))
            self._wake(number)

    async def _prune(self) -> None:
        with suppress(Stopped):
            while True:
                await self._making.postgres(self._ledger.prune)
                await asyncio.sleep(_PRUNE_SECONDS)


def _in(seconds: float) -> int:
    """The instant so many seconds from now, in milliseconds."""
    return time.time_ns() // 1_000_000 + int(seconds * 1000)
