"""How is the router configured?"""

from __future__ import annotations

from services.common.platform.config import StreamSettings


class RouterSettings(StreamSettings):
    """Kafka is all the router needs."""
