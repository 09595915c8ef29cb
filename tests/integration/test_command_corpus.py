"""Does each kind of bad command get its answer, and no other command a wrong one? All of the corpus through router and sender."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

import psycopg
import pytest
from aiokafka import AIOKafkaProducer

from services.common.domain import topics
from services.common.domain.ids import attempt_id
from services.common.domain.lanes import Lane
from services.common.domain.records import SendOutcome
from services.common.platform.envelope import dead_letter_origin
from services.common.platform.kafka import LogRecord, NewRecord
from services.sandbox.providers import Kafka, Postgres
from services.sandbox.simulator.records import Arrival
from services.sandbox.simulator.rules import Error
from tests.support import log
from tests.support.clean_broker import fresh_topics
from tests.support.command_corpus import (
    ACCEPTED,
    DEVIATIONS,
    DISABLED,
    FOREIGN_MEDIA,
    IGNORED,
    NUMBER,
    OLD_MEDIA,
    PARKED,
    PAUSED,
    TEMPLATES,
    WAITING,
    WITHOUT_TOKEN,
    Case,
    Dead,
    Published,
    Told,
    cases,
    ids,
    published,
)
from tests.support.infrastructure import fresh_database
from tests.support.processes import ServiceProcess
from tests.support.read_models import ALL_OF_IT
from tests.support.sending import WABA, Scene, now_ms, scene
from tests.support.waiting import wait_for_none

CASES: Final = cases()
MOST_ATTEMPTS: Final = 20
UNKNOWN_FIELDS: Final = 6
"""Five commands of category 40, and one of category 3."""


@dataclass(frozen=True, kw_only=True)
class Played:
    """What became of everything."""

    published: Sequence[Published]
    outcomes: Mapping[str, Sequence[SendOutcome]]
    states: Mapping[str, str]
    arrivals: Sequence[Arrival]
    dead: Sequence[LogRecord]
    parked: Sequence[LogRecord]
    counted: Mapping[str, float]

    def of(self, case: Case) -> Published:
        return next(one for one in self.published if one.case is case)

    def reached_meta(self, one: Published) -> list[Arrival]:
        """A command may need another attempt when its turn came too late to write the first: that one never reached Meta."""
        attempts = {attempt_id(one.command_id, number) for number in range(1, MOST_ATTEMPTS)}
        return [arrival for arrival in self.arrivals if arrival.opaque in attempts]


@pytest.fixture(scope="module")
def played(kafka: Kafka, postgres_server: Postgres, migrated_template: str) -> Iterator[Played]:
    """All cases at once, each to a person of its own."""
    kafka.start()
    fresh_topics(kafka.bootstrap_servers)
    with ExitStack() as stack:
        dsn = stack.enter_context(fresh_database(postgres_server, migrated_template))
        stage = stack.enter_context(scene(kafka, dsn))
        # Before anybody reads the registry: what a sender had read a moment too early it would believe for two seconds.
        prepare(stage)
        router = stack.enter_context(
            ServiceProcess("router", {"PARLEY_KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers, **ALL_OF_IT})
        )
        sender = stack.enter_context(stage.sender(**ALL_OF_IT))
        router.wait_ready()
        sender.wait_ready()
        know(stage, [published(case, number, 0) for number, case in enumerate(CASES)])
        now = now_ms()
        everything = [published(case, number, now) for number, case in enumerate(CASES)]
        open_windows(stage, everything, now)
        asyncio.run(append(kafka.bootstrap_servers, [record for one in everything for record in one.records]))
        evidence(stage, [(one, *said) for one in everything for said in one.case.later])
        wait_for_none(lambda: unsettled(stage, everything), 180.0, "everything to be settled")
        assert router.alive
        assert sender.alive
        counted = {
            "tombstones": router.metric("parley_tombstones_total") + sender.metric("parley_tombstones_total"),
            "ignored fields": router.metric("parley_ignored_fields_total"),
            "parked": router.metric("parley_parked_commands_total"),
            "same": sender.metric("parley_send_commands_repeated_total", outcome="same"),
            "conflict": sender.metric("parley_send_commands_repeated_total", outcome="conflict"),
        }
        outcomes: dict[str, list[SendOutcome]] = {}
        for outcome in stage.outcomes():
            outcomes.setdefault(outcome.command_id, []).append(outcome)
        yield Played(
            published=everything,
            outcomes=outcomes,
            states=stage.states(),
            arrivals=stage.arrivals(),
            dead=log.read(kafka.bootstrap_servers, topics.ROUTER_DEAD_LETTERS, topics.SENDER_DEAD_LETTERS),
            parked=log.read(kafka.bootstrap_servers, topics.PARKED_COMMANDS),
            counted=counted,
        )


def prepare(stage: Scene) -> None:
    """One number that sends, one that is paused, one that is disabled, one whose token nobody can read."""
    for phone_number_id in (NUMBER, PAUSED, DISABLED, WITHOUT_TOKEN):
        stage.register(phone_number_id, limit=500)
    stage.sql("UPDATE registry.phone_numbers SET state = 'paused' WHERE phone_number_id = %s", PAUSED)
    stage.sql("UPDATE registry.phone_numbers SET state = 'disabled' WHERE phone_number_id = %s", DISABLED)
    stage.sql(
        "INSERT INTO sender.media (media_id, phone_number_id, sha256, mime_type, size, expires_at) VALUES"
        " (%s, %s, '', 'image/png', 1, now() + interval '1 day'), (%s, %s, '', 'image/png', 1, now() - interval '1 day')",
        *(FOREIGN_MEDIA, PAUSED, OLD_MEDIA, NUMBER),
    )
    stage.sql("UPDATE registry.phone_numbers SET access_token = %s WHERE phone_number_id = %s", b"unreadable" * 4, WITHOUT_TOKEN)
    for made in TEMPLATES:
        stage.ask(lambda client, made=made: client.add_template(WABA, language="en_US", **made))  # type: ignore[misc]  # bound here
    stage.ask(lambda client: client.add_template("1", "of_another_account", "en_US"))


def open_windows(stage: Scene, everything: Sequence[Published], now: int) -> None:
    """When each person last wrote."""
    with psycopg.connect(stage.dsn, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO projector.conversations (phone_number_id, contact, last_inbound_at)"
            " VALUES (%s, %s, to_timestamp(%s / 1000.0))",
            [(number_of(one), one.person, now + one.case.window) for one in everything if one.case.window is not None],
        )


def know(stage: Scene, everything: Sequence[Published]) -> None:
    """Evidence of the persons from before, and what Meta is to answer some of them."""
    evidence(stage, [(one, *said) for one in everything for said in one.case.consents])
    for one in everything:
        code, to = one.case.error, one.case.says.get("recipient") or one.person
        if code is not None:
            stage.ask(lambda client, code=code, to=to: client.rules(Error(code=code), to=to))  # type: ignore[misc]  # bound here


def evidence(stage: Scene, told: Sequence[tuple[Published, str, str]]) -> None:
    for one, category, decision in told:
        stage.consent(category, decision, contact=one.person, phone_number_id=number_of(one))


def number_of(one: Published) -> str:
    return str(one.case.says.get("phone_number_id", NUMBER))


async def append(bootstrap_servers: str, records: Sequence[tuple[NewRecord, int | None]]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers, max_request_size=1024 * 1024)
    await producer.start()
    try:
        sent = [
            await producer.send(one.topic, one.value, one.key, partition=partition, headers=list(one.headers))
            for one, partition in records
        ]
        await asyncio.gather(*sent)
    finally:
        await producer.stop()


def count_of(everything: Sequence[Published], expects: Any) -> int:
    return sum(len(one.records) for one in everything if isinstance(one.case.expects, expects))


def unsettled(stage: Scene, everything: Sequence[Published]) -> dict[str, object]:
    """What is not in its last state, or stands where it does not belong, by what it is."""
    servers = stage.kafka.bootstrap_servers
    waits = {one.command_id for one in everything if one.case.expects == WAITING}
    awaited = waits | {one.command_id for one in everything if isinstance(one.case.expects, Told)}
    states = stage.states()
    open_ = {command_id: state for command_id, state in states.items() if state in ("waiting", "retry", "started")}
    [(outbox,)] = stage.sql("SELECT count(*) FROM sender.outbox")
    dead = log.end_offsets(servers, topics.ROUTER_DEAD_LETTERS, topics.SENDER_DEAD_LETTERS)
    parked = log.end_offsets(servers, topics.PARKED_COMMANDS)
    names = {one.command_id: f"{one.case.row} {one.case.name}" for one in everything}
    differs = {
        "not known": sorted(names[command_id] for command_id in awaited - states.keys()),
        "not awaited": sorted(states.keys() - awaited),
        "open": {names.get(command_id, command_id): state for command_id, state in open_.items() if command_id not in waits},
        "ended": sorted(names[command_id] for command_id in waits & states.keys() - open_.keys()),
        "outbox": outbox,
        "dead letters": dead - count_of(everything, Dead),
        "parked": parked - sum(one.case.expects == PARKED for one in everything),
    }
    return {what: left for what, left in differs.items() if left}


@pytest.mark.parametrize("case", CASES, ids=ids(CASES))
@pytest.mark.failure("S15")
def test_a_case_has_its_answer(played: Played, case: Case) -> None:
    one = played.of(case)
    if isinstance(case.expects, Told):
        told = {(told.kind, told.reason) for told in played.outcomes.get(one.command_id, ()) if told.kind != "deferred"}
        wanted = [case.expects, *case.also]
        assert len(told) == len(wanted), told
        assert all(any(kind == want.kind and reason in want.reasons for kind, reason in told) for want in wanted), told
        is_called = {want.kind for want in wanted} & {"accepted", "rejected"}
        assert len(played.reached_meta(one)) == (1 if is_called else 0)
    elif isinstance(case.expects, Dead):
        value = one.records[0][0].value
        [origin] = [dead_letter_origin(record) for record in played.dead if record.value == value]
        assert (origin["reason"], origin["topic"]) == (case.expects.reason, one.records[0][0].topic)
    elif case.expects == PARKED:
        [record] = [record for record in played.parked if record.value == one.records[0][0].value]
        assert (record.key, dead_letter_origin(record)["reason"]) == (one.records[0][0].key, "version")
    elif case.expects == WAITING:
        assert played.states[one.command_id] == "waiting"
        assert not {outcome.kind for outcome in played.outcomes.get(one.command_id, ())} - {"deferred"}
        assert played.reached_meta(one) == []


def test_a_refusal_names_the_field_and_quotes_nothing(played: Played) -> None:
    for one in played.published:
        for outcome in played.outcomes.get(one.command_id, ()):
            assert one.person not in (outcome.detail or "")
            if outcome.reason in ("limit", "interactive", "media_link", "encoding", "template_params", "schedule", "expires_at"):
                assert outcome.detail, outcome


@pytest.mark.failure("S15")
def test_nothing_reached_meta_that_was_not_to_and_nothing_twice(played: Played) -> None:
    reached = {one.command_id: len(played.reached_meta(one)) for one in played.published}
    wanted = {
        one.command_id
        for one in played.published
        if isinstance(one.case.expects, Told) and one.case.expects.kind in ("accepted", "rejected")
    }
    assert {command_id for command_id, count in reached.items() if count} == wanted
    assert sum(reached.values()) == len(wanted) == len(played.arrivals)


def test_what_is_accepted_goes_to_its_person_however_the_number_is_spelled(played: Played) -> None:
    for one in played.published:
        if one.case.expects is ACCEPTED:
            [arrival] = played.reached_meta(one)
            assert arrival.recipient == f"+{one.person}", one.case.name
            assert arrival.type == one.case.says.get("type", "text")


def test_a_producers_own_callback_data_comes_back_and_meta_has_the_attempts(played: Played) -> None:
    for one in played.published:
        if one.case.row == 35:
            [outcome] = played.outcomes[one.command_id]
            assert outcome.biz_opaque_callback_data == one.case.says["biz_opaque_callback_data"]
            assert [arrival.opaque for arrival in played.reached_meta(one)] == [outcome.attempt_id]


def test_a_command_that_comes_again_is_told_the_same_event(played: Played) -> None:
    """The log is read once for each event id: two ids would be two outcomes."""
    for one in played.published:
        if one.case.row == 3:
            assert len(played.outcomes[one.command_id]) == 1
    again = sum(len(one.case.again) for one in played.published if one.case.row == 3)
    assert (played.counted["same"], played.counted["conflict"]) == (
        again,
        sum(one.case.row == 4 for one in played.published),
    )


def test_what_is_ignored_is_counted(played: Played) -> None:
    assert played.counted["tombstones"] == sum(one.case.expects == IGNORED for one in played.published)
    assert played.counted["ignored fields"] == UNKNOWN_FIELDS
    assert played.counted["parked"] == sum(one.case.expects == PARKED for one in played.published)


def test_every_record_is_accounted_for(played: Played) -> None:
    """Outcomes, dead letters, parked, waiting and ignored: nothing is lost and nothing is made up."""
    told = {one.command_id for one in played.published if isinstance(one.case.expects, Told)}
    waits = {one.command_id for one in played.published if one.case.expects == WAITING}
    assert set(played.states) == told | waits
    assert told <= set(played.outcomes)
    assert len(played.dead) == count_of(played.published, Dead)
    lanes = {topics.SENDS[lane] for lane in Lane}
    by_service = Counter(record.topic for record in played.dead)
    assert by_service[topics.SENDER_DEAD_LETTERS] == sum(
        len(one.records) for one in played.published if isinstance(one.case.expects, Dead) and one.records[0][0].topic in lanes
    )


def test_each_category_has_its_variants() -> None:
    variants = Counter(case.row for case in CASES)
    assert min(variants.values()) >= 5, variants
    assert DEVIATIONS.keys() <= set(range(1, 53))
