"""Does only the composition root of a service construct clients?"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SERVICES = Path(__file__).resolve().parents[2] / "services"
CLIENTS = {
    "AIOKafkaAdminClient",
    "AIOKafkaClient",
    "AIOKafkaConsumer",
    "AIOKafkaProducer",
    "AsyncConnectionPool",
    "ClientSession",
    "Producer",
    "Stream",
    "connect",
    "pool",
}
ROOTS = {"app.py", "rebuild.py", "replay.py"}
"""`rebuild.py` and `replay.py` are the roots of `parley rebuild` and `parley replay`, processes of their own."""


def constructed(source: str) -> set[str]:
    calls = [node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    names = [call.attr if isinstance(call, ast.Attribute) else getattr(call, "id", "") for call in calls]
    return CLIENTS.intersection(names)


@pytest.mark.parametrize("service", ["ingest", "router", "sender", "projector"])
def test_only_the_composition_root_constructs_clients(service: str) -> None:
    found = {path.name: constructed(path.read_text("utf-8")) for path in (SERVICES / service).rglob("*.py")}
    assert {name for name, clients in found.items() if clients} <= ROOTS
    assert found["app.py"], "the check must see what app.py constructs"
