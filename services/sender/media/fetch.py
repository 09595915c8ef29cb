"""How are the bytes behind a link fetched without being led astray? One GET, each step of it checked before it is made.

Guarantee: no byte goes to an address that is not public, whatever a link, a name server or a redirect says. A name is resolved
once for a connection, the addresses that were judged are those connected to, and a connection serves one request. Nothing is sent
but the request: no cookies, no credentials, no proxy. Bytes are counted as they come.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from services.sender.media import formats, links
from services.sender.media.facts import NotPrepared
from services.sender.media.ledger import Content, Known
from services.sender.media.spool import Spool, TooBig

FETCH_SECONDS: Final = 30.0
"""For everything: names, redirects, bytes."""
MOST_REDIRECTS: Final = 3
_CHUNK: Final = 64 * 1024
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_FOR_NOW: Final = frozenset({408, 425, 429})
_MAX_VALIDATOR: Final = 512


class _NotPublic(Exception):  # noqa: N818 - what it is
    """A name leads to an address that is not public."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What is in the spool now, and what tells later that it is unchanged."""

    content: Content
    etag: str | None
    last_modified: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What names mean and whom to trust. The defaults are the only ones outside of tests."""

    resolver: Callable[[], AbstractResolver] = aiohttp.ThreadedResolver
    is_public: Callable[[str], bool] = links.is_public
    trust: Callable[[], ssl.SSLContext] = ssl.create_default_context


PUBLIC: Final = Surroundings()


class _Guard(AbstractResolver):
    """Lets a name through only with all its addresses public. What this returns is what aiohttp connects to."""

    def __init__(self, inner: AbstractResolver, is_public: Callable[[str], bool]) -> None:
        self._inner, self._is_public = inner, is_public

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        if not all(self._is_public(one["host"]) for one in found):
            raise _NotPublic
        return found

    async def close(self) -> None:
        await self._inner.close()


def session_options(surroundings: Surroundings) -> dict[str, Any]:
    """How a session has to be for `Fetcher`."""
    return {
        "connector": aiohttp.TCPConnector(
            resolver=_Guard(surroundings.resolver(), surroundings.is_public),
            use_dns_cache=False,
            force_close=True,
            ssl=surroundings.trust(),
        ),
        "cookie_jar": aiohttp.DummyCookieJar(),
        "timeout": aiohttp.ClientTimeout(total=FETCH_SECONDS),
        "headers": {"User-Agent": "parley", "Accept": "*/*", "Accept-Encoding": "identity"},
        "auto_decompress": False,
        "trust_env": False,
    }


class Fetcher:
    """Fetches links."""

    def __init__(self, session: aiohttp.ClientSession, *, hosts: Sequence[str]) -> None:
        """`session` is made with `session_options`. `hosts` as `links.problem` has them."""
        self._session, self._hosts = session, hosts

    async def fetch(self, link: str, spool: Spool, *, media_type: str, known: Known | None) -> Fetched | None:
        """Fill the spool; None when the link still has what is `known` of it. Raises NotPrepared."""
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                return await self._follow(link, spool, media_type, known)
        except _NotPublic:
            raise NotPrepared("leads to an address that is not public", is_final=True) from None
        except TooBig as problem:
            raise NotPrepared(str(problem), is_final=True, is_too_big=True) from None
        except aiohttp.ClientConnectorCertificateError:
            raise NotPrepared("the host's certificate is not good", is_final=True) from None
        except (aiohttp.ClientError, OSError, ValueError) as problem:
            # TimeoutError is an OSError. The type alone is told: texts may quote addresses.
            raise NotPrepared(f"could not be fetched: {type(problem).__name__}", is_final=False) from None

    async def _follow(self, link: str, spool: Spool, media_type: str, known: Known | None) -> Fetched | None:
        for _ in range(MOST_REDIRECTS + 1):
            text = links.problem(link, self._hosts)
            if text is not None:
                raise NotPrepared(text, is_final=True)
            async with self._session.get(URL(link, encoded=True), allow_redirects=False, headers=_unless(known)) as answer:
                if answer.status in _REDIRECTS:
                    link = links.redirected(link, answer.headers.get("Location", ""))
                    continue
                if answer.status == 304 and known is not None:
                    return None
                return await self._read(answer, spool, media_type)
        raise NotPrepared(f"more than {MOST_REDIRECTS} redirects", is_final=True)

    async def _read(self, answer: aiohttp.ClientResponse, spool: Spool, media_type: str) -> Fetched:
        if answer.status != 200:
            is_final = answer.status < 500 and answer.status not in _FOR_NOW
            raise NotPrepared(f"the host answered {answer.status}", is_final=is_final)
        if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise NotPrepared("the host compresses what it was asked for as it is", is_final=True)
        mime_type = formats.mime_type_of_header(answer.headers.get("Content-Type"))
        if mime_type is None or mime_type not in formats.MIME_TYPES[media_type]:
            raise NotPrepared(f"its Content-Type is not one that can be sent as {media_type}", is_final=True)
        spool.expect(answer.content_length or 0)
        async for chunk in answer.content.iter_chunked(_CHUNK):
            spool.write(chunk)
        return Fetched(
            content=spool.content(mime_type), etag=_validator(answer, "ETag"), last_modified=_validator(answer, "Last-Modified")
        )


def _unless(known: Known | None) -> dict[str, str]:
    """Ask for the bytes only if they are other than those that are known."""
    if known is None:
        return {}
    asked = {"If-None-Match": known.etag, "If-Modified-Since": known.last_modified}
    return {name: value for name, value in asked.items() if value is not None}


def _validator(answer: aiohttp.ClientResponse, name: str) -> str | None:
    value = answer.headers.get(name)
    return value if value is not None and value.isascii() and value.isprintable() and len(value) <= _MAX_VALIDATOR else None
