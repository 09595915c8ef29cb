"""Is every element accounted for, whatever is wrong with a webhook? Valid samples, mutated at random."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any, Final

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.common.domain.topics import ROUTER_DEAD_LETTERS
from services.sandbox.webhook_elements import elements
from tests.support import accounted, samples

NAMES: Final = samples.names()
PER_EXAMPLE: Final = 25
EXAMPLES: Final = 400
"""Together 10,000 mutated webhooks; a failing one is found again from its name and seed."""

HOSTILE: Final[tuple[Callable[[random.Random], Any], ...]] = (
    lambda _: None,
    lambda _: True,
    lambda _: "",
    lambda _: "\0",
    lambda _: "\ud800",
    lambda _: float("nan"),
    lambda _: 10**30,
    lambda _: -1.5e300,
    lambda _: [],
    lambda _: {},
    lambda rng: nested(rng.choice([3, 65, 200])),
    lambda rng: rng.choice(["messages", "statuses", "system", "group", "edit", "template", "order", "location", "contacts"]),
    lambda rng: "x" * rng.choice([600, 5_000]),
    lambda rng: rng.randrange(-(2**63), 2**64),
    lambda rng: str(rng.randrange(10**14)),
    lambda rng: [rng.random(), {"id": "wamid.x"}, None],
    lambda _: {"a/b~c": {"type": "text"}, "errors": [{"code": "x"}]},
)


def nested(levels: int) -> Any:
    node: Any = "x"
    for n in range(levels):
        node = [node] if n % 2 else {"a": node}
    return node


def mutated(document: Any, rng: random.Random) -> Any:
    """A copy with one to four changes anywhere in it."""
    document = json.loads(json.dumps(document))
    for _ in range(rng.randrange(1, 5)):
        places = list(holders(document))
        if not places:
            return rng.choice(HOSTILE)(rng)
        holder, key = rng.choice(places)
        change(holder, key, rng)
    return document


def holders(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every place that has a value: its object or list, and its key or index."""
    for key in list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ():
        yield node, key
        yield from holders(node[key])


def change(holder: Any, key: Any, rng: random.Random) -> None:
    kind = rng.randrange(5)
    if kind == 0:
        del holder[key]
    elif kind == 1 and isinstance(holder, list):
        holder[key:key] = [holder[key]] * rng.choice([1, 3])
    elif kind == 2 and isinstance(holder, dict):
        holder[rng.choice(["tomorrow", "a/b", "\ud800", "errors", "messages", "timestamp", "id"])] = holder.pop(key)
    elif kind == 3 and isinstance(holder[key], (str, int)):
        holder[key] = [holder[key]] if rng.random() < 0.5 else {"value": holder[key]}
    else:
        holder[key] = rng.choice(HOSTILE)(rng)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(NAMES), st.integers(0, 2**32))
def test_elements_in_are_events_and_dead_letters_out(name: str, seed: int) -> None:
    rng, document = random.Random(seed), samples.document(name)
    for _ in range(PER_EXAMPLE):
        assert_accounted_for(json.dumps(mutated(document, rng)).encode())


def assert_accounted_for(body: bytes) -> None:
    """These are whole documents, so that each element has a record of its own. One without any may be set aside as a whole."""
    made = accounted.assert_accounted_for(samples.record(body), body)
    said = len(elements(body))
    assert len(made) == said or (not said and [one.topic for one in made] == [ROUTER_DEAD_LETTERS]), body


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(NAMES), st.integers(0, 2**32))
def test_broken_bytes_never_raise_and_never_vanish(name: str, seed: int) -> None:
    rng, body = random.Random(seed), samples.body(name)
    has_elements = bool(elements(body))
    for _ in range(PER_EXAMPLE):
        broken = bytearray(body)
        for _ in range(rng.randrange(1, 6)):
            at = rng.randrange(len(broken) + 1)
            broken[at : at + rng.randrange(3)] = rng.choice([b"", b"\xff", b'"', b"{", b"]", b",", b"\\", b"\0", b"9" * 25])
        assert samples.routed(samples.record(bytes(broken))) or not has_elements or empties(bytes(broken))


def empties(body: bytes) -> bool:
    """A list of elements that lost them is empty, and that is nothing."""
    return not elements(body)
