"""How do brokers run so that clients reach each of them through a proxy, and who stands beside them does not?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from services.sandbox.kafka_cluster import NativeCluster, port_names
from services.sandbox.kafka_native import LOOPBACK
from services.sandbox.stack_state import keep_ports
from tests.faults.storm.proxy import Proxies, proxies

Routes = dict[str, tuple[int, int]]


def way_names(brokers: int = 3) -> list[str]:
    """The proxies' names: also what the brokers behind them are called."""
    return [f"broker-{node}" for node in range(1, brokers + 1)]


def way_ports(brokers: int = 3) -> list[str]:
    """The names of all ports that `behind_ways` wants."""
    return [*port_names(brokers), *(f"way-{name}" for name in way_names(brokers))]


def behind_ways(
    folder: Path, ports: Mapping[str, int], *, brokers: int = 3, controllers: int | None = None
) -> tuple[NativeCluster, Routes]:
    """A cluster that is not started yet, and what proxies have to be made for it."""
    names = way_names(brokers)
    told = [f"{LOOPBACK}:{ports[f'way-{name}']}" for name in names]
    cluster = NativeCluster(folder, ports=ports, advertised=told, brokers=brokers, controllers=controllers)
    return cluster, {name: (ports[f"way-{name}"], ports[name]) for name in names}


@contextmanager
def running_behind_ways(
    folder: Path, *, brokers: int = 3, controllers: int | None = None
) -> Iterator[tuple[Proxies, NativeCluster]]:
    """The same with its proxies, all running and without any topic; killed with the block."""
    ports = keep_ports(folder, [*way_ports(brokers), "control"])
    cluster, routes = behind_ways(folder, ports, brokers=brokers, controllers=controllers)
    with proxies(routes, control_port=ports["control"], log_path=folder / "proxy.log") as told:
        try:
            cluster.start()
            yield told, cluster
        finally:
            cluster.kill()
