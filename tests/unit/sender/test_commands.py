"""Is a record of a lane read as the command it is, and everything else named for what it is?"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Mapping
from itertools import product
from typing import Any

import pytest

from services.common.domain import sublanes
from services.common.domain.failure import Unprocessable
from services.common.domain.lanes import LANES, Lane
from services.common.domain.reasons import Reason
from services.common.domain.records import SendMessage
from services.common.domain.topics import SENDS
from services.common.platform.avro import Codec
from services.common.platform.kafka import LogRecord, partition_of
from services.sender.commands import TakenIn, fingerprint, read
from services.sender.outcomes import conflict

NOW = 1_800_000_000_000
CODEC = Codec()
PARTITIONS = 24
THIRTY_DAYS = 30 * 86_400_000
NO_SUBLANES: Mapping[str, int] = {}
LIFETIMES = {Lane.OTP: 600.0, Lane.TRANSACTIONAL: 86_400.0, Lane.BULK: 604_800.0}
COMMAND = SendMessage(
    command_id="0b6f0d0e-6c0e-4a3c-9f43-0d3a5be0c001",
    phone_number_id="106540352242922",
    type="text",
    content='{"body":"a"}',
    to="+49 170 0000001",
)


def taken(command: SendMessage = COMMAND, *, counts: Mapping[str, int] = NO_SUBLANES, **record: object) -> TakenIn | None:
    key = sublanes.key_of(command, counts)
    fields: dict[str, object] = {
        "topic": SENDS[Lane.TRANSACTIONAL],
        "partition": partition_of(key, PARTITIONS),
        "offset": 7,
        "appended_at": NOW - 5,
        "key": key,
        "value": CODEC.encode(command),
        "headers": (),
    }
    made = LogRecord(**{**fields, **record})  # type: ignore[arg-type]  # values of several fields
    return read(made, CODEC, partitions=PARTITIONS, sublanes=counts, now=NOW, lifetimes=LIFETIMES)


def reason_of(command: SendMessage = COMMAND, **record: Any) -> Reason:
    with pytest.raises(Unprocessable) as refused:
        taken(command, **record)
    return refused.value.reason


def test_a_command_is_taken_in_with_its_place_and_its_end() -> None:
    made = taken()
    assert made is not None
    assert (made.lane, made.pair, made.appended_at) == (Lane.TRANSACTIONAL, "491700000001", NOW - 5)
    assert made.expires_at == NOW - 5 + 86_400_000
    assert LANES.index(made.lane) == 1


def test_a_tombstone_is_nothing() -> None:
    assert taken(value=None) is None


def test_what_cannot_be_a_row_is_named() -> None:
    assert reason_of(value=b"\x01") is Reason.AVRO_SYNTAX
    assert reason_of(value=b"\x00" * 70_000) is Reason.COMMAND_SIZE
    assert reason_of(dataclasses.replace(COMMAND, command_id="seven")) is Reason.COMMAND_ID
    assert reason_of(dataclasses.replace(COMMAND, lane="express")) is Reason.LANE_UNKNOWN
    assert reason_of(dataclasses.replace(COMMAND, lane="bulk")) is Reason.LANE_UNKNOWN
    assert reason_of(dataclasses.replace(COMMAND, to="+49\x00")) is Reason.TEXT_NUL
    assert reason_of(key=None) is Reason.KEY_MISMATCH
    assert reason_of(partition=(partition_of(b"106540352242922", PARTITIONS) + 1) % PARTITIONS) is Reason.KEY_MISMATCH


@pytest.mark.parametrize("count", range(1, sublanes.MOST + 1))
@pytest.mark.parametrize(
    "command",
    [
        COMMAND,
        dataclasses.replace(COMMAND, to=None, recipient="DE.1A2B3C"),
        dataclasses.replace(COMMAND, to=None, group_id="Y2FwaV9ncm91cDox"),
        dataclasses.replace(COMMAND, to="nobody"),
        dataclasses.replace(COMMAND, to=None),
        dataclasses.replace(COMMAND, type="read", to=None),
    ],
)
def test_of_all_keys_and_partitions_only_those_of_the_recipients_sublane_are_taken(command: SendMessage, count: int) -> None:
    number, counts = command.phone_number_id, {command.phone_number_id: count}
    right = sublanes.key_of(command, counts)
    keys = [None, b"", number.encode(), f"{number}#".encode(), f"{number}#00".encode(), f"{number}#-1".encode(), b"1#0"]
    keys += [f"{number}#{n}".encode() for n in range(sublanes.MOST + 1)]
    found, refused_as = set(), set()
    for key, partition in product(keys, range(PARTITIONS)):
        try:
            taken(command, counts=counts, key=key, partition=partition)
            found.add((key, partition))
        except Unprocessable as problem:
            refused_as.add(problem.reason)
    assert refused_as == {Reason.KEY_MISMATCH}
    assert found == {(right, partition_of(right, PARTITIONS))}
    assert (right == number.encode()) == (count == 1)


def test_the_sublanes_of_one_number_are_no_other_numbers() -> None:
    assert taken(counts={"1": 4}) is not None
    with pytest.raises(Unprocessable):
        taken(counts={"1": 4}, key=f"{COMMAND.phone_number_id}#0".encode())


@pytest.mark.parametrize(
    ("given", "kept"),
    [(NOW + 5, NOW + 5), (0, 0), (-7, 0), (NOW - 5 + THIRTY_DAYS, NOW - 5 + THIRTY_DAYS), (2**62, NOW - 5 + THIRTY_DAYS + 1)],
)
def test_an_end_is_one_that_a_row_can_hold_and_beyond_30_days_stays_beyond(given: int, kept: int) -> None:
    made = taken(dataclasses.replace(COMMAND, expires_at=given))
    assert made is not None
    assert made.expires_at == kept


@pytest.mark.parametrize(
    ("given", "kept", "not_before"),
    [
        (None, None, None),
        (NOW + 60_000, NOW + 60_000, NOW + 60_000),
        (NOW - 60_000, NOW - 5, NOW - 5),
        (NOW - 5 - 300_000, NOW - 5, NOW - 5),
        (NOW - 5 - 300_001, NOW - 5 - 300_001, NOW - 5 - 300_001),
        (-(2**62), 0, 0),
        (2**62, NOW - 5 + THIRTY_DAYS + 1, None),
        (NOW - 5 + THIRTY_DAYS, NOW - 5 + THIRTY_DAYS, None),
    ],
)
def test_a_time_of_sending_is_one_that_a_row_can_hold(given: int | None, kept: int | None, not_before: int | None) -> None:
    made = taken(dataclasses.replace(COMMAND, send_at=given))
    assert made is not None
    assert (made.send_at, made.not_before) == (kept, not_before)


def test_a_command_that_was_long_on_its_way_was_in_time_when_it_was_written() -> None:
    an_hour = 3_600_000
    command = dataclasses.replace(COMMAND, send_at=NOW - an_hour)
    made = taken(command, headers=[("parley-published-at", str(NOW - an_hour).encode())])
    assert made is not None
    assert made.send_at == made.appended_at


def test_a_lifetime_begins_when_the_command_may_be_sent() -> None:
    made = taken(dataclasses.replace(COMMAND, send_at=NOW + 60_000))
    assert made is not None
    assert made.expires_at == NOW + 60_000 + 86_400_000


def test_what_would_expire_before_it_may_be_sent_does_not_wait_to_be_refused() -> None:
    made = taken(dataclasses.replace(COMMAND, send_at=NOW + 60_000, expires_at=NOW + 60_000))
    assert made is not None
    assert made.not_before is None


def test_a_group_is_one_recipient() -> None:
    made = taken(dataclasses.replace(COMMAND, to=None, group_id="Y2FwaV9ncm91cDox"))
    assert made is not None
    assert made.pair == "Y2FwaV9ncm91cDox"


@pytest.mark.parametrize("stamp", [-1, 0, NOW + 1])
def test_a_senseless_append_time_counts_as_now(stamp: int) -> None:
    made = taken(appended_at=stamp)
    assert made is not None
    assert made.appended_at == NOW


def test_the_fingerprint_changes_with_every_field() -> None:
    changes: dict[str, object] = {
        "command_id": str(uuid.uuid4()),
        "phone_number_id": "1",
        "type": "template",
        "content": "{}",
        "to": None,
        "recipient": "DE.1",
        "lane": "bulk",
        "policy": "other",
        "context_wamid": "w",
        "created_at": 1,
        "expires_at": 1,
        "group_id": "g",
        "recipient_identity_key_hash": "h",
        "fallback_template": "{}",
        "caused_by": "parley.inbound-messages.v1/0/1",
        "send_at": 1,
        "category": "utility",
        "marketing_messages": "{}",
        "message_activity_sharing": False,
        "oversize": "link",
        "tenant_id": "t",
        "biz_opaque_callback_data": "mine",
    }
    assert set(changes) == {field.name for field in dataclasses.fields(SendMessage)}
    prints = {fingerprint(dataclasses.replace(COMMAND, **{name: value})) for name, value in changes.items()}  # type: ignore[arg-type]  # values of several fields
    assert len(prints | {fingerprint(COMMAND)}) == len(changes) + 1


def test_a_conflict_has_an_event_id_of_its_own_that_never_changes() -> None:
    one, other = taken(), taken(dataclasses.replace(COMMAND, content="{}"))
    assert one is not None
    assert other is not None
    assert conflict(one, at=1).event_id == conflict(one, at=2).event_id != conflict(other, at=1).event_id


def test_a_command_of_the_first_version_keeps_its_fingerprint() -> None:
    message = SendMessage(command_id="c", phone_number_id="1", type="text", content="{}", to="+4915112345678")
    assert fingerprint(message).hex() == "853c1bc4c7b74935fb9e7cd35a6001fec0e66cc69b0caf76f8c620f3bd43cc9b"
