"""Is a record that kills its reader at each start set aside, alone, and does the work go on?

The sixth of ten records kills: the first life dies with all in hand, so does the second, and the third, which takes one at a
time, with the sixth alone.
"""

from __future__ import annotations

import asyncio
import signal
from contextlib import ExitStack
from functools import partial
from typing import Final

import psycopg
import pytest
from aiokafka import TopicPartition

from services.common.domain import topics
from services.common.platform.envelope import dead_letter_origin
from services.sandbox.providers import Kafka
from tests.faults.test_loud_stops import GROUPS, append, committed, environment, place, some
from tests.support import log
from tests.support.processes import ServiceProcess
from tests.support.waiting import wait_for

__all__ = ["environment"]

POINTS: Final = {
    "router": "router.after_fetch",
    "projector": "projector.before_pg_commit",
    "sender": "sender.after_intake_before_commit",
}
RECORDS: Final = 10
KILLER: Final = 5
PROGRESS_SECONDS: Final = 30.0


def position(cluster: Kafka, dsn: str, service: str, where: TopicPartition) -> int | None:
    if service in GROUPS:
        return asyncio.run(committed(cluster, GROUPS[service], where))
    with psycopg.connect(dsn) as connection:
        statement = "SELECT next_offset FROM projector.positions WHERE topic = %s AND partition = %s"
        row = connection.execute(statement, (where.topic, where.partition)).fetchone()
    return None if row is None else int(row[0])


def is_done(cluster: Kafka, dsn: str, service: str, where: TopicPartition) -> bool:
    return (position(cluster, dsn, service, where) or 0) >= RECORDS


@pytest.mark.failure("R4")
def test_a_record_that_kills_three_lives_is_set_aside_by_the_fourth(
    cluster: Kafka, postgres: str, environment: dict[str, str]
) -> None:
    values = {service: some(service, RECORDS) for service in POINTS}
    for service, records in values.items():
        append(cluster, service, *records)
    places = {service: place(cluster, service) for service in POINTS}
    with ExitStack() as stack:
        processes = {service: ServiceProcess(service, {**environment, "PARLEY_FAULT": dying(service, 1)}) for service in POINTS}
        for process in processes.values():
            stack.enter_context(process)
        ended(processes)
        for service, process in processes.items():
            process.start(PARLEY_FAULT=dying(service, 1))
        ended(processes)
        for some_of_them in (["projector", "sender"], ["router"]):  # what the router appends now is read by the projector
            for service in some_of_them:
                processes[service].start(PARLEY_FAULT=dying(service, KILLER + 1))
            ended({service: processes[service] for service in some_of_them})
        for process in processes.values():
            process.start(PARLEY_FAULT="")
        for service, process in processes.items():
            done = partial(is_done, cluster, postgres, service, places[service])
            wait_for(done, PROGRESS_SECONDS, f"{service} to go on")
            told = process.wait_for_event("record.struck_out")
            assert (told["topic"], told["partition"], told["offset"]) == (*places[service], KILLER)
            assert process.metric("parley_dead_letters_total", reason="crash_loop") == 1
    for service, where in places.items():
        letters = log.read(cluster.bootstrap_servers, f"parley.{service}.dead-letters.v1")
        of_it = [letter for letter in letters if dead_letter_origin(letter)["reason"] == "crash_loop"]
        assert [(letter.value, dead_letter_origin(letter)["offset"]) for letter in of_it] == [
            (values[service][KILLER], str(KILLER))
        ], where
    assert log.end_offsets(cluster.bootstrap_servers, topics.INBOUND_MESSAGES) == RECORDS + RECORDS - 1
    with psycopg.connect(postgres) as connection:
        found = connection.execute(
            "SELECT \"offset\" FROM projector.dead_letters WHERE reason = 'crash_loop' AND consumer_group = 'parley.projector'"
        ).fetchall()
    assert found == [(KILLER,)]


def dying(service: str, nth: int) -> str:
    return f"{POINTS[service]}:{nth}:kill"


def ended(processes: dict[str, ServiceProcess]) -> None:
    for process in processes.values():
        assert process.wait_exit(PROGRESS_SECONDS) == -signal.SIGKILL
