"""How is ingest configured? Its apps and their secrets, its address, and how much it bears."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic_settings import NoDecode

from services.common.platform.config import Secret, ServiceSettings

PATH: Final = "/webhooks"
DEFAULT_APP: Final = "default"


def _parsed(value: Any) -> Any:
    """Text from the environment as JSON; a syntax error is a bad value like any other, and does not quote the text."""
    return json.loads(value) if isinstance(value, str) else value


def _not_default(name: str) -> str:
    if name == DEFAULT_APP:
        raise ValueError(f"{DEFAULT_APP!r} is the app of PARLEY_APP_SECRET")
    return name


AppName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$"), AfterValidator(_not_default)]
AppSecret = Annotated[Secret, Field(min_length=8)]
VerifyToken = Annotated[Secret, Field(min_length=8)]


class AppSettings(BaseModel):
    """One Meta app that posts to a path of its own."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    app_secret: AppSecret
    app_secret_previous: AppSecret | None = None
    verify_token: VerifyToken


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """Who may post to one path. The secrets are bytes in memory and never leave this record."""

    name: str
    path: str
    secrets: tuple[bytes, ...]
    verify_token: bytes

    def __repr__(self) -> str:
        return f"App({self.name!r})"


class IngestSettings(ServiceSettings):
    """`PARLEY_*` of ingest."""

    app_secret: AppSecret = Field(description="Secret of the Meta app that posts to /webhooks")
    app_secret_previous: AppSecret | None = Field(None, description="The secret before a rotation, while both are in use")
    verify_token: VerifyToken = Field(description="What Meta shows when the callback is saved")
    ingest_apps: Annotated[dict[AppName, AppSettings], NoDecode, BeforeValidator(_parsed)] = Field(
        default_factory=dict,
        description="JSON: name -> {app_secret, app_secret_previous?, verify_token}, at /webhooks/<name>",
    )

    ingest_host: str = Field("127.0.0.1", description="Address that Meta's requests reach")
    ingest_port: int = Field(8080, ge=0, le=65535, description="Port that Meta's requests reach; 0 picks one")

    ingest_deadline_seconds: float = Field(2.5, gt=0, le=30, description="503 when the log has not acknowledged by then")
    ingest_inflight_bytes: int = Field(64 * 1024 * 1024, ge=1024, description="503 above this many bytes not yet acknowledged")
    ingest_reading_bytes: int = Field(64 * 1024 * 1024, ge=1024, description="503 above this many bytes of unfinished bodies")
    ingest_body_bytes: int = Field(4 * 1024 * 1024, ge=1024, le=4 * 1024 * 1024, description="413 above; Meta posts up to 3 MB")
    ingest_breaker_misses: int = Field(3, ge=1, description="Missed deadlines in a row that open the breaker")
    ingest_breaker_probe_seconds: float = Field(0.5, gt=0, description="Pause between tries while the breaker is open")

    ingest_header_seconds: float = Field(5.0, gt=0, description="From connecting, or a request's first byte, to its headers")
    ingest_body_seconds: float = Field(10.0, gt=0, description="From the headers to the whole body")
    ingest_body_grace_seconds: float = Field(2.0, gt=0, description="No minimum speed before this age of a body")
    ingest_body_bytes_per_second: int = Field(16 * 1024, ge=0, description="Minimum speed of a body")
    ingest_connections: int = Field(1024, ge=1, description="Open connections in total")
    ingest_connections_per_source: int = Field(256, ge=1, description="Open connections of one address; raise it behind a proxy")
    ingest_keepalive_seconds: float = Field(75.0, gt=0, description="An idle connection is closed after this long")
    ingest_drain_seconds: float = Field(5.0, gt=0, le=6.0, description="SIGTERM waits this long for requests in progress")

    def apps(self) -> tuple[App, ...]:
        """Every app with its path."""
        first = AppSettings(
            app_secret=self.app_secret,
            app_secret_previous=self.app_secret_previous,
            verify_token=self.verify_token,
        )
        return (
            _app(DEFAULT_APP, PATH, first),
            *(_app(name, f"{PATH}/{name}", settings) for name, settings in self.ingest_apps.items()),
        )


def _app(name: str, path: str, settings: AppSettings) -> App:
    secrets = [settings.app_secret, *([settings.app_secret_previous] if settings.app_secret_previous else [])]
    return App(
        name=name,
        path=path,
        secrets=tuple(secret.get_secret_value().encode() for secret in secrets),
        verify_token=settings.verify_token.get_secret_value().encode(),
    )
