"""How fast is Faust as its guide shows it? An agent that does nothing, with default settings, to be compared with in one run."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import faust

_EXPECTED: Final = int(os.environ["BENCH_RECORDS"])

# Beside the addresses only what keeps runs apart is set: its own folder, and no web page on a fixed port.
app = faust.App(
    os.environ["BENCH_GROUP"],
    broker=f"kafka://{os.environ['BENCH_KAFKA']}",
    datadir=Path(tempfile.gettempdir()) / f"{os.environ['BENCH_GROUP']}-data",
    web_enabled=False,
)
topic = app.topic(*os.environ["BENCH_TOPICS"].split(","), value_type=bytes, value_serializer="raw", key_serializer="raw")


class _Clock:
    """When the first and the last record came."""

    def __init__(self) -> None:
        self.count = 0
        self.began = 0.0
        self.cpu = 0.0

    def tick(self) -> None:
        self.count += 1
        if self.count == 1:
            self.began, self.cpu = time.perf_counter(), time.process_time()
        elif self.count == _EXPECTED:
            seconds, cpu = time.perf_counter() - self.began, time.process_time() - self.cpu
            told = {"event": "bench.drained", "records": _EXPECTED - 1, "seconds": seconds, "cpu": cpu}
            print(json.dumps(told), file=sys.__stdout__, flush=True)  # sys.stdout is Faust's log by now


_CLOCK: Final = _Clock()


@app.agent(topic)  # type: ignore[untyped-decorator]  # Faust is untyped
async def noop(stream: Any) -> None:
    """Take every record, do nothing."""
    async for _ in stream:
        _CLOCK.tick()


if __name__ == "__main__":
    app.main()
