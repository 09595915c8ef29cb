"""How does one piece of media become an id of Meta's? Its bytes are brought, its type and size judged, and it is uploaded once.

Crash thinking: dying before Meta has answered, or before its id is in Postgres, makes one upload again, which harms nobody; the
lease of a dead process ends within seconds.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from services.common.platform import logging, metrics, postgres
from services.common.platform.faults import fault
from services.sender.media import formats, spool
from services.sender.media.facts import FRESH_SECONDS, NotPrepared, Want
from services.sender.media.fetch import Fetched, Fetcher
from services.sender.media.ledger import LEASE_SECONDS, Known, Lease, Ledger
from services.sender.media.spool import NotThere, Spool, TooBig
from services.sender.media.upload import Uploaded, Uploader

log = logging.get(__name__)

T = TypeVar("T")


class Stopped(Exception):  # noqa: N818 - what happened
    """Postgres was not back before the process was asked to stop."""


class Taken(Exception):  # noqa: N818 - what it is
    """Somebody else uploads this very content for the number."""


class Making:
    """Makes one at a time; may be asked for several at once."""

    def __init__(
        self,
        ledger: Ledger,
        fetcher: Fetcher,
        uploader: Uploader,
        *,
        directory: Path | None,
        spool_directory: Path | None,
        token: Callable[[str], str | None],
        stopping: asyncio.Event,
    ) -> None:
        """`directory`: what files are named below; None: no files. `token`: of a number."""
        self._ledger, self._fetcher, self._uploader = ledger, fetcher, uploader
        self._directory, self._spool_directory = directory, spool_directory
        self._token, self._stopping = token, stopping

    async def make(self, want: Want) -> None:
        """Return when the number has an id for what is behind the source now. Raises NotPrepared, Taken, Stopped."""
        known = await self._known(want)
        if known is not None and known.seen.age_seconds <= FRESH_SECONDS[want.source.kind] / 2:
            return
        with self._room(want) as room:
            found = await self._load(want, room, known)
            if found is None:
                await self.postgres(lambda: self._ledger.unchanged(want.source))
                return
            content, etag, last_modified = found.content, found.etag, found.last_modified
            await self.postgres(lambda: self._ledger.saw(want.source, content, etag=etag, last_modified=last_modified))
            misfit = formats.problem(want.media_type, content.file)
            if misfit is not None:
                raise NotPrepared(misfit.text, is_final=True, is_too_big=misfit.is_too_big)
            lease = Lease(phone_number_id=want.phone_number_id, content=content, holder=str(uuid.uuid4()))
            if await self.postgres(lambda: self._ledger.lease(lease)):
                await self._upload(lease, room)
                return
        if await self._known(want) is None:
            raise Taken

    async def postgres(self, work: Callable[[], Awaitable[T]]) -> T:
        """What Postgres answers once it does; Stopped when that is too late."""
        done: list[T] = []

        async def kept() -> bool:
            done[:] = [await work()]
            return True

        if await postgres.retrying(kept, service="sender", stopping=self._stopping) is None:
            raise Stopped
        return done[0]

    async def _known(self, want: Want) -> Known | None:
        """What is known of the source, if the number has an id for it."""
        known = await self.postgres(lambda: self._ledger.known(want.phone_number_id, want.source))
        return known if known is not None and known.seen.media_id is not None else None

    def _room(self, want: Want) -> Spool:
        try:
            return Spool(self._spool_directory, most=formats.most_bytes(want.media_type))
        except OSError as problem:
            raise NotPrepared(f"no room for it: {type(problem).__name__}", is_final=False) from None

    async def _load(self, want: Want, room: Spool, known: Known | None) -> Fetched | None:
        """Fill the spool; None when the source is what it was."""
        if want.source.kind == "file":
            return await asyncio.to_thread(self._read, want, room, known)
        return await self._fetcher.fetch(want.source.value, room, media_type=want.media_type, known=known)

    def _read(self, want: Want, room: Spool, known: Known | None) -> Fetched | None:
        """The same from a file. Blocks."""
        if self._directory is None:
            raise NotPrepared("no directory of media files is configured", is_final=True)
        mime_type = formats.mime_type_of_name(want.source.value)
        if mime_type is None:
            raise NotPrepared("its name does not end as that of a type which Meta takes", is_final=True)
        try:
            with spool.open_below(self._directory, want.source.value) as file:
                etag = spool.etag_of(file)
                if known is not None and known.etag == etag:
                    return None
                spool.copy(file, room)
        except NotThere:
            raise NotPrepared("no such file", is_final=True) from None
        except TooBig as problem:
            raise NotPrepared(str(problem), is_final=True, is_too_big=True) from None
        except OSError as problem:
            raise NotPrepared(f"could not be read: {type(problem).__name__}", is_final=False) from None
        return Fetched(content=room.content(mime_type), etag=etag, last_modified=None)

    async def _upload(self, lease: Lease, room: Spool) -> None:
        """Under the lease, which is renewed meanwhile."""
        number, file = lease.phone_number_id, lease.content.file
        token = self._token(number)
        fault("sender.media_before_upload")
        begun = time.monotonic()
        renewing = asyncio.create_task(self._renew(lease))
        try:
            if token is None:
                raise NotPrepared("the number has no access token", is_final=False)
            answer = await self._uploader.upload(number, room.file, file, token=token)
            if not isinstance(answer, Uploaded):
                raise NotPrepared(answer.text, is_final=answer.is_final, wait_seconds=answer.wait_seconds)
            await self.postgres(lambda: self._ledger.uploaded(lease, answer.media_id))
        except NotPrepared:
            renewing.cancel()
            await self.postgres(lambda: self._ledger.give_back(lease))
            raise
        finally:
            renewing.cancel()
        metrics.MEDIA_BYTES.inc(file.size)
        metrics.MEDIA_UPLOAD_SECONDS.observe(time.monotonic() - begun)
        log.info("media.uploaded", phone_number_id=number, mime_type=file.mime_type, size=file.size)

    async def _renew(self, lease: Lease) -> None:
        with suppress(Stopped):
            while True:
                await asyncio.sleep(LEASE_SECONDS / 3)
                await self.postgres(lambda: self._ledger.lease(lease))
