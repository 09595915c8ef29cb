"""Does `parley sim` make the simulated Meta misbehave as asked, and behave again?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import pytest

from services.sandbox.simulator.client import SimulatorClient
from tests.support.command_line import parley
from tests.support.processes import ServiceProcess

T = TypeVar("T")
NUMBER = "106540352242922"


@pytest.fixture
def url() -> Iterator[str]:
    """A simulated Meta with one number."""
    env = {"PARLEY_INGEST_URL": "http://127.0.0.1:9/webhooks", "PARLEY_APP_SECRET": "secret"}
    with ServiceProcess("simulator", env, module="services.sandbox.simulator") as simulator:
        simulator.wait_until(lambda: "listening on http" in simulator.log, 20.0, "listen")
        found = simulator.log.split("listening on ")[1].split()[0]
        ask(found, lambda client: client.add_number(NUMBER, waba_id="1", display_phone_number="15550100001", throughput=80))
        yield found


def ask(url: str, question: Callable[[SimulatorClient], Awaitable[T]]) -> T:
    async def asking() -> T:
        async with aiohttp.ClientSession() as session:
            return await question(SimulatorClient(url, session))

    return asyncio.run(asking())


def shown(url: str, path: str) -> Any:
    async def reading() -> Any:
        async with aiohttp.ClientSession() as session, session.get(f"{url}/_sim/{path}") as response:
            return await response.json()

    return asyncio.run(reading())


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (["slow", "--delay", "2", "--tail", "0.5", "--seconds", "60"], {"kind": "delay", "seconds": 2.0, "tail_seconds": 0.5}),
        (["hang", "--next", "3", "--number", NUMBER], {"kind": "hang", "seconds": 5.0}),
        (["drop-after", "--always", "--share", "0.01"], {"kind": "drop_after"}),
        (["odd-before", "--status", "503", "--body", "empty"], {"kind": "odd_answer", "http_status": 503, "accepts": False}),
        (["odd-after"], {"kind": "odd_answer", "http_status": 502, "body": "html", "accepts": True}),
    ],
)
def test_misbehaviour_is_a_rule_until_meta_is_asked_to_behave(
    tmp_path: Path, url: str, arguments: list[str], rule: dict[str, object]
) -> None:
    assert parley(tmp_path, "sim", "misbehave", *arguments, PARLEY_SIMULATOR_URL=url).returncode == 0
    [made] = shown(url, "rules")["rules"]
    assert rule.items() <= made["action"].items()
    assert made["left"] == (3 if "--next" in arguments else None if {"--always", "--seconds"} & {*arguments} else 1)
    assert made["share"] == (0.01 if "--share" in arguments else 1.0)
    assert made["match"]["phone_number_id"] == (NUMBER if "--number" in arguments else None)
    assert parley(tmp_path, "sim", "behave", PARLEY_SIMULATOR_URL=url).returncode == 0
    assert shown(url, "rules")["rules"] == []


def test_a_number_gets_another_rate_than_advertised_and_back(tmp_path: Path, url: str) -> None:
    for given, hidden in (("40", 40), ("0", None)):
        done = parley(tmp_path, "sim", "limit", given, PARLEY_SIMULATOR_URL=url, PARLEY_PHONE_NUMBER_ID=NUMBER)
        assert done.returncode == 0, done.stderr
        [number] = shown(url, "numbers")["numbers"]
        assert (number["throughput"], number["hidden_throughput"]) == (80, hidden)


def test_statuses_come_when_asked_for(tmp_path: Path, url: str) -> None:
    assert parley(tmp_path, "sim", "statuses", "never", "--late", "90", PARLEY_SIMULATOR_URL=url).returncode == 0
    behaviour = shown(url, "behaviour")
    assert (behaviour["statuses"], behaviour["statuses_late_seconds"]) == ("never", 90.0)
