"""At which address is a container's port published, so that we reach it and others do not?"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from testcontainers.core.config import ConnectionMode

from services.sandbox.docker_daemon import published_on


def daemon(mode: ConnectionMode, *, host: str = "localhost", pools: list[dict[str, str]] | None = None) -> Any:
    bridge = SimpleNamespace(attrs={"IPAM": {"Config": pools or []}})
    return SimpleNamespace(
        get_connection_mode=lambda: mode,
        host=lambda: host,
        client=SimpleNamespace(networks=SimpleNamespace(get={"bridge": bridge}.get)),
    )


@pytest.mark.parametrize(
    ("client", "address"),
    [
        pytest.param(daemon(ConnectionMode.docker_host), "127.0.0.1", id="on this machine"),
        pytest.param(daemon(ConnectionMode.docker_host, host="build.example"), None, id="on another machine"),
        pytest.param(
            daemon(ConnectionMode.gateway_ip, pools=[{"Subnet": "fd00::/64"}, {"Gateway": "172.17.0.1"}]),
            "172.17.0.1",
            id="we are in a container",
        ),
        pytest.param(daemon(ConnectionMode.gateway_ip), None, id="in a container, and the bridge does not tell its address"),
        pytest.param(daemon(ConnectionMode.bridge_ip), "127.0.0.1", id="in a container beside it: its own port is used"),
    ],
)
def test_a_port_is_published_where_we_reach_it(client: Any, address: str | None) -> None:
    assert published_on(client) == address
