"""Which processes make up a stack beside its servers, and what is each told?"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from services.common.platform.kafka_access import Access, Brokers
from services.sandbox.child import Child
from services.sandbox.roles import PROJECTOR, SENDER
from services.sandbox.stack_state import Secrets
from services.sandbox.supervisor import Process, Service

ROOT = Path(__file__).resolve().parents[2]
LOOPBACK = "127.0.0.1"
GRAPH_VERSION = "v25.0"
OPERATED = ("ingest", "router", "sender", "projector")
"""The services with an operations port."""
IN_STOP_ORDER = (*OPERATED, "simulator")
"""Nothing new comes in, what is under way ends, and Meta goes last."""
OPS = "-ops"
"""Ends the name of an operations port; before it stands the process's."""
PORT_NAMES = ("kafka", "kafka-guarded", "postgres", "ingest", "simulator", *(f"{name}{OPS}" for name in OPERATED))
ONE_EACH: Mapping[str, int] = {}
"""How many instances a service has that is not named: one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """All addresses and secrets of one stack."""

    state_dir: Path
    kafka: str
    guarded_kafka: str | None
    operator_dsn: str
    role_dsns: Mapping[str, str]
    ports: Mapping[str, int]
    secrets: Secrets

    def url(self, port_name: str, path: str = "") -> str:
        return f"http://{LOOPBACK}:{self.ports[port_name]}{path}"

    def kafka_as(self, user: str) -> Brokers:
        """By the guarded door with its own password; where there is none, as everybody."""
        if self.guarded_kafka is None:
            return self.kafka
        password = self.secrets.kafka_passwords[user]
        return Access(servers=self.guarded_kafka, protocol="SASL_PLAINTEXT", user=user, password=password)

    @property
    def ingest_url(self) -> str:
        """The callback URL in full, as it would be entered at Meta."""
        return self.url("ingest", "/webhooks")

    @property
    def world_path(self) -> Path:
        return self.state_dir / "simulator.json"

    @property
    def ledger_path(self) -> Path:
        return self.state_dir / "simulator-ledger.jsonl"


def port_names(instances: Mapping[str, int]) -> list[str]:
    """PORT_NAMES, and an operations port for every further instance."""
    return [*PORT_NAMES, *(f"{process_name(name, nth)}{OPS}" for name, nth in _processes(instances) if nth > 1)]


def process_name(service: str, nth: int) -> str:
    """What an instance is called: `router`, and its second `router-2`."""
    return service if nth == 1 else f"{service}-{nth}"


def _processes(instances: Mapping[str, int]) -> list[tuple[str, int]]:
    """Every process as its service and which instance of it, in the order in which they are stopped."""
    return [(name, nth) for name in IN_STOP_ORDER for nth in range(1, instances.get(name, 1) + 1)]


def service_env(name: str, wiring: Wiring, nth: int = 1) -> dict[str, str]:
    """The `PARLEY_*` variables of one process: only what it needs, each service as its own role in Postgres and in Kafka."""
    if name == "simulator":
        return _simulator_env(wiring)
    shared = {
        **kafka_env(wiring.kafka_as(f"parley-{name}")),
        "PARLEY_INSTANCE": str(nth),
        "PARLEY_LOG_FORMAT": "json",
        "PARLEY_OPS_HOST": LOOPBACK,
        "PARLEY_OPS_PORT": str(wiring.ports[f"{process_name(name, nth)}{OPS}"]),
    }
    own = {
        "ingest": {
            "PARLEY_APP_SECRET": wiring.secrets.app_secret,
            "PARLEY_VERIFY_TOKEN": wiring.secrets.verify_token,
            "PARLEY_INGEST_HOST": LOOPBACK,
            "PARLEY_INGEST_PORT": str(wiring.ports["ingest"]),
        },
        "router": {},
        "projector": {"PARLEY_POSTGRES_DSN": wiring.role_dsns.get(PROJECTOR, "")},
        "sender": {
            "PARLEY_POSTGRES_DSN": wiring.role_dsns.get(SENDER, ""),
            "PARLEY_GRAPH_URL": wiring.url("simulator"),
            "PARLEY_GRAPH_VERSION": GRAPH_VERSION,
            "PARLEY_TOKEN_KEY": wiring.secrets.token_key,
            # The simulated Meta counts no management calls.
            "PARLEY_SENDER_TEMPLATE_DEMAND_SECONDS": "2",
        },
    }
    return shared | own[name]


def kafka_env(brokers: Brokers) -> dict[str, str]:
    """The variables that say how to get into Kafka."""
    if isinstance(brokers, str):
        return {"PARLEY_KAFKA_BOOTSTRAP_SERVERS": brokers}
    told = {
        "BOOTSTRAP_SERVERS": brokers.servers,
        "SECURITY_PROTOCOL": brokers.protocol,
        "SASL_MECHANISM": brokers.mechanism,
        "USER": brokers.user,
        "PASSWORD": brokers.password,
        "CA_FILE": brokers.ca_file,
        "CERTIFICATE_FILE": brokers.certificate_file,
        "KEY_FILE": brokers.key_file,
    }
    return {f"PARLEY_KAFKA_{name}": value for name, value in told.items() if value}


def _simulator_env(wiring: Wiring) -> dict[str, str]:
    return {
        "PARLEY_SIMULATOR_HOST": LOOPBACK,
        "PARLEY_SIMULATOR_PORT": str(wiring.ports["simulator"]),
        "PARLEY_SIMULATOR_CONFIG": str(wiring.world_path),
        "PARLEY_SIMULATOR_LEDGER": str(wiring.ledger_path),
        "PARLEY_INGEST_URL": wiring.ingest_url,
        "PARLEY_APP_SECRET": wiring.secrets.app_secret,
    }


def services(wiring: Wiring, more: Mapping[str, Mapping[str, str]], instances: Mapping[str, int] = ONE_EACH) -> list[Service]:
    """Every process of the stack, in the order in which they are stopped; `more` adds variables to all processes of a service."""
    return [_service(name, nth, wiring, more.get(name, {})) for name, nth in _processes(instances)]


def _service(name: str, nth: int, wiring: Wiring, more: Mapping[str, str]) -> Service:
    called = process_name(name, nth)
    module = "services.sandbox.simulator" if name == "simulator" else f"services.{name}"
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("PARLEY_")}
    env = {**inherited, "PYTHONUNBUFFERED": "1", **service_env(name, wiring, nth), **more}
    log_path = wiring.state_dir / "logs" / f"{called}.log"

    def spawn() -> Process:
        return Child([sys.executable, "-m", module], log_path=log_path, cwd=ROOT, env=env)

    ready = wiring.url("simulator", "/_sim/health") if name == "simulator" else wiring.url(f"{called}{OPS}", "/ready")
    return Service(name=called, spawn=spawn, ready_url=ready, log_path=log_path)


def stack_env(wiring: Wiring, *, analytics_dsn: str, waba_id: str, phone_number_id: str) -> dict[str, str]:
    """What `stack.env` says: enough for every command, every service and every foreign client."""
    return {
        "PARLEY_KAFKA_BOOTSTRAP_SERVERS": wiring.kafka,
        "PARLEY_POSTGRES_DSN": wiring.operator_dsn,
        "PARLEY_ANALYTICS_DSN": analytics_dsn,
        "PARLEY_INGEST_URL": wiring.ingest_url,
        "PARLEY_GRAPH_URL": wiring.url("simulator"),
        "PARLEY_SIMULATOR_URL": wiring.url("simulator"),
        "PARLEY_APP_SECRET": wiring.secrets.app_secret,
        "PARLEY_VERIFY_TOKEN": wiring.secrets.verify_token,
        "PARLEY_WABA_ID": waba_id,
        "PARLEY_PHONE_NUMBER_ID": phone_number_id,
        "PARLEY_TOKEN_KEY": wiring.secrets.token_key,
    }
