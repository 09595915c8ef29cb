"""Does the network of a storm do on real sockets what its troubles are called?"""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.sandbox.ports import free_port
from tests.faults.storm.proxy import Proxies, proxies
from tests.faults.storm.toxics import Toxic, ToxicKind
from tests.support.waiting import wait_for

SECONDS = 10.0
SILENT_SECONDS = 0.3
LARGE = 3_000_000
WAY = "way"


class Echo(socketserver.ThreadingTCPServer):
    """Says everything back, and remembers what it heard."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        self.heard = bytearray()
        self.talking = 0
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(socketserver.BaseRequestHandler):
    server: Echo

    def handle(self) -> None:
        self.server.talking += 1
        try:
            while piece := self.request.recv(65536):
                self.server.heard += piece
                self.request.sendall(piece)
        except OSError:
            return
        finally:
            self.server.talking -= 1


class Way:
    """The way to an echo through a proxy."""

    def __init__(self, echo: Echo, told: Proxies, port: int) -> None:
        self.echo, self.port = echo, port
        self._proxies = told

    def begin(self, kind: ToxicKind, strength: float = 0.0) -> None:
        self._proxies.begin(WAY, Toxic(kind=kind, strength=strength))

    def end(self) -> None:
        self._proxies.end(WAY)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Way]:
    port, control = free_port(), free_port()
    with Echo() as echo:
        threading.Thread(target=echo.serve_forever, daemon=True).start()
        routes = {WAY: (port, int(echo.server_address[1]))}
        with proxies(routes, control_port=control, log_path=tmp_path_factory.mktemp("proxy") / "log") as told:
            yield Way(echo, told, port)
        echo.shutdown()


@pytest.fixture
def way(made: Way) -> Iterator[Way]:
    made.echo.heard.clear()
    yield made
    made.end()


def say_all(connection: socket.socket, sent: bytes) -> None:
    connection.sendall(sent)
    connection.shutdown(socket.SHUT_WR)


def received(connection: socket.socket, size: int) -> bytes:
    """So many bytes, or what came before the other side ended."""
    got = bytearray()
    while len(got) < size and (piece := connection.recv(65536)):
        got += piece
    return bytes(got)


def is_silent(connection: socket.socket) -> bool:
    """Whether nothing comes for a while."""
    connection.settimeout(SILENT_SECONDS)
    try:
        connection.recv(1)
    except TimeoutError:
        return True
    finally:
        connection.settimeout(SECONDS)
    return False


def test_without_trouble_everything_arrives_in_order_and_the_end_is_told(way: Way) -> None:
    sent = bytes(n % 251 for n in range(LARGE))
    with way.connect() as connection:
        sending = threading.Thread(target=say_all, args=(connection, sent))
        sending.start()
        assert received(connection, LARGE + 1) == sent
        sending.join()


def test_a_client_that_resets_its_connection_ends_that_to_the_server(way: Way) -> None:
    for _ in range(10):
        with way.connect() as connection:
            connection.sendall(b"hello")
            assert received(connection, 5) == b"hello"
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wait_for(lambda: not way.echo.talking, SECONDS, "the server to hear of it")


def test_a_cut_ends_what_is_open_and_refuses_what_is_new_until_it_is_over(way: Way) -> None:
    with way.connect() as connection:
        connection.sendall(b"a")
        assert received(connection, 1) == b"a"
        way.begin(ToxicKind.CUT)
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    with pytest.raises(ConnectionRefusedError):
        way.connect()
    way.end()
    with way.connect() as connection:
        connection.sendall(b"b")
        assert received(connection, 1) == b"b"


def test_a_black_hole_swallows_silently_and_gives_everything_back(way: Way) -> None:
    with way.connect() as earlier:
        earlier.sendall(b"a")
        assert received(earlier, 1) == b"a"
        way.begin(ToxicKind.BLACK_HOLE)
        earlier.sendall(b"b")
        with way.connect() as later:
            later.sendall(b"c")
            assert is_silent(earlier)
            assert is_silent(later)
            assert bytes(way.echo.heard) == b"a"
            way.end()
            assert received(earlier, 1) == b"b"
            assert received(later, 1) == b"c"


def test_a_black_hole_keeps_for_ever_what_its_sender_took_back(way: Way) -> None:
    way.begin(ToxicKind.BLACK_HOLE)
    taken_back, kept = way.connect(), way.connect()
    taken_back.sendall(b"a")
    kept.sendall(b"b")
    taken_back.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    taken_back.close()
    kept.close()
    way.end()
    wait_for(lambda: bool(way.echo.heard), SECONDS, "what was said before an orderly end")
    assert bytes(way.echo.heard) == b"b"


def test_latency_is_there_each_way_and_does_not_add_up(way: Way) -> None:
    way.begin(ToxicKind.LATENCY, 0.2)
    with way.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        began = time.monotonic()
        for piece in (b"a", b"b", b"c", b"d", b"e", b"f", b"g", b"h"):
            connection.sendall(piece)
        assert received(connection, 8) == b"abcdefgh"
        assert 0.4 <= time.monotonic() - began < 8 * 0.4


def test_a_slow_way_takes_as_long_as_its_bytes_need(way: Way) -> None:
    way.begin(ToxicKind.SLOW, 50_000.0)
    with way.connect() as connection:
        began = time.monotonic()
        connection.sendall(bytes(25_000))
        assert len(received(connection, 25_000)) == 25_000
        assert time.monotonic() - began >= 0.5


def test_a_reset_ends_what_is_open_and_lets_requests_through_without_their_answers(way: Way) -> None:
    with way.connect() as earlier:
        earlier.sendall(b"a")
        assert received(earlier, 1) == b"a"
        way.begin(ToxicKind.RESET)
        with pytest.raises(ConnectionResetError):
            earlier.recv(1)
    with way.connect() as later:
        later.sendall(b"b")
        with pytest.raises(ConnectionResetError):
            later.recv(1)
    wait_for(lambda: bytes(way.echo.heard) == b"ab", SECONDS, "the request that nobody heard the answer of")
    way.end()
    with way.connect() as connection:
        connection.sendall(b"c")
        assert received(connection, 1) == b"c"


def test_a_server_that_is_away_looks_like_one(tmp_path: Path) -> None:
    nobody, port, control = free_port(), free_port(), free_port()
    away = proxies({WAY: (port, nobody)}, control_port=control, log_path=tmp_path / "log")
    # At the first word, or before it.
    with away, pytest.raises(ConnectionResetError), socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
        connection.recv(1)
