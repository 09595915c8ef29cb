"""Where does a secret come from? Its variable, or the file that the variable with `_FILE` behind its name names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

FILE: Final = "_FILE"
_LARGEST: Final = 1024 * 1024


class SecretFileError(ValueError):
    """A secret cannot be had as the variables say. The text names the variable and never what is in it, or where it points."""


def secret(name: str, environ: Mapping[str, str] = os.environ) -> str | None:
    """The variable `name`, or what stands in the file that `<name>_FILE` names, without line ends behind it; None for neither.

    SecretFileError when both are set, when the file cannot be read, and when it is empty.
    """
    path = environ.get(name + FILE)
    if not path:
        return environ.get(name)
    if environ.get(name):
        raise SecretFileError(f"{name} is set as well as {name}{FILE}: keep one of them")
    try:
        with Path(path).open("rb") as file:
            content = file.read(_LARGEST + 1)
        text = content.decode("utf-8").rstrip("\r\n")
    except (OSError, ValueError) as problem:
        raise SecretFileError(f"the file that it names cannot be read ({type(problem).__name__})") from None
    if not text or len(content) > _LARGEST:
        raise SecretFileError("the file that it names is empty" if not text else "the file that it names is no secret but huge")
    return text
