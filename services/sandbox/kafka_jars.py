"""Where are Java and Kafka's jars? Java from the machine, the jars from Maven into a cache, once for each version of the pom."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from services.sandbox.kafka_settings import POM, kafka_version
from services.sandbox.problems import ProviderError

OLDEST_JAVA = 17
RESOLVE_SECONDS = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Java:
    path: str
    major: int


def find_java() -> Java:
    """JAVA_HOME's java, else the one on PATH, at least version 17; else ProviderError."""
    home = os.environ.get("JAVA_HOME")
    places = [str(Path(home, "bin", "java"))] if home else []
    on_path = shutil.which("java")
    found = [java for path in [*places, *([on_path] if on_path else [])] if (java := _ask_version(path))]
    for java in found:
        if java.major >= OLDEST_JAVA:
            return java
    if found:
        raise ProviderError(f"Java {found[0].major} is too old: install a Java runtime of version {OLDEST_JAVA} or newer.")
    raise ProviderError(f"no Java on PATH or in JAVA_HOME: install a Java runtime of version {OLDEST_JAVA} or newer.")


def _ask_version(path: str) -> Java | None:
    try:
        answer = subprocess.run([path, "-version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r'version "(?:1\.)?(\d+)', answer.stderr + answer.stdout)
    return Java(path=path, major=int(found.group(1))) if found else None


def cache_folder() -> Path:
    """The folder of this pom's jars, named after version and content: a changed pom gets its own."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "parley" / f"kafka-{kafka_version()}-{hashlib.sha256(POM.read_bytes()).hexdigest()[:12]}"


def check_jars() -> None:
    """ProviderError if the jars are neither cached nor obtainable; downloads nothing."""
    if not cache_folder().is_dir() and shutil.which("mvn") is None:
        raise ProviderError("Kafka's jars are not cached and there is no Maven to get them: install Maven (mvn).")


def jars() -> Path:
    """The folder with Kafka's jars, filled by Maven at first use. Complete or absent, also with several starts at once."""
    folder = cache_folder()
    if folder.is_dir():
        return folder
    check_jars()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(folder.with_suffix(folder.suffix + ".lock")):
        if not folder.is_dir():
            _resolve_into(folder)
    return folder


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _resolve_into(folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="resolving-") as scratch:
        half = Path(scratch, "libs")
        command = ["mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={half}"]
        try:
            run = subprocess.run(command, capture_output=True, text=True, timeout=RESOLVE_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            raise ProviderError(f"Maven did not get Kafka's jars within {RESOLVE_SECONDS} s: look at the network.") from None
        if run.returncode != 0 or not any(half.glob("kafka_*.jar")):
            raise ProviderError(
                f"Maven could not get Kafka's jars, look at its settings and the network: {_first_error(run.stdout)}"
            )
        half.rename(folder)


def _first_error(output: str) -> str:
    plain = re.sub(r"\x1b\[[0-9;]*m", "", output)
    errors = [line.removeprefix("[ERROR]").strip() for line in plain.splitlines() if "[ERROR]" in line]
    return errors[0] if errors else "no message."
