"""What could aiohttp do at best? A handler that does nothing, to be compared with within one run."""

from __future__ import annotations

import asyncio
import sys

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
    print(runner.addresses[0][1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await runner.cleanup()


def main() -> None:
    """Print the port, serve until stdin is closed."""
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    asyncio.run(_serve())


if __name__ == "__main__":
    main()
