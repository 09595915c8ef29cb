"""Does the broker let in whom `deploy/kafka/users.yaml` names, to do what it says? Passwords set, rights corrected."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml
from aiokafka import AIOKafkaClient
from aiokafka.errors import for_code
from aiokafka.protocol.admin import DeleteAclsRequest, DescribeAclsRequest

from services.common.platform.kafka_access import Brokers, client_options
from services.sandbox.kafka_credentials import CreateAcls, SetScramPasswords

USERS_FILE = Path(__file__).parents[2] / "deploy" / "kafka" / "users.yaml"
API_VERSION, KIND = "kafka.strimzi.io/v1", "KafkaUser"
SEEN_SECONDS = 20.0
PAUSE_SECONDS = 0.02

RESOURCES: Final = {"topic": 2, "group": 3, "cluster": 4, "transactionalId": 5}
PATTERNS: Final = {"literal": 3, "prefix": 4}
OPERATIONS: Final = {
    "All": 2, "Read": 3, "Write": 4, "Create": 5, "Delete": 6, "Alter": 7, "Describe": 8, "ClusterAction": 9,
    "DescribeConfigs": 10, "AlterConfigs": 11, "IdempotentWrite": 12,
}  # fmt: skip
"""Strimzi's words and what they are on the wire."""
_ANY: Final = 1
_ALLOW: Final = 3
_EVERYWHERE: Final = "*"
_CLUSTER: Final = "kafka-cluster"


class Right(NamedTuple):
    """One operation on one resource, or on all whose names begin so. In Strimzi's words."""

    resource: str
    name: str
    pattern: str
    operation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """One principal as the file wants it."""

    name: str
    rights: frozenset[Right]


class UserError(Exception):
    """A document of the file is not what it has to be, or the broker did not take it."""


def parse_users(text: str) -> tuple[User, ...]:
    """The KafkaUser documents of a file, in its order; UserError for anything in it that would be left out here."""
    users = tuple(_parse(document) for document in yaml.safe_load_all(text) if document is not None)
    names = [user.name for user in users]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"named twice: {', '.join(twice)}")
    return users


def _parse(document: Any) -> User:
    if not isinstance(document, dict) or (document.get("apiVersion"), document.get("kind")) != (API_VERSION, KIND):
        raise UserError(f"every document has to be a {KIND} of {API_VERSION}")
    try:
        name, spec = document["metadata"]["name"], document["spec"]
        if spec["authentication"] != {"type": "scram-sha-512"} or spec["authorization"]["type"] != "simple":
            raise UserError(f"{name}: only scram-sha-512 with simple authorization is known here")
        return User(name=name, rights=frozenset(right for rule in spec["authorization"]["acls"] for right in _rights(name, rule)))
    except (KeyError, TypeError) as problem:
        raise UserError(f"a {KIND} lacks a usable name, authentication or authorization: {problem!r}") from problem


def _rights(user: str, rule: Mapping[str, Any]) -> Iterable[Right]:
    resource = rule["resource"]
    kind, pattern = resource["type"], resource.get("patternType", "literal")
    if set(rule) != {"resource", "operations"} or kind not in RESOURCES or pattern not in PATTERNS:
        raise UserError(f"{user}: a rule is a resource of {', '.join(RESOURCES)} with its operations, and nothing else")
    if unknown := sorted(set(rule["operations"]) - set(OPERATIONS)):
        raise UserError(f"{user}: no operations of Kafka: {', '.join(unknown)}")
    name = _CLUSTER if kind == "cluster" else resource["name"]
    return [Right(kind, name, pattern, operation) for operation in rule["operations"]]


def read_users(path: Path = USERS_FILE) -> tuple[User, ...]:
    """The principals of Parley."""
    return parse_users(path.read_text())


async def apply_users(brokers: Brokers, passwords: Mapping[str, str], users: Iterable[User] | None = None) -> None:
    """Afterwards these principals have these passwords and exactly these rights, and the broker acts by it.

    `brokers` is the door of somebody who may change all of that. Rights of other principals are left alone. Dying in between
    leaves less than was wanted or more than the file says, until the next call.
    """
    wanted = {user.name: user.rights for user in (read_users() if users is None else users)}
    client = AIOKafkaClient(**client_options(brokers), client_id="parley-users")
    try:
        await client.bootstrap()
        broker = _Broker(client)
        await broker.set_passwords({name: passwords[name] for name in wanted})
        there = await broker.rights(wanted)
        await broker.allow({name: rights - there[name] for name, rights in wanted.items()})
        await broker.withdraw({name: there[name] - rights for name, rights in wanted.items()})
        await _until_seen(broker, wanted)
    finally:
        await client.close()


async def _until_seen(broker: _Broker, wanted: Mapping[str, frozenset[Right]]) -> None:
    """The controller has it; brokers hear of it a moment later, of passwords before the rights that were set after them."""
    deadline = time.monotonic() + SEEN_SECONDS
    while await broker.rights(wanted) != wanted:
        if time.monotonic() > deadline:
            raise UserError("the broker does not show the rights that it was given")
        await asyncio.sleep(PAUSE_SECONDS)


class _Broker:
    """What Kafka has to be asked, one question a method."""

    def __init__(self, client: AIOKafkaClient) -> None:
        self._client = client

    async def _ask(self, request: Any) -> Any:
        return await self._client.send(self._client.get_random_node(), request)

    async def set_passwords(self, passwords: Mapping[str, str]) -> None:
        answer = await self._ask(SetScramPasswords(passwords))
        for name, code, *_ in answer.results:
            _refuse(name, code)

    async def rights(self, names: Iterable[str]) -> dict[str, frozenset[Right]]:
        """All that is allowed to each of them, from everywhere."""
        answer = await self._ask(DescribeAclsRequest(_ANY, None, _ANY, None, None, _ANY, _ANY))
        _refuse("the question for rights", answer.error_code)
        found: dict[str, set[Right]] = {name: set() for name in names}
        for kind, resource, pattern, rules in answer.resources:
            for principal, host, operation, permission in rules:
                rights = found.get(principal.removeprefix("User:"))
                if rights is not None and (host, permission) == (_EVERYWHERE, _ALLOW):
                    words = (_word(RESOURCES, kind), resource, _word(PATTERNS, pattern), _word(OPERATIONS, operation))
                    rights.add(Right(*words))
        return {name: frozenset(rights) for name, rights in found.items()}

    async def allow(self, rights: Mapping[str, Iterable[Right]]) -> None:
        rules = [(name, _rule(name, right)) for name, some in rights.items() for right in some]
        if rules:
            answer = await self._ask(CreateAcls([rule for _, rule in rules]))
            for (name, _), (code, *_) in zip(rules, answer.creation_responses, strict=True):
                _refuse(name, code)

    async def withdraw(self, rights: Mapping[str, Iterable[Right]]) -> None:
        for name, some in rights.items():
            for right in some:
                for code, *_ in (await self._ask(DeleteAclsRequest(*_rule(name, right)))).filter_responses:
                    _refuse(name, code)


def _rule(name: str, right: Right) -> tuple[int, str, int, str, str, int, int]:
    kind, pattern, operation = RESOURCES[right.resource], PATTERNS[right.pattern], OPERATIONS[right.operation]
    return (kind, right.name, pattern, f"User:{name}", _EVERYWHERE, operation, _ALLOW)


def _word(words: Mapping[str, int], code: int) -> str:
    return next((word for word, known in words.items() if known == code), str(code))


def _refuse(name: str, code: int) -> None:
    if code:
        raise UserError(f"the broker does not take {name}: {for_code(code).__name__}")
