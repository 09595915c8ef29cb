"""How is a process configured? From `PARLEY_*` variables, checked at start, with all bad values named at once.

A setting that holds a secret is also read from a file: `PARLEY_X_FILE` names it, in place of `PARLEY_X`. An environment can be
read by whoever may look at the process, and it is handed on to every child; a mounted file is neither.
"""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    FilePath,
    PlainValidator,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from services.common.domain import sublanes
from services.common.platform import faults, kafka_access
from services.common.platform.secret_file import FILE, SecretFileError, secret

S = TypeVar("S", bound=BaseSettings)


_FROM_ENVIRONMENT: Final = SettingsConfigDict(env_prefix="PARLEY_", extra="ignore", frozen=True, hide_input_in_errors=True)


class Secret(SecretStr):
    """A value that prints as `***`; the text itself only by `get_secret_value()`."""

    def __repr__(self) -> str:
        return "Secret('***')"

    def __str__(self) -> str:
        return "***"


class Settings(BaseSettings):
    """Parts that every process has. A field `x` is the variable `PARLEY_X`."""

    model_config = _FROM_ENVIRONMENT

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


def _certificates(path: Path) -> Path:
    try:
        ssl.create_default_context(cafile=path)
    except OSError:  # ssl.SSLError is one
        raise PydanticCustomError("certificates", "the file holds no certificates in PEM form") from None
    return path


CaFile = Annotated[FilePath, AfterValidator(_certificates)]
"""Certificates of those who are trusted to sign others."""


class KafkaSettings(BaseSettings):
    """How to get into Kafka: what every service and the operator's commands are told alike."""

    model_config = _FROM_ENVIRONMENT

    kafka_bootstrap_servers: str = Field(description="host:port, comma separated")
    kafka_security_protocol: kafka_access.Protocol = Field("PLAINTEXT", description="Kafka's word for the listener")
    kafka_sasl_mechanism: kafka_access.Mechanism = Field("SCRAM-SHA-512", description="How the password is proved")
    kafka_user: str = Field("", validate_default=True, description="Name of our principal, where the listener asks for one")
    kafka_password: Secret = Field(Secret(""), validate_default=True, description="Its password")
    kafka_ca_file: CaFile | None = Field(None, description="Who signed the brokers' certificates; none: this machine's")
    kafka_certificate_file: FilePath | None = Field(None, description="Our own certificate, where the listener asks for one")
    kafka_key_file: FilePath | None = Field(None, validate_default=True, description="The key of our own certificate")

    @field_validator("kafka_user", "kafka_password")
    @classmethod
    def _is_asked_for(cls, value: str | Secret, info: ValidationInfo) -> str | Secret:
        """A name without SASL would be told to nobody: whoever sets it believes that the door is shut."""
        protocol = info.data.get("kafka_security_protocol")
        if protocol is not None and bool(value) is not str(protocol).startswith("SASL"):
            needs = "goes only" if value else "is needed"
            raise PydanticCustomError("kafka_sasl", "{needs} with PARLEY_KAFKA_SECURITY_PROTOCOL=SASL_…", {"needs": needs})
        return value

    @field_validator("kafka_ca_file", "kafka_certificate_file")
    @classmethod
    def _is_for_tls(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        protocol = info.data.get("kafka_security_protocol")
        if value is not None and protocol is not None and not str(protocol).endswith("SSL"):
            raise PydanticCustomError("kafka_tls", "goes only with PARLEY_KAFKA_SECURITY_PROTOCOL=SSL or SASL_SSL")
        return value

    @field_validator("kafka_key_file")
    @classmethod
    def _has_certificate(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if "kafka_certificate_file" in info.data and (value is None) is not (info.data["kafka_certificate_file"] is None):
            raise PydanticCustomError("kafka_pair", "goes together with PARLEY_KAFKA_CERTIFICATE_FILE, and that with this")
        return value

    @property
    def kafka(self) -> kafka_access.Access:
        """What every client is made with."""
        return kafka_access.Access(
            servers=self.kafka_bootstrap_servers,
            protocol=self.kafka_security_protocol,
            mechanism=self.kafka_sasl_mechanism,
            user=self.kafka_user,
            password=self.kafka_password.get_secret_value(),
            ca_file=_text(self.kafka_ca_file),
            certificate_file=_text(self.kafka_certificate_file),
            key_file=_text(self.kafka_key_file),
        )


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


class ServiceSettings(Settings, KafkaSettings):
    """What every service has beside its own: Kafka and an operations port."""

    ops_host: str = Field("127.0.0.1", description="Address of /live, /ready and /metrics")
    ops_port: int = Field(0, ge=0, le=65535, description="Port of /live, /ready and /metrics; 0 picks one")


class ReaderSettings(ServiceSettings):
    """What a service has that reads the log."""

    dead_letter_limit: bool = Field(
        True, description="Stop at 50 dead letters in a row or 100 of 10,000 records; false sets aside whatever comes"
    )
    strike_out: bool = Field(True, description="Set aside a record that has killed its reader three times, else read it again")
    stop_shown_seconds: float = Field(
        20.0, ge=0, le=600, description="How long a reader that has stopped for good shows why before it ends"
    )


class StreamSettings(ReaderSettings):
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


class SublaneSettings(ReaderSettings):
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
        return read(settings, **overrides)
    except BadSettings as problem:
        for line in problem.lines:
            print(line, file=sys.stderr)
        print("Set the variables above and start again.", file=sys.stderr)
        raise SystemExit(78) from None


class BadSettings(Exception):  # noqa: N818 - what they are
    """`lines`: a sentence for each bad value, without the value."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("; ".join(lines))
        self.lines = lines


def read(settings: type[S], **overrides: Any) -> S:
    """The settings as environment and files have them now; BadSettings names every bad value."""
    prefix = str(settings.model_config.get("env_prefix", ""))
    values: dict[str, str] = {}
    lines: dict[str, str] = {}
    for field in _secret_fields(settings):
        name = prefix + field.upper()
        try:
            text = secret(name)
        except SecretFileError as problem:
            lines[field] = f"{name}{FILE}: {problem}"
        else:
            if text is not None:
                values[field] = text
    try:
        loaded = settings(**{**values, **overrides})
    except ValidationError as problem:
        for error in problem.errors(include_input=False, include_url=False):
            field = "_".join(str(part) for part in error["loc"][:1])
            lines.setdefault(field, f"{prefix}{field.upper()}: {error['msg']}")
    if lines:
        raise BadSettings(list(lines.values()))
    return loaded


def secret_files(settings: type[BaseSettings], environ: Mapping[str, str] = os.environ) -> list[Path]:
    """The files that the secrets of these settings are read from."""
    prefix = str(settings.model_config.get("env_prefix", ""))
    found = [environ.get(f"{prefix}{field.upper()}{FILE}") for field in _secret_fields(settings)]
    return [Path(path) for path in found if path]


@lru_cache
def _secret_fields(settings: type[BaseModel]) -> tuple[str, ...]:
    return tuple(name for name, field in settings.model_fields.items() if _holds_secret(field.annotation))


def _holds_secret(annotation: Any) -> bool:
    """By its type: no setting with a secret can forget to say so."""
    if isinstance(annotation, type) and issubclass(annotation, SecretStr):
        return True
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return any(_holds_secret(field.annotation) for field in annotation.model_fields.values())
    return any(_holds_secret(part) for part in get_args(annotation))
