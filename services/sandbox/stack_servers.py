"""How do Kafka and Postgres start side by side, and how is that called off?"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Generic, TypeVar

from services.sandbox.problems import ProviderError
from services.sandbox.providers import Kafka, Postgres, Provider, Server, describe

S = TypeVar("S", bound=Server)
Report = Callable[[str], None]
POLL_SECONDS = 0.1
LET_GO_SECONDS = 30.0


class CalledOffError(Exception):
    """The start was asked to stop. Nothing went wrong."""


class Candidate(Generic[S]):
    """The provider that is tried now, and those that could follow it."""

    def __init__(self, what: str, chain: Sequence[Provider[S]]) -> None:
        """The first that can work here, not started; ProviderError with the reason of every one if none can."""
        self._what = what
        self._rest = list(chain)
        self._reasons: list[str] = []
        self.server: S = self._next()

    def start(self, report: Report) -> None:
        """Start it; if it fails, say so and try the next. ProviderError with every reason when none is left."""
        while True:
            try:
                self.server.start()
            except ProviderError as reason:
                self._reasons.append(f"{self.server.description}: {reason}")
                self.server = self._next()
                report(f"{self._what}: {self.server.description} instead, because {self._reasons[-1].splitlines()[0]}")
            else:
                return

    def _next(self) -> S:
        while self._rest:
            provider = self._rest.pop(0)
            try:
                return provider.prepare()
            except ProviderError as reason:
                self._reasons.append(f"{provider.name}: {reason}")
        raise ProviderError("\n".join([f"no {self._what} can be had here.", *self._reasons]))

    def give_up(self) -> None:
        """Try no other."""
        self._rest.clear()


class Servers:
    """Kafka and Postgres of one stack."""

    def __init__(self, kafka: Sequence[Provider[Kafka]], postgres: Sequence[Provider[Postgres]]) -> None:
        """Raises ProviderError, with nothing started, when one of them cannot be had here."""
        self._kafka = Candidate("Kafka", kafka)
        self._postgres = Candidate("Postgres", postgres)
        self._starting: list[Future[None]] = []

    @property
    def kafka(self) -> Kafka:
        return self._kafka.server

    @property
    def postgres(self) -> Postgres:
        return self._postgres.server

    def describe(self) -> str:
        """Which were taken, in one line."""
        return describe(self.kafka, self.postgres)

    def start(self, report: Report, called_off: threading.Event) -> None:
        """Return when both can be used; ProviderError if one cannot, CalledOffError as soon as `called_off` is set."""
        pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="stack-server")
        self._starting = [pool.submit(self._kafka.start, report), pool.submit(self._postgres.start, report)]
        pool.shutdown(wait=False)
        pending = set(self._starting)
        while pending:
            done, pending = wait(pending, POLL_SECONDS)
            for one in done:
                one.result()
            if called_off.is_set():
                raise CalledOffError

    def stop(self) -> None:
        """Kafka, then Postgres. A start still in progress is ended first: it may not leave a server behind."""
        for candidate in (self._kafka, self._postgres):
            candidate.give_up()
        waited = 0.0
        while waited < LET_GO_SECONDS and any(not one.done() for one in self._starting):
            self._stop_both()
            wait(self._starting, POLL_SECONDS)
            waited += POLL_SECONDS
        self._stop_both()

    def _stop_both(self) -> None:
        self.kafka.stop()
        self.postgres.stop()
