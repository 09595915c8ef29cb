"""How does Postgres run from Docker? The official image with the settings of the native server."""

from __future__ import annotations

from pathlib import Path

from services.sandbox.docker_daemon import Container, check_daemon
from services.sandbox.ports import free_port
from services.sandbox.postgres_dsn import MAINTENANCE, make_database, wait_until_open, with_database
from services.sandbox.postgres_settings import DATABASE, INITDB, OPERATOR, server_settings
from services.sandbox.problems import ProviderError

VERSION = "17"
INNER_PORT = 5432
START_SECONDS = 120.0


class DockerPostgres:
    """One server in one container. Address and data survive `stop_immediate` and `start`; `stop` removes the container."""

    def __init__(self, *, port: int | None = None, durable: bool = False) -> None:
        """Raises ProviderError, before anything is pulled or started, when no daemon answers."""
        check_daemon()
        self._port = port or free_port()
        self._durable = durable
        self._container: Container | None = None
        self.dsn = ""
        self.version = VERSION
        self.log_path: Path | None = None
        self.description = f"{VERSION} (docker)"

    @property
    def pid(self) -> int | None:
        """Its process belongs to the daemon, not to this machine."""
        return None

    def start(self) -> None:
        """Return when clients can work; ProviderError with the end of the log if that does not happen. Running: does nothing."""
        if self._container is None:
            self._create()
        elif not self._container.running:
            self._container.start_again()
        container = self._container
        admin = with_database(self.dsn, MAINTENANCE)
        if container and not wait_until_open(admin, START_SECONDS, lambda: not container.running):
            log = container.last_lines()
            self.stop()
            raise ProviderError(f"Postgres' container did not start, its log ends with:\n{log}")
        make_database(self.dsn)

    def stop(self) -> None:
        """Graceful, and final: the container is removed. Not running: does nothing."""
        if self._container:
            self._container.signal("SIGINT")
            self._container.remove()
            self._container = None

    def stop_immediate(self) -> None:
        """Without a checkpoint, as `pg_ctl stop -m immediate`: sessions end and the next start recovers from the log."""
        if self._container:
            self._container.signal("SIGQUIT")

    def restart_immediate(self) -> None:
        """What a crash of the server looks like to its clients."""
        self.stop_immediate()
        self.start()

    def _create(self) -> None:
        settings = [part for name, value in server_settings(durable=self._durable).items() for part in ("-c", f"{name}={value}")]
        container = Container(
            f"postgres:{VERSION}",
            inner_port=INNER_PORT,
            host_port=self._port,
            environment={
                "POSTGRES_USER": OPERATOR,
                "POSTGRES_DB": DATABASE,
                "POSTGRES_HOST_AUTH_METHOD": "trust",
                "POSTGRES_INITDB_ARGS": " ".join(INITDB),
            },
            command=["postgres", *settings],
        )
        container.start()
        self._container = container
        self.dsn = f"postgresql://{OPERATOR}@{container.host}:{container.port}/{DATABASE}"
