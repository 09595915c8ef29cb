"""How is a client closed without hanging for it, and without taking over its troubles?"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from aiokafka.errors import KafkaError

from services.common.platform import logging

log = logging.get(__name__)


async def bounded(work: Coroutine[Any, Any, None], seconds: float) -> None:
    """Wait for it as long as that. What is left of it then, or fails with its server, is given up and logged.

    It runs in a task of its own: with Kafka away aiokafka's `stop` may end in the cancellation of one of its own parts, and
    here that would look like a cancellation of ours.
    """
    closing = asyncio.create_task(work)
    done, _ = await asyncio.wait({closing}, timeout=seconds)
    if not done:
        closing.cancel()
        log.warning("sender.client_abandoned", error="TimeoutError")
    elif closing.cancelled():
        log.warning("sender.client_abandoned", error="CancelledError")
    elif (problem := closing.exception()) is not None:
        if not isinstance(problem, KafkaError | OSError):
            raise problem
        log.warning("sender.client_abandoned", error=type(problem).__name__)
