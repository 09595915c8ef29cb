"""Are user documents read as Strimzi means them, and refused where they say what would be left out?"""

from __future__ import annotations

import re

import pytest

from services.common.domain import topics
from services.sandbox.stack_services import OPERATED
from services.sandbox.users import Right, User, UserError, parse_users, read_users

WHOLE = """
---
apiVersion: kafka.strimzi.io/v1
kind: KafkaUser
metadata:
  name: a-bot
  labels: {strimzi.io/cluster: parley}
spec:
  authentication:
    type: scram-sha-512
  authorization:
    type: simple
    acls:
      - resource: {type: topic, name: parley.things.v1}
        operations: [Read, Write]
      - resource: {type: group, name: a-bot., patternType: prefix}
        operations: [Read]
      - resource: {type: cluster}
        operations: [Describe]
"""


def test_a_document_becomes_a_principal_with_one_right_for_each_operation() -> None:
    rights = {
        Right("topic", "parley.things.v1", "literal", "Read"),
        Right("topic", "parley.things.v1", "literal", "Write"),
        Right("group", "a-bot.", "prefix", "Read"),
        Right("cluster", "kafka-cluster", "literal", "Describe"),
    }
    assert parse_users(WHOLE) == (User(name="a-bot", rights=frozenset(rights)),)


@pytest.mark.parametrize(
    ("part", "replacement"),
    [
        ("kafka.strimzi.io/v1", "kafka.strimzi.io/v1beta2"),
        ("kind: KafkaUser", "kind: KafkaTopic"),
        ("type: scram-sha-512", "type: tls"),
        ("type: simple", "type: custom"),
        ("operations: [Describe]", "operations: [Describe, Rule]"),
        ("operations: [Describe]", "operations: [Describe]\n        host: 10.0.0.1"),
        ("operations: [Describe]", "operations: [Describe]\n        type: deny"),
        ("patternType: prefix", "patternType: suffix"),
        ("type: group", "type: planet"),
        ("  name: a-bot\n", ""),
    ],
)
def test_what_would_be_understood_otherwise_than_it_is_meant_is_refused(part: str, replacement: str) -> None:
    assert part in WHOLE
    with pytest.raises(UserError):
        parse_users(WHOLE.replace(part, replacement))


def test_a_principal_named_twice_is_refused() -> None:
    with pytest.raises(UserError, match=r"named twice: a-bot"):
        parse_users(WHOLE + WHOLE)


def test_every_service_is_a_principal_and_ours_name_only_topics_that_there_are() -> None:
    ours = {user.name: user.rights for user in read_users()}
    assert set(ours) == {*(f"parley-{name}" for name in OPERATED), "parley-producer", "parley-operator"}
    named = {
        right.name for rights in ours.values() for right in rights if (right.resource, right.pattern) == ("topic", "literal")
    }
    assert named <= set(topics.ALL)


def test_nobody_of_ours_may_make_change_or_delete_anything_or_everything() -> None:
    rights = [right for user in read_users() for right in user.rights]
    assert {right.operation for right in rights} == {"Read", "Write", "Describe"}
    assert {right.resource for right in rights} == {"topic", "group"}
    assert not [right for right in rights if not re.match(r"parley[.-]", right.name)]
