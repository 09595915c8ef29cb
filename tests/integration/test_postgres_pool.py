"""Does a connection of a service end when its server's machine says nothing any more? Asked of the socket itself."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest

from services.common.platform.postgres import pool

OPTIONS = {
    "idle": (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
    "interval": (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL),
    "count": (socket.IPPROTO_TCP, socket.TCP_KEEPCNT),
    "unanswered_ms": (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
}


OF_THE_SERVER = ("tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count", "tcp_user_timeout")


async def patience(dsn: str) -> tuple[dict[str, int], list[str]]:
    """What the kernel goes by for a connection of the pool: ours, and the server's."""
    connections = pool(dsn, service="test")
    await connections.open()
    try:
        async with connections.connection() as connection:
            with socket.socket(fileno=os.dup(connection.fileno())) as copy:
                assert copy.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
                ours = {name: copy.getsockopt(*option) for name, option in OPTIONS.items()}
            rows = [await (await connection.execute(f"SHOW {name}")).fetchone() for name in OF_THE_SERVER]
            return ours, [str(row[0]) for row in rows if row is not None]
    finally:
        await connections.close()


@pytest.mark.failure("R9", "S10")
def test_a_server_that_says_nothing_is_given_up_after_25_seconds_and_so_are_we(postgres: str) -> None:
    found, told = asyncio.run(patience(postgres))
    assert told == ["10", "5", "3", "25000"]
    assert found["idle"] + found["interval"] * found["count"] == 25, "nothing under way"
    assert found["unanswered_ms"] == 25_000, "a statement under way"
