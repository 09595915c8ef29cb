"""Run the simulated Meta until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys

import uvloop
from pydantic import ValidationError

from services.sandbox.simulator.app import running
from services.sandbox.simulator.settings import SimulatorSettings

GARBAGE_THRESHOLDS = (700, 10, 100_000)
"""What arrived is kept and no garbage: to look at all of it stopped Meta for 90 ms after 65,000 messages, 210 after 125,000."""


async def serve(settings: SimulatorSettings) -> None:
    """Listen until told to stop; the first lines on stdout are the addresses."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with running(settings) as urls:
        for url in urls:
            print(f"simulator listening on {url}", flush=True)
        await stop.wait()


def main() -> int:
    """0 after a stop on request; 2 when the settings or the files they name make no sense."""
    try:
        settings = SimulatorSettings.model_validate({})
        gc.set_threshold(*GARBAGE_THRESHOLDS)
        uvloop.run(serve(settings))
    except ValidationError as invalid:
        for one in invalid.errors():
            place = ".".join(str(part) for part in one["loc"])
            print(f"simulator: {invalid.title}: {place}: {one['msg']}", file=sys.stderr)
        return 2
    except OSError as trouble:
        print(
            f"simulator: {trouble.strerror}: {trouble.filename or 'address in use or not ours'}",
            file=sys.stderr,
        )
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
