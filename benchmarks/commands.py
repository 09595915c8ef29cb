"""What do producers do at a steady rate, and when does each command reach Meta? Paced send-commands beside Meta's arrival log.

At rate 0 all are appended at once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
import uuid
from typing import Any, Final

import aiohttp
import orjson
import uvloop

from benchmarks.bodies import customer, number_of
from services.common.domain import topics
from services.common.domain.ids import AttemptId, attempt_id
from services.common.platform.kafka import Producer
from services.sandbox.simulator.client import SimulatorClient

_ARRIVAL_SECONDS: Final = 30.0
_ATTEMPTS: Final = 10
"""A call that was not made in time on a busy machine is made again under another id; so often at most is looked for."""
_TEXT: Final = "Your order has left our warehouse and will be with you tomorrow between 9 and 12."


def command(n: int, customers: int) -> tuple[str, bytes, bytes]:
    """A text to somebody whose window is open: its id, key and JSON."""
    command_id, who = str(uuid.uuid4()), n % customers
    phone_number_id = number_of(who).phone_number_id
    fields = {
        "command_id": command_id,
        "phone_number_id": phone_number_id,
        "type": "text",
        "content": {"body": _TEXT},
        "to": customer(who).wa_id,
        "created_at": int(time.time() * 1000),
    }
    return command_id, phone_number_id.encode(), orjson.dumps(fields)


async def _run(args: argparse.Namespace) -> dict[str, Any]:
    stopping = asyncio.Event()
    producer = Producer(bootstrap_servers=args.kafka, client_id="parley-bench-commands")
    await producer.start(stopping)
    async with aiohttp.ClientSession() as session:
        meta = SimulatorClient(args.simulator, session)
        before = max((arrival.seq for arrival in await meta.requests()), default=0)
        appended: dict[str, float] = {}
        sends: list[asyncio.Future[Any]] = []
        began = time.perf_counter() + 0.2
        between = 1 / args.rate if args.rate else 0.0
        for n in range(args.count):
            await asyncio.sleep(max(0.0, began + n * between - time.perf_counter()))
            command_id, key, value = command(n, args.customers)
            appended[command_id] = time.time() * 1000
            headers = [("content-type", b"application/json")]
            sends.append(await producer.append(topics.SEND_COMMANDS, key=key, value=value, headers=headers))
        await asyncio.gather(*sends)
        seconds = time.perf_counter() - began
        arrived = await _arrivals(meta, before, list(appended))
    await producer.stop()
    return {
        "sent": args.count,
        "seconds": seconds,
        "refused_by_meta": sum(1 for _, accepted in arrived.values() if not accepted),
        "milliseconds": [at - appended[command_id] for command_id, (at, _) in arrived.items()],
    }


async def _arrivals(meta: SimulatorClient, before: int, command_ids: list[str]) -> dict[str, tuple[float, bool]]:
    """First arrival of every command; TimeoutError when some do not come."""
    wanted = {attempt_id(command_id, n): command_id for command_id in command_ids for n in range(1, _ATTEMPTS + 1)}
    async with asyncio.timeout(_ARRIVAL_SECONDS):
        while True:
            found: dict[str, tuple[float, bool]] = {}
            for arrival in await meta.requests(before):
                command_id = wanted.get(AttemptId(arrival.opaque or ""))
                if command_id is not None:
                    found.setdefault(command_id, (arrival.read_at, arrival.is_accepted))
            if len(found) == len(command_ids):
                return found
            await asyncio.sleep(0.2)


def main() -> None:
    """Print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kafka", required=True)
    parser.add_argument("--simulator", required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--customers", type=int, required=True)
    parser.add_argument("--core", type=int, required=True)
    args = parser.parse_args()
    os.sched_setaffinity(0, {args.core})
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    print(json.dumps(asyncio.run(_run(args))))


if __name__ == "__main__":
    main()
