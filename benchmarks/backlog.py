"""What do a million queued commands cost the sender: memory, intake, and is any of them lost?"""

from __future__ import annotations

import time
from typing import Final

import psutil

from benchmarks.bench import Bench
from benchmarks.figures import Section, judged
from benchmarks.processes import peak_rss_mib, wait_until
from benchmarks.sending import message, phone_number_ids, stage

_NUMBERS: Final = 10
_PEOPLE: Final = 100_000
_EXPIRING: Final = 5
"""One of so many."""
_CHUNK: Final = 50_000
_MEMORY: Final = 1.3
_END_SECONDS: Final = 1_800.0
_ASKED_EVERY: Final = 1.0
"""Seconds: counting a million rows takes a part of one."""


def backlog(bench: Bench) -> Section:
    """All are in the log before the sender starts; a fifth expires before its turn can come."""
    count = bench.pick(full=1_000_000, quick=20_000)
    numbers = phone_number_ids(_NUMBERS)
    with stage(bench, numbers=_NUMBERS, limit=80, people=_PEOPLE) as made:
        with made.sender() as sender:
            sender.wait_ready()
            made.append([message(numbers[n % _NUMBERS], n) for n in range(1_000)])
            wait_until(lambda: made.states().get("accepted", 0) == 1_000, 120.0, "the first thousand")
        expires_at = int(1000 * (time.time() + bench.pick(full=120, quick=20)))
        for start in range(0, count, _CHUNK):
            chunk = range(start, min(count, start + _CHUNK))
            made.append(
                [
                    message(
                        numbers[n % _NUMBERS],
                        n % _PEOPLE,
                        lane="bulk",
                        expires_at=expires_at if n // _NUMBERS % _EXPIRING == _EXPIRING - 1 else None,
                    )
                    for n in chunk
                ]
            )
        with made.sender() as sender:
            sender.wait_ready()
            before, began = psutil.Process(sender.pid).memory_info().rss / 2**20, time.monotonic()
            total = count + 1_000
            rows = "SELECT count(*) FROM sender.send_commands"
            wait_until(lambda: _rows(made.sql(rows)) >= total, _END_SECONDS, "every row", every_seconds=_ASKED_EVERY)
            intake = count / (time.monotonic() - began)
            expiring = "SELECT count(*) FROM sender.send_commands WHERE expires_at <= now() AND state IN ('waiting', 'retry')"
            wait_until(
                lambda: time.time() * 1000 > expires_at and _rows(made.sql(expiring)) == 0,
                _END_SECONDS,
                "what expired is refused",
                every_seconds=_ASKED_EVERY,
            )
            left = _rows(made.sql(expiring))
            after, peak = psutil.Process(sender.pid).memory_info().rss / 2**20, peak_rss_mib(sender.pid)
            expired = _rows(made.sql("SELECT count(*) FROM sender.send_commands WHERE state = 'expired'"))
            states = made.states()
    kept = sum(states.values())
    rivals = count // _EXPIRING
    return Section(
        title=f"{count:,} queued commands",
        columns=["figure", "n", "bar", "result"],
        rows=[
            ["rows in Postgres, none lost", f"{total:,}", f"{total:,}", judged(kept, at_least=total, at_most=total, digits=0)],
            ["intake, commands a second", f"{count:,}", "", f"{intake:,.0f}"],
            ["RSS at the start / at the end / peak, MiB", "", "", f"{before:.0f} / {after:.0f} / {peak:.0f}"],
            ["peak ÷ start", "", f"≤ {_MEMORY:g}", judged(peak / before, at_most=_MEMORY, digits=2)],
            ["ended as expired, of those that were to", f"{rivals:,}", "", f"{expired:,}"],
            ["expired and still waiting", f"{rivals:,}", "0", judged(left, at_most=0, digits=0)],
        ],
        notes=[
            f"{_NUMBERS} numbers at 80/s, bulk; one of {_EXPIRING} commands expires soon after the sender starts; what had "
            "its turn before that was sent; the sender has run and sent before, in a process of its own",
            "the states at the end: " + ", ".join(f"{state} {number:,}" for state, number in sorted(states.items())),
        ],
        data={"rows": kept, "intake_per_second": intake, "rss_mib": [before, after, peak], "expired": expired, "states": states},
    )


def _rows(found: list[tuple[int, ...]]) -> int:
    return found[0][0]
