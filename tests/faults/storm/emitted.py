"""What do the services of a storm show to operators, and is anything of people or secrets in it?

Looked into, each under a name of its own: what every life of every service wrote; what the brokers and both servers of Postgres
wrote, because they write about what our programs send them; metrics, command lines and environments of the services at the end;
dead letters, without their values. Not the simulated Meta, and no data: topics and tables hold what people say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import aiohttp

from tests.faults.storm.schedule import SERVICES
from tests.faults.storm.world import World
from tests.support.search import Sought, dead_letter_places, dumpers, process_places, search
from tests.support.waiting import wait_for_none

_READY_SECONDS: Final = 60.0
_WRITTEN: Final = (*(f"stack/logs/{name}.log" for name in SERVICES), "scratch/**/*")


async def while_running(world: World, session: aiohttp.ClientSession) -> dict[str, Sought]:
    """Once everything has settled and all services are ready; AssertionError when one does not get ready within a minute."""
    metrics = await _metrics(world, session)
    return await asyncio.to_thread(_looked_into, world, metrics)


async def _metrics(world: World, session: aiohttp.ClientSession) -> dict[str, str | Path]:
    await asyncio.to_thread(wait_for_none, world.stack.unready, _READY_SECONDS, "all services to be ready after the storm")
    places: dict[str, str | Path] = {}
    for name, url in world.stack.metrics_urls().items():
        async with session.get(url) as answer:
            answer.raise_for_status()
            places[f"metrics of {name}"] = await answer.text()
    return places


def _looked_into(world: World, metrics: Mapping[str, str | Path]) -> dict[str, Sought]:
    pids = {name: pid for name, pid in world.stack.service_pids().items() if name in SERVICES and pid is not None}
    return {
        "metrics": search(world.words, metrics),
        "command lines and environments": search(world.words, process_places(pids)),
        "core dumps, by their limits": dumpers(pids),
        "dead letters": search(world.words, dead_letter_places(world.bootstrap_servers, world.dsn)),
    }


def afterwards(words: Mapping[str, str], folder: Path) -> dict[str, Sought]:
    """What was written from the beginning to the last stop, in the folder of a storm."""
    return {
        "logs and files of services": search(words, _files(folder, _WRITTEN)),
        "logs of brokers and Postgres": search(words, _files(folder, ["kafka/*/kafka.log", "*/postgres.log"])),
    }


def _files(folder: Path, patterns: Iterable[str]) -> dict[str, str | Path]:
    """By their paths in it."""
    return {
        str(path.relative_to(folder)): path for pattern in patterns for path in sorted(folder.glob(pattern)) if path.is_file()
    }
