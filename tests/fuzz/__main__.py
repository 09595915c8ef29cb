"""`python -m tests.fuzz TARGET`: look for bytes that break it, guided by the code that they reach.

What breaks it is written into the folder `--findings` and ends the search: mend the code, and put the bytes into the corpus.
What reaches new code is left in the folder `--found`; `python -m tests.fuzz.keep` adds to the corpus what is worth it.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
from pathlib import Path
from typing import Final

_SLOW_SECONDS: Final = 20
_MEMORY_MIB: Final = 2_048
_INSTRUMENTED: Final = ["services.router", "services.sender.content", "services.sender.commands"]


def main() -> int:
    """1 when the fuzzer is not installed; else the process ends as libFuzzer does: 0 when nothing was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=["webhook", "command"])
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--found", type=Path, help="what reaches new code is left here")
    parser.add_argument("--findings", type=Path, default=Path())
    options = parser.parse_args()
    try:
        atheris = importlib.import_module("atheris")
    except ImportError:
        print("The fuzzer is not installed: .venv/bin/python -m pip install 'atheris>=3,<4'", file=sys.stderr)
        return 1
    with atheris.instrument_imports(include=_INSTRUMENTED):
        oracle, seeds = importlib.import_module("tests.fuzz.oracle"), importlib.import_module("tests.fuzz.seeds")
    corpus = oracle.CORPUS / options.target
    # libFuzzer ends the process itself, so this folder is left to whoever empties temporary folders.
    folder = Path(tempfile.mkdtemp(prefix="parley-fuzz-"))
    known, words, found = folder / "known", folder / "words", options.found or folder / "found"
    for new in (known, found):
        new.mkdir(parents=True, exist_ok=True)
    begin = seeds.seeds(options.target, seeds.MOST_BYTES)
    for n, seed in enumerate(begin):
        (known / str(n)).write_bytes(seed)
    words.write_text(seeds.dictionary(begin))
    limits = [f"-max_len={seeds.MOST_BYTES}", f"-timeout={_SLOW_SECONDS}", f"-rss_limit_mb={_MEMORY_MIB}", "-print_final_stats=1"]
    folders = [str(found), str(corpus), str(known)]
    own = [f"-dict={words}", f"-max_total_time={options.seconds}", f"-artifact_prefix={options.findings}/", *folders]
    atheris.Setup([sys.argv[0], *limits, *own], oracle.TARGETS[options.target])
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
