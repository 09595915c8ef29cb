"""What stands behind links in tests? An HTTPS server on this machine that answers as told and counts who came."""

from __future__ import annotations

import asyncio
import datetime as dt
import socket
import ssl
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import uvloop
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

T = TypeVar("T")

HOST: Final = "cdn.example.com"
_NAMES: Final = (HOST, "*.example.com", "example.com")


@dataclass(slots=True)
class LinkServer:
    """`answers` by path; what is not there is 404. `seen`: method, path and headers of every request, in order."""

    port: int = 0
    certificate: Path = Path()
    answers: dict[str, Callable[[web.Request], web.StreamResponse]] = field(default_factory=dict)
    seen: list[tuple[str, str, Mapping[str, str]]] = field(default_factory=list)
    loop: asyncio.AbstractEventLoop = field(default_factory=uvloop.new_event_loop)
    slow: set[str] = field(default_factory=set)
    """Paths that are answered only when nobody waits for it any more."""

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What a client makes of this server. In its loop, which lives on until the farewells of TLS are said."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(40.0)

    def put(self, path: str, body: bytes, content_type: str, **headers: str) -> str:
        """Serve these bytes; the link to them. With an ETag, who has them already is told so."""
        sent = {"Content-Type": content_type, **{name.replace("_", "-"): value for name, value in headers.items()}}

        def answer(request: web.Request) -> web.StreamResponse:
            if "ETag" in sent and request.headers.get("If-None-Match") == sent["ETag"]:
                return web.Response(status=304)
            return web.Response(body=body, headers=sent)

        self.answers[path] = answer
        return f"https://{HOST}{path}"

    def redirect(self, path: str, location: str, status: int = 302) -> str:
        """Send whoever asks elsewhere; the link that does so."""
        self.answers[path] = lambda _request: web.Response(status=status, headers={"Location": location})
        return f"https://{HOST}{path}"

    def fetches(self, path: str) -> int:
        """How often a path was asked for."""
        return sum(one == path for _, one, _ in self.seen)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.seen.append((request.method, request.path, dict(request.headers)))
        if request.path in self.slow:
            await asyncio.sleep(600.0)
        answer = self.answers.get(request.path)
        return web.Response(status=404) if answer is None else answer(request)


class Pretend(AbstractResolver):
    """Every name is on this machine at a port, unless `names` says what it resolves to, one answer after the other."""

    def __init__(self, port: int, names: Mapping[str, Iterator[list[str]]] | None = None) -> None:
        self._port, self._names = port, names or {}

    async def resolve(self, host: str, _port: int = 0, _family: socket.AddressFamily = socket.AF_UNSPEC) -> list[ResolveResult]:
        addresses = next(self._names[host]) if host in self._names else ["127.0.0.1"]
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=self._port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=0,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing is open."""


def trust(certificate: Path) -> ssl.SSLContext:
    """Whoever has this certificate is believed."""
    return ssl.create_default_context(cafile=str(certificate))


@contextmanager
def link_server(directory: Path, *, address: str = "127.0.0.1", port: int = 0) -> Iterator[LinkServer]:
    """A server that listens, in a thread of its own. Two of one directory have one certificate."""
    server = LinkServer(certificate=directory / "certificate.pem")
    key = directory / "key.pem"
    if not key.exists():
        _make_certificate(server.certificate, key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(server.certificate, key)
    loop, ready = server.loop, threading.Event()

    async def serve() -> web.AppRunner:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", server._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, address, port, ssl_context=context).start()
        server.port = runner.addresses[0][1]
        return runner

    def live() -> None:
        asyncio.set_event_loop(loop)
        runner = loop.run_until_complete(serve())
        ready.set()
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()

    thread = threading.Thread(target=live, daemon=True)
    thread.start()
    assert ready.wait(10.0), "the server did not listen"
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10.0)


def _make_certificate(certificate: Path, key_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(one) for one in _NAMES]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
