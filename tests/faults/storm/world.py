"""What does a storm rage over? Three brokers, a primary with a synchronous standby, proxies before all that, a whole stack."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from services.common.domain import topics
from services.common.platform.secret_file import FILE
from services.sandbox import stack_services, witness
from services.sandbox.account import read_account
from services.sandbox.kafka_cluster import NativeCluster
from services.sandbox.kafka_probe import complete
from services.sandbox.ports import is_free
from services.sandbox.postgres_dsn import with_role
from services.sandbox.postgres_native import NativePostgres
from services.sandbox.roles import PROJECTOR, SENDER, with_password
from services.sandbox.stack import Stack
from services.sandbox.stack_env import write_private
from services.sandbox.stack_state import Secrets, keep_ports, keep_secrets
from tests.faults.storm.proxy import Proxies, proxies
from tests.faults.storm.schedule import BROKERS, INSTANCES, LEADER
from tests.faults.storm.ways import behind_ways, way_ports
from tests.support import canaries

_LOOPBACK: Final = "127.0.0.1"
_STANDBY_SECONDS: Final = 30.0
_ASK_SECONDS: Final = 3.0
_SERVERS: Final = (*way_ports(len(BROKERS)), "primary", "standby", "control", "way-postgres", "way-graph")
_HORIZON_SECONDS: Final = "10"
_SENDER_ENV: Final = {f"PARLEY_SENDER_{lane}_HORIZON_SECONDS": _HORIZON_SECONDS for lane in ("OTP", "TRANSACTIONAL", "BULK")}
_KEPT: Final = "5000000"
"""Records of the simulated Meta that the judge has to see: all."""
_PASSWORD: Final = "canary-of-the-password"
"""Postgres asks for none on the loopback interface: services have it in their DSN all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Everything that runs. Who judges and who produces goes past the proxies: `bootstrap_servers` and `dsn`."""

    stack: Stack
    cluster: NativeCluster
    primary: NativePostgres
    standby: NativePostgres
    proxies: Proxies
    words: Mapping[str, str]
    """What nobody may see anywhere but Meta, the topics and the tables: every secret, and what people are and say, by name."""

    @property
    def bootstrap_servers(self) -> str:
        return self.cluster.bootstrap_servers

    @property
    def dsn(self) -> str:
        """Of the superuser."""
        return self.primary.dsn

    def broker(self, target: str) -> int:
        """The place of a target among the brokers: of `leader` the one that leads now, as far as anybody can be asked."""
        if target != LEADER:
            return BROKERS.index(target)
        try:
            node: int = complete(_leader(self.bootstrap_servers))
        except (KafkaError, OSError, TimeoutError):
            return 0
        return max(0, node - 1)


@contextmanager
def world(folder: Path, report: Callable[[str], None]) -> Iterator[World]:
    """All of it, ready; stopped with the block, whatever was done to it. StackError or ProviderError when a part fails."""
    folder.mkdir(parents=True, exist_ok=True)
    state = folder / "stack"
    state.mkdir(exist_ok=True, mode=0o700)
    taken = keep_ports(state, stack_services.port_names(INSTANCES))
    ports = keep_ports(folder, _SERVERS, usable=lambda port: port not in taken.values() and is_free(port))
    cluster, routes = behind_ways(folder / "kafka", ports)
    primary = NativePostgres(folder / "primary", port=ports["primary"], durable=True)
    standby = NativePostgres(folder / "standby", port=ports["standby"], durable=True, copy_of=primary.dsn)
    routes |= {"postgres": (ports["way-postgres"], ports["primary"]), "graph": (ports["way-graph"], taken["simulator"])}
    with ExitStack() as running:
        told = running.enter_context(proxies(routes, control_port=ports["control"], log_path=folder / "proxies.log"))
        report("starting three brokers, Postgres and its standby")
        running.callback(cluster.kill)
        cluster.start()
        running.callback(primary.stop_immediate)
        primary.start()
        running.callback(standby.stop_immediate)
        standby.start()
        primary.wait_for_standby(_STANDBY_SECONDS)
        dsn = primary.dsn.replace(f":{ports['primary']}/", f":{ports['way-postgres']}/")
        secrets = keep_secrets(state, (number.phone_number_id for number in read_account().numbers), ())
        stack = Stack(
            state,
            kafka=cluster.advertised,
            postgres=dsn,
            instances=INSTANCES,
            service_env=_service_env(f"http://{_LOOPBACK}:{ports['way-graph']}", folder, dsn, secrets),
        )
        running.callback(stack.stop)
        stack.start(report)
        witness.install(primary.dsn)
        yield World(stack=stack, cluster=cluster, primary=primary, standby=standby, proxies=told, words=_words(secrets))


def _service_env(graph_url: str, folder: Path, dsn: str, secrets: Secrets) -> Mapping[str, Mapping[str, str]]:
    """Secrets come in files, as they are given in production: nothing of them is in an environment."""
    scratch, given = folder / "scratch", folder / "secrets"
    scratch.mkdir(exist_ok=True)
    given.mkdir(exist_ok=True, mode=0o700)
    apart = {"TMPDIR": str(scratch)}  # Faust makes a folder there

    def files(service: str, **named: str) -> dict[str, str]:
        for name, secret in named.items():
            write_private(given / f"{service}-{name}", secret)
        return dict.fromkeys(named, "") | {f"{name}{FILE}": str(given / f"{service}-{name}") for name in named}

    dsns = {role: with_password(with_role(dsn, role), _PASSWORD) for role in (PROJECTOR, SENDER)}
    of_sender = files("sender", PARLEY_POSTGRES_DSN=dsns[SENDER], PARLEY_TOKEN_KEY=secrets.token_key)
    return {
        "ingest": files("ingest", PARLEY_APP_SECRET=secrets.app_secret, PARLEY_VERIFY_TOKEN=secrets.verify_token),
        "sender": {**_SENDER_ENV, **of_sender, "PARLEY_GRAPH_URL": graph_url},
        "router": apart,
        "projector": {**apart, **files("projector", PARLEY_POSTGRES_DSN=dsns[PROJECTOR])},
        "simulator": {"PARLEY_SIMULATOR_KEEP": _KEPT},
    }


def _words(secrets: Secrets) -> Mapping[str, str]:
    return {
        "a customer's number": canaries.PHONE,
        "a customer's name": canaries.NAME,
        "a text": canaries.TEXT,
        "the password of Postgres": _PASSWORD,
        "the app secret": secrets.app_secret,
        "the verify token": secrets.verify_token,
        "the key of the tokens": secrets.token_key,
        **{f"the access token of {number}": token for number, token in secrets.access_tokens.items()},
    }


async def _leader(bootstrap_servers: str) -> int:
    """The node that leads the first partition of the webhooks."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers, request_timeout_ms=int(_ASK_SECONDS * 1000))
    async with asyncio.timeout(2 * _ASK_SECONDS):
        try:
            await admin.start()
            [topic] = await admin.describe_topics([topics.WEBHOOKS])
            return int(next(part["leader"] for part in topic["partitions"] if part["partition"] == 0))
        finally:
            await admin.close()
