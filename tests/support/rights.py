"""What may a principal of Kafka really do? Every operation tried over the wire, beside what users.yaml says of it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import yaml
from aiokafka import AIOKafkaClient
from aiokafka.protocol import admin
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.group import HeartbeatRequest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import InitProducerIdRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from services.common.platform.kafka_access import Access, client_options
from services.sandbox.kafka_credentials import SetScramPasswords
from services.sandbox.users import USERS_FILE

TOPIC_DENIED, GROUP_DENIED, CLUSTER_DENIED, TRANSACTION_DENIED = 29, 30, 31, 53
TOPIC: Final = 2
CLUSTER: Final = "kafka-cluster"
TRANSACTION: Final = "parley-transaction"
_IMPLIES: Final = {"Describe": {"Read", "Write", "Delete", "Alter"}, "DescribeConfigs": {"AlterConfigs"}}
"""Kafka's own rule: who may do one of these may do the first as well."""


class Cell(NamedTuple):
    """One question."""

    user: str
    kind: str
    name: str
    operation: str


def declared(user: str, cells: Iterable[Cell]) -> dict[Cell, bool]:
    """What users.yaml says: what is not there is forbidden."""
    rules = [
        (rule["resource"], operation)
        for document in yaml.safe_load_all(USERS_FILE.read_text())
        if document and document["metadata"]["name"] == user
        for rule in document["spec"]["authorization"]["acls"]
        for operation in rule["operations"]
    ]

    def allows(cell: Cell) -> bool:
        if cell.operation == "IdempotentWrite":  # since Kafka 3.0 whoever may write anywhere may number his records
            return any((resource["type"], operation) == ("topic", "Write") for resource, operation in rules)
        enough = {cell.operation, *_IMPLIES.get(cell.operation, ())}
        return any(
            resource["type"] == cell.kind and operation in enough and _is_of(resource, cell.name) for resource, operation in rules
        )

    return {cell: allows(cell) for cell in cells}


def _is_of(resource: dict[str, str], name: str) -> bool:
    return name.startswith(resource["name"]) if resource["patternType"] == "prefix" else name == resource["name"]


async def tried(access: Access, topics: Sequence[str], groups: Sequence[str]) -> dict[Cell, bool]:
    """Every operation on every topic, every group and the cluster, each asked of the broker; whether it let us.

    What is allowed and would change something is only validated, but for records: what may be written to gets one.
    """
    client = AIOKafkaClient(**client_options(access), client_id="parley-rights")
    await client.bootstrap()
    node = client.get_random_node()

    async def ask(request: Any) -> Any:
        return await client.send(node, request)

    try:
        found: dict[Cell, bool] = {}
        for operation, codes in _TOPIC_OPERATIONS.items():
            answered = dict(await codes(ask, topics))
            assert set(answered) == set(topics), f"{operation}: no answer about {set(topics) ^ set(answered)}"
            found |= {Cell(access.user, "topic", name, operation): code != TOPIC_DENIED for name, code in answered.items()}
        for operation, code_of in _GROUP_OPERATIONS.items():
            for group in groups:
                found[Cell(access.user, "group", group, operation)] = await code_of(ask, group) != GROUP_DENIED
        for operation, code_now in _CLUSTER_OPERATIONS.items():
            found[Cell(access.user, "cluster", CLUSTER, operation)] = await code_now(ask) not in (CLUSTER_DENIED, TOPIC_DENIED)
        transaction = (await ask(InitProducerIdRequest(TRANSACTION, 10_000))).error_code
        found[Cell(access.user, "transactionalId", TRANSACTION, "Write")] = transaction != TRANSACTION_DENIED
        return found
    finally:
        await client.close()


Ask = Callable[[Any], Awaitable[Any]]
Codes = Iterator[tuple[str, int]]


async def _read(ask: Ask, topics: Sequence[str]) -> Codes:
    answer = await ask(FetchRequest(1, 0, 1024, 0, [(name, [(0, 0, 1024)]) for name in topics]))
    return ((name, parts[0][1]) for name, parts in answer.topics)


async def _write(ask: Ask, topics: Sequence[str]) -> Codes:
    answer = await ask(ProduceRequest(None, 1, 5_000, [(name, [(0, _record())]) for name in topics]))
    return ((name, parts[0][1]) for name, parts in answer.topics)


