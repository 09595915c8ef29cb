"""How does a test use the `parley` command? As a script does: a process of its own, with the variables that it is given."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from tests.support.nursery import shared

_SECONDS: Final = 60.0


def parley(folder: Path, *arguments: str, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    """Run it in a folder until it ends."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")}
    with tempfile.TemporaryDirectory(prefix="parley-command-") as kept:
        given, said, complained = (Path(kept) / name for name in ("stdin", "stdout", "stderr"))
        for file, content in ((given, stdin), (said, ""), (complained, "")):
            file.write_text(content, encoding="utf-8")
        life = shared().start(
            "services.cli", arguments, {**inherited, **env}, said, errors=complained, stdin=given, folder=folder
        )
        try:
            code = life.wait(_SECONDS)
        finally:
            life.send_signal(signal.SIGKILL)
        return subprocess.CompletedProcess(["parley", *arguments], code, said.read_text("utf-8"), complained.read_text("utf-8"))
