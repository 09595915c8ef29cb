"""Does the search for what must not be seen see it, in every disguise, and wherever it stands?"""

from __future__ import annotations

import base64
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.canaries import NAME, PHONE, TEXT
from tests.support.search import PIECE, Sought, dumpers, forms, process_places, search

WORDS = {"a number": PHONE, "a name": NAME, "a text": TEXT}


@pytest.mark.parametrize(("name", "word"), WORDS.items())
def test_a_word_is_seen_in_every_disguise(name: str, word: str) -> None:
    disguised = [base64.b64encode(before + word.encode() + b"!").decode() for before in (b"", b"x", b"xy", b"xyz")]
    for form in [*forms(word), *disguised, word.upper(), repr({"to": f"+{word}1".encode()})]:
        assert search(WORDS, {"a log": f"...{form}...", "another": "nothing"}).sightings == (f"{name} in a log",)


def test_what_only_resembles_a_word_is_none_and_what_was_read_is_told() -> None:
    found = search(WORDS, {"a log": "canary and 491750009912", "another": "\u00fc"})
    assert found == Sought(places=2, size=25, sightings=())
    with pytest.raises(ValueError, match="nothing to look for"):
        search({"a secret": ""}, {})


@pytest.mark.parametrize("before", [0, PIECE - len(PHONE) // 2, PIECE, 2 * PIECE - 1])
def test_a_word_is_seen_at_any_place_of_a_file(tmp_path: Path, before: int) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"\xff" * before + PHONE.encode() + b" and so on")
    assert search(WORDS, {"a log": log}) == Sought(places=1, size=before + 22, sightings=("a number in a log",))


def test_a_word_is_seen_in_the_list_of_processes() -> None:
    telling = "import sys; print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-S", "-c", telling, NAME],
        env={**os.environ, "PASSWORD": TEXT},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        pids = {"it": process.pid}
        assert search(WORDS, process_places(pids)).sightings == ("a name in cmdline of it", "a text in environ of it")


def test_a_process_that_may_leave_a_core_dump_is_told() -> None:
    mine = resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
    assert dumpers({"we": os.getpid()}).sightings == (() if mine else ("a core dump of we",))
