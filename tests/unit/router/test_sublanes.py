"""Does a command reach the lane of its number, or of its recipient's sub-lane, under a key that the sender takes?"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from services.common.domain import topics
from services.common.domain.lanes import Lane
from services.common.domain.records import SendMessage
from services.common.platform.avro import Codec
from services.common.platform.kafka import LogRecord, NewRecord, partition_of
from services.router.routing import Router
from services.sender import commands

CODEC = Codec()
AT = 1_767_225_600_000
PARTITIONS = 24
COUNTS = {"106": 4, "107": 1}


def routed(command: SendMessage, counts: Mapping[str, int] | None = None) -> NewRecord:
    """From the commands' topic, as JSON."""
    value = orjson.dumps({name: said for name, said in dataclasses.asdict(command).items() if said is not None})
    record = LogRecord(topics.SEND_COMMANDS, 3, 41, AT, b"any", value, [])
    more: dict[str, Any] = {} if counts is None else {"sublanes": counts}
    router = Router(CODEC, on_dead_letter=lambda _: None, on_unrecognized=lambda _: None, **more)
    [out] = router.route(record)
    return out


def command(phone_number_id: str, lane: Lane = Lane.TRANSACTIONAL, **fields: Any) -> SendMessage:
    given: dict[str, Any] = {"type": "text", "content": '{"body":"a"}', **fields}
    return SendMessage(command_id=str(uuid.uuid4()), phone_number_id=phone_number_id, lane=lane, **given)


@pytest.mark.parametrize("lane", list(Lane))
def test_the_commands_of_a_recipient_are_in_one_sublane_in_every_lane(lane: Lane) -> None:
    for to in ("+49 170 0000001", "491700000001", "+49-170-0000001"):
        out = routed(command("106", lane, to=to), COUNTS)
        assert (out.topic, out.key) == (topics.SENDS[lane], b"106#0")
    assert routed(command("106", lane, recipient="DE.1A2B3C"), COUNTS).key == b"106#2"
    assert routed(command("106", lane, group_id="Y2FwaV9ncm91cDox"), COUNTS).key == b"106#1"


def test_other_numbers_keep_their_key() -> None:
    for number in ("107", "108"):
        assert routed(command(number, to="+491700000001"), COUNTS).key == number.encode()


def test_without_sublanes_records_are_what_they_were() -> None:
    one = command("106", to="+491700000001")
    assert routed(one) == routed(one, {}) == routed(one, {"107": 4})
    assert routed(one).key == b"106"


def test_the_sender_takes_what_the_router_writes() -> None:
    shards = set()
    for n in range(200):
        fields: dict[str, Any] = {"type": "read"} if n % 10 == 0 else {"to": f"+4917000{n:05d}"}
        one = command("106", **fields)
        out = routed(one, COUNTS)
        record = LogRecord(out.topic, partition_of(out.key, PARTITIONS), n, AT, out.key, out.value, out.headers)
        lifetimes = dict.fromkeys(Lane, 600.0)
        taken = commands.read(record, CODEC, partitions=PARTITIONS, sublanes=COUNTS, now=AT, lifetimes=lifetimes)
        assert taken is not None
        assert taken.message.command_id == one.command_id
        shards.add(taken.shard)
    assert shards == {partition_of(f"106#{n}".encode(), PARTITIONS) for n in range(4)}
