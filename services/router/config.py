"""How is the router configured?"""

from __future__ import annotations

from services.common.platform.config import ServiceSettings


class RouterSettings(ServiceSettings):
    """Kafka is all the router needs."""
