"""Does the broker have the topics of `deploy/kafka/topics.yaml`? Created where missing, refused where different."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

TOPICS_FILE = Path(__file__).parents[2] / "deploy" / "kafka" / "topics.yaml"
API_VERSION, KIND = "kafka.strimzi.io/v1", "KafkaTopic"
MIN_INSYNC = "min.insync.replicas"


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """One topic as the file wants it."""

    name: str
    partitions: int
    replicas: int
    config: Mapping[str, str]


class TopicError(Exception):
    """A document of the file, or a topic of the broker, is not what it has to be."""


def parse_topics(text: str) -> tuple[Topic, ...]:
    """The KafkaTopic documents of a file, in its order; TopicError for anything else in it and for a name twice."""
    topics = tuple(_parse(document) for document in yaml.safe_load_all(text) if document is not None)
    names = [topic.name for topic in topics]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise TopicError(f"named twice: {', '.join(twice)}")
    return topics


def _parse(document: Any) -> Topic:
    if not isinstance(document, dict) or (document.get("apiVersion"), document.get("kind")) != (API_VERSION, KIND):
        raise TopicError(f"every document has to be a {KIND} of {API_VERSION}")
    try:
        spec = document["spec"]
        return Topic(
            name=spec.get("topicName") or document["metadata"]["name"],
            partitions=int(spec["partitions"]),
            replicas=int(spec["replicas"]),
            config={key: str(value) for key, value in spec.get("config", {}).items()},
        )
    except (KeyError, TypeError, ValueError) as problem:
        raise TopicError(f"a {KIND} lacks a usable name, partitions or replicas: {problem!r}") from problem


def read_topics(path: Path = TOPICS_FILE) -> tuple[Topic, ...]:
    """The topics of Parley."""
    return parse_topics(path.read_text())


def fit(topic: Topic, brokers: int) -> Topic:
    """The same topic for a cluster of that many brokers: no more replicas than brokers, and one may be down if two are there."""
    replicas = max(1, min(topic.replicas, brokers))
    config = dict(topic.config)
    if MIN_INSYNC in config and replicas < topic.replicas:
        config[MIN_INSYNC] = str(min(int(config[MIN_INSYNC]), max(1, replicas - 1)))
    return Topic(name=topic.name, partitions=topic.partitions, replicas=replicas, config=config)


async def apply_topics(bootstrap_servers: str, topics: Iterable[Topic] | None = None) -> tuple[str, ...]:
    """Create what is missing and return its names. TopicError, with nothing created, if one has another number of partitions.

    A number of partitions cannot be corrected here: more of them would move keys to other partitions, and order with them.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    try:
        await admin.start()
        wanted = read_topics() if topics is None else tuple(topics)
        there = {topic["topic"]: len(topic["partitions"]) for topic in await admin.describe_topics()}
        different = [
            f"{topic.name} has {there[topic.name]} partitions instead of {topic.partitions}"
            for topic in wanted
            if there.get(topic.name, topic.partitions) != topic.partitions
        ]
        if different:
            raise TopicError("; ".join(different))
        brokers = len((await admin.describe_cluster())["brokers"])
        missing = [fit(topic, brokers) for topic in wanted if topic.name not in there]
        await _create(admin, missing)
        return tuple(topic.name for topic in missing)
    finally:
        await admin.close()


async def _create(admin: AIOKafkaAdminClient, topics: list[Topic]) -> None:
    if not topics:
        return
    answer = await admin.create_topics(
        [
            NewTopic(
                name=topic.name,
                num_partitions=topic.partitions,
                replication_factor=topic.replicas,
                topic_configs=dict(topic.config),
            )
            for topic in topics
        ]
    )
    for name, code, *_ in answer.topic_errors:
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:  # another sandbox command may have been quicker
            raise TopicError(f"{name} was not created: {error.__name__}")
