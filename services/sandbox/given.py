"""What if Kafka or Postgres run already? They are used by their address, and never stopped or killed."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from services.sandbox.kafka_probe import wait_until_serving
from services.sandbox.postgres_binaries import OLDEST_POSTGRES
from services.sandbox.postgres_dsn import make_database, server_version
from services.sandbox.problems import NotOursError, ProviderError

ANSWER_SECONDS = 10.0


class GivenKafka:
    """A cluster somebody else runs."""

    def __init__(self, bootstrap_servers: str, *, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._answer_seconds = answer_seconds
        self.bootstrap_servers = bootstrap_servers
        self.guarded_servers: str | None = None
        self.version = "unknown"
        self.pid: int | None = None
        self.log_path: Path | None = None
        self.description = f"{bootstrap_servers} (given)"

    def start(self) -> None:
        """Only ask whether it is there."""
        if not wait_until_serving(self.bootstrap_servers, self._answer_seconds, lambda: False):
            raise ProviderError(f"no Kafka answers at {self.bootstrap_servers}: start it, or unset PARLEY_SANDBOX_KAFKA.")

    def stop(self) -> None:
        """Nothing: it goes on without us."""

    def kill(self) -> None:
        raise NotOursError("this Kafka was given by its address")

    def restart(self) -> None:
        raise NotOursError("this Kafka was given by its address")

    def pause(self) -> None:
        raise NotOursError("this Kafka was given by its address")

    def resume(self) -> None:
        raise NotOursError("this Kafka was given by its address")


class GivenPostgres:
    """A server somebody else runs. The account in the DSN has to be allowed to create databases and roles."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.version = "unknown"
        self.pid: int | None = None
        self.log_path: Path | None = None
        self.description = f"{_address(dsn)} (given)"

    def start(self) -> None:
        """Ask whether it is there and new enough, and make the database the DSN names if it is missing."""
        try:
            make_database(self.dsn)
            major = server_version(self.dsn)
        except psycopg.Error as problem:
            where, what = _address(self.dsn), type(problem).__name__
            raise ProviderError(
                f"no Postgres lets us in at {where} ({what}): start it, or unset PARLEY_SANDBOX_POSTGRES."
            ) from None
        if major < OLDEST_POSTGRES:
            raise ProviderError(f"the Postgres at {_address(self.dsn)} is version {major}: use {OLDEST_POSTGRES} or newer.")
        self.version = str(major)
        self.description = f"{major} at {_address(self.dsn)} (given)"

    def stop(self) -> None:
        """Nothing: it goes on without us."""

    def stop_immediate(self) -> None:
        raise NotOursError("this Postgres was given by its address")

    def restart_immediate(self) -> None:
        raise NotOursError("this Postgres was given by its address")


def _address(dsn: str) -> str:
    """Host and port without account and password."""
    parts = urlsplit(dsn)
    return f"{parts.hostname}:{parts.port or 5432}"
