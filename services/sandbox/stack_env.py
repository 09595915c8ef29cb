"""How do shells and programs learn where a stack is? `stack.env`: KEY=VALUE lines that a shell reads back exactly."""

from __future__ import annotations

import os
import re
import shlex
import tempfile
from collections.abc import Mapping
from pathlib import Path

STATE_FOLDER = ".parley"
FILE_NAME = "stack.env"
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def as_text(env: Mapping[str, str]) -> str:
    """Lines for `set -a; . stack.env` in any POSIX shell; values are quoted only where a shell would change them."""
    return "".join(f"{_checked(key)}={shlex.quote(value)}\n" for key, value in env.items())


def from_text(text: str) -> dict[str, str]:
    """What `as_text` wrote, read without a shell; ValueError for a line that is no assignment of one word."""
    return dict(_assignment(line) for line in text.splitlines() if line.strip() and not line.startswith("#"))


def write(path: Path, env: Mapping[str, str]) -> None:
    """Replace the file in one step. Its content is for its owner only: it holds the app secret and the token key."""
    write_private(path, as_text(env))


def write_private(path: Path, text: str) -> None:
    """A whole file of mode 0600 or none, also when the process is killed meanwhile."""
    descriptor, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # made with mode 0600
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        Path(scratch).replace(path)
    except BaseException:
        Path(scratch).unlink(missing_ok=True)
        raise


def read(path: Path) -> dict[str, str]:
    """The variables of a file that `write` wrote."""
    return from_text(path.read_text())


def _checked(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise ValueError(f"{key!r} is no name of a variable")
    return key


def _assignment(line: str) -> tuple[str, str]:
    key, sign, quoted = line.partition("=")
    words = shlex.split(quoted)
    if not sign or not _KEY.fullmatch(key) or len(words) > 1:
        raise ValueError("a line is no assignment of one word to a variable")
    return key, words[0] if words else ""
