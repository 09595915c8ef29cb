"""What is known of media in Postgres? Uploads by number and content, what was found behind names and links, leases of uploads.

Errors pass through; callers wrap in `postgres.retrying`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg

from services.common.platform import postgres
from services.common.platform.statements import queries
from services.sender.media import references
from services.sender.media.facts import NONE, Facts, Seen, Upload
from services.sender.media.formats import File
from services.sender.media.references import Source

SQL: Final = queries("services.sender.media")
LIFETIME_SECONDS: Final = 30 * 86_400.0
"""How long Meta keeps what was uploaded. Source: business-phone-numbers/media."""
MARGIN_SECONDS: Final = 86_400.0
"""An id is not used in its last day: a message may wait at Meta, and clocks differ."""
LEASE_SECONDS: Final = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """Bytes by their hash, and what Meta needs to know of them."""

    sha256: bytes
    file: File


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """An upload that nobody else makes meanwhile. `holder`: one try of one process."""

    phone_number_id: str
    content: Content
    holder: str

    def values(self) -> dict[str, Any]:
        """As the statements want it."""
        content = self.content
        return {
            "phone_number_id": self.phone_number_id,
            "sha256": content.sha256,
            "mime_type": content.file.mime_type,
            "holder": self.holder,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is kept of a source: how it stands for a number, its content, and what tells that it has not changed."""

    seen: Seen
    content: Content
    etag: str | None
    last_modified: str | None


async def facts_of(
    connection: psycopg.AsyncConnection[tuple[Any, ...]], phone_number_id: str, contents: Iterable[tuple[str, object]]
) -> Facts:
    """What is known of all media that these name, (message type, content) each of the number; in the caller's transaction."""
    named = [one for one in contents if one[0] in references.HOLDERS]
    sources = {reference.source for one in named for reference in references.of(*one)}
    given = {given.media_id for one in named for given in references.given_in(*one)}
    if not sources and not given:
        return NONE
    known = await _known(connection, phone_number_id, sources) if sources else {}
    uploads: dict[str, Upload] = {}
    if given:
        rows = await connection.execute(SQL["uploads"], {"media_id": list(given)}, binary=True)
        uploads = {row[0]: Upload(phone_number_id=row[1], is_over=row[2]) for row in await rows.fetchall()}
    return Facts(seen={source: one.seen for source, one in known.items()}, uploads=uploads)


async def _known(
    connection: psycopg.AsyncConnection[tuple[Any, ...]], phone_number_id: str, sources: Iterable[Source]
) -> Mapping[Source, Known]:
    of_digest = {source.digest(): source for source in sources}
    values = {"phone_number_id": phone_number_id, "source": list(of_digest), "margin_seconds": MARGIN_SECONDS}
    rows = await (await connection.execute(SQL["sources"], values, binary=True)).fetchall()
    return {of_digest[bytes(row[0])]: _row(row) for row in rows}


def _row(row: Sequence[Any]) -> Known:
    file = File(mime_type=row[1], size=row[2], is_animated=row[3])
    return Known(
        seen=Seen(file=file, age_seconds=row[4], media_id=row[8]),
        content=Content(sha256=bytes(row[5]), file=file),
        etag=row[6],
        last_modified=row[7],
    )


class Ledger:
    """Every method is one transaction."""

    def __init__(self, pool: postgres.Pool) -> None:
        self._pool = pool

    async def known(self, phone_number_id: str, source: Source) -> Known | None:
        """What is kept of a source, as it stands for a number."""
        async with self._pool.connection() as connection:
            return (await _known(connection, phone_number_id, [source])).get(source)

    async def saw(self, source: Source, content: Content, *, etag: str | None, last_modified: str | None) -> bool:
        """The source has this content now."""
        return await self._run(
            "saw",
            source=source.digest(),
            sha256=content.sha256,
            mime_type=content.file.mime_type,
            size=content.file.size,
            is_animated=content.file.is_animated,
            etag=etag,
            last_modified=last_modified,
        )

    async def unchanged(self, source: Source) -> bool:
        """The source has the content it had."""
        return await self._run("unchanged", source=source.digest())

    async def lease(self, lease: Lease) -> bool:
        """True while its holder alone may upload the content for the number; asked again, it is renewed."""
        return await self._run("lease", **lease.values(), seconds=LEASE_SECONDS, margin_seconds=MARGIN_SECONDS)

    async def uploaded(self, lease: Lease, media_id: str) -> bool:
        """Meta has the content under this id."""
        size = lease.content.file.size
        return await self._run("uploaded", **lease.values(), media_id=media_id, size=size, lifetime_seconds=LIFETIME_SECONDS)

    async def give_back(self, lease: Lease) -> bool:
        """The upload did not succeed."""
        return await self._run("give_back", **lease.values())

    async def forget(self, phone_number_id: str, media_ids: Sequence[str]) -> bool:
        """Meta does not take these ids: use them no more. False when that was so once today: then it is not for the ids."""
        return await self._run("forget", phone_number_id=phone_number_id, media_id=list(media_ids))

    async def forget_of(self, phone_number_id: str, message_type: str, content: object) -> bool:
        """Meta could not take the media of this message: the ids that its content has now are used no more."""
        async with self._pool.connection() as connection:
            known = await facts_of(connection, phone_number_id, [(message_type, content)])
        of_sources = [seen.media_id for seen in known.seen.values() if seen.media_id is not None]
        given = [media_id for media_id, upload in known.uploads.items() if upload.phone_number_id == phone_number_id]
        return bool(of_sources or given) and await self.forget(phone_number_id, [*of_sources, *given])

    async def release(self, command_ids: Sequence[str]) -> bool:
        """These commands have waited long enough."""
        return await self._run("release", command_id=list(command_ids))

    async def prune(self) -> bool:
        """Drop what nothing asks for any more."""
        return await self._run("prune", lifetime_seconds=LIFETIME_SECONDS)

    async def _run(self, name: str, **values: Any) -> bool:
        """True when the statement touched a row."""
        async with self._pool.connection() as connection:
            return (await connection.execute(SQL[name], values)).rowcount > 0
