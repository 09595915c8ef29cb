"""`python -m tools.documents`: which documents are made from schemas and code, and are they up to date? `--check` asks."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tools import asyncapi_document, events_page, json_schemas, metrics_page
from tools.contract import ROOT


def documents() -> dict[str, str]:
    """Every document with its path."""
    pages = {page.PATH: page.text() for page in (events_page, asyncapi_document, metrics_page)}
    return {**pages, **json_schemas.texts()}


def stale(root: Path, texts: dict[str, str]) -> list[str]:
    """The paths whose files say something else, or are not there."""
    return [path for path, text in texts.items() if not (root / path).exists() or (root / path).read_text("utf-8") != text]


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when every document is up to date at the end; 1 when `--check` found one that is not."""
    parser = argparse.ArgumentParser(prog="python -m tools.documents", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; name what is not up to date")
    checking = parser.parse_args(sys.argv[1:] if arguments is None else arguments).check
    texts = documents()
    for path in stale(ROOT, texts):
        if checking:
            print(f"{path} is not up to date: run make docs", file=sys.stderr)
        else:
            (ROOT / path).write_text(texts[path], "utf-8")
            print(f"wrote {path}")
    return 1 if stale(ROOT, texts) else 0


if __name__ == "__main__":
    raise SystemExit(main())
