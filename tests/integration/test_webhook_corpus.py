"""Does each kind of bad webhook get its answer, and is exactly that in the log and in the read models what it should leave there?

All of the corpus through sockets, ingest, router and projector, once; then each case is looked at. What is in the log carries the
mark of its case in the header `traceparent`, which all services pass on.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final, TypeVar

import psycopg
import pytest

from services.common.domain import topics
from services.common.platform.envelope import dead_letter_origin, header
from services.common.platform.kafka import LogRecord
from services.sandbox.providers import Kafka, Postgres
from services.sandbox.roles import PROJECTOR, role_dsns
from tests.support import canaries, log
from tests.support.clean_broker import fresh_topics
from tests.support.http import exchange, post
from tests.support.infrastructure import fresh_database
from tests.support.processes import ServiceProcess
from tests.support.read_models import ALL_OF_IT
from tests.support.request_corpus import AT_ONCE, LIMITS, OUTCOMES, REQUESTS, SECRET, SECRETS, Got, Request, carrying, play
from tests.support.search import search
from tests.support.waiting import wait_for, wait_for_none
from tests.support.webhook_corpus import CASES, LARGEST, Case, told

T = TypeVar("T")
EVENTS: Final = tuple(sorted(topics.WEBHOOK_EVENTS))
SPOKEN: Final = {"content-length", "date", "connection", "retry-after", "allow"}
OF_A_CHALLENGE: Final = {
    "content-type": "text/plain; charset=utf-8",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}


def mark(name: str) -> str:
    """Of a case: the id of its trace."""
    return uuid.uuid5(uuid.NAMESPACE_OID, name).hex


def as_request(name: str, case: Case) -> Request:
    """With message ids of its own, so that no case hides another's rows."""
    is_fixed = case.encoding or len(case.body) >= LARGEST
    return carrying(case if is_fixed else case._replace(body=case.body.replace(b"wamid.", wamid(name).encode())))


def wamid(name: str) -> str:
    return f"wamid.{mark(name)[:8]}."


ALL: Final[Mapping[str, Request]] = {**REQUESTS, **{name: as_request(name, case) for name, case in CASES.items()}}
MARKS: Final = {mark(name): name for name in ALL}


@dataclass(frozen=True, kw_only=True)
class Played:
    """What became of everything."""

    got: Mapping[str, Got]
    raw: Mapping[str, Sequence[LogRecord]]
    out: Mapping[str, Sequence[str]]
    refused: Mapping[str, Sequence[str]]
    rows: Mapping[str, tuple[int, int]]
    logs: Mapping[str, str]
    outcomes: Mapping[str, int]
    without_elements: int


