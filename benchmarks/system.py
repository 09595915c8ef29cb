"""What runs when the whole of Parley is measured? Every service, Kafka and Postgres on one core; load and Meta on the other."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import psutil
import psycopg

from benchmarks.bench import Bench
from benchmarks.bodies import NUMBERS, SECRET, Kind
from benchmarks.ingest import ingest_env
from benchmarks.processes import BenchmarkError, Process, peak_rss_mib, run_json, wait_until
from benchmarks.sending import TOKEN, register
from services.common.platform.tokens import KEY_BYTES
from services.sandbox.roles import PROJECTOR, SENDER, role_dsns

_DRAIN_SECONDS: Final = 120.0
CUSTOMERS: Final = 400
"""People who wrote before anything is sent to them."""


class System:
    """The running processes of one stack."""

    def __init__(self, bench: Bench, dsn: str, processes: dict[str, Process]) -> None:
        self._bench, self.dsn = bench, dsn
        self.processes = processes
        self._webhooks = 0
        self._runs = 0

    @property
    def pids(self) -> dict[str, int]:
        """Of our services and of the servers whose clocks can be read, in the order of the flow."""
        own = {name: process.pid for name, process in self.processes.items()}
        servers = self._bench.servers.pids
        order = ["ingest", "Kafka", "router", "projector", "sender", "Postgres"]
        return {name: pid for name in order if (pid := {**own, **servers}.get(name)) is not None}

    def post(self, kind: Kind, count: int, rate: float, *, watch: bool = False) -> dict[str, Any]:
        """Webhooks at a steady rate, or at rate 0 as fast as they are taken; returns when all are rows."""
        self._runs += 1
        port = int(self.processes["ingest"].wait_for_event("ingest.listening")["port"])
        arguments = ["--port", str(port), "--kind", kind, "--count", str(count), "--rate", str(rate)]
        arguments += ["--tag", f"{self._runs:04d}", "--core", str(self._bench.cores.other)]
        arguments += ["--dsn", self.dsn] if watch else []
        result = run_json("benchmarks.traffic", arguments, seconds=(count / rate if rate else 0) + 120)
        if result["accepted"] != count:
            raise BenchmarkError(f"ingest refused {result['refused']} of {count} webhooks")
        self._webhooks += count
        for name in ("router", "projector"):
            wait_until(self._has_processed(name, self._webhooks), _DRAIN_SECONDS, f"{name} has processed every webhook")
        return result

    def send(self, count: int, rate: float) -> dict[str, Any]:
        """Send-commands at a steady rate, or at rate 0 at once; returns when every outcome is in the log."""
        sender = self.processes["sender"]
        before = sender.metric("parley_send_outcomes_total")
        arguments = ["--kafka", self._bench.servers.kafka, "--simulator", self.simulator_url, "--count", str(count)]
        arguments += ["--rate", str(rate), "--customers", str(CUSTOMERS), "--core", str(self._bench.cores.other)]
        result = run_json("benchmarks.commands", arguments, seconds=(count / rate if rate else 0) + 120)
        if result["refused_by_meta"]:
            raise BenchmarkError(f"the simulated Meta refused {result['refused_by_meta']} of {count} messages")
        done = before + count
        wait_until(lambda: sender.metric("parley_send_outcomes_total") >= done, _DRAIN_SECONDS, "every outcome is written")
        wait_until(lambda: _outbox(self.dsn) == 0, _DRAIN_SECONDS, "every outcome is told")
        return result

    @property
    def simulator_url(self) -> str:
        return _simulator_url(self.processes["simulator"])

    def peak_rss(self) -> dict[str, float | None]:
        """MiB. Postgres' processes share memory, so there it is what they have now, shared pages counted once."""
        found: dict[str, float | None] = {}
        for name, pid in self.pids.items():
            found[name] = _pss_mib(pid) if name == "Postgres" else peak_rss_mib(pid)
        return found

    def _has_processed(self, name: str, count: int) -> Callable[[], bool]:
        return lambda: self.processes[name].processed() >= count


@contextmanager
def running(bench: Bench, *, sending: bool = False, statuses_to_ingest: bool = True) -> Iterator[System]:
    """A stack over empty topics and tables, warmed up. With `sending` the sender runs, too, and everybody's window is open.

    Without `statuses_to_ingest` the simulated Meta's status webhooks go to a handler that does nothing.
    """
    dsn = bench.servers.fresh()
    bench.servers.pin(bench.cores.measured)
    with ExitStack() as stack:

        def start(module: str, env: dict[str, str], core: int) -> Process:
            return stack.enter_context(Process(module, env, core=core, folder=bench.folder))

        kafka = {"PARLEY_KAFKA_BOOTSTRAP_SERVERS": bench.servers.kafka}
        roles = role_dsns(dsn)
        ours = bench.cores.measured
        processes = {
            "ingest": start("services.ingest", ingest_env(bench.servers.kafka), ours),
            "router": start("services.router", kafka, ours),
            "projector": start("services.projector", {**kafka, "PARLEY_POSTGRES_DSN": roles[PROJECTOR]}, ours),
        }
        if sending:
            key = base64.b64encode(os.urandom(KEY_BYTES)).decode()
            asyncio.run(register(dsn, key, NUMBERS))
            if statuses_to_ingest:
                port = int(processes["ingest"].wait_for_event("ingest.listening")["port"])
            else:
                port = int(start("benchmarks.noop", {}, bench.cores.other).wait_for_event("noop.listening")["port"])
            processes["simulator"] = start("services.sandbox.simulator", _simulator_env(bench, port), bench.cores.other)
            graph_url = _simulator_url(processes["simulator"])
            sender = {**kafka, "PARLEY_POSTGRES_DSN": roles[SENDER], "PARLEY_GRAPH_URL": graph_url, "PARLEY_TOKEN_KEY": key}
            sender["PARLEY_SENDER_PAIR_BURST"] = "45"  # each customer gets several in a row
            processes["sender"] = start("services.sender", sender, ours)
        for name in ("ingest", "router", "projector", *(["sender"] if sending else [])):
            processes[name].wait_ready()
        system = System(bench, dsn, processes)
        system.post("messages", CUSTOMERS, 100.0)
        yield system


def _simulator_env(bench: Bench, port: int) -> dict[str, str]:
    world = bench.folder / "world.json"
    world.write_text(json.dumps({"numbers": [{**number.model_dump(), "token": TOKEN} for number in NUMBERS]}))
    return {
        "PARLEY_SIMULATOR_CONFIG": str(world),
        "PARLEY_SIMULATOR_BEHAVIOUR__WINDOW": "off",  # the benchmarks' customers wrote to ingest, not to the simulated Meta
        "PARLEY_INGEST_URL": f"http://127.0.0.1:{port}/webhooks",
        "PARLEY_APP_SECRET": SECRET,
    }


def _simulator_url(process: Process) -> str:
    line = process.wait_for_text(re.compile(r"^simulator listening on (\S+)$", re.MULTILINE), 30.0)
    return line.group(1)


def _outbox(dsn: str) -> int:
    with psycopg.connect(dsn) as connection:
        row = connection.execute("SELECT count(*) FROM sender.outbox").fetchone()
        return int(row[0]) if row else 0


def _pss_mib(pid: int) -> float | None:
    process = psutil.Process(pid)
    try:
        return sum(one.memory_full_info().pss for one in [process, *process.children(recursive=True)]) / 2**20
    except (psutil.AccessDenied, AttributeError):
        return None  # the kernel tells only the owner of the processes
