"""Is any of these words in what our programs show to operators? A search that knows their disguises, and where to look."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

import psycopg

from services.common.domain import topics
from services.common.platform.kafka import LogRecord
from tests.support import log

PIECE: Final = 1024 * 1024
"""Characters of a file that are looked at together."""
_PROC: Final = Path("/proc")
_CORE: Final = "Max core file size"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """How many places were looked into, how many bytes they have, and what was seen: words and places by name, never a word."""

    places: int
    size: int
    sightings: tuple[str, ...] = ()


def forms(word: str) -> set[str]:
    """The word as it is, and as JSON, a URL, Base64, hexadecimal digits and Python's repr of bytes would have it."""
    if not word:
        raise ValueError("nothing to look for")
    raw = word.encode()
    encoded = (
        {base64.b64encode(raw[at : at + (len(raw) - at) // 3 * 3]).decode() for at in range(3)} if len(raw) > 10 else set[str]()
    )
    return {word, json.dumps(word)[1:-1], quote(word), raw.hex(), repr(raw)[2:-1], *encoded}


def search(words: Mapping[str, str], places: Mapping[str, str | Path]) -> Sought:
    """Look for each word, by its name, in the text or the file of each place, by its; in any of its forms, large or small."""
    wanted = {name: {form.casefold() for form in forms(word)} for name, word in words.items()}
    overlap = max((len(form) for found in wanted.values() for form in found), default=1) - 1
    size, sightings = 0, list[str]()
    for place, content in places.items():
        size += content.stat().st_size if isinstance(content, Path) else len(content.encode())
        seen = {
            name for piece in _pieces(content, overlap) for name, found in wanted.items() if any(form in piece for form in found)
        }
        sightings += [f"{name} in {place}" for name in words if name in seen]
    return Sought(places=len(places), size=size, sightings=tuple(sightings))


def _pieces(content: str | Path, overlap: int) -> Iterator[str]:
    """All of it in small letters, each piece with the end of the one before it."""
    if isinstance(content, str):
        yield content.casefold()
        return
    with content.open(encoding="utf-8", errors="replace") as file:
        end = ""
        while read := file.read(PIECE).casefold():
            yield end + read
            end = (end + read)[-overlap:] if overlap else ""


def process_places(pids: Mapping[str, int]) -> dict[str, str | Path]:
    """Command line and environment of each process, as far as we may look at them: who cannot sees nothing."""
    places: dict[str, str | Path] = {}
    for name, pid in pids.items():
        for what in ("cmdline", "environ"):
            try:
                places[f"{what} of {name}"] = (_PROC / str(pid) / what).read_bytes().decode("utf-8", "replace")
            except PermissionError:
                continue
    return places


def dumpers(pids: Mapping[str, int]) -> Sought:
    """Which of these processes may leave a core dump: it would hold every secret and the messages in hand."""
    limits = {name: (_PROC / str(pid) / "limits").read_text() for name, pid in pids.items()}
    cores = {name: next(line for line in text.splitlines() if line.startswith(_CORE)) for name, text in limits.items()}
    found = tuple(f"a core dump of {name}" for name, line in cores.items() if line.removeprefix(_CORE).split()[:2] != ["0", "0"])
    return Sought(places=len(pids), size=sum(map(len, limits.values())), sightings=found)


def dead_letter_places(bootstrap_servers: str, dsn: str) -> dict[str, str | Path]:
    """The headers of each dead letter, and what an operator reads of all of them in Postgres. (Their values are what came in.)"""
    places: dict[str, str | Path] = {
        f"headers of {one.topic}/{one.partition}/{one.offset}": _headers(one)
        for one in log.read(bootstrap_servers, *topics.DEAD_LETTERS)
    }
    with psycopg.connect(dsn) as connection:
        told = connection.execute("SELECT DISTINCT reason, error, pointer FROM projector.dead_letters").fetchall()
    return {**places, "dead letters in Postgres": json.dumps(told)}


def _headers(record: LogRecord) -> str:
    return "\n".join(f"{name}: {value!r}" for name, value in record.headers)
