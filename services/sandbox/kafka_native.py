"""How does Kafka run without Docker? Apache's own jars on the machine's Java, on the loopback interface, alone or with others."""

from __future__ import annotations

import base64
import re
import signal
import subprocess
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from services.sandbox.child import Child, last_lines
from services.sandbox.kafka_jars import Java, check_jars, find_java, jars
from services.sandbox.kafka_probe import wait_until_serving
from services.sandbox.kafka_settings import DEFAULT_HEAP, LOG_CONFIG, as_file, broker_properties, kafka_version, replicated
from services.sandbox.ports import free_port
from services.sandbox.problems import ProviderError

GUARDED = "GUARDED"
JAAS = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
START_SECONDS = 90.0
STOP_SECONDS = 20.0
FORMAT_SECONDS = 60.0
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """PEM files for a door with TLS: the broker's key with its certificate, and who signed clients', which it then wants too."""

    identity_file: Path
    client_ca_file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """What a broker knows of the cluster it is one of.

    Clients reach it at `advertised`, which may be a proxy's address; the brokers reach each other, and who stands beside them
    reaches them, at `inside_port`. `controllers` has the controller port of every member that is one, by its node id; `brokers`
    is how many members there are.
    """

    cluster_id: str
    node_id: int
    brokers: int
    advertised: str
    inside_port: int
    controllers: Mapping[int, int]


