"""Does `make` tell everything it can do, and do the documents name only what there is?"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = re.compile(r"^([a-z][a-z-]*):(.*)$", re.MULTILINE)
MAKEFILE = (ROOT / "Makefile").read_text()


def listed() -> dict[str, str]:
    told = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True).stdout
    lines = (line.split(maxsplit=2) for line in told.splitlines())
    return {name: words for _make, name, words in lines}


def test_bare_make_lists_every_target_with_a_line_of_help() -> None:
    targets = {name for name, _ in TARGET.findall(MAKEFILE)}
    assert set(listed()) == targets
    assert all(len(words) > 10 for words in listed().values())


def test_every_target_is_phony() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    assert phony is not None
    assert set(phony.group(1).split()) == set(listed())


def test_documents_name_only_targets_that_exist() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / ".ci" / "run", *(ROOT / "docs").rglob("*.md")]
    lines = "\n".join(page.read_text() for page in pages)
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", lines, re.MULTILINE))
    assert named
    assert named <= set(listed())


def test_the_lock_file_names_no_address_to_download_from() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert not re.search(r"https?://|--(extra-)?index-url|--find-links", lock)
    pinned = re.findall(r"^[a-z0-9][\w.-]*==", lock, re.MULTILINE)
    assert lock.count("--hash=sha256:") >= len(pinned) > 0