@pytest.fixture(scope="module")
def played(kafka: Kafka, postgres_server: Postgres, migrated_template: str) -> Iterator[Played]:
    kafka.start()
    fresh_topics(kafka.bootstrap_servers)
    servers = {"PARLEY_KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers, **ALL_OF_IT}
    with ExitStack() as stack:
        dsn = stack.enter_context(fresh_database(postgres_server, migrated_template))
        projector = {**servers, "PARLEY_POSTGRES_DSN": role_dsns(dsn)[PROJECTOR]}
        processes = {
            name: stack.enter_context(ServiceProcess(name, env))
            for name, env in (
                ("ingest", {**servers, **SECRETS, **LIMITS, "PARLEY_INGEST_PORT": "0"}),
                ("router", servers),
                ("projector", projector),
            )
        }
        port = int(processes["ingest"].wait_for_event("ingest.listening")["port"])
        for process in processes.values():
            process.wait_ready()
        # Topics just made may have no leader yet: until then 503 is the right answer, and Meta comes again.
        wait_for(lambda: exchange(port, post(NOTHING, secret=SECRET)).status == 200, 30, "a log that takes webhooks")
        with ThreadPoolExecutor(AT_ONCE) as pool:
            got = dict(zip(ALL, pool.map(lambda request: play(port, request, traced(request)), ALL.values()), strict=True))
        wait_for_none(lambda: unsettled(kafka, processes), 180.0, "everything to be a row")
        for process in processes.values():
            assert process.alive
        yield read(kafka, dsn, got, processes)


NOTHING: Final = b'{"object":"whatsapp_business_account","entry":[]}'


def traced(request: Request) -> str:
    name = next(name for name, one in ALL.items() if one is request)
    return f"traceparent: 00-{mark(name)}-00f067aa0ba902b7-01"


def unsettled(kafka: Kafka, processes: Mapping[str, ServiceProcess]) -> dict[str, int]:
    """Records that a service has before it."""
    servers = kafka.bootstrap_servers
    before = {
        "router": log.end_offsets(servers, topics.WEBHOOKS),
        "projector": log.end_offsets(servers, *topics.PROJECTOR_SOURCES),
    }
    left = {name: count - int(processes[name].metric("parley_records_processed_total")) for name, count in before.items()}
    return {name: count for name, count in left.items() if count}


def read(kafka: Kafka, dsn: str, got: Mapping[str, Got], processes: Mapping[str, ServiceProcess]) -> Played:
    servers = kafka.bootstrap_servers
    raw = by_case(log.read(servers, topics.WEBHOOKS), lambda record: record)
    routed = log.read(servers, *EVENTS, topics.ROUTER_DEAD_LETTERS)
    refused = log.read(servers, topics.PROJECTOR_DEAD_LETTERS)
    with psycopg.connect(dsn) as connection:
        [(messages, statuses)] = connection.execute(
            "SELECT (SELECT array_agg(wamid) FROM projector.messages), (SELECT array_agg(wamid) FROM projector.message_statuses)"
        ).fetchall()
    names = {wamid(name): name for name in CASES}
    rows = [Counter(names.get(one[: len("wamid.") + 9], "") for one in column) for column in (messages, statuses)]
    return Played(
        got=got,
        raw=raw,
        out=by_case(routed, lambda record: told(record.topic, record.value, record.headers)),
        refused=by_case(refused, lambda record: told(record.topic, record.value, record.headers)),
        rows={name: (rows[0][name], rows[1][name]) for name in CASES},
        logs={name: process.log for name, process in processes.items()},
        outcomes={word: requests(processes["ingest"], word) for word in (*counted(), "failed")},
        without_elements=int(processes["router"].metric("parley_empty_webhooks_total")),
    )


def requests(ingest: ServiceProcess, word: str) -> int:
    return int(ingest.metric("parley_webhook_requests_total", outcome=word))


def counted() -> Counter[str]:
    """How often ingest has said each word by which it counts, when all is played and the log was taken for ready."""
    words = [
        request.reason if status not in OUTCOMES or request.reason.startswith("challenge") else OUTCOMES[status]
        for request in ALL.values()
        for status in request.answers
        if status != 100 and not request.seconds
    ]
    return Counter(words)


def by_case(records: Sequence[LogRecord], what: Callable[[LogRecord], T]) -> dict[str, list[T]]:
    """Under the empty name what carries no mark."""
    found: dict[str, list[T]] = {name: [] for name in ("", *ALL)}
    for record in records:
        trace = (header(record, "traceparent") or b"").decode()
        found[MARKS.get(trace[3:35], "")].append(what(record))
    return found


def named(name: str) -> str:
    return f"webhook-{name}"


@pytest.mark.parametrize("name", ALL, ids=named)
@pytest.mark.failure("I7", "I8", "R12", "R16", "R17")
def test_a_case_has_its_answer_and_leaves_what_it_should(played: Played, name: str) -> None:
    request, got = ALL[name], played.got[name]
    assert got.statuses == request.answers
    assert got.is_closed or not (request.closes or request.seconds)
    assert request.seconds * 0.9 <= got.seconds <= request.seconds + 1.5
    for reply in got.replies:
        assert reply.body == request.body
        assert set(reply.headers) <= SPOKEN | OF_A_CHALLENGE.keys()
        assert OF_A_CHALLENGE.items() <= reply.headers.items() or not request.body
    assert len(played.raw[name]) == (0 if request.kept is None else request.answers.count(200))
    assert Counter(played.out[name]) == Counter(request.kept or ())


@pytest.mark.parametrize("name", CASES, ids=named)
def test_what_is_signed_is_in_the_log_byte_for_byte(played: Played, name: str) -> None:
    _, _, body = ALL[name].data("X-A: b").partition(b"\r\n\r\n")
    assert [record.value for record in played.raw[name]] == [body]


@pytest.mark.parametrize("name", CASES, ids=named)
@pytest.mark.failure("I7", "R12", "R13")
def test_the_read_models_have_it_once_or_say_why_not(played: Played, name: str) -> None:
    case = CASES[name]
    assert tuple(played.refused[name]) == case.refused
    if case.rows is not None:
        assert played.rows[name] == case.rows


@pytest.mark.failure("R16")
def test_elements_in_are_events_and_dead_letters_out(played: Played) -> None:
    """And nothing is there of which nobody knows where it came from."""
    assert sum(map(len, played.out.values())) == sum(len(request.kept or ()) for request in ALL.values())
    assert [record.value for record in played.raw[""]] == [NOTHING]
    assert played.out[""] == played.refused[""] == []
    empty = sum(request.kept == () for request in ALL.values())
    assert played.without_elements == empty + 1


def test_every_answer_is_counted_under_its_word(played: Played) -> None:
    got, wanted = dict(played.outcomes), counted()
    got["accepted"] -= len(played.raw[""])
    # Of a client that is gone it may not be known whether it had begun, and a slow one is gone, too.
    assert got.pop("client_gone") >= wanted.pop("client_gone")
    assert got == {**wanted, "failed": 0}


def test_a_dead_letter_names_its_webhook(played: Played, kafka: Kafka) -> None:
    places = {(record.topic, record.partition, record.offset) for records in played.raw.values() for record in records}
    letters = log.read(kafka.bootstrap_servers, topics.ROUTER_DEAD_LETTERS)
    assert letters
    for letter in letters:
        origin = dead_letter_origin(letter)
        assert (origin["topic"], int(origin["partition"]), int(origin["offset"])) in places


def test_no_answer_is_500_and_no_service_failed(played: Played) -> None:
    assert not {reply.status for got in played.got.values() for reply in got.replies} & set(range(500, 600))
    for service, text in played.logs.items():
        bad = [
            line
            for line in text.splitlines()
            if '"level": "error"' in line or '"level": "critical"' in line or "Traceback" in line
        ]
        assert bad == [], service
        assert "wamid." not in text, service
    assert search({word: word for word in canaries.WORDS}, played.logs).sightings == ()
