"""Which Kafka and which Postgres does the sandbox use? A given address, else Docker, else what this machine can run itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from services.sandbox.given import GivenKafka, GivenPostgres
from services.sandbox.kafka_docker import DockerKafka
from services.sandbox.kafka_native import NativeKafka
from services.sandbox.kafka_settings import DEFAULT_HEAP
from services.sandbox.postgres_binaries import Binaries, find_native, find_system, find_wheel
from services.sandbox.postgres_docker import DockerPostgres
from services.sandbox.postgres_native import NativePostgres
from services.sandbox.problems import ProviderError

KAFKA_VARIABLE = "PARLEY_SANDBOX_KAFKA"
POSTGRES_VARIABLE = "PARLEY_SANDBOX_POSTGRES"
AUTO = "auto"


class Server(Protocol):
    """What is common to every Kafka and every Postgres of the sandbox."""

    description: str
    """For the line that says what runs."""
    version: str
    log_path: Path | None

    @property
    def pid(self) -> int | None: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...


class Kafka(Server, Protocol):
    """A broker, to be started once and stopped once; killed and paused by tests."""

    bootstrap_servers: str
    """Where nobody is asked for a name. Set once started."""
    guarded_servers: str | None
    """Where everybody is, by SASL; None where there is no such door."""

    def kill(self) -> None: ...
    def restart(self) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...


class Postgres(Server, Protocol):
    """A server, to be started once and stopped once; crashed by tests."""

    dsn: str
    """A URL with the superuser. Set once started."""

    def stop_immediate(self) -> None: ...
    def restart_immediate(self) -> None: ...


S = TypeVar("S", bound=Server)


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider(Generic[S]):
    """One way to a server. `prepare` raises ProviderError if it cannot work here, and starts nothing."""

    name: str
    prepare: Callable[[], S]


def kafka_providers(
    data_dir: Path,
    *,
    wish: str | None = None,
    port: int | None = None,
    guarded_port: int | None = None,
    heap: str = DEFAULT_HEAP,
) -> list[Provider[Kafka]]:
    """The chain for a wish: `auto`, `docker`, `native` or host:port; else that of PARLEY_SANDBOX_KAFKA."""
    wish = wish or os.environ.get(KAFKA_VARIABLE) or AUTO
    docker: Provider[Kafka] = Provider(name="docker", prepare=lambda: DockerKafka(port=port, heap=heap))
    native: Provider[Kafka] = Provider(
        name="native", prepare=lambda: NativeKafka(data_dir, port=port, guarded_port=guarded_port, heap=heap)
    )
    return _chain(KAFKA_VARIABLE, wish, [docker, native], ":" in wish, lambda: GivenKafka(wish))


def postgres_providers(
    data_dir: Path, *, wish: str | None = None, port: int | None = None, durable: bool = False
) -> list[Provider[Postgres]]:
    """The chain for a wish: `auto`, `docker`, `native`, `system`, `wheel` or a URL; else that of PARLEY_SANDBOX_POSTGRES."""
    wish = wish or os.environ.get(POSTGRES_VARIABLE) or AUTO

    def native(name: str, find: Callable[[], Binaries]) -> Provider[Postgres]:
        return Provider(name=name, prepare=lambda: NativePostgres(data_dir, port=port, durable=durable, binaries=find()))

    docker: Provider[Postgres] = Provider(name="docker", prepare=lambda: DockerPostgres(port=port, durable=durable))
    chain = [docker, native("native", find_native)]
    single = {"system": native("system", find_system), "wheel": native("wheel", find_wheel)}
    if wish in single:
        return [single[wish]]
    return _chain(POSTGRES_VARIABLE, wish, chain, "://" in wish, lambda: GivenPostgres(wish))


def _chain(variable: str, wish: str, known: Sequence[Provider[S]], is_address: bool, given: Callable[[], S]) -> list[Provider[S]]:
    if wish == AUTO:
        return list(known)
    forced = [provider for provider in known if provider.name == wish]
    if forced:
        return forced
    if is_address:
        return [Provider(name="given", prepare=given)]
    names = ", ".join([AUTO, *(provider.name for provider in known)])
    raise ProviderError(f"{variable} is neither an address nor one of {names}: correct it.")


def choose(what: str, chain: Sequence[Provider[S]]) -> S:
    """The first that can work here, not yet started; ProviderError with the reason of every one if none can."""
    return _first(what, chain, lambda server: server)


def start_first(what: str, chain: Sequence[Provider[S]]) -> S:
    """The first that starts, started; ProviderError with the reason of every one if none does."""
    return _first(what, chain, _started)


def _started(server: S) -> S:
    server.start()
    return server


def _first(what: str, chain: Sequence[Provider[S]], use: Callable[[S], S]) -> S:
    reasons = []
    for provider in chain:
        try:
            return use(provider.prepare())
        except ProviderError as reason:
            reasons.append(f"{provider.name}: {reason}")
    raise ProviderError("\n".join([f"no {what} can be had here.", *reasons]))


def describe(kafka: Server, postgres: Server, meta: str = "simulator") -> str:
    """The truth about the stack in one line."""
    return f"kafka: {kafka.description} · postgres: {postgres.description} · meta: {meta}"
