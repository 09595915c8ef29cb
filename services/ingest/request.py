"""What does a request carry? Its headers that matter, and its body up to a limit."""

from __future__ import annotations

import re
from typing import Final

from aiohttp import web
from multidict import istr

from services.common.domain.reasons import Reason
from services.ingest.budget import Budget

_SIGNATURE: Final = istr("X-Hub-Signature-256")
_TYPE: Final = istr("Content-Type")
_ENCODING: Final = istr("Content-Encoding")
_LENGTH: Final = istr("Content-Length")
_TRACEPARENT: Final = istr("traceparent")
_EXPECT: Final = istr("Expect")
_TRACEPARENT_SHAPE: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def signatures_of(request: web.BaseRequest) -> list[bytes]:
    """Every `X-Hub-Signature-256` value, as its bytes on the wire."""
    return [_wire(value) for value in request.headers.getall(_SIGNATURE, ())]


def declared_length(request: web.BaseRequest) -> int:
    """`Content-Length`, which the parser has checked; 0 without one."""
    return int(request.headers.get(_LENGTH, "0"))


def expectation_of(request: web.BaseRequest) -> str:
    """`Expect`, or nothing."""
    return request.headers.get(_EXPECT, "").lower()


def is_encoded(request: web.BaseRequest) -> bool:
    """Whether the body claims to be compressed."""
    return request.headers.get(_ENCODING, "identity").lower() != "identity"


def kept_headers(request: web.BaseRequest) -> list[tuple[str, bytes]]:
    """What a reader of the bytes has to know about them."""
    headers = request.headers
    kept = []
    content_type = headers.get(_TYPE)
    if content_type is not None:
        kept.append(("content-type", _wire(content_type)))
    if _ENCODING in headers:
        kept.append(("content-encoding", _wire(", ".join(headers.getall(_ENCODING)))))
    traceparent = headers.get(_TRACEPARENT)
    if traceparent is not None and _TRACEPARENT_SHAPE.fullmatch(traceparent):
        kept.append(("traceparent", _wire(traceparent)))
    return kept


async def body_of(request: web.BaseRequest, *, limit: int, budget: Budget) -> bytes | Reason:
    """The body as it came over the wire; why not, as soon as it is more than `limit`, or than the budget or memory allows."""
    content = request.content
    held = 0
    chunks: list[bytes] = []
    try:
        while chunk := await content.readany():
            if held + len(chunk) > limit:
                return Reason.BODY_TOO_LARGE
            if not budget.take(len(chunk)):
                return Reason.OVERLOADED
            held += len(chunk)
            chunks.append(chunk)
        return b"".join(chunks)
    except MemoryError:
        return Reason.OVERLOADED  # nothing of it went anywhere yet
    finally:
        budget.release(held)


def _wire(value: str) -> bytes:
    """aiohttp decodes headers so that no byte is lost."""
    return value.encode("utf-8", "surrogateescape")
