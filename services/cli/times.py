"""Which instant is meant by a text of the command line?"""

from __future__ import annotations

from datetime import UTC, datetime

import typer

HELP = "ISO 8601, such as 2026-11-01 or 2026-11-01T08:00+01:00; UTC without an offset."


def instant(text: str) -> int:
    """Milliseconds; typer.BadParameter when it is none after 1970."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"no instant: {HELP}") from None
    milliseconds = int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
    if milliseconds < 0:
        raise typer.BadParameter(f"no instant: {HELP}")
    return milliseconds
