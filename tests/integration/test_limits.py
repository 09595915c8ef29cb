"""Does a number send as Meta lets it, and fairly? The sender on real Kafka and Postgres, judged by the simulator's log."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise

import aiohttp
import pytest

from services.common.domain import sublanes, topics
from services.common.domain.ids import record_key
from services.common.domain.records import SendMessage
from services.common.platform.kafka import NewRecord, Producer, partition_of, wait_for_topics
from services.sandbox.providers import Kafka
from services.sandbox.simulator.client import SimulatorClient
from services.sandbox.simulator.records import Arrival
from services.sandbox.simulator.rules import Error
from tests.support.sending import NUMBER, Scene, now_ms, scene, text
from tests.support.waiting import wait_for

PAIR_SECONDS = 0.6
ONE_AT_A_TIME = {"PARLEY_SENDER_PAIR_SECONDS": str(PAIR_SECONDS), "PARLEY_SENDER_PAIR_BURST": "1"}


@pytest.fixture
def stage(cluster: Kafka, postgres: str) -> Iterator[Scene]:
    """A registered number and a simulated Meta that wants some time between two messages to one person."""
    with scene(cluster, postgres, pair_interval_seconds=str(PAIR_SECONDS), pair_burst="1") as made:
        made.register()
        yield made


def people(count: int, first: int = 0) -> list[str]:
    return [f"4917000{number:05d}" for number in range(first, first + count)]


def by_recipient(arrivals: list[Arrival]) -> dict[str, list[Arrival]]:
    found: dict[str, list[Arrival]] = defaultdict(list)
    for arrival in sorted(arrivals, key=lambda one: one.read_monotonic):
        found[arrival.recipient or ""].append(arrival)
    return found


def smallest_gap(arrivals: list[Arrival]) -> float:
    """The least time between two messages to one person."""
    return min(
        later.read_monotonic - earlier.read_monotonic
        for ones in by_recipient(arrivals).values()
        for earlier, later in pairwise(ones)
    )


def to_each(contacts: list[str], times: int, **fields: str) -> list[SendMessage]:
    """So many rounds of one command to each."""
    return [text(f"{turn}", to=f"+{contact}", **fields) for turn in range(times) for contact in contacts]


def test_nobody_is_written_to_again_too_soon_and_in_order_though_the_sender_is_killed_meanwhile(stage: Scene) -> None:
    contacts = people(20)
    for contact in contacts:
        stage.open_window(contact)
    commands = to_each(contacts, 4)
    stage.put(*commands)
    soon_given_up = {**ONE_AT_A_TIME, "PARLEY_SENDER_TRANSACTIONAL_HORIZON_SECONDS": "2"}
    with stage.sender(**soon_given_up) as first:
        first.wait_ready()
        wait_for(lambda: len(stage.arrivals()) >= 30, 30.0, "the second round")
        first.kill()
    stage.settle_everything()
    with stage.sender(**soon_given_up) as second:
        second.wait_ready()
        wait_for(lambda: len(stage.outcomes("accepted", "unresolved")) == len(commands), 60.0, "all outcomes")
    arrivals = stage.arrivals()
    assert {one.code for one in arrivals} == {None}, "Meta refused nothing"
    assert smallest_gap(arrivals) >= PAIR_SECONDS
    place = {command.command_id: number for number, command in enumerate(commands)}
    attempts = {row[0]: row[1] for row in stage.sql("SELECT attempt_id, command_id FROM sender.send_attempts")}
    for ones in by_recipient(arrivals).values():
        order = [place[attempts[one.opaque or ""]] for one in ones]
        assert order == sorted(order)


def test_of_a_flooded_pair_what_has_no_turn_in_time_expires_and_meta_refuses_none(stage: Scene) -> None:
    [contact] = people(1)
    stage.open_window(contact)
    with stage.sender(**ONE_AT_A_TIME) as sender:
        sender.wait_ready()
        flood = [text(to=f"+{contact}", expires_at=now_ms() + 12_000) for _ in range(100)]
        stage.put(*flood)
        wait_for(lambda: len(stage.outcomes("accepted", "expired")) == len(flood), 90.0, "all ends")
    arrivals = stage.arrivals()
    assert {one.code for one in arrivals} == {None}
    assert smallest_gap(arrivals) >= PAIR_SECONDS
    ends = [stage.wait_outcome(one, "accepted", "expired").kind for one in flood]
    assert ends == ["accepted"] * len(arrivals) + ["expired"] * (100 - len(arrivals))
    assert 2 <= len(arrivals) <= 1 + 12 / PAIR_SECONDS


@pytest.mark.failure("S8")
def test_a_pair_that_meta_refuses_waits_and_no_other_does(stage: Scene) -> None:
    refused, *others = people(6)
    for contact in (refused, *others):
        stage.open_window(contact)
    stage.ask(lambda client: client.rules(Error(code=131056), times=2, to=f"+{refused}"))
    first = to_each([refused], 1)
    with stage.sender(**ONE_AT_A_TIME) as sender:
        sender.wait_ready()
        stage.put(*first)
        wait_for(lambda: len(stage.arrivals()) == 2, 30.0, "the second refusal")
        stage.put(*to_each([refused], 1, lane="bulk"), *to_each(others, 1))
        stage.wait_outcome(first[0], "accepted", seconds=30.0)
        wait_for(lambda: len(stage.accepted()) == 7, 30.0, "everything")
        assert sender.metric("parley_sender_throttled_total", scope="pair") == sender.metric("parley_sender_throttled_total") == 2
    to_refused = by_recipient(stage.arrivals())[f"+{refused}"]
    waits = [later.read_monotonic - earlier.read_monotonic for earlier, later in pairwise(to_refused)]
    assert [one.code for one in to_refused] == [131056, 131056, None, None]
    assert waits[0] >= 1.0
    assert waits[1] >= 4.0, "4^n"
    others_last = max(one.read_monotonic for one in stage.accepted() if one.recipient != f"+{refused}")
    assert others_last < to_refused[2].read_monotonic


@pytest.mark.failure("S19")
def test_one_persons_thousands_hold_nobody_up(stage: Scene) -> None:
    flooded, *others = people(31)
    for contact in (flooded, *others):
        stage.open_window(contact)
    stage.put(*to_each([flooded], 3000))
    with stage.sender(**ONE_AT_A_TIME) as sender:
        sender.wait_ready()
        wait_for(lambda: stage.sql("SELECT count(*) FROM sender.send_commands") == [(3000,)], 60.0, "the flood")
        commands = to_each(others, 1)
        stage.put(*commands)
        wait_for(lambda: len(by_recipient(stage.accepted())) == 31, 20.0, "a message to everybody")
        waiting = stage.sql("SELECT count(*) FROM sender.send_commands WHERE state = 'waiting' AND reason = 'pair_limit'")
    assert waiting[0][0] > 2000
    assert smallest_gap(stage.arrivals()) >= PAIR_SECONDS


def test_what_follows_a_refusal_by_the_gate_does_not_wait_for_the_pair_limit(stage: Scene) -> None:
    commands = to_each(people(1), 8)
    stage.put(*commands)
    with stage.sender(PARLEY_SENDER_PAIR_SECONDS="30", PARLEY_SENDER_PAIR_BURST="1") as sender:
        sender.wait_ready()
        wait_for(lambda: len(stage.outcomes("refused")) == 8, 25.0, "eight refusals")
    assert stage.arrivals() == []


def test_transactional_and_bulk_share_what_one_time_codes_leave(stage: Scene) -> None:
    stage.register(limit=20, throughput=80)
    contacts = people(160)
    for contact in contacts:
        stage.open_window(contact)
    commands = [*to_each(contacts[:80], 1, lane="bulk"), *to_each(contacts[80:], 1)]
    stage.put(*commands)
    with stage.sender(**ONE_AT_A_TIME) as sender:
        sender.wait_ready()
        wait_for(lambda: len(stage.arrivals()) >= 100, 60.0, "a hundred messages")
    bulk = {f"+{contact}" for contact in contacts[:80]}
    lanes = Counter(one.recipient in bulk for one in stage.arrivals()[20:80])
    assert 13 <= lanes[True] <= 17, "a quarter is bulk"


async def hold_a_conversation(stage: Scene, each_second: int, seconds: float) -> list[float]:
    """Customers write at that rate, if this machine can: Meta counts it, and the log has it a little later. When they did."""
    never = asyncio.Event()
    producer = Producer(bootstrap_servers=stage.kafka.bootstrap_servers, client_id="test-inbound")
    partitions = await wait_for_topics(stage.kafka.bootstrap_servers, [topics.INBOUND_MESSAGES], never)
    await producer.start(never)
    async with aiohttp.ClientSession() as session:
        client = SimulatorClient(stage.graph_url, session)
        begin, written = time.monotonic(), list[float]()
        while (now := time.monotonic()) < begin + seconds:
            await asyncio.sleep(max(0.0, begin + len(written) / each_second - now))
            await client.inbound(NUMBER, "491709999999", "hello")
            written.append(time.monotonic())
            key = record_key(NUMBER, "491709999999").encode()
            await producer.append_all([NewRecord(topics.INBOUND_MESSAGES, key, b"", ())], partitions)
    await producer.stop()
    return written


def test_what_a_number_receives_is_taken_off_what_it_sends(stage: Scene) -> None:
    stage.register(limit=40)
    contacts = people(600)
    for contact in contacts:
        stage.open_window(contact)
    with stage.sender(**ONE_AT_A_TIME) as sender:
        sender.wait_ready()
        stage.put(*to_each(contacts, 1))
        wait_for(lambda: len(stage.arrivals()) >= 40, 30.0, "some messages")
        received = asyncio.run(hold_a_conversation(stage, 20, 7.0))
    arrivals = [one for one in stage.arrivals() if received[0] + 2.0 <= one.read_monotonic < received[-1]]
    assert arrivals[-1].read_monotonic > received[-1] - 1.0, "there was always something to send"
    seconds = received[-1] - received[0] - 2.0
    each_second = sum(at >= received[0] + 2.0 for at in received) / seconds
    assert each_second > 5.0
    assert 0.25 * (40 - each_second) <= len(arrivals) / seconds <= 40 - each_second
    assert sum(not one.is_accepted for one in arrivals) <= 0.05 * len(arrivals)


def worst_second(arrivals: list[Arrival]) -> int:
    """The most messages that any sliding second of arrivals holds."""
    ats = sorted(one.read_monotonic for one in arrivals)
    return max(bisect_left(ats, at + 1.0) - place for place, at in enumerate(ats))


@pytest.mark.parametrize("senders", [1, 2])
def test_a_number_with_sublanes_keeps_its_limit_and_the_order_of_each_recipient(stage: Scene, senders: int) -> None:
    stage.sublanes = {NUMBER: 4}
    stage.register(limit=200)
    contacts = people(400)
    for contact in contacts:
        stage.open_window(contact)
    commands = to_each(contacts, 4)
    with ExitStack() as running:
        for instance in range(1, senders + 1):
            running.enter_context(stage.sender(**ONE_AT_A_TIME, PARLEY_INSTANCE=str(instance))).wait_ready()
        wait_for(lambda: len(stage.sql("SELECT DISTINCT instance FROM sender.shards")) == senders, 30.0, "a share for each")
        stage.put(*commands)
        wait_for(lambda: len(stage.accepted()) == len(commands), 90.0, "all messages")
        wait_for(lambda: set(stage.states().values()) == {"accepted"}, 30.0, "all outcomes")
    arrivals = stage.arrivals()
    assert {one.code for one in arrivals} == {None}, "Meta refused nothing"
    assert 50 < worst_second(arrivals) <= 200, "more than one part, and not more than all"
    assert smallest_gap(arrivals) >= PAIR_SECONDS
    place = {command.command_id: number for number, command in enumerate(commands)}
    attempts = {row[0]: row[1] for row in stage.sql("SELECT attempt_id, command_id FROM sender.send_attempts")}
    assert sorted(place[attempts[one.opaque or ""]] for one in arrivals) == list(range(len(commands))), "each once"
    for ones in by_recipient(arrivals).values():
        order = [place[attempts[one.opaque or ""]] for one in ones]
        assert order == sorted(order)
    shards = stage.sql("SELECT shard, instance FROM sender.send_attempts JOIN sender.shards USING (shard) GROUP BY 1, 2")
    assert {row[0] for row in shards} == {partition_of(key, 24) for key in sublanes.keys(NUMBER, 4)}
    assert len({row[1] for row in shards}) == senders
