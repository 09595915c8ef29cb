"""How is the router configured?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, PlainValidator
from pydantic_core import PydanticCustomError
from pydantic_settings import NoDecode

from services.common.platform.config import StreamSettings, SublaneSettings
from services.router.routes import Routes, RoutesError, parse


def read_routes(path: Path) -> Routes:
    """The rules of a file; RoutesError with every mistake in it, or that it cannot be read."""
    try:
        content = path.read_bytes()
    except OSError as problem:
        raise RoutesError.of_file(f"cannot be read ({type(problem).__name__})") from None
    return parse(content)


def _routes(path: str) -> Routes | None:
    """Read with the settings, so that a mistake in the file is named together with all their bad values."""
    try:
        return read_routes(Path(path)) if path else None
    except RoutesError as error:
        told = "".join(f"\n  {mistake}" for mistake in error.mistakes)
        raise PydanticCustomError("routes", "the file has mistakes{told}", {"told": told}) from None


class RouterSettings(StreamSettings, SublaneSettings):
    """Kafka is all the router needs; without rules nothing is copied."""

    routes_file: Annotated[Routes | None, NoDecode, PlainValidator(_routes)] = Field(
        None, description="YAML file of the rules that copy events to other topics; see docs/routing.md"
    )
