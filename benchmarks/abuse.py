"""What does an attack cost those who behave? The p99 of real webhooks beside slow and unsigned ones, and memory under bombs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from benchmarks.attack import BOMBS, VALID
from benchmarks.bench import Bench
from benchmarks.clocks import cpu_seconds
from benchmarks.figures import Section, Spread, judged, percentile, ratios
from benchmarks.ingest import ingest_env
from benchmarks.processes import BenchmarkError, Process, forget_peak_rss, peak_rss_mib, run_json, wait_until

_RATE: Final = 200.0
_SLOW: Final = 900
_UNSIGNED: Final = 10_000
_REFUSED: Final = 500
"""When so many are, the attack is under way."""
_LEAD_SECONDS: Final = 3.0
"""An attack is in full swing when the traffic that is measured begins."""
_ATTACK_SECONDS: Final = 120.0
_ROUTER_SECONDS: Final = 300.0
_P99_RATIO: Final = 2.0
_ORDINARY: Final = "ordinary traffic"
_SLOW_GONE_SECONDS: Final = 15.0
_RSS_RATIO: Final = 1.2
_WARM_UPS: Final = 3
_ALL_OF_IT: Final = {"PARLEY_DEAD_LETTER_LIMIT": "false"}
"""The router stops at so many dead letters, as it should; here it is to go on."""


class _Site:
    """An ingest and a router, and who talks to them."""

    def __init__(self, bench: Bench, ingest: Process, router: Process) -> None:
        self._bench, self.processes = bench, {"ingest": ingest, "router": router}
        self.ingest = ingest
        self.port = int(ingest.wait_for_event("ingest.listening")["port"])
        self._runs = 0

    def real(self, count: int) -> list[float]:
        """Milliseconds of each real webhook until its 200; a refused one is an error."""
        self._runs += 1
        arguments = ["--port", str(self.port), "--kind", "mix", "--count", str(count), "--rate", str(_RATE)]
        arguments += ["--tag", f"a{self._runs:03d}", "--core", str(self._bench.cores.other)]
        result = run_json("benchmarks.traffic", arguments, seconds=count / _RATE + 120)
        if result["accepted"] != count:
            raise BenchmarkError(f"ingest refused {result['refused']} of {count} real webhooks")
        return list(result["answer_milliseconds"])

    def forget_peaks(self) -> None:
        """From now on `peaks` tells of what comes."""
        for process in self.processes.values():
            forget_peak_rss(process.pid)

    def peaks(self) -> dict[str, float]:
        """The most memory that each process had resident, in MiB."""
        return {name: peak_rss_mib(process.pid) for name, process in self.processes.items()}

    def attack(self, kind: str, count: int, seconds: float) -> Process:
        """Under way until it ends by itself."""
        arguments = ["--port", str(self.port), "--kind", kind, "--count", str(count), "--seconds", str(seconds)]
        arguments += ["--core", str(self._bench.cores.other)]
        return Process("benchmarks.attack", {}, core=self._bench.cores.other, folder=self._bench.folder, arguments=arguments)


def abuse(bench: Bench) -> Section:
    """Rounds of: alone, with slow connections, with unsigned requests; then the bombs."""
    count = bench.pick(full=3_000, quick=1_600)
    bench.servers.fresh()
    bench.servers.pin(bench.cores.other)
    kafka, core = bench.servers.kafka, bench.cores.measured
    with (
        Process("services.ingest", ingest_env(kafka), core=core, folder=bench.folder) as ingest,
        Process(
            "services.router", {"PARLEY_KAFKA_BOOTSTRAP_SERVERS": kafka, **_ALL_OF_IT}, core=core, folder=bench.folder
        ) as router,
    ):
        ingest.wait_for_event("ingest.ready")
        router.wait_ready()
        site = _Site(bench, ingest, router)
        wait_until(lambda: _is_taken(site), 60.0, "ingest takes webhooks")
        for _ in range(_WARM_UPS):
            site.real(count)
        alone, p99s, told = [], dict[str, list[float]](), dict[str, list[dict[str, Any]]]()
        for _ in range(bench.rounds):
            alone.append(percentile(site.real(count), 99))
            for kind, size in (("slow", _SLOW), ("unsigned", _UNSIGNED)):
                p99, result = _beside(site, kind, size, count)
                p99s.setdefault(kind, []).append(p99)
                told.setdefault(kind, []).append(result)
                bench.say(f"beside {kind}: p99 {p99:.1f} ms, alone {alone[-1]:.1f}")
        traffic, bombs = _bombs(bench, site, bench.pick(full=40, quick=12))
    rows = [["nothing", "p99 of real webhooks, ms", "", Spread.of(alone).text(1)]]
    rows += _slow_rows(alone, p99s["slow"], told["slow"])
    rows += _unsigned_rows(alone, p99s["unsigned"], told["unsigned"])
    rows += [row for bomb in bombs for row in bomb["rows"]]
    return Section(
        title="Real webhooks beside abuse",
        columns=["beside", "figure", "bar", "result"],
        rows=rows,
        notes=[
            f"median (lowest–highest) of {bench.rounds} rounds of {count:,} real webhooks at {_RATE:g}/s over 64 connections, "
            "from when each was due until its 200; none was refused",
            "ingest and router share one core; Kafka, the real client and the attackers have the other, so a part of what the "
            "attack costs is the client's own waiting",
            "peak of resident memory while a kind of bomb came, four at a time, by the peak while the heaviest valid webhooks "
            f"came as often: {'; '.join(f'{kind} {_told(peaks)}' for kind, peaks in traffic.items())}",
        ],
        data={"alone_p99_ms": alone, "p99_ms": p99s, "attacks": told, "traffic": traffic, "bombs": bombs},
    )


def _is_taken(site: _Site) -> bool:
    try:
        site.real(20)
    except BenchmarkError:
        return False
    return True


def _beside(site: _Site, kind: str, size: int, count: int) -> tuple[float, dict[str, Any]]:
    with site.attack(kind, size, _LEAD_SECONDS + count / _RATE + 2.0) as attack:
        key = "longest_seconds" if kind == "slow" else "per_second"
        if kind == "slow":
            wait_until(lambda: site.ingest.metric("parley_webhook_connections") > size / 2, 30.0, "the slow ones are there")
        else:
            refused = site.ingest.metric("parley_webhook_requests_total", outcome="signature_mismatch")
            wait_until(
                lambda: site.ingest.metric("parley_webhook_requests_total", outcome="signature_mismatch") > refused + _REFUSED,
                30.0,
                "the unsigned ones are there",
            )
        p99 = percentile(site.real(count), 99)
        return p99, attack.wait_for(lambda line: key in line, _ATTACK_SECONDS, "tell what it did")


def _slow_rows(alone: Sequence[float], p99s: Sequence[float], told: Sequence[dict[str, Any]]) -> list[list[str]]:
    ratio = ratios(p99s, alone)
    longest = max(seconds for one in told for seconds in one["longest_seconds"].values())
    beside, closed = f"{_SLOW} slow connections", sum(one["closed"] for one in told)
    return [
        [beside, "p99 of real webhooks, ms", "", Spread.of(p99s).text(1)],
        [beside, "its ratio", f"≤ {_P99_RATIO:g}", f"{ratio.text(2)} {judged(ratio.median, at_most=_P99_RATIO, digits=2)[-1]}"],
        [
            beside,
            f"the longest of {closed:,} was borne, s",
            f"≤ {_SLOW_GONE_SECONDS:g}",
            judged(longest, at_most=_SLOW_GONE_SECONDS, digits=1),
        ],
    ]


def _unsigned_rows(alone: Sequence[float], p99s: Sequence[float], told: Sequence[dict[str, Any]]) -> list[list[str]]:
    ratio, rate = ratios(p99s, alone), Spread.of([one["per_second"] for one in told])
    beside = "unsigned requests"
    others = {status for one in told for status in one["statuses"]} - {"401"}
    return [
        [beside, f"sent a second, wanted {_UNSIGNED:,}", "", rate.text(0)],
        [beside, "answered a second", "", Spread.of([one["answered"] for one in told]).text(0)],
        [beside, "p99 of real webhooks, ms", "", Spread.of(p99s).text(1)],
        [beside, "its ratio", f"≤ {_P99_RATIO:g}", f"{ratio.text(2)} {judged(ratio.median, at_most=_P99_RATIO, digits=2)[-1]}"],
        [beside, "answers other than 401", "0", f"{len(others)} {'✗' if others else '✓'}"],
    ]


def _bombs(bench: Bench, site: _Site, count: int) -> tuple[dict[str, dict[str, float]], list[dict[str, Any]]]:
    """Peak memory of each process beside each kind of valid traffic; and what each kind of bomb did.

    A bomb is one when it takes more than what Meta may send: its peak is compared with that of the heaviest valid webhooks.
    """
    site.forget_peaks()
    site.real(count * 20)
    traffic = {_ORDINARY: site.peaks(), **{kind: _thrown(site, kind, count)[0] for kind in VALID}}
    before = {name: max(peaks[name] for peaks in traffic.values()) for name in site.processes}
    bench.say(f"valid: {traffic}")
    found = []
    for kind in BOMBS:
        peaks, cpu, statuses = _thrown(site, kind, count)
        rows = [
            [
                kind,
                f"peak memory of {name}, MiB (of ordinary traffic)",
                f"≤ {_RSS_RATIO:g} × {before[name]:.0f}",
                f"{peak:.0f} ({peak / traffic[_ORDINARY][name]:.2f}) {judged(peak / before[name], at_most=_RSS_RATIO, digits=2)}",
            ]
            for name, peak in peaks.items()
        ]
        rows.append([kind, f"CPU of ingest for each, ms; answers {statuses}", "", f"{cpu * 1000:.1f}"])
        found.append({"kind": kind, "peaks": peaks, "before": before, "cpu_seconds": cpu, "statuses": statuses, "rows": rows})
        bench.say(f"{kind}: {peaks}")
    return traffic, found


def _told(peaks: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {peak:.0f} MiB" for name, peak in peaks.items())


def _thrown(site: _Site, kind: str, count: int) -> tuple[dict[str, float], float, str]:
    """Peak memory of each process meanwhile, CPU seconds of ingest for each of them, and what was answered."""
    site.forget_peaks()
    cpu, router = cpu_seconds(site.ingest.pid), site.processes["router"]
    accepted = site.ingest.metric("parley_webhook_requests_total", outcome="accepted")
    processed = router.processed()
    with site.attack(kind, count, 0.0) as attack:
        statuses = attack.wait_for(lambda line: "statuses" in line, _ATTACK_SECONDS, "throw its bombs")["statuses"]
    cpu = (cpu_seconds(site.ingest.pid) - cpu) / count
    kept = site.ingest.metric("parley_webhook_requests_total", outcome="accepted") - accepted
    wait_until(lambda: router.processed() >= processed + kept, _ROUTER_SECONDS, "the router has read them")
    answers = ", ".join(f"{status}: {times}" for status, times in sorted(statuses.items()))
    return site.peaks(), cpu, answers
