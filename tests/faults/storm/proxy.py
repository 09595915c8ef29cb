"""How is a network made bad between two processes? TCP proxies in a process of their own, told over HTTP what to do.

Run as `python -m tests.faults.storm.proxy PORT ROUTES`: PORT is where it is told, ROUTES is JSON, name -> [listen, target], both
ports of the loopback interface. `PUT /toxics/<name>` with {"kind": …, "strength": …} begins a trouble, `DELETE` ends it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from http.client import HTTPConnection
from pathlib import Path
from typing import Final

import uvloop
from aiohttp import web

from services.sandbox.child import Child, last_lines
from services.sandbox.supervisor import answers_ok
from tests.faults.storm.toxics import Toxic, ToxicKind, ends_open_ones, holds, passage, piece_bytes, refuses
from tests.support.processes import ROOT
from tests.support.waiting import wait_for

_LOOPBACK: Final = "127.0.0.1"
_PIECES_KEPT: Final = 64
_START_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 5.0
_ANSWER_SECONDS: Final = 10.0
_RESET_AT_CLOSE: Final = struct.pack("ii", 1, 0)


class Route:
    """One proxy: everything that goes through it suffers from the same trouble."""

    def __init__(self, listen: int, target: int) -> None:
        self._listen, self._target = listen, target
        self._toxic: Toxic | None = None
        self._is_free = asyncio.Event()
        self._is_free.set()
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def suffer(self, toxic: Toxic | None) -> None:
        """From now on this trouble, or none."""
        self._toxic = toxic
        if holds(toxic):
            self._is_free.clear()
        else:
            self._is_free.set()
        if refuses(toxic) and self._server is not None:
            self._server.close()
            self._server = None
        if ends_open_ones(toxic):
            for writer in list(self._open):
                _reset(writer)
        if not refuses(toxic) and self._server is None:
            self._server = await asyncio.start_server(self._met, _LOOPBACK, self._listen, backlog=512)

    async def _met(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A client has come. Both connections end as one: in order when both sides have said all, else by a reset."""
        self._open.add(writer)
        ends = [writer]
        try:
            await self._is_free.wait()
            server_reader, server_writer = await asyncio.open_connection(_LOOPBACK, self._target)
            self._open.add(server_writer)
            ends.append(server_writer)
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._one_way(reader, server_writer, is_answer=False))
                ways.create_task(self._one_way(server_reader, writer, is_answer=True))
            for end in ends:
                end.close()
        except* (OSError, RuntimeError):  # uvloop raises the latter for a connection that has just been closed
            for end in ends:
                _reset(end)
        finally:
            self._open.difference_update(ends)

    async def _one_way(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_answer: bool) -> None:
        """Everything from one end to the other, in order, until the one ends; then the other is told that nothing follows."""
        pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_PIECES_KEPT)
        async with asyncio.TaskGroup() as both:
            both.create_task(self._take(reader, pieces))
            both.create_task(self._give(pieces, reader, writer, is_answer=is_answer))

    async def _take(self, reader: asyncio.StreamReader, pieces: asyncio.Queue[tuple[float, bytes]]) -> None:
        clock = asyncio.get_running_loop().time
        piece = b"unread"
        while piece:
            await self._is_free.wait()
            piece = await reader.read(piece_bytes(self._toxic))
            await pieces.put((clock(), piece))

    async def _give(
        self,
        pieces: asyncio.Queue[tuple[float, bytes]],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        is_answer: bool,
    ) -> None:
        """What was under way when its sender reset the connection never arrives; after an orderly end it does."""
        clock = asyncio.get_running_loop().time
        while True:
            came_in, piece = await pieces.get()
            way = passage(self._toxic, len(piece), is_answer=is_answer)
            await asyncio.sleep(max(0.0, came_in + way.late_seconds - clock()) + way.busy_seconds)
            await self._is_free.wait()
            if (way.is_reset and piece) or reader.exception() is not None:
                raise ConnectionResetError
            if not piece:
                writer.write_eof()
                return
            writer.write(piece)
            await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection so that the other side sees a reset; ended already: nothing."""
    made: socket.socket | None = writer.get_extra_info("socket")
    if made is not None:
        with contextlib.suppress(OSError):
            made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
    writer.transport.abort()


class Proxies:
    """The proxies as those see them who make the network bad. The calls wait for the answer: what was asked for is so then."""

    def __init__(self, control_port: int) -> None:
        self._port = control_port

    def begin(self, route: str, toxic: Toxic) -> None:
        """A trouble, in place of the one there was."""
        self._ask("PUT", route, json.dumps(asdict(toxic)))

    def end(self, route: str) -> None:
        """No trouble. There was none: nothing."""
        self._ask("DELETE", route, None)

    def _ask(self, method: str, route: str, body: str | None) -> None:
        connection = HTTPConnection(_LOOPBACK, self._port, timeout=_ANSWER_SECONDS)
        try:
            connection.request(method, f"/toxics/{route}", body)
            status = connection.getresponse().status
            assert status == 204, f"the proxy answered {status} to {method} {route}"
        finally:
            connection.close()


@contextmanager
def proxies(routes: Mapping[str, tuple[int, int]], *, control_port: int, log_path: Path) -> Iterator[Proxies]:
    """Proxies that listen, by name: where they do, and where what they take goes to. Their process ends with the block."""
    command = [sys.executable, "-m", "tests.faults.storm.proxy", str(control_port), json.dumps(routes)]
    child = Child(command, log_path=log_path, cwd=ROOT)
    try:
        url = f"http://{_LOOPBACK}:{control_port}/health"
        wait_for(lambda: child.exit_code is not None or answers_ok(url), _START_SECONDS, "the proxies to listen")
        assert child.exit_code is None, f"the proxies ended: {last_lines(log_path)}"
        yield Proxies(control_port)
    finally:
        child.stop(_STOP_SECONDS)


def _control(routes: Mapping[str, Route]) -> web.Application:
    async def begin(request: web.Request) -> web.Response:
        told = await request.json()
        await routes[request.match_info["name"]].suffer(Toxic(kind=ToxicKind(told["kind"]), strength=told["strength"]))
        return web.Response(status=204)

    async def end(request: web.Request) -> web.Response:
        await routes[request.match_info["name"]].suffer(None)
        return web.Response(status=204)

    async def health(_: web.Request) -> web.Response:
        return web.Response()

    application = web.Application()
    application.add_routes([web.put("/toxics/{name}", begin), web.delete("/toxics/{name}", end), web.get("/health", health)])
    return application


async def _serve(control_port: int, places: Mapping[str, tuple[int, int]]) -> None:
    routes = {name: Route(listen, target) for name, (listen, target) in places.items()}
    for route in routes.values():
        await route.suffer(None)
    runner = web.AppRunner(_control(routes), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, _LOOPBACK, control_port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1]), json.loads(sys.argv[2])))
