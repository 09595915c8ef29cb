"""How much of aiohttp's speed is left once every webhook is checked and in the log? Requests/s of one core, and CPU per 1,000."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import psutil

from services.sandbox.providers import kafka_providers, start_first
from services.sandbox.topics import apply_topics

_SECRET: Final = "benchmark-app-secret"  # noqa: S105 - of this run only
_ROOT: Final = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One measurement of one server."""

    per_second: float
    cpu_per_thousand: float
    refused: int


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kafka", default=None, help="host:port of a broker; without it one is started")
    args = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    server_core, other_core = cores[0], cores[-1]
    os.sched_setaffinity(0, {other_core})
    with ExitStack() as stack:
        kafka = args.kafka or stack.enter_context(_kafka())
        asyncio.run(apply_topics(kafka))
        noop, noop_port = stack.enter_context(_noop())
        ingest, ingest_port = stack.enter_context(_ingest(kafka))
        for server in (noop, ingest):
            psutil.Process(server.pid).cpu_affinity([server_core])
        print(
            f"one core for the server, {'the other' if other_core != server_core else 'the SAME'} for load and Kafka, acks=all, "
            f"median of {args.rounds} rounds of {args.seconds:g} s"
        )
        _warm_up(ingest, ingest_port, other_core)
        for connections in args.connections:
            rounds = []
            for _ in range(args.rounds):
                bare = _measure(noop, noop_port, connections, args.seconds, other_core)
                ours = _measure(ingest, ingest_port, connections, args.seconds, other_core)
                rounds.append((bare, ours))
            _print_row(connections, rounds)


def _warm_up(server: subprocess.Popen[str], port: int, core: int) -> None:
    """A broker that has just started refuses and compiles; measuring begins when a second passes without a refusal."""
    for _ in range(30):
        run = _measure(server, port, 16, 1.0, core)
        if not run.refused:
            return
    raise RuntimeError("the broker does not keep up with 16 connections")


def _print_row(connections: int, rounds: list[tuple[Run, Run]]) -> None:
    bare = statistics.median(bare.per_second for bare, _ in rounds)
    ours = statistics.median(ours.per_second for _, ours in rounds)
    ratios = sorted(ours.per_second / bare.per_second for bare, ours in rounds)
    cpu = statistics.median(ours.cpu_per_thousand for _, ours in rounds)
    cpu_bare = statistics.median(bare.cpu_per_thousand for bare, _ in rounds)
    print(
        f"{connections:4d} connections: no-op {bare:7.0f}/s, ingest {ours:7.0f}/s, ratio {statistics.median(ratios):.2f} "
        f"({ratios[0]:.2f}-{ratios[-1]:.2f}), CPU-s per 1,000: no-op {cpu_bare:.3f}, ingest {cpu:.3f}, "
        f"refused {sum(ours.refused for _, ours in rounds)}"
    )


def _measure(server: subprocess.Popen[str], port: int, connections: int, seconds: float, core: int) -> Run:
    process = psutil.Process(server.pid)
    before = process.cpu_times()
    command = [sys.executable, "-m", "benchmarks.load", "--port", str(port), "--connections", str(connections)]
    command += ["--seconds", str(seconds), "--secret", _SECRET, "--core", str(core)]
    done = subprocess.run(command, cwd=_ROOT, check=True, capture_output=True, text=True, timeout=seconds + 60)
    after = process.cpu_times()
    result = json.loads(done.stdout)
    cpu = after.user - before.user + after.system - before.system
    answered = max(1, result["accepted"])
    return Run(
        per_second=result["accepted"] / result["seconds"], cpu_per_thousand=1000 * cpu / answered, refused=int(result["refused"])
    )


@contextmanager
def _kafka() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as directory:
        server = start_first("Kafka", kafka_providers(Path(directory)))
        try:
            yield server.bootstrap_servers
        finally:
            server.stop()


@contextmanager
def _process(module: str, env: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")}
    process = subprocess.Popen(
        [sys.executable, "-m", module],
        cwd=_ROOT,
        env={**inherited, **env},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if module.startswith("services.") else None,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(15)


def _stream(stream: IO[str] | None) -> IO[str]:
    if stream is None:
        raise RuntimeError("started without a pipe")
    return stream


@contextmanager
def _noop() -> Iterator[tuple[subprocess.Popen[str], int]]:
    with _process("benchmarks.noop", {}) as process:
        yield process, int(_stream(process.stdout).readline())


@contextmanager
def _ingest(kafka: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    env = {
        "PARLEY_KAFKA_BOOTSTRAP_SERVERS": kafka,
        "PARLEY_APP_SECRET": _SECRET,
        "PARLEY_VERIFY_TOKEN": "benchmark-verify-token",
        "PARLEY_INGEST_PORT": "0",
        "PARLEY_LOG_FORMAT": "json",
    }
    with _process("services.ingest", env) as process:
        port = 0
        for line in _stream(process.stderr):
            event = json.loads(line)
            if event["event"] == "ingest.listening":
                port = int(event["port"])
            if event["event"] == "ingest.ready":
                break
        yield process, port


if __name__ == "__main__":
    main()
