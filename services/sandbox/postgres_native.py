"""How does Postgres run without Docker? The machine's programs or the wheel's, one data directory, loopback only."""

from __future__ import annotations

import pwd
import signal
import subprocess
import time
from pathlib import Path

import psycopg
from psycopg.sql import SQL

from services.sandbox.child import Child, last_lines
from services.sandbox.ports import free_port
from services.sandbox.postgres_account import Account, find_account, may_enter, usable_folder
from services.sandbox.postgres_binaries import Binaries, find_native
from services.sandbox.postgres_dsn import MAINTENANCE, PAUSE_SECONDS, make_database, wait_until_open, with_database
from services.sandbox.postgres_settings import DATABASE, INITDB, OPERATOR, server_settings
from services.sandbox.problems import ProviderError

START_SECONDS = 60.0
STOP_SECONDS = 20.0
FILL_SECONDS = 120.0
STANDBY = "standby"
"""Its name at the primary."""
LOOPBACK = "127.0.0.1"


class NativePostgres:
    """One server; address and data survive `stop`, `stop_immediate` and `restart_immediate`.

    `operator` is the superuser and nobody needs a password: it listens on the loopback interface only. With `copy_of` (a DSN) it
    is a standby of that server: a copy of its data that follows its log, and the primary keeps of the log what it has not read.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int | None = None,
        durable: bool = False,
        binaries: Binaries | None = None,
        account: Account | None = None,
        copy_of: str | None = None,
    ) -> None:
        """Raises ProviderError, before anything is written, when this machine cannot run it."""
        self._binaries = binaries or find_native()
        self._account = account or find_account()
        if self._account.user and not may_enter(self._binaries.folder / "postgres", self._account.user):
            raise ProviderError(
                f"the account {self._account.user!r} cannot read {self._binaries.folder}: install postgresql for all users."
            )
        self._wanted_dir = data_dir
        self._durable = durable
        self._copy_of = copy_of
        self._port = port or free_port()
        self._child: Child | None = None
        self.dsn = f"postgresql://{OPERATOR}@{LOOPBACK}:{self._port}/{DATABASE}"
        self.version = self._binaries.version
        self.log_path: Path | None = data_dir / "postgres.log"
        self.description = f"{self.version} ({self._binaries.origin})"

    @property
    def pid(self) -> int | None:
        """None while it does not run."""
        return self._child.pid if self._child and self._child.exit_code is None else None

    def start(self) -> None:
        """Return when clients can work; ProviderError with the end of the log if that does not happen. Running: does nothing."""
        if self.pid is not None:
            return
        self._wanted_dir.mkdir(parents=True, exist_ok=True)
        data = usable_folder(self._wanted_dir / "data", self._account)
        if not (data / "PG_VERSION").exists():
            self._fill(data)
        log_path = self._wanted_dir / "postgres.log"
        child = Child(
            [str(self._binaries.folder / "postgres"), "-D", str(data), *self._options()],
            log_path=log_path,
            cwd=data,
            prefix=self._account.prefix,
            user=self._account.user,
            farewell=signal.SIGINT,  # Postgres' fast shutdown: ends sessions, does not wait for them
        )
        self._child = child
        if not wait_until_open(with_database(self.dsn, MAINTENANCE), START_SECONDS, lambda: child.exit_code is not None):
            self.stop_immediate()
            raise ProviderError(f"Postgres did not start, its log ends with:\n{last_lines(log_path)}")
        make_database(self.dsn)

    def stop(self) -> None:
        """Graceful; the data stays. Not running: does nothing."""
        if self._child:
            self._child.stop(STOP_SECONDS)

    def stop_immediate(self) -> None:
        """Without a checkpoint, as `pg_ctl stop -m immediate`: sessions end and the next start recovers from the log."""
        if self._child:
            self._child.stop(STOP_SECONDS, by=signal.SIGQUIT)

    def restart_immediate(self) -> None:
        """What a crash of the server looks like to its clients."""
        self.stop_immediate()
        self.start()

    def wait_for_standby(self, within_seconds: float) -> None:
        """From now on a commit is confirmed when the standby has flushed it, too: without the standby nothing is confirmed.

        Returns when the standby takes part; ProviderError when it does not within the time.
        """
        with psycopg.connect(with_database(self.dsn, MAINTENANCE), autocommit=True, connect_timeout=5) as connection:
            connection.execute(SQL("alter system set synchronous_standby_names = {}").format(STANDBY))
            connection.execute("select pg_reload_conf()")
            deadline = time.monotonic() + within_seconds
            while not connection.execute("select 1 from pg_stat_replication where sync_state = 'sync'").fetchone():
                if time.monotonic() > deadline:
                    raise ProviderError("no standby follows Postgres: look at the standby's log.")
                time.sleep(PAUSE_SECONDS)

    def _options(self) -> list[str]:
        fixed = {"listen_addresses": LOOPBACK, "port": str(self._port), "unix_socket_directories": ""}
        if self._copy_of is not None:
            fixed["wal_retrieve_retry_interval"] = "200ms"  # the primary's commits wait for it after a restart
        settings = fixed | server_settings(durable=self._durable)
        return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]

    def _fill(self, data: Path) -> None:
        """A new, empty database cluster, or a copy of the primary's."""
        unflushed = [] if self._durable else ["--no-sync"]
        if self._copy_of is None:
            self._run("initdb", data, f"--username={OPERATOR}", "--auth=trust", *INITDB, *unflushed)
            return
        source = f"{with_database(self._copy_of, MAINTENANCE)}?application_name={STANDBY}"
        following = ("--write-recovery-conf", "--create-slot", f"--slot={STANDBY}", "--checkpoint=fast")
        self._run("pg_basebackup", data, f"--dbname={source}", *following, *unflushed)

    def _run(self, program: str, data: Path, *arguments: str) -> None:
        user = pwd.getpwnam(self._account.user) if self._account.user else None
        run = subprocess.run(
            [*self._account.prefix, str(self._binaries.folder / program), "-D", str(data), *arguments],
            user=user.pw_uid if user else None,
            group=user.pw_gid if user else None,
            extra_groups=[] if user else None,
            cwd=data,
            capture_output=True,
            text=True,
            timeout=FILL_SECONDS,
            check=False,
        )
        if run.returncode != 0:
            raise ProviderError(f"{program} failed: {(run.stderr or run.stdout).strip()}")
