"""How does a test speak HTTP byte by byte? Over a plain socket, so that it can be as wrong as a hostile client."""

from __future__ import annotations

import contextlib
import hmac
import socket
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer; status 0 when the connection was closed without one."""

    status: int
    headers: dict[str, str]
    body: bytes


def signature(body: bytes, secret: str) -> str:
    """The value of `X-Hub-Signature-256`."""
    return "sha256=" + hmac.new(secret.encode(), body, "sha256").hexdigest()


def post(body: bytes, *headers: str, path: str = "/webhooks", secret: str | None = None) -> bytes:
    """A POST as bytes: with its length, signed when a secret is given."""
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}", *headers]
    lines += [f"X-Hub-Signature-256: {signature(body, secret)}"] if secret else []
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape") + body


class Wire:
    """One TCP connection."""

    def __init__(self, port: int, *, seconds: float = 10.0) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=seconds)
        self._rest = b""

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> Wire:
        """Send all of it, as far as the server takes it."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._socket.sendall(data)
        return self

    def takes(self, data: bytes) -> bool:
        """Whether the server still takes these bytes."""
        self._socket.setblocking(False)
        try:
            self._socket.send(data)
            return self._socket.recv(1) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False

    def end(self) -> Wire:
        """Say that nothing more will come."""
        self._socket.shutdown(socket.SHUT_WR)
        return self

    def reply(self) -> Reply:
        """The next answer."""
        while b"\r\n\r\n" not in self._rest:
            if not self._more():
                return Reply(0, {}, b"")
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", "0"))
        while len(self._rest) < length and self._more():
            pass
        body, self._rest = self._rest[:length], self._rest[length:]
        return Reply(int(first.split(" ")[1]), headers, body)

    def seconds_until_closed(self) -> float:
        """How long the server kept the connection open from now on."""
        began = time.monotonic()
        while self._more():
            pass
        return time.monotonic() - began

    def _more(self) -> bool:
        try:
            data = self._socket.recv(65536)
        except ConnectionResetError:
            return False
        self._rest += data
        return bool(data)


def exchange(port: int, data: bytes) -> Reply:
    """One answer to these bytes, on a connection of their own."""
    with Wire(port) as wire:
        return wire.send(data).reply()
