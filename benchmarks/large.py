"""What does one large or hostile body cost the router? Time per byte and per element of the pure code, one process, no Kafka."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, Final

from benchmarks.bench import Bench
from benchmarks.figures import Section, Spread
from services.common.domain import topics
from services.common.platform.avro import Codec
from services.common.platform.kafka import LogRecord
from services.router.body import MAX_VALUES
from services.router.routing import Router
from services.router.webhook import MAX_ELEMENTS

_SIZE: Final = 3_000_000
_NOTES: Final = (
    "process CPU time; an element is a message, and what comes out is an event or a dead letter, encoded as it would be appended",
    "the first four are valid; of the others each is as large as Meta's largest body, and as full as one that is read",
)


def bodies(bench: Bench) -> Section:
    """The largest that Meta sends, and the worst of that size."""
    rows, data = [], {}
    for name, build in _BODIES.items():
        body = build()
        runs = [_route(body) for _ in range(bench.pick(full=5, quick=3))]
        seconds, out = Spread.of([run[0] for run in runs]), runs[0][1]
        per_byte, per_element = seconds.median / len(body) * 1e9, seconds.median / max(out, 1) * 1e6
        rows.append(
            [name, f"{len(body):,}", f"{out:,}", f"{seconds.median * 1e3:,.1f}", f"{per_byte:,.0f}", f"{per_element:,.0f}"]
        )
        data[name] = {"bytes": len(body), "out": out, "seconds": seconds.data()}
        bench.say(f"{name}: {seconds.median * 1e3:,.0f} ms")
    return Section(
        title="Large and hostile bodies in the router",
        columns=["body", "bytes", "events and dead letters", "CPU, ms", "ns per byte", "µs per element"],
        rows=rows,
        notes=[f"median of {bench.pick(full=5, quick=3)} runs", *_NOTES],
        data=data,
    )


def _route(body: bytes) -> tuple[float, int]:
    router = Router(Codec(), on_dead_letter=lambda _: None, on_unrecognized=lambda _: None)
    record = LogRecord(topics.WEBHOOKS, 0, 0, int(time.time() * 1000), None, body, [])
    began = time.process_time()
    out = router.route(record)
    return time.process_time() - began, len(out)


def _message(n: int, text: str = "Does it come in another color?") -> dict[str, Any]:
    return {"from": "16505551234", "id": f"wamid.{n:08d}", "timestamp": "1763812345", "type": "text", "text": {"body": text}}


def _post(messages: list[Any]) -> bytes:
    value = {"messaging_product": "whatsapp", "metadata": {"phone_number_id": "106540352242922"}, "messages": messages}
    changes = [{"field": "messages", "value": value}]
    return json.dumps({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": changes}]}).encode()


def _filled(element: bytes) -> bytes:
    """As many of these as are read of one webhook, spread over its length."""
    marks = sum(map(element.count, (b",", b"[", b"{"))) + 1
    count = min(_SIZE // (len(element) + 1), MAX_ELEMENTS, MAX_VALUES // marks - 1)
    return _post(["@"]).replace(b'"@"', b",".ljust(_SIZE // count - len(element)).join([element] * count))


_BODIES: Final[dict[str, Callable[[], bytes]]] = {
    "one message": lambda: _post([_message(0)]),
    "batch of 1,000 messages": lambda: _post([_message(n) for n in range(1_000)]),
    "3 MB of messages": lambda: _post([_message(n) for n in range(_SIZE // len(json.dumps(_message(0))))]),
    "one text of 3 MB": lambda: _post([_message(0, "x" * _SIZE)]),
    "batch of 1,000, one of them damaged": lambda: _post([*[_message(n) for n in range(999)], "@"]).replace(
        b'"@"', b'{"id":"\xff"}'
    ),
    "3 MB of damaged messages": lambda: _filled(b'{"from":"1","id":"wamid.9","text":{"body":"\xff"}}'),
    "3 MB of keys that come twice": lambda: _filled(b'{"id":"a","id":"b","from":"1"}'),
    "3 MB of integers beyond 64 bits": lambda: _filled(b'{"id":"a","n":99999999999999999999}'),
    "3 MB of opening brackets": lambda: _post(["@"]).replace(b'"@"', b"[" * _SIZE),
    "3 MB of quotes and backslashes": lambda: _post(["@"]).replace(b'"@"', b'\\"' * (_SIZE // 2)),
    "3 MB of nesting 1,000 deep": lambda: _filled(b"[" * 1_000 + b"]" * 1_000),
    "100,000 keys in one message": lambda: _post([{**_message(0), **{f"k{n}": n for n in range(100_000)}}]),
}
