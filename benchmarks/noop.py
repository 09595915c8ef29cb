"""What could aiohttp do at best? A handler that does nothing, to be compared with within one run."""

from __future__ import annotations

import asyncio
import json
import signal

import uvloop
from aiohttp import web


async def _nothing(_: web.Request) -> web.Response:
    return web.Response()


async def _serve() -> None:
    app = web.Application()
    app.router.add_post("/webhooks", _nothing)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    print(json.dumps({"event": "noop.listening", "port": runner.addresses[0][1]}), flush=True)
    await stopping.wait()
    await runner.cleanup()


def main() -> None:
    """Print the port, serve until SIGTERM."""
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    asyncio.run(_serve())


if __name__ == "__main__":
    main()
