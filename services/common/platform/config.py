"""How is a process configured? From `PARLEY_*` variables, checked at start, with all bad values named at once."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import Field, PlainValidator, SecretStr, ValidationError, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from services.common.domain import sublanes
from services.common.platform import faults

S = TypeVar("S", bound=BaseSettings)


class Secret(SecretStr):
    """A value that prints as `***`; the text itself only by `get_secret_value()`."""

    def __repr__(self) -> str:
        return "Secret('***')"

    def __str__(self) -> str:
        return "***"


class Settings(BaseSettings):
    """Parts that every process has. A field `x` is the variable `PARLEY_X`."""

    model_config = SettingsConfigDict(env_prefix="PARLEY_", extra="ignore", frozen=True, hide_input_in_errors=True)

    instance: str = Field("1", pattern=r"^[A-Za-z0-9._-]{1,64}$", description="Slot of this process, unique in its service")
    log_format: str = Field("auto", pattern="^(auto|json|text)$", description="json, text, or auto: text on a terminal")
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    fault: str | None = Field(None, description="Test only: name:nth:kill|stop|raise|sleep[=seconds]")

    @field_validator("fault")
    @classmethod
    def _known_fault(cls, value: str | None) -> str | None:
        if value:
            faults.parse(value)
        return value or None


class ServiceSettings(Settings):
    """What every service has beside its own: Kafka and an operations port."""

    kafka_bootstrap_servers: str = Field(description="host:port, comma separated")
    ops_host: str = Field("127.0.0.1", description="Address of /live, /ready and /metrics")
    ops_port: int = Field(0, ge=0, le=65535, description="Port of /live, /ready and /metrics; 0 picks one")


class StreamSettings(ServiceSettings):
    """What a service has that reads the log by `Stream`."""

    stream_buffer_bytes: int = Field(
        8 * 1024 * 1024,
        ge=64 * 1024,
        description="Records read ahead of their processing, with what the objects around them take",
    )


def _sublanes(text: str) -> Mapping[str, int]:
    try:
        return sublanes.parse(text)
    except ValueError as problem:
        raise PydanticCustomError("sublanes", "{told}", {"told": str(problem)}) from None


class SublaneSettings(ServiceSettings):
    """What those have that write or read the lanes. All of them must be told the same."""

    sublanes: Annotated[Mapping[str, int], NoDecode, PlainValidator(_sublanes)] = Field(
        default_factory=dict,
        validate_default=False,
        description="<phone_number_id>=<K>,… of numbers with K sub-lanes; see docs/sublanes.md",
    )


def load(settings: type[S], **overrides: Any) -> S:
    """Read the environment or end the process with exit code 78 and one line for each bad value.

    Values never appear in the message, so a mistyped secret is not printed.
    """
    try:
        return settings(**overrides)
    except ValidationError as problem:
        prefix = str(settings.model_config.get("env_prefix", ""))
        for error in problem.errors(include_input=False, include_url=False):
            name = prefix + "_".join(str(part) for part in error["loc"][:1]).upper()
            print(f"{name}: {error['msg']}", file=sys.stderr)
        print("Set the variables above and start again.", file=sys.stderr)
        raise SystemExit(78) from None
