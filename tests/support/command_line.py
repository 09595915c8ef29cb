"""How does a test use the `parley` command? As a script does: a process of its own, with the variables that it is given."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def parley(folder: Path, *arguments: str, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    """Run it in a folder until it ends."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")}
    return subprocess.run(
        [sys.executable, "-m", "services.cli", *arguments],
        cwd=folder,
        env={**inherited, **env},
        capture_output=True,
        text=True,
        input=stdin,
        timeout=60,
        check=False,
    )
