"""How does one demo run: a stack in a throw-away directory, a minute of traffic, an honest verdict, and nothing left behind?"""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from random import SystemRandom
from typing import Final

import aiohttp
import psycopg
from aiokafka.errors import KafkaError
from rich.console import Console

from services.sandbox.demo import traffic
from services.sandbox.demo.business import NUMBERS, account
from services.sandbox.demo.observe import Observer, is_decided, is_noted
from services.sandbox.demo.play import Diary, Play
from services.sandbox.demo.show import Json, Plain, Show, Terminal
from services.sandbox.ledger import judge
from services.sandbox.ledger_reader import read
from services.sandbox.problems import ProviderError
from services.sandbox.settling import Backlog, Lookout
from services.sandbox.simulator.client import SimulatorClient
from services.sandbox.stack import Stack, StackError
from services.sandbox.stack_servers import CalledOffError

SETTLE_SECONDS: Final = 60.0
LOOK_SECONDS: Final = 0.5
HORIZON_SECONDS: Final = 15.0
"""How long the demo's sender waits for evidence of a lost answer; in production minutes, for which a demo has no time."""
LOG_COLUMNS: Final = 110
EXIT_OK, EXIT_BROKEN_PROMISE, EXIT_NO_STACK = 0, 1, 2
_PASSING: Final = (aiohttp.ClientError, psycopg.Error, KafkaError, OSError, TimeoutError)
_SENDER_ENV: Final = {
    **{f"PARLEY_SENDER_{lane}_HORIZON_SECONDS": str(HORIZON_SECONDS) for lane in ("OTP", "TRANSACTIONAL", "BULK")},
    # Its few people get much in a minute.
    "PARLEY_SENDER_PAIR_BURST": "45",
}


def run(
    *,
    seconds: float = 60,
    seed: int | None = None,
    plain: bool | None = None,
    json: bool = False,
    state_dir: Path | None = None,
) -> int:
    """0: every promise was kept, 1: one was broken, 2: the stack did not start, 128 + n: ended by signal n.

    `plain`: lines instead of a picture; by default when stdout is no terminal. `state_dir` is kept, logs and all, for a look
    afterwards; without it everything is removed.
    """
    console = Console(highlight=False, width=None if sys.stdout.isatty() else LOG_COLUMNS)
    if plain is None:
        plain = not console.is_terminal or console.is_dumb_terminal
    show: Show = Json() if json else Plain(console) if plain else Terminal(console)
    seed = SystemRandom().randrange(1_000_000) if seed is None else seed
    directory = Path(tempfile.mkdtemp(prefix="parley-demo-")) if state_dir is None else state_dir
    try:
        return asyncio.run(_main(_Demo(directory, show, seconds, seed)))
    finally:
        show.close()
        if state_dir is None:
            shutil.rmtree(directory, ignore_errors=True)


async def _main(demo: _Demo) -> int:
    """The demo as a task that a signal ends, in order and only once."""
    task = asyncio.create_task(demo.run())
    received: list[signal.Signals] = []

    def end(number: signal.Signals) -> None:
        if not received:
            demo.show.close()
            demo.show.say("stopping")
            task.cancel()
        received.append(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, end, number)
    try:
        return await task
    except asyncio.CancelledError:
        return 128 + received[0]
    except (StackError, ProviderError) as problem:
        print(problem, file=sys.stderr)
        return EXIT_NO_STACK


class _Demo:
    """One run."""

    def __init__(self, directory: Path, show: Show, seconds: float, seed: int) -> None:
        self.show, self._seconds, self._seed = show, seconds, seed
        scratch = directory / "scratch"
        scratch.mkdir(parents=True, exist_ok=True)
        apart = {"TMPDIR": str(scratch)}  # Faust makes a folder there
        more = {"sender": _SENDER_ENV, "router": apart, "projector": apart}
        self._stack = Stack(directory, account=account(), service_env=more)
        self._diary = Diary()
        self._began = time.monotonic()

    async def run(self) -> int:
        """From nothing to the verdict."""
        try:
            await self._start()
            return await self._perform()
        finally:
            self.show.close()
            await asyncio.shield(asyncio.to_thread(self._stack.stop))

    async def _start(self) -> None:
        """Start the stack in a thread; when called off, wait until the thread has put everything down again."""
        starting = asyncio.create_task(asyncio.to_thread(self._stack.start, self.show.say))
        try:
            await asyncio.shield(starting)
        except asyncio.CancelledError:
            self._stack.call_off()
            with suppress(CalledOffError, StackError, ProviderError):
                await starting
            raise

    async def _perform(self) -> int:
        env = self._stack.env
        async with aiohttp.ClientSession() as session:
            simulator = SimulatorClient(env["PARLEY_SIMULATOR_URL"], session)
            async with Lookout(env["PARLEY_KAFKA_BOOTSTRAP_SERVERS"], env["PARLEY_POSTGRES_DSN"], simulator) as lookout:
                if not await lookout.is_empty():
                    raise StackError(
                        "the given Kafka holds records of an earlier run, which nobody could judge: give an empty one."
                    )
                backlog = await self._play(simulator, lookout)
            ledger = await read(
                simulator=simulator,
                bootstrap_servers=env["PARLEY_KAFKA_BOOTSTRAP_SERVERS"],
                dsn=env["PARLEY_POSTGRES_DSN"],
                published=list(self._diary.publications.values()),
                consents=self._diary.consents,
                limits={number.phone_number_id: number.limit for number in NUMBERS},
            )
        verdict = await asyncio.to_thread(judge, ledger)
        self.show.close()
        self.show.verdict(verdict, str(backlog))
        return EXIT_OK if verdict.is_clean else EXIT_BROKEN_PROMISE

    async def _play(self, simulator: SimulatorClient, lookout: Lookout) -> Backlog:
        """The traffic, then the wait until all of it has come to its end."""
        env = self._stack.env
        play = Play(
            script=traffic.write(seed=self._seed, seconds=self._seconds),
            simulator=simulator,
            bootstrap_servers=self._stack.kafka_as("parley-producer"),
            kill=lambda service: asyncio.to_thread(self._stack.kill, service),
            is_noted=lambda consent_id: asyncio.to_thread(is_noted, env["PARLEY_POSTGRES_DSN"], consent_id),
            is_decided=lambda command_id: asyncio.to_thread(is_decided, env["PARLEY_POSTGRES_DSN"], command_id),
            diary=self._diary,
        )
        self.show.say(f"customers, consents and templates (seed {self._seed})")
        await play.prepare()
        self.show.say(f"first traffic after {time.monotonic() - self._began:.0f} s")
        observer = Observer(simulator, lookout, env["PARLEY_POSTGRES_DSN"], self._diary, self._seconds, "playing")
        self.show.open(self._stack.describe())
        watching = asyncio.create_task(self._watch(observer))
        try:
            await play.perform()
            observer.phase = "settling"
            return await lookout.settle(SETTLE_SECONDS)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _watch(self, observer: Observer) -> None:
        """A picture twice a second; what cannot be asked just now is asked again."""
        while True:
            with suppress(*_PASSING):
                self.show.update(await observer.look())
            await asyncio.sleep(LOOK_SECONDS)
