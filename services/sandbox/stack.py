"""What is a whole Parley on one machine? Kafka, Postgres, the simulated Meta and the four services, started as one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from signal import SIGKILL, Signals

import psycopg
from aiokafka.errors import KafkaError

from services.common.platform.kafka_access import Brokers
from services.common.platform.migrations import migrate
from services.common.platform.registry import add_number
from services.common.platform.tokens import TokenBox
from services.sandbox.account import Account, read_account
from services.sandbox.child import last_lines
from services.sandbox.kafka_probe import complete
from services.sandbox.problems import ProviderError
from services.sandbox.providers import Kafka, Postgres, kafka_providers, postgres_providers
from services.sandbox.roles import ANALYTICS, role_dsns, without_password
from services.sandbox.stack_env import write_private
from services.sandbox.stack_servers import POLL_SECONDS, CalledOffError, Servers
from services.sandbox.stack_services import GRAPH_VERSION, ONE_EACH, OPS, Wiring, port_names, services, stack_env
from services.sandbox.stack_state import Secrets, keep_ports, keep_secrets
from services.sandbox.supervisor import Supervisor, Tended
from services.sandbox.topics import TopicError, apply_topics, read_topics
from services.sandbox.users import UserError, apply_users, read_users

Report = Callable[[str], None]
Row = tuple[str, str, str]
READY_SECONDS = 60.0
SERVICE_STOP_SECONDS = 12.0
"""Services promise ten."""
DEATHS_AT_START = 3
EXIT_CONFIGURATION = 78


class StackError(Exception):
    """The stack did not start; the text names the part and ends with the last lines of its log. Nothing was left running."""


class Stack:
    """One stack over one state directory, started once and stopped once. Data, secrets and ports outlive it there."""

    def __init__(
        self,
        state_dir: Path,
        *,
        kafka: str | None = None,
        postgres: str | None = None,
        durable: bool = False,
        service_env: Mapping[str, Mapping[str, str]] | None = None,
        account: Account | None = None,
        instances: Mapping[str, int] = ONE_EACH,
    ) -> None:
        """`kafka` and `postgres` are wishes as in PARLEY_SANDBOX_KAFKA and _POSTGRES; `service_env` adds variables by service.

        `instances`: how many processes a service has; its second is called `router-2`.
        """
        self._dir = state_dir.resolve()
        self._wishes = (kafka, postgres)
        self._durable = durable
        self._more = service_env or {}
        self._instances = instances
        self.account = account or read_account()
        self._called_off = threading.Event()
        self._servers: Servers | None = None
        self._wiring: Wiring | None = None
        self._supervisor: Supervisor | None = None
        self.env: dict[str, str] = {}
        """What `stack.env` says. Empty until started."""

    def start(self, report: Report = lambda _: None) -> None:
        """Return when everything is ready. `report` gets a line for each step, the first says which servers were taken.

        StackError when a part fails, CalledOffError after `call_off`; either way, as after any other exception, all is stopped.
        """
        try:
            self._start(report)
        except BaseException:
            self.stop()
            raise

    def call_off(self) -> None:
        """Make a `start` in progress end soon. May be called from a signal handler."""
        self._called_off.set()

    def stop(self) -> None:
        """Stop everything in order, each part within its time. Again, or before any start: does nothing."""
        if self._supervisor is not None:
            self._supervisor.stop(SERVICE_STOP_SECONDS)
        if self._servers is not None:
            self._servers.stop()

    def describe(self) -> str:
        """Which servers were taken, in one line."""
        return self._need_servers().describe()

    @property
    def kafka(self) -> Kafka:
        """For tests and demos that break it."""
        return self._need_servers().kafka

    @property
    def postgres(self) -> Postgres:
        """For tests and demos that break it."""
        return self._need_servers().postgres

    def kafka_as(self, user: str) -> Brokers:
        """How a principal of users.yaml gets in. Where there is no guarded door it comes as everybody does."""
        return self._need_wiring().kafka_as(user)

    def kill(self, service: str) -> None:
        """kill -9; the supervisor starts it again."""
        self.signal(service, SIGKILL)

    def signal(self, service: str, which: Signals) -> None:
        """Send a running service a signal; one that ends of it is started again. Not running: does nothing."""
        self._need_supervisor()[service].signal(which)

    def deaths(self) -> dict[str, int]:
        """How often each process has ended unasked since the start, by name."""
        return {one.service.name: one.deaths for one in self._need_supervisor().tended()}

    def service_pids(self) -> dict[str, int | None]:
        """By name; None while it does not run."""
        return {one.service.name: one.pid for one in self._need_supervisor().tended()}

    def unready(self) -> list[str]:
        """The services that do not answer 200 on their ready page now."""
        return [one.service.name for one in self._need_supervisor().tended() if not one.is_ready()]

    def metrics_urls(self) -> dict[str, str]:
        """Where each service shows its metrics, by the name of its process."""
        wiring = self._need_wiring()
        names = (port.removesuffix(OPS) for port in wiring.ports if port.endswith(OPS))
        return {name: wiring.url(f"{name}{OPS}", "/metrics") for name in names}

    def addresses(self) -> list[Row]:
        """What a person needs, as (name, address, note). No secrets."""
        wiring = self._need_wiring()
        numbers = self.account.numbers
        return [
            ("kafka", wiring.kafka, self.kafka.description),
            ("postgres", without_password(wiring.operator_dsn), self.postgres.description),
            ("analytics", without_password(wiring.role_dsns[ANALYTICS]), "views for reading"),
            ("ingest", wiring.ingest_url, "callback URL"),
            ("graph", wiring.url("simulator", f"/{GRAPH_VERSION}"), "simulated Meta"),
            ("simulator", wiring.url("simulator", "/_sim"), "its control interface"),
            *(("metrics", url, name) for name, url in self.metrics_urls().items()),
            *(("number", one.phone_number_id, f"{one.display_phone_number}, {one.throughput} messages/s") for one in numbers),
        ]

    def _start(self, report: Report) -> None:
        self._dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        ports = keep_ports(self._dir, port_names(self._instances))
        phone_number_ids = [number.phone_number_id for number in self.account.numbers]
        secrets = keep_secrets(self._dir, phone_number_ids, [user.name for user in read_users()])
        self._start_servers(ports, report)
        report("creating topics and tables")
        operator_dsn = self.postgres.dsn
        self._together({"topics": lambda: self._prepare_kafka(secrets), "migrations": lambda: migrate(operator_dsn)})
        self._wiring = self._wire(ports, secrets)
        report("registering numbers")
        self._together({"numbers": self._register_numbers})
        report("starting ingest, router, sender, projector and the simulated Meta")
        self._supervisor = Supervisor(services(self._wiring, self._more, self._instances))
        self._supervisor.start()
        self._wait_ready(self._supervisor)
        self.env = stack_env(
            self._wiring,
            analytics_dsn=self._wiring.role_dsns[ANALYTICS],
            waba_id=self.account.waba_id,
            phone_number_id=self.account.numbers[0].phone_number_id,
        )

    def _start_servers(self, ports: Mapping[str, int], report: Report) -> None:
        kafka, postgres = self._wishes
        with _part("Kafka and Postgres"):
            self._servers = Servers(
                kafka_providers(self._dir / "kafka", wish=kafka, port=ports["kafka"], guarded_port=ports["kafka-guarded"]),
                postgres_providers(self._dir / "postgres", wish=postgres, port=ports["postgres"], durable=self._durable),
            )
            report(self._servers.describe())
            report("starting Kafka and Postgres")
            self._servers.start(report, self._called_off)

    def _prepare_kafka(self, secrets: Secrets) -> None:
        """Principals first: while a broker makes hundreds of partitions it hears of nothing else.

        Only to a Kafka of our own that has a guarded door: nobody else's principals are ours to make.
        """
        if self.kafka.guarded_servers is not None:
            complete(apply_users(self.kafka.bootstrap_servers, secrets.kafka_passwords))
        created = complete(apply_topics(self.kafka.bootstrap_servers))
        if len(created) == len(read_topics()):
            (self._dir / "simulator-ledger.jsonl").unlink(missing_ok=True)  # the log is new, so Meta has said nothing yet

    def _wire(self, ports: Mapping[str, int], secrets: Secrets) -> Wiring:
        with _part("roles"):
            roles = role_dsns(self.postgres.dsn)
        return Wiring(
            state_dir=self._dir,
            kafka=self.kafka.bootstrap_servers,
            guarded_kafka=self.kafka.guarded_servers,
            operator_dsn=self.postgres.dsn,
            role_dsns=roles,
            ports=ports,
            secrets=secrets,
        )

    def _register_numbers(self) -> None:
        wiring = self._need_wiring()
        tokens = wiring.secrets.access_tokens
        write_private(wiring.world_path, self.account.world(tokens).model_dump_json())
        complete(_register(wiring.operator_dsn, self.account, wiring.secrets))

    def _together(self, tasks: Mapping[str, Callable[[], object]]) -> None:
        """Run them side by side; the first failure or a call to stop ends the wait."""
        pool = ThreadPoolExecutor(max_workers=len(tasks), thread_name_prefix="stack-step")
        named = {pool.submit(task): name for name, task in tasks.items()}
        pool.shutdown(wait=False)
        pending = set(named)
        while pending:
            done, pending = wait(pending, POLL_SECONDS)
            for one in done:
                with _part(named[one]):
                    one.result()
            if self._called_off.is_set():
                raise CalledOffError

    def _wait_ready(self, supervisor: Supervisor) -> None:
        deadline = time.monotonic() + READY_SECONDS
        waiting = supervisor.tended()
        while waiting:
            for one in waiting:
                _refuse_hopeless(one)
            waiting = [one for one in waiting if not one.is_ready()]
            if waiting and time.monotonic() > deadline:
                raise StackError(_account_of(waiting[0], f"was not ready within {READY_SECONDS:.0f} s"))
            if self._called_off.wait(POLL_SECONDS if waiting else 0):
                raise CalledOffError

    def _need_servers(self) -> Servers:
        if self._servers is None:
            raise RuntimeError("the stack was not started")
        return self._servers

    def _need_wiring(self) -> Wiring:
        if self._wiring is None:
            raise RuntimeError("the stack was not started")
        return self._wiring

    def _need_supervisor(self) -> Supervisor:
        if self._supervisor is None:
            raise RuntimeError("the stack was not started")
        return self._supervisor


async def _register(dsn: str, account: Account, secrets: Secrets) -> None:
    tokens = TokenBox.from_base64(secrets.token_key)
    async with await psycopg.AsyncConnection.connect(dsn, connect_timeout=10) as connection:
        for number in account.numbers:
            await add_number(
                connection,
                tokens,
                phone_number_id=number.phone_number_id,
                waba_id=account.waba_id,
                access_token=secrets.access_tokens[number.phone_number_id],
                display_phone_number=number.display_phone_number,
                messages_per_second=number.throughput,
            )


def _refuse_hopeless(one: Tended) -> None:
    """A service that dies again and again, or whose configuration is wrong, will not get ready by waiting."""
    if one.deaths >= DEATHS_AT_START or (one.deaths and one.last_exit_code == EXIT_CONFIGURATION):
        raise StackError(_account_of(one, f"ended with exit code {one.last_exit_code}"))


def _account_of(one: Tended, what: str) -> str:
    return f"{one.service.name} {what}; {one.service.log_path} ends with:\n{last_lines(one.service.log_path)}"


@contextmanager
def _part(name: str) -> Iterator[None]:
    """Name the part in which something failed."""
    try:
        yield
    except (ProviderError, TopicError, UserError, KafkaError, psycopg.Error, OSError, ValueError) as problem:
        raise StackError(f"{name}: {str(problem) or type(problem).__name__}") from problem
