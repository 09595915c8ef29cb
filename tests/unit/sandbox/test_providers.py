"""Is the first provider that works taken, and is every reason told when none does?"""

from __future__ import annotations

from pathlib import Path

import pytest

from services.sandbox.kafka_settings import as_environment, as_file, broker_properties, kafka_version
from services.sandbox.postgres_dsn import database_of, with_database, with_role
from services.sandbox.problems import NotOursError, ProviderError
from services.sandbox.providers import Provider, choose, describe, kafka_providers, postgres_providers, start_first


class Recorded:
    """A server that only notes what is done to it."""

    def __init__(self, name: str, *, refuses: str | None = None) -> None:
        self.description = name
        self.version = "1"
        self.log_path: Path | None = None
        self.started = False
        self._refuses = refuses

    @property
    def pid(self) -> int | None:
        return None

    def start(self) -> None:
        if self._refuses:
            raise ProviderError(self._refuses)
        self.started = True

    def stop(self) -> None:
        self.started = False


def works(name: str) -> Provider[Recorded]:
    return Provider(name=name, prepare=lambda: Recorded(name))


def breaks_at_start(name: str, reason: str) -> Provider[Recorded]:
    return Provider(name=name, prepare=lambda: Recorded(name, refuses=reason))


def lacks(name: str, reason: str) -> Provider[Recorded]:
    def prepare() -> Recorded:
        raise ProviderError(reason)

    return Provider(name=name, prepare=prepare)


def test_the_first_that_works_is_taken() -> None:
    chain = [lacks("docker", "no daemon: start Docker."), works("native"), works("later")]
    assert choose("Kafka", chain).description == "native"


def test_choosing_starts_nothing() -> None:
    assert choose("Kafka", [works("native")]).started is False


def test_one_that_does_not_start_is_passed_over() -> None:
    server = start_first("Kafka", [breaks_at_start("docker", "no image: look at the network."), works("native")])
    assert (server.description, server.started) == ("native", True)


def test_when_none_works_every_reason_is_told_in_a_line_of_its_own() -> None:
    chain = [lacks("docker", "no daemon: start Docker."), breaks_at_start("native", "no memory: free some.")]
    with pytest.raises(ProviderError) as told:
        start_first("Kafka", chain)
    assert str(told.value).splitlines() == [
        "no Kafka can be had here.",
        "docker: no daemon: start Docker.",
        "native: no memory: free some.",
    ]


@pytest.mark.parametrize(
    ("wish", "names"),
    [
        ("auto", ["docker", "native"]),
        ("docker", ["docker"]),
        ("native", ["native"]),
        ("127.0.0.1:9092", ["given"]),
    ],
)
def test_a_wish_for_kafka_gives_its_chain(tmp_path: Path, wish: str, names: list[str]) -> None:
    assert [provider.name for provider in kafka_providers(tmp_path, wish=wish)] == names


@pytest.mark.parametrize(
    ("wish", "names"),
    [
        ("auto", ["docker", "native"]),
        ("docker", ["docker"]),
        ("native", ["native"]),
        ("system", ["system"]),
        ("wheel", ["wheel"]),
        ("postgresql://me@127.0.0.1/parley", ["given"]),
    ],
)
def test_a_wish_for_postgres_gives_its_chain(tmp_path: Path, wish: str, names: list[str]) -> None:
    assert [provider.name for provider in postgres_providers(tmp_path, wish=wish)] == names


def test_without_an_argument_the_environment_tells_the_wish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLEY_SANDBOX_KAFKA", "native")
    monkeypatch.setenv("PARLEY_SANDBOX_POSTGRES", "wheel")
    assert [provider.name for provider in kafka_providers(tmp_path)] == ["native"]
    assert [provider.name for provider in postgres_providers(tmp_path)] == ["wheel"]


def test_a_misspelt_wish_is_told_with_the_words_there_are(tmp_path: Path) -> None:
    with pytest.raises(ProviderError, match=r"PARLEY_SANDBOX_KAFKA is neither an address nor one of auto, docker, native"):
        kafka_providers(tmp_path, wish="dokcer")


def test_a_given_server_is_never_killed_and_its_password_never_shown(tmp_path: Path) -> None:
    (kafka,) = kafka_providers(tmp_path, wish="kafka.example:9092")
    (postgres,) = postgres_providers(tmp_path, wish="postgresql://me:geheim@db.example:5433/parley")
    with pytest.raises(NotOursError):
        kafka.prepare().kill()
    with pytest.raises(NotOursError):
        postgres.prepare().restart_immediate()
    assert describe(kafka.prepare(), postgres.prepare()) == (
        "kafka: kafka.example:9092 (given) · postgres: db.example:5433 (given) · meta: simulator"
    )


def test_the_broker_takes_the_largest_webhook_and_invents_no_topics() -> None:
    settings = broker_properties(log_dirs="/data")
    assert int(settings["message.max.bytes"]) == 5 * 1024 * 1024
    assert int(settings["replica.fetch.max.bytes"]) > 5 * 1024 * 1024
    assert settings["auto.create.topics.enable"] == "false"
    assert settings["log.dirs"] == "/data"


def test_the_image_and_the_jars_get_the_same_settings() -> None:
    settings = broker_properties(log_dirs="/data")
    from_file = dict(line.split("=", 1) for line in as_file(settings).splitlines())
    from_environment = {
        name[len("KAFKA_") :].lower().replace("_", "."): value for name, value in as_environment(settings).items()
    }
    assert from_file == from_environment == settings


def test_the_version_of_kafka_is_one_of_series_4() -> None:
    assert kafka_version().split(".")[0] == "4"


def test_a_dsn_is_pointed_at_another_database_or_role_and_keeps_the_rest() -> None:
    dsn = "postgresql://operator:geheim@db.example:5433/parley?sslmode=require"
    assert database_of(dsn) == "parley"
    assert with_database(dsn, "other") == "postgresql://operator:geheim@db.example:5433/other?sslmode=require"
    assert with_role(dsn, "parley_analytics") == "postgresql://parley_analytics@db.example:5433/parley?sslmode=require"
