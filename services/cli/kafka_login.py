"""How does a command get into Kafka? As the variables say, which are the operator's or those of the stack in this directory."""

from __future__ import annotations

from services.cli.surroundings import need
from services.common.platform.config import KafkaSettings, load
from services.common.platform.kafka_access import Access


def kafka() -> Access:
    """Where Kafka is and who the operator is there; a wrong variable ends the command with exit code 78, as it does a service."""
    need("PARLEY_KAFKA_BOOTSTRAP_SERVERS")
    return load(KafkaSettings).kafka
