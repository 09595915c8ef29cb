"""How is the simulator put together, started and stopped? The only place that opens sockets and files."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from aiohttp import web
from pydantic import TypeAdapter

from services.sandbox.simulator import journal
from services.sandbox.simulator.arrival import StampedConnection, forget_stamp, now
from services.sandbox.simulator.config import Customer, read_world
from services.sandbox.simulator.control import Control, explain_mistakes
from services.sandbox.simulator.exchange import Exchange
from services.sandbox.simulator.graph import GraphEndpoint, unknown_path
from services.sandbox.simulator.ledger import Ledger
from services.sandbox.simulator.media import MediaStore
from services.sandbox.simulator.records import JsonObject
from services.sandbox.simulator.rules import Rules
from services.sandbox.simulator.settings import SimulatorSettings
from services.sandbox.simulator.webhooks import Postbox

_MAX_BODY_BYTES = 8 * 1024 * 1024
_AGENT = "facebookexternalua"


@asynccontextmanager
async def running(settings: SimulatorSettings) -> AsyncIterator[tuple[str, ...]]:
    """A simulator that listens; yields its URLs, the one with TLS last where there is one.

    An earlier life in the same ledger file is taken up again.

    If delivery of webhooks breaks, so does this: a Meta that silently sends nothing would be believed."""
    exchange = Exchange(read_world(settings.config), settings.behaviour)
    facts = journal.read(settings.ledger)
    file = journal.Journal(settings.ledger)
    ledger = Ledger(file, settings.keep)
    chance = random.Random(settings.seed)
    connector = aiohttp.TCPConnector(limit=settings.connections)
    headers = {"Content-Type": "application/json", "User-Agent": _AGENT, "Accept": "*/*"}
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        postbox = Postbox(
            session=session,
            url=settings.ingest_url,
            app_secret=settings.app_secret.get_secret_value(),
            ledger=ledger,
            behaviour=lambda: exchange.behaviour,
            chance=chance,
            connections=settings.connections,
        )
        _take_up(facts, exchange, ledger, postbox)
        rules = Rules(chance.random)
        media = MediaStore()
        graph = GraphEndpoint(exchange=exchange, rules=rules, ledger=ledger, postbox=postbox, media=media, chance=chance)
        control = Control(exchange=exchange, rules=rules, ledger=ledger, postbox=postbox, media=media)
        application = web.Application(middlewares=[forget_stamp, explain_mistakes], client_max_size=_MAX_BODY_BYTES)
        application.add_routes([*graph.routes(), *control.routes(), web.route("*", "/{path:.*}", unknown_path)])
        try:
            async with _listening(application, settings) as urls, asyncio.TaskGroup() as group:
                delivering = group.create_task(postbox.run())
                try:
                    yield urls
                finally:
                    delivering.cancel()
        finally:
            postbox.reset()
            file.close()


@asynccontextmanager
async def _listening(application: web.Application, settings: SimulatorSettings) -> AsyncIterator[tuple[str, ...]]:
    """aiohttp's server behind connections that stamp what they read."""
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    server = runner.server
    if server is None:
        raise RuntimeError("aiohttp has set up no server")
    doors: list[tuple[str, int, ssl.SSLContext | None]] = [("http", settings.port, None)]
    if settings.certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(settings.certificate, settings.certificate_key)
        doors.append(("https", settings.tls_port, context))
    listeners: list[asyncio.Server] = []
    urls = []
    try:
        for scheme, wanted, context_of_door in doors:
            listener = await asyncio.get_running_loop().create_server(
                lambda: StampedConnection(server()), settings.host, wanted, ssl=context_of_door, backlog=1024
            )
            listeners.append(listener)
            host, port = listener.sockets[0].getsockname()[:2]
            urls.append(f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}")
        yield tuple(urls)
    finally:
        for listener in listeners:
            listener.close()
        await runner.cleanup()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Heard:
    """An inbound message as the journal has it."""

    phone_number_id: str
    monotonic: float
    wamid: str
    customer: Customer
    spoke_at: float
    opens: bool
    group_id: str | None = None


_HEARD = TypeAdapter(_Heard)


def _take_up(facts: Iterable[JsonObject], exchange: Exchange, ledger: Ledger, postbox: Postbox) -> None:
    """Continue an earlier life: its ledger, its windows, and every update and webhook that was on its way."""
    inbound, updates = ledger.restore(facts)
    for heard in map(_HEARD.validate_python, inbound):
        number = exchange.numbers.get(heard.phone_number_id)
        exchange.people.put(heard.customer)
        if number is not None:
            exchange.heard(
                number,
                heard.customer,
                spoke_at=heard.spoke_at,
                monotonic=heard.monotonic,
                opens=heard.opens,
                group_id=heard.group_id,
            )
    for webhook in ledger.pending():
        postbox.post(webhook)
    for update in updates:
        postbox.schedule(update, max(0.0, (update.due_at - now().epoch_ms) / 1000.0))
