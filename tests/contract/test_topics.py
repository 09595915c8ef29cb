"""Do the topics in the code and in `deploy/kafka/topics.yaml` agree?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from services.common.domain import topics
from services.common.platform.kafka import MAX_KEPT_BYTES, MAX_RECORD_BYTES

ROOT = Path(__file__).resolve().parents[2]
DECLARED: list[dict[str, Any]] = list(yaml.safe_load_all((ROOT / "deploy/kafka/topics.yaml").read_text("utf-8")))
BY_NAME = {document["spec"]["topicName"]: document["spec"] for document in DECLARED if document}

THIRTY_DAYS_MS = 30 * 24 * 3600 * 1000
SYSTEM_OF_RECORD = {*topics.WEBHOOK_EVENTS, topics.CONSENT_RECORDS, topics.SEND_OUTCOMES}


def test_the_code_and_the_manifest_name_the_same_topics() -> None:
    assert set(BY_NAME) == set(topics.ALL)
    assert len(DECLARED) == len(BY_NAME)


@pytest.mark.failure("R20", "S20")
def test_what_read_models_are_built_from_is_kept_without_limit_and_the_rest_30_days() -> None:
    for name, spec in BY_NAME.items():
        expected = -1 if name in SYSTEM_OF_RECORD else THIRTY_DAYS_MS
        assert int(spec["config"]["retention.ms"]) == expected, name
        assert spec["config"]["cleanup.policy"] == "delete", name


def test_the_three_lanes_have_equal_partition_counts() -> None:
    assert len({BY_NAME[name]["partitions"] for name in topics.SENDS.values()}) == 1


def test_every_topic_takes_the_largest_webhook_and_what_is_kept_of_a_record_has_room_for_why() -> None:
    keeping = {*topics.DEAD_LETTERS, topics.PARKED_COMMANDS}
    for name, spec in BY_NAME.items():
        expected = MAX_KEPT_BYTES if name in keeping else MAX_RECORD_BYTES
        assert int(spec["config"]["max.message.bytes"]) == expected, name
