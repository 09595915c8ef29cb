"""Are topic documents read as Strimzi means them, and fitted to a small cluster?"""

from __future__ import annotations

import re

import pytest

from services.sandbox.topics import Topic, TopicError, fit, parse_topics, read_topics

WHOLE = """
---
apiVersion: kafka.strimzi.io/v1
kind: KafkaTopic
metadata:
  name: parley-things-v1
  labels: {strimzi.io/cluster: parley}
spec:
  topicName: parley.things.v1
  partitions: 24
  replicas: 3
  config: {retention.ms: -1, min.insync.replicas: 2, cleanup.policy: delete}
"""
KUBERNETES_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def topic(text: str = WHOLE) -> Topic:
    (parsed,) = parse_topics(text)
    return parsed


def test_a_document_becomes_a_topic_with_every_setting_as_text() -> None:
    assert parse_topics(WHOLE) == (
        Topic(
            name="parley.things.v1",
            partitions=24,
            replicas=3,
            config={"retention.ms": "-1", "min.insync.replicas": "2", "cleanup.policy": "delete"},
        ),
    )


def test_without_topic_name_the_resource_name_is_the_topic() -> None:
    (parsed,) = parse_topics(WHOLE.replace("  topicName: parley.things.v1\n", ""))
    assert parsed.name == "parley-things-v1"


def test_a_topic_named_twice_is_refused() -> None:
    with pytest.raises(TopicError, match=r"named twice: parley\.things\.v1"):
        parse_topics(WHOLE + WHOLE)


@pytest.mark.parametrize(
    ("part", "replacement"),
    [
        ("kafka.strimzi.io/v1", "kafka.strimzi.io/v1beta2"),
        ("kind: KafkaTopic", "kind: KafkaUser"),
        ("  partitions: 24\n", ""),
        ("replicas: 3", "replicas: three"),
    ],
)
def test_a_document_that_is_no_usable_topic_is_refused(part: str, replacement: str) -> None:
    with pytest.raises(TopicError):
        parse_topics(WHOLE.replace(part, replacement))


@pytest.mark.parametrize(("brokers", "replicas", "min_insync"), [(1, 1, "1"), (2, 2, "1"), (3, 3, "2"), (6, 3, "2"), (0, 1, "1")])
def test_replicas_are_capped_so_that_one_of_several_brokers_may_be_down(brokers: int, replicas: int, min_insync: str) -> None:
    fitted = fit(topic(), brokers)
    assert (fitted.replicas, fitted.config["min.insync.replicas"]) == (replicas, min_insync)
    assert (fitted.partitions, fitted.config["retention.ms"]) == (24, "-1")


def test_a_topic_without_min_insync_gets_none() -> None:
    assert fit(topic(WHOLE.replace("min.insync.replicas: 2, ", "")), brokers=1).config.keys() == {
        "retention.ms",
        "cleanup.policy",
    }


def test_every_topic_of_ours_is_replicated_and_its_resource_name_is_legal() -> None:
    ours = read_topics()
    assert {(one.replicas, one.config["min.insync.replicas"]) for one in ours} == {(3, "2")}
    assert {one.config["message.timestamp.type"] for one in ours} == {"CreateTime"}
    assert {one.partitions for one in ours if "dead-letters" in one.name} == {6}
    assert {one.partitions for one in ours if "dead-letters" not in one.name} == {24}
    assert [one.name for one in ours if not KUBERNETES_NAME.fullmatch(one.name)] == []
