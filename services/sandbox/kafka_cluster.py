"""How do several brokers run natively as one cluster, each behind an address of its own?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from services.sandbox.kafka_native import LOOPBACK, Membership, NativeKafka, new_cluster_id

HEAP: Final = "320m"
"""Of each broker: three of them are on one machine."""


class NativeCluster:
    """KRaft nodes that are broker and controller. With three, topics have three replicas and one broker may be down.

    `advertised` is what clients are told, one address a broker: its own client port, or that of a proxy before it. With
    `controllers` only the first so many are controllers too: the others may all be down, and what is left still elects leaders.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        ports: Mapping[str, int],
        advertised: Sequence[str] | None = None,
        brokers: int = 3,
        controllers: int | None = None,
        heap: str = HEAP,
    ) -> None:
        """`ports` has one for each of `port_names(brokers)`. ProviderError, with nothing written, when this machine cannot."""
        nodes = range(1, brokers + 1)
        voters = {node: ports[f"controller-{node}"] for node in nodes if node <= (controllers or brokers)}
        told = advertised or [f"{LOOPBACK}:{ports[f'broker-{node}']}" for node in nodes]
        cluster_id = new_cluster_id()
        self.brokers = [
            NativeKafka(
                data_dir / f"broker-{node}",
                port=ports[f"broker-{node}"],
                heap=heap,
                member=Membership(
                    cluster_id=cluster_id,
                    node_id=node,
                    brokers=brokers,
                    advertised=told[node - 1],
                    inside_port=ports[f"inside-{node}"],
                    controllers=voters,
                ),
            )
            for node in nodes
        ]
        self.advertised = ",".join(told)
        """For clients."""

    @property
    def bootstrap_servers(self) -> str:
        """For who stands beside the brokers: past every proxy."""
        return ",".join(broker.bootstrap_servers for broker in self.brokers)

    def start(self) -> None:
        """All at once, because one alone has no majority; returns when each can be asked. ProviderError when one cannot."""
        with ThreadPoolExecutor(max_workers=len(self.brokers)) as pool:
            for started in [pool.submit(broker.start) for broker in self.brokers]:
                started.result()

    def kill(self) -> None:
        """All of them, for good. A graceful end would wait for a majority that is ending too."""
        for broker in self.brokers:
            broker.kill()


def port_names(brokers: int = 3) -> list[str]:
    """The ports of a cluster: of each broker one for clients, one inside, one of its controller."""
    return [f"{what}-{node}" for what in ("broker", "inside", "controller") for node in range(1, brokers + 1)]