class NativeKafka:
    """One broker over one data directory; addresses and data survive `kill`, `stop` and `restart`.

    It has two doors on the loopback interface: `bootstrap_servers` asks for nothing and lets everybody do everything,
    `guarded_servers` wants the name and password of a principal that `apply_users` has made known. A member of a cluster has no
    guarded door, and its `bootstrap_servers` is the address inside, past every proxy.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int | None = None,
        guarded_port: int | None = None,
        heap: str = DEFAULT_HEAP,
        java: Java | None = None,
        certificates: Certificates | None = None,
        member: Membership | None = None,
    ) -> None:
        """Raises ProviderError, before anything is written or downloaded, when this machine cannot run it.

        With `certificates` the guarded door has TLS: SASL_SSL in place of SASL_PLAINTEXT.
        """
        self._java = java or find_java()
        check_jars()
        self._data_dir = data_dir
        self._heap = heap
        self._port = port or free_port()
        self._controller_port = member.controllers.get(member.node_id) if member else free_port()
        self._member = member
        self._child: Child | None = None
        self._certificates = certificates
        self.bootstrap_servers = f"{LOOPBACK}:{member.inside_port if member else self._port}"
        self.guarded_servers: str | None = None if member else f"{LOOPBACK}:{guarded_port or free_port()}"
        self.version = kafka_version()
        self.log_path: Path | None = data_dir / "kafka.log"
        self.description = f"Apache Kafka {self.version} (native, Java {self._java.major})"

    @property
    def pid(self) -> int | None:
        """None while it does not run."""
        return self._child.pid if self._child and self._child.exit_code is None else None

    def start(self) -> None:
        """Return when clients can work; ProviderError with the end of the log if that does not happen. Running: does nothing."""
        if self.pid is not None:
            return
        classpath = f"{jars()}/*"
        settings = self._write_settings()
        if not (self._data_dir / "log" / "meta.properties").exists():
            self._format(classpath, settings)
        log_path = self._data_dir / "kafka.log"
        child = Child([*self._jvm(classpath), "kafka.Kafka", str(settings)], log_path=log_path, cwd=self._data_dir)
        self._child = child
        if not wait_until_serving(self.bootstrap_servers, START_SECONDS, lambda: child.exit_code is not None):
            self.kill()
            raise ProviderError(f"Kafka did not start, its log ends with:\n{last_lines(log_path)}")

    def stop(self) -> None:
        """Graceful; the data stays. Not running: does nothing."""
        if self._child:
            self._child.stop(STOP_SECONDS)

    def kill(self) -> None:
        """SIGKILL: what a machine that loses power does to a broker."""
        if self._child:
            self._child.kill()

    def restart(self) -> None:
        """Start again after `kill` or `stop`, with the same address and data."""
        self.start()

    def pause(self) -> None:
        """SIGSTOP: the broker hangs but keeps its connections, until `resume`."""
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        self._send(signal.SIGCONT)

    def _send(self, which: signal.Signals) -> None:
        if self._child and self._child.exit_code is None:
            self._child.send(which)

    def _jvm(self, classpath: str) -> list[str]:
        return [
            self._java.path,
            f"-Xmx{self._heap}",
            "-XX:+UseSerialGC",
            "-XX:+ExitOnOutOfMemoryError",
            f"-Dlog4j2.configurationFile={LOG_CONFIG}",
            "-cp",
            classpath,
        ]

    def _write_settings(self) -> Path:
        self._data_dir.mkdir(parents=True, exist_ok=True)
        outside, controller = f"PLAINTEXT://{LOOPBACK}:{self._port}", f"CONTROLLER://{LOOPBACK}:{self._controller_port}"
        is_controller = self._controller_port is not None
        log_dirs = str(self._data_dir / "log")
        if self._member is None:
            doors = f"{outside},{GUARDED}://{self.guarded_servers}"
            settings = broker_properties(
                listeners=f"{doors},{controller}",
                advertised_listeners=doors,
                inter_broker_listener_name="PLAINTEXT",
                controller_quorum_voters=f"1@{LOOPBACK}:{self._controller_port}",
                log_dirs=log_dirs,
                **self._guard(),
            )
        else:
            inside, controllers = f"INTERNAL://{self.bootstrap_servers}", self._member.controllers
            settings = broker_properties(
                process_roles="broker,controller" if is_controller else "broker",
                listeners=f"{outside},{inside},{controller}" if is_controller else f"{outside},{inside}",
                advertised_listeners=f"PLAINTEXT://{self._member.advertised},{inside}",
                inter_broker_listener_name="INTERNAL",
                controller_quorum_voters=",".join(f"{node}@{LOOPBACK}:{port}" for node, port in sorted(controllers.items())),
                log_dirs=log_dirs,
                node_id=str(self._member.node_id),
                **replicated(self._member.brokers),
            )
        path = self._data_dir / "server.properties"
        path.write_text(as_file(settings))
        return path

    def _guard(self) -> dict[str, str]:
        """The settings of the guarded door."""
        certificates = self._certificates
        protocol = "SASL_PLAINTEXT" if certificates is None else "SASL_SSL"
        door = f"listener.name.{GUARDED.lower()}"
        settings = {
            "listener.security.protocol.map": f"CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,{GUARDED}:{protocol}",
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            f"{door}.scram-sha-512.sasl.jaas.config": JAAS,
        }
        if certificates is not None:
            settings |= {f"{door}.ssl.keystore.type": "PEM", f"{door}.ssl.keystore.location": str(certificates.identity_file)}
            if certificates.client_ca_file is not None:
                settings |= {
                    f"{door}.ssl.client.auth": "required",
                    f"{door}.ssl.truststore.type": "PEM",
                    f"{door}.ssl.truststore.location": str(certificates.client_ca_file),
                }
        return settings

    def _format(self, classpath: str, settings: Path) -> None:
        cluster_id = self._member.cluster_id if self._member else new_cluster_id()
        command = [*self._jvm(classpath), "kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}"]
        run = subprocess.run(
            [*command, "--config", str(settings)], capture_output=True, text=True, timeout=FORMAT_SECONDS, check=False
        )
        if run.returncode != 0:
            raise ProviderError(f"Kafka's storage could not be formatted: {_cause(run.stdout + run.stderr)}")


def new_cluster_id() -> str:
    """A name for a cluster that nobody else has."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")


def _cause(output: str) -> str:
    """The line that says why: of a Java program that broke, the innermost cause; else the last."""
    lines = [line.strip() for line in re.split(r"[\r\n]+", output) if line.strip()]
    causes = [line for line in lines if re.match(r"Caused by: |Exception in |[\w.]+(Exception|Error)\b", line)]
    return (causes or lines or ["no message."])[-1]
