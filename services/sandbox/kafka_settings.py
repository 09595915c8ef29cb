"""How is the sandbox's broker set, and which version is it? The same from Docker and from the jars."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "deploy" / "kafka"
POM = FOLDER / "pom.xml"
LOG_CONFIG = FOLDER / "log4j2.properties"
DEFAULT_HEAP = "512m"


@cache
def kafka_version() -> str:
    """The one version of Kafka that the sandbox runs, from the pom."""
    found = re.search(r"<kafka\.version>([^<]+)</kafka\.version>", POM.read_text())
    if found is None:
        raise ValueError("deploy/kafka/pom.xml names no kafka.version")
    return found.group(1).strip()


def broker_properties(**listeners_and_paths: str) -> dict[str, str]:
    """`deploy/kafka/server.properties` with what only the start knows; `_` in a keyword stands for `.`."""
    lines = (line.strip() for line in (FOLDER / "server.properties").read_text().splitlines())
    fixed = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    return fixed | {name.replace("_", "."): value for name, value in listeners_and_paths.items()}


def replicated(brokers: int) -> dict[str, str]:
    """What several brokers keep of their own topics, as keywords of `broker_properties`: one of three may be down."""
    copies, least = min(3, brokers), max(1, min(3, brokers) - 1)
    copied = ("offsets_topic", "transaction_state_log", "share_coordinator_state_topic")
    return {
        **{f"{name}_replication_factor": str(copies) for name in copied},
        **{f"{name}_min_isr": str(least) for name in copied[1:]},
        "min_insync_replicas": str(least),
    }


def as_file(properties: dict[str, str]) -> str:
    return "".join(f"{name}={value}\n" for name, value in sorted(properties.items()))


def as_environment(properties: dict[str, str]) -> dict[str, str]:
    """As Apache's image wants them: `message.max.bytes` becomes `KAFKA_MESSAGE_MAX_BYTES`."""
    return {"KAFKA_" + name.upper().replace(".", "_"): value for name, value in properties.items()}
