"""How is the projector configured?"""

from __future__ import annotations

from pydantic import Field

from services.common.platform.config import Secret, StreamSettings


class ProjectorSettings(StreamSettings):
    """`PARLEY_*` of the projector."""

    postgres_dsn: Secret = Field(description="Postgres of the read models, as role parley_projector or the operator")
    projector_keep_months: int = Field(
        0, ge=0, le=1_200, description="Statuses and outcomes older than so many whole months are dropped; 0: none ever"
    )
    projector_silence_seconds: float = Field(
        60.0, gt=0, le=3600, description="How often messages without a status and numbers without webhooks are looked for"
    )
