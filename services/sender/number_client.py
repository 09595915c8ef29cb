"""What does Meta say of a number itself? `GET /{phone_number_id}`: whether it may send, and how fast."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import orjson

from services.common.platform import logging

log = logging.get(__name__)

_FIELDS: Final = "status,throughput,platform_type,health_status"
_SECONDS: Final = 10.0
_LIMITS: Final = {"STANDARD": 80, "HIGH": 1000}
"""Messages a second by the level of `throughput`. Meta: page "throughput"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberSeen:
    """What Meta says. `messages_per_second` is None where its word is not known."""

    is_blocked: bool
    messages_per_second: int | None


class NumberClient:
    """Asks Meta. An answer that cannot be had or read is None: nothing follows from it."""

    def __init__(self, session: aiohttp.ClientSession, *, base_url: str, version: str) -> None:
        self._session, self._url = session, f"{base_url}/{version}"

    async def look(self, phone_number_id: str, *, token: str) -> NumberSeen | None:
        """One call, at most ten seconds."""
        try:
            async with (
                asyncio.timeout(_SECONDS),
                self._session.get(
                    f"{self._url}/{phone_number_id}",
                    params={"fields": _FIELDS},
                    headers={"Authorization": f"Bearer {token}"},
                    allow_redirects=False,
                ) as answer,
            ):
                payload = await answer.read()
        except (aiohttp.ClientError, OSError) as problem:
            log.warning("number.not_seen", phone_number_id=phone_number_id, error=type(problem).__name__)
            return None
        if answer.status != 200:
            log.warning("number.not_seen", phone_number_id=phone_number_id, status=answer.status)
            return None
        return seen(payload)


def seen(payload: bytes) -> NumberSeen | None:
    """What an answer says; None when it is no object."""
    try:
        document: Any = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(document, dict):
        return None
    health, throughput = document.get("health_status"), document.get("throughput")
    return NumberSeen(
        is_blocked=isinstance(health, dict) and health.get("can_send_message") == "BLOCKED",
        messages_per_second=_LIMITS.get(str(throughput.get("level"))) if isinstance(throughput, dict) else None,
    )
