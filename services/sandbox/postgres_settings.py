"""How is the sandbox's Postgres set? The same from Docker and from the machine's programs."""

from __future__ import annotations

OPERATOR = "operator"
DATABASE = "parley"
INITDB = ("--encoding=UTF8", "--locale=C")


def server_settings(*, durable: bool) -> dict[str, str]:
    """Modest in memory, many connections, no values in the log.

    Without `durable` nothing is flushed to disk: whatever was committed outlives a killed server, not a lost machine. Commits
    stay synchronous all the same, else a killed server would forget what it confirmed. What is kept or measured has room for
    the ledger of a fast number: in 64 MB the minute's vacuum of it took 8 s instead of 2.
    """
    flushes = "on" if durable else "off"
    return {
        "max_connections": "200",
        "shared_buffers": "256MB" if durable else "64MB",
        "fsync": flushes,
        "full_page_writes": flushes,
        "synchronous_commit": "on",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_error_verbosity": "terse",
        "log_min_error_statement": "panic",
    }
