"""Is there a Docker that answers, and where do its ports appear? That a client is installed says nothing: ask the daemon."""

from __future__ import annotations

import socket
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from services.sandbox.ports import answers
from services.sandbox.problems import ProviderError

LOCAL = ("localhost", "127.0.0.1")
LOOPBACK = "127.0.0.1"
DEFAULT_DAEMON = "unix:///var/run/docker.sock"


def check_daemon() -> None:
    """ProviderError if the sandbox extra is not installed or no daemon answers."""
    failure = _library("docker.errors").DockerException
    connect = _library("testcontainers.core.docker_client").DockerClient
    if not _accepts(_library("testcontainers.core.docker_client").get_docker_host() or DEFAULT_DAEMON):
        raise ProviderError("no Docker daemon answers: start Docker, or set DOCKER_HOST to one that runs.")
    try:
        client = connect().client
    except (failure, OSError):  # it asks the daemon for its version, so it fails here without one
        raise ProviderError("no Docker daemon answers: start Docker, or set DOCKER_HOST to one that runs.") from None
    try:
        client.ping()
    except (failure, OSError):
        raise ProviderError("the Docker daemon does not answer a ping: look at its state with 'docker info'.") from None
    finally:
        client.close()


def _accepts(daemon: str) -> bool:
    """Whether a daemon's address takes connections; one that only its own client can reach (ssh) is taken to.

    Asked before the client is made, because the client leaves its sockets open when it fails.
    """
    address = urlsplit(daemon)
    if address.scheme in ("tcp", "http", "https"):
        return answers(address.hostname or LOOPBACK, address.port or 2375)
    if address.scheme != "unix":
        return True
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(address.path)
        except OSError:
            return False
        return True


def _library(name: str) -> Any:
    """A part of the sandbox extra, loaded only when Docker is asked for."""
    try:
        return import_module(name)
    except ImportError:
        raise ProviderError("the Docker provider needs testcontainers: pip install 'parley[sandbox]'.") from None


class Container:
    """One container with one published port, which keeps its number when the container is killed and started again.

    testcontainers' reaper removes the container when this process ends, however it ends.
    """

    def __init__(self, image: str, *, inner_port: int, host_port: int, environment: dict[str, str], command: list[str]) -> None:
        container = (
            _library("testcontainers.core.container").DockerContainer(image).with_envs(**environment).with_command(command)
        )
        address = published_on(container.get_docker_client())
        container.ports[f"{inner_port}/tcp"] = (address, host_port) if address else host_port
        self._container = container
        self._inner_port = inner_port

    def start(self) -> None:
        """Create and start it, pulling the image if need be; ProviderError with Docker's word if that fails."""
        failure = _library("docker.errors").DockerException
        try:
            self._container.start()
        except (failure, OSError, RuntimeError) as problem:
            self.remove()
            raise ProviderError(f"Docker could not start {self._container.image}: {_first_line(problem)}") from problem

    @property
    def host(self) -> str:
        """Where its port is reached from here: also right in a container beside it, and with a DOCKER_HOST elsewhere."""
        host = str(self._container.get_container_host_ip())
        return LOOPBACK if host in LOCAL else host

    @property
    def port(self) -> int:
        return int(self._container.get_exposed_port(self._inner_port))

    @property
    def running(self) -> bool:
        wrapped = self._container.get_wrapped_container()
        wrapped.reload()
        return bool(wrapped.status == "running")

    def put(self, content: str, path: str) -> None:
        self._container.copy_into_container(content.encode(), path)

    def signal(self, name: str) -> None:
        """Send a signal to its server and wait until the container has ended; one that has ended already is left alone."""
        if self.running:
            wrapped = self._container.get_wrapped_container()
            wrapped.kill(signal=name)
            wrapped.wait()

    def pause(self) -> None:
        """Freeze it, connections and all, until `resume`."""
        self._container.get_wrapped_container().pause()

    def resume(self) -> None:
        self._container.get_wrapped_container().unpause()

    def start_again(self) -> None:
        self._container.get_wrapped_container().start()

    def remove(self) -> None:
        self._container.stop()

    def last_lines(self) -> str:
        return str(self._container.get_wrapped_container().logs(tail=40).decode(errors="replace")).strip()


def published_on(client: Any) -> str | None:
    """The one address of the daemon's host that we reach it by, so that nobody else does; None: all, it is another machine.

    In a container that is not the loopback interface but the bridge, whose address is ours or the host's.
    """
    if client.get_connection_mode().value == "gateway_ip":
        pools = client.client.networks.get("bridge").attrs["IPAM"]["Config"]
        return next((pool["Gateway"] for pool in pools if "Gateway" in pool), None)
    return LOOPBACK if client.host() in LOCAL else None


def _first_line(problem: BaseException) -> str:
    return (str(problem).splitlines() or [type(problem).__name__])[0]