def _record() -> bytes:
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1024)
    builder.append(0, timestamp=int(time.time() * 1000), key=None, value=b"x", headers=[])
    return bytes(builder.build())


async def _describe(ask: Ask, topics: Sequence[str]) -> Codes:
    answer = await ask(MetadataRequest(list(topics), False))
    return ((one[1], one[0]) for one in answer.topics)


async def _create(ask: Ask, topics: Sequence[str]) -> Codes:
    """A topic that is there cannot be made again; to be told so one has to be allowed to."""
    answer = await ask(admin.CreateTopicsRequest([(name, 1, 1, [], []) for name in topics], 5_000, True))
    return ((one[0], one[1]) for one in answer.topic_errors)


async def _delete(ask: Ask, topics: Sequence[str]) -> Codes:
    return iter((await ask(admin.DeleteTopicsRequest(list(topics), 5_000))).topic_error_codes)


async def _alter(ask: Ask, topics: Sequence[str]) -> Codes:
    answer = await ask(admin.CreatePartitionsRequest([(name, (500, None)) for name in topics], 5_000, True))
    return ((one[0], one[1]) for one in answer.topic_errors)


async def _alter_configs(ask: Ask, topics: Sequence[str]) -> Codes:
    answer = await ask(admin.AlterConfigsRequest([(TOPIC, name, [("retention.ms", "1")]) for name in topics], True))
    return ((one[3], one[0]) for one in answer.resources)


async def _describe_configs(ask: Ask, topics: Sequence[str]) -> Codes:
    answer = await ask(admin.DescribeConfigsRequest([(TOPIC, name, ["retention.ms"]) for name in topics]))
    return ((one[3], one[0]) for one in answer.resources)


_TOPIC_OPERATIONS: Final[dict[str, Callable[[Ask, Sequence[str]], Awaitable[Codes]]]] = {
    "Read": _read,
    "Write": _write,
    "Describe": _describe,
    "DescribeConfigs": _describe_configs,
    "Create": _create,
    "Alter": _alter,
    "AlterConfigs": _alter_configs,
    "Delete": _delete,
}


async def _read_group(ask: Ask, group: str) -> int:
    return int((await ask(HeartbeatRequest(group, 0, "nobody"))).error_code)


async def _describe_group(ask: Ask, group: str) -> int:
    return int((await ask(admin.DescribeGroupsRequest([group]))).groups[0][0])


async def _delete_group(ask: Ask, group: str) -> int:
    return int((await ask(admin.DeleteGroupsRequest([group]))).results[0][1])


_GROUP_OPERATIONS: Final = {"Read": _read_group, "Describe": _describe_group, "Delete": _delete_group}


async def _create_any(ask: Ask) -> int:
    answer = await ask(admin.CreateTopicsRequest([("parley.anything.v1", 1, 1, [], [])], 5_000, True))
    return int(answer.topic_errors[0][1])


async def _alter_cluster(ask: Ask) -> int:
    answer = await ask(SetScramPasswords({"intruder": "known"}))
    return int(answer.results[0][1])


async def _describe_cluster(ask: Ask) -> int:
    return int((await ask(admin.DescribeAclsRequest(1, None, 1, None, None, 1, 1))).error_code)


async def _number_records(ask: Ask) -> int:
    return int((await ask(InitProducerIdRequest(None, 10_000))).error_code)


_CLUSTER_OPERATIONS: Final = {
    "Create": _create_any,
    "Alter": _alter_cluster,
    "Describe": _describe_cluster,
    "IdempotentWrite": _number_records,
}


def as_table(cells: dict[Cell, bool], expected: dict[Cell, bool]) -> str:
    """Every cell in a line: `yes` or `no` as tried, and `!` where users.yaml says otherwise."""
    rows = ["  as tried, ! where users.yaml says otherwise"]
    for cell, allowed in sorted(cells.items()):
        mark, word = " " if expected[cell] == allowed else "!", "yes" if allowed else "no"
        rows.append(f"{mark} {word:3} {cell.user:18} {cell.operation:16} {cell.kind} {cell.name}")
    return "\n".join(rows)
