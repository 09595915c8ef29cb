"""Which TCP port is free? One below the range that outgoing connections take theirs from."""

from __future__ import annotations

import random
import socket

LOWEST, HIGHEST = 15_000, 30_000
TRIES = 200


def free_port(host: str = "127.0.0.1") -> int:
    """A port nobody listens on now. Picked at random, so that two sandboxes started together rarely meet."""
    for _ in range(TRIES):
        port = random.randint(LOWEST, HIGHEST)
        if is_free(port, host):
            return port
    raise OSError(f"no free TCP port found between {LOWEST} and {HIGHEST}")


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen there; a port that only waits out its last connections counts as free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def answers(host: str, port: int, timeout_seconds: float = 1.0) -> bool:
    """Whether something accepts a connection there."""
    try:
        with socket.create_connection((host, port), timeout=timeout_seconds):
            return True
    except OSError:
        return False
