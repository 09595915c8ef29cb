"""Which TCP port is free? One below the range that outgoing connections take theirs from."""

from __future__ import annotations

import random
import socket
from typing import Final

PORTS: Final = range(15_000, 30_000)
TRIES: Final = 200
_PARTS: Final = {"nth": 0, "of": 1}


def keep_to_part(nth: int, *, of: int) -> None:
    """From now on this process picks from one of so many parts only: those that start many servers at once never meet."""
    _PARTS.update(nth=nth, of=of)


def free_port(host: str = "127.0.0.1") -> int:
    """A port nobody listens on now. Picked at random, so that two sandboxes started together rarely meet."""
    for _ in range(TRIES):
        port = random.choice(PORTS[_PARTS["nth"] :: _PARTS["of"]])
        if is_free(port, host):
            return port
    raise OSError(f"no free TCP port found from {PORTS.start} on, below {PORTS.stop}")


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
