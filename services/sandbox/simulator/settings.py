"""Where does the simulator listen, whom does it call, and with which secret?"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.sandbox.simulator.config import Behaviour


class SimulatorSettings(BaseSettings):
    """Read from the environment; every bad value is reported in one error.

    Single fields of the behaviour are set as `PARLEY_SIMULATOR_BEHAVIOUR__READ_PROBABILITY=0.7`. With a certificate and its key,
    both PEM files, it also listens with TLS, at an address of its own.
    """

    model_config = SettingsConfigDict(
        env_prefix="PARLEY_SIMULATOR_", env_nested_delimiter="__", populate_by_name=True, extra="ignore"
    )

    host: str = "127.0.0.1"
    port: int = Field(default=0, ge=0, le=65535)
    certificate: Path | None = None
    certificate_key: Path | None = None
    tls_port: int = Field(default=0, ge=0, le=65535)
    ingest_url: str = Field(validation_alias="PARLEY_INGEST_URL", pattern=r"^https?://")
    app_secret: SecretStr = Field(validation_alias="PARLEY_APP_SECRET", min_length=1)
    config: Path | None = None
    ledger: Path | None = None
    behaviour: Behaviour = Behaviour()
    seed: int = 1
    connections: int = Field(default=32, ge=1, le=1000)
    keep: int = Field(default=100_000, ge=1000)
