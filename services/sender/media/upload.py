"""How is a file given to Meta, and what did its answer prove? `POST /{phone_number_id}/media`; a second one does no harm."""

from __future__ import annotations

import asyncio
import re
import ssl
from dataclasses import dataclass
from typing import IO, Any, Final

import aiohttp

from services.common.domain import graph_codes
from services.common.domain.graph_codes import Verdict
from services.common.platform.faults import fault
from services.sender.media.formats import File
from services.sender.response import document_of

UPLOAD_SECONDS: Final = 120.0
_SECONDS_OF_A_THROTTLE: Final = 60.0
_THROTTLES: Final = frozenset({4, 80007, 80008, 130429})
"""Too many calls for now. 80008 is final only where it answers a message."""
_OF_THE_MEDIA: Final = frozenset({131052, 131053})
"""Meta has looked at the bytes; they will not be better the next time."""
_MEDIA_ID: Final = re.compile(r"[A-Za-z0-9_.:-]{1,256}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploaded:
    """Meta has it."""

    media_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotUploaded:
    """Why not; `is_final`: the same will happen again. Else wait at least so long."""

    text: str
    is_final: bool
    wait_seconds: float = 0.0


def read_answer(status: int, payload: bytes) -> Uploaded | NotUploaded:
    """What an answer proves. Unlike a message, an upload may be made again whenever it is not known to be refused for good."""
    document = document_of(payload)
    if status == 200:
        media_id = document.get("id")
        if isinstance(media_id, str) and _MEDIA_ID.fullmatch(media_id):
            return Uploaded(media_id=media_id)
        return NotUploaded(text="Meta answered 200 without an id", is_final=False)
    code = graph_codes.code_of(document.get("error"))
    if code is None:
        return NotUploaded(text=f"Meta answered {status} without an error of Graph", is_final=False)
    row = graph_codes.row_of(code)
    if code in _THROTTLES:
        return NotUploaded(text=f"Meta throttles: error {code}", is_final=False, wait_seconds=_SECONDS_OF_A_THROTTLE)
    is_final = status < 500 and (code in _OF_THE_MEDIA or row.verdict is Verdict.FINAL)
    return NotUploaded(text=f"Meta did not take it: error {code}", is_final=is_final, wait_seconds=row.wait_seconds)


class Uploader:
    """Uploads to one version of the Graph API."""

    def __init__(self, session: aiohttp.ClientSession, *, base_url: str, version: str) -> None:
        """`session` is one that follows, remembers and sends nothing of its own."""
        self._session, self._url = session, f"{base_url}/{version}"

    async def upload(self, phone_number_id: str, file: IO[bytes], what: File, *, token: str) -> Uploaded | NotUploaded:
        """One try. The file is streamed from its beginning and closed."""
        form = aiohttp.FormData()
        form.add_field("messaging_product", "whatsapp")
        form.add_field("type", what.mime_type)
        file.seek(0)
        form.add_field("file", file, filename="media", content_type=what.mime_type)
        try:
            async with (
                asyncio.timeout(UPLOAD_SECONDS),
                self._session.post(
                    f"{self._url}/{phone_number_id}/media",
                    data=form,
                    headers={"Authorization": f"Bearer {token}"},
                    allow_redirects=False,
                ) as answer,
            ):
                payload = await answer.read()
        except (aiohttp.ClientError, OSError, ValueError) as problem:
            # TimeoutError is an OSError. The type alone is told: texts may quote addresses.
            return NotUploaded(text=f"no answer of Meta: {type(problem).__name__}", is_final=False)
        fault("sender.media_after_upload")
        return read_answer(answer.status, payload)


def session_options(connect_seconds: float, *, trust: ssl.SSLContext | None = None) -> dict[str, Any]:
    """How a session has to be for `Uploader`; `trust` as in `GraphClient`'s."""
    return {
        "connector": aiohttp.TCPConnector(limit=0, ssl=trust or True),
        "cookie_jar": aiohttp.DummyCookieJar(),
        "timeout": aiohttp.ClientTimeout(total=UPLOAD_SECONDS, sock_connect=connect_seconds),
        "headers": {"User-Agent": "parley"},
        "trust_env": False,
    }
