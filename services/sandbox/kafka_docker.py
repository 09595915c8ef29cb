"""How does Kafka run from Docker? Apache's own image in the version of the pom, with the settings of the native broker."""

from __future__ import annotations

from pathlib import Path

from services.sandbox.docker_daemon import Container, check_daemon
from services.sandbox.kafka_probe import wait_until_serving
from services.sandbox.kafka_settings import DEFAULT_HEAP, as_environment, broker_properties, kafka_version
from services.sandbox.ports import free_port
from services.sandbox.problems import ProviderError

START_SECONDS = 120.0
INNER_PORT, INTERNAL_PORT, CONTROLLER_PORT = 9092, 9094, 9093
CLUSTER_ID = "cGFybGV5LXNhbmRib3gtMQ"  # 16 bytes in base64; the container is ours alone, so any id will do
START_FILE = "/tmp/parley-start.sh"  # noqa: S108  inside the container
AWAIT_START_FILE = f"while [ ! -f {START_FILE} ]; do sleep 0.1; done; exec bash {START_FILE}"


class DockerKafka:
    """One broker in one container. Address and data survive `kill` and `restart`; `stop` removes the container with its data."""

    def __init__(self, *, port: int | None = None, heap: str = DEFAULT_HEAP) -> None:
        """Raises ProviderError, before anything is pulled or started, when no daemon answers."""
        check_daemon()
        self._heap = heap
        self._port = port or free_port()
        self._container: Container | None = None
        self.bootstrap_servers = ""
        self.guarded_servers: str | None = None
        self.version = kafka_version()
        self.log_path: Path | None = None
        self.description = f"Apache Kafka {self.version} (docker)"

    @property
    def pid(self) -> int | None:
        """Its process belongs to the daemon, not to this machine."""
        return None

    def start(self) -> None:
        """Return when clients can work; ProviderError with the end of the log if that does not happen. Running: does nothing."""
        if self._container is None:
            self._create()
        elif not self._container.running:
            self._container.start_again()
        self._await()

    def stop(self) -> None:
        """Graceful, and final: the container is removed. Not running: does nothing."""
        if self._container:
            self._container.signal("SIGTERM")
            self._container.remove()
            self._container = None

    def kill(self) -> None:
        """SIGKILL: what a machine that loses power does to a broker."""
        if self._container:
            self._container.signal("SIGKILL")

    def restart(self) -> None:
        """Start again after `kill`, with the same address and data."""
        self.start()

    def pause(self) -> None:
        """SIGSTOP: the broker hangs but keeps its connections, until `resume`."""
        if self._container:
            self._container.pause()

    def resume(self) -> None:
        if self._container:
            self._container.resume()

    def _create(self) -> None:
        container = Container(
            f"apache/kafka:{self.version}",
            inner_port=INNER_PORT,
            host_port=self._port,
            environment=self._environment(),
            command=["bash", "-c", AWAIT_START_FILE],
        )
        container.start()
        self._container = container
        self.bootstrap_servers = f"{container.host}:{container.port}"
        # Where clients reach the broker is known only now, and it has to be in what the broker advertises.
        advertised = f"PLAINTEXT://{self.bootstrap_servers},INTERNAL://localhost:{INTERNAL_PORT}"
        container.put(f"export KAFKA_ADVERTISED_LISTENERS={advertised}\nexec /etc/kafka/docker/run\n", START_FILE)

    def _await(self) -> None:
        container = self._container
        if container and not wait_until_serving(self.bootstrap_servers, START_SECONDS, lambda: not container.running):
            log = container.last_lines()
            self.stop()
            raise ProviderError(f"Kafka's container did not start, its log ends with:\n{log}")

    def _environment(self) -> dict[str, str]:
        listeners = (
            f"PLAINTEXT://0.0.0.0:{INNER_PORT},INTERNAL://127.0.0.1:{INTERNAL_PORT},CONTROLLER://127.0.0.1:{CONTROLLER_PORT}"
        )
        properties = broker_properties(
            listeners=listeners,
            inter_broker_listener_name="INTERNAL",
            controller_quorum_voters=f"1@localhost:{CONTROLLER_PORT}",
            log_dirs="/tmp/parley-kafka",  # noqa: S108  inside the container
        )
        return as_environment(properties) | {"CLUSTER_ID": CLUSTER_ID, "KAFKA_HEAP_OPTS": f"-Xmx{self._heap}"}
