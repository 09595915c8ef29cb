"""Which media does the simulated Meta hold, and how does it answer `POST /v25.0/{phone_number_id}/media`?"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

from aiohttp import BodyPartReader, web

from services.sandbox.simulator.errors import INVALID_PARAMETER, MEDIA_UPLOAD, REQUIRED_MISSING, VALUE_NOT_VALID, Refusal
from services.sandbox.simulator.records import JsonObject, Upload

_KIB = 1024
_CHUNK = 64 * _KIB
_MOST = {
    "image/jpeg": 5 * _KIB * _KIB,
    "image/png": 5 * _KIB * _KIB,
    "image/webp": 500 * _KIB,
    "video/mp4": 16 * _KIB * _KIB,
    "video/3gpp": 16 * _KIB * _KIB,
    "audio/aac": 16 * _KIB * _KIB,
    "audio/amr": 16 * _KIB * _KIB,
    "audio/mpeg": 16 * _KIB * _KIB,
    "audio/mp4": 16 * _KIB * _KIB,
    "audio/ogg": 16 * _KIB * _KIB,
}
_DOCUMENTS = 100 * _KIB * _KIB
_OTHER_TYPES = (
    "text/plain",
    "application/pdf",
    "application/msword",
    "application/vnd.ms-excel",
    "application/vnd.ms-powerpoint",
    "application/vnd.openxmlformats-officedocument.",
)
_MEDIA = ("image", "video", "audio", "document", "sticker", "gif")
_LIFETIME_SECONDS = 30 * 86_400.0


@dataclass(frozen=True, slots=True)
class FileBytes:
    """What came as the file of an upload."""

    sha256: str
    size: int
    mime_type: str


class MediaStore:
    """Uploads by id. An id is good for the number it was uploaded for, for thirty days, until it is deleted."""

    def __init__(self) -> None:
        self._uploads: dict[str, Upload] = {}
        self._gone: set[str] = set()
        self._last = 0

    def reset(self) -> None:
        """Forget everything; ids that were given are not given again."""
        self._uploads.clear()
        self._gone.clear()

    def put(self, phone_number_id: str, mime_type: str, size: int, sha256: str) -> Upload:
        """Keep an upload under a new id."""
        self._last += 1
        made = Upload(
            id=f"{int(time.time() * 1000)}{self._last:04d}",
            phone_number_id=phone_number_id,
            mime_type=mime_type,
            size=size,
            sha256=sha256,
            uploaded_at=time.time(),
        )
        self._uploads[made.id] = made
        return made

    def all(self) -> list[Upload]:
        """Every upload, oldest first, also what is gone."""
        return list(self._uploads.values())

    def delete(self, media_id: str) -> bool:
        """Let an upload go; False for an id that was never given."""
        if media_id not in self._uploads:
            return False
        self._gone.add(media_id)
        return True

    def refuse(self, phone_number_id: str, body: JsonObject) -> Refusal | None:
        """Why a message may not name its media: an id of ours that is another number's, or over. Foreign ids are let pass."""
        for kind, media in _named(body):
            if not media.get("id") and not media.get("link"):
                return Refusal(code=REQUIRED_MISSING, details=f"The parameter {kind}['id'] or {kind}['link'] is required.")
            upload = self._uploads.get(str(media.get("id")))
            is_over = upload is not None and (upload.id in self._gone or time.time() - upload.uploaded_at > _LIFETIME_SECONDS)
            if upload is not None and (is_over or upload.phone_number_id != phone_number_id):
                details = f"Param {kind}['id'] is not a valid whatsapp business account media attachment ID."
                return Refusal(code=VALUE_NOT_VALID, details=details)
        return None


async def read_upload(request: web.Request) -> FileBytes | Refusal:
    """The file of a multipart body, counted as it comes, or why Meta would not take it."""
    if not request.content_type.startswith("multipart/"):
        return Refusal(code=INVALID_PARAMETER, details="The request is no multipart form.")
    fields: dict[str, str] = {}
    found: FileBytes | None = None
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader):
            return Refusal(code=INVALID_PARAMETER, details="A part of the form has parts itself.")
        if part.name == "file":
            found = await _read_file(part)
        else:
            fields[part.name or ""] = await part.text()
    if fields.get("messaging_product") != "whatsapp":
        return Refusal(code=INVALID_PARAMETER, details="The parameter messaging_product is required.")
    if found is None:
        return Refusal(code=INVALID_PARAMETER, details="The parameter file is required.")
    return _refuse_file(found) or found


async def _read_file(part: BodyPartReader) -> FileBytes:
    digest, size = hashlib.sha256(), 0
    while chunk := await part.read_chunk(_CHUNK):
        digest.update(chunk)
        size += len(chunk)
    return FileBytes(digest.hexdigest(), size, part.headers.get("Content-Type", "").partition(";")[0].strip())


def _refuse_file(found: FileBytes) -> Refusal | None:
    if found.mime_type not in _MOST and not found.mime_type.startswith(_OTHER_TYPES):
        return Refusal(code=INVALID_PARAMETER, details="Param file must be a file with one of the supported types.")
    if not 0 < found.size <= _MOST.get(found.mime_type, _DOCUMENTS):
        return Refusal(code=MEDIA_UPLOAD, details="The file is empty or larger than its type may be.")
    return None


def _named(value: object) -> Iterator[tuple[str, JsonObject]]:
    """Every media object below a value, with its type."""
    waiting: list[object] = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield from ((kind, one[kind]) for kind in _MEDIA if isinstance(one.get(kind), dict))
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
