"""Where does the fuzzer begin? At what is known to be worth a look: every sample, and the corpora of bad input."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from tests.support import command_corpus, samples, webhook_corpus

MOST_BYTES: Final = 4_096
"""Longer inputs are slower, and reach nothing else."""


def seeds(target: str, most_bytes: int) -> list[bytes]:
    """Inputs of a target that are not longer than that."""
    found = _webhooks() if target == "webhook" else _commands()
    return [seed for seed in found if len(seed) <= most_bytes]


def _webhooks() -> Iterator[bytes]:
    yield from map(samples.body, samples.names())
    yield from (case.body for case in webhook_corpus.CASES.values())


def _commands() -> Iterator[bytes]:
    for number, case in enumerate(command_corpus.cases()):
        for record, _ in command_corpus.published(case, number, samples.RECEIVED).records:
            yield record.value or b""


def dictionary(found: Iterable[bytes]) -> str:
    """Names and short texts of the seeds, as libFuzzer reads them: nobody finds them byte by byte."""
    words = {"\\ud800", "\\u0000", "1e400", "-0", "18446744073709551616", "NaN"}
    for seed in found:
        try:
            words |= set(_texts(json.loads(seed)))
        except (ValueError, RecursionError):
            continue
    return "".join(f"{_quoted(word)}\n" for word in sorted(words) if 1 < len(word) <= 40 and word.isascii())


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        yield from node
        for part in node.values():
            yield from _texts(part)
    elif isinstance(node, list):
        for part in node:
            yield from _texts(part)
    elif isinstance(node, str):
        yield node


def _quoted(word: str) -> str:
    return '"' + "".join(c if c.isalnum() else f"\\x{ord(c):02x}" for c in word) + '"'
