"""Do secrets, phone numbers, names and texts stay out of everything that operators see, whatever comes in and whoever dies?"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import psycopg
import pytest

from services.common.domain import topics
from services.common.domain.lanes import Lane
from services.common.platform.kafka import NewRecord
from services.common.platform.kafka_access import Access, Brokers
from services.common.platform.secret_file import FILE
from services.common.platform.tokens import TokenBox
from services.sandbox.kafka_probe import complete
from services.sandbox.postgres_dsn import with_role
from services.sandbox.providers import Kafka
from services.sandbox.roles import PROJECTOR, SENDER, with_password
from services.sandbox.simulator.payloads import encode
from services.sandbox.simulator.rules import Error, Garbage
from services.sandbox.stack_services import kafka_env
from services.sandbox.users import apply_users, read_users
from tests.support import canaries, log, request_corpus, samples, webhook_corpus
from tests.support.canaries import NAME, PHONE, TEXT
from tests.support.command_corpus import PEOPLE, cases, published
from tests.support.http import Wire, exchange, post
from tests.support.processes import ServiceProcess
from tests.support.read_models import ALL_OF_IT, reached
from tests.support.request_corpus import AT_ONCE, LIMITS, REQUESTS, SECRET, carrying, play
from tests.support.search import dead_letter_places, dumpers, process_places, search
from tests.support.sending import APP_SECRET, NUMBER, TOKEN, Scene, scene, text
from tests.support.waiting import wait_for
from tests.support.webhook_corpus import CASES
from tests.support.webhooks import raw_record

PASSWORD: Final = "canary-of-the-password"
KAFKA_PASSWORD: Final = "canary-of-the-kafka-password"
NO_PASSWORD: Final = "canary-of-another-password"
"""Which no broker takes."""
KEY: Final = base64.b64encode(b"canary-of-the-key-of-the-tokens!").decode()
APPS: Final = {
    **json.loads(request_corpus.SECRETS["PARLEY_INGEST_APPS"]),
    "simulated": {"app_secret": APP_SECRET, "verify_token": "canary-of-a-verify-token"},
}
SECRETS: Final = (
    *(PASSWORD, KAFKA_PASSWORD, NO_PASSWORD, KEY, TOKEN, SECRET, request_corpus.PREVIOUS, request_corpus.TOKEN),
    *(secret for app in APPS.values() for secret in app.values()),
)
WORDS: Final = {word: word for word in (*SECRETS, *canaries.WORDS, PEOPLE)}


@pytest.mark.timeout(240)
def test_nothing_of_people_and_secrets_is_seen(cluster: Kafka, postgres: str, tmp_path: Path) -> None:
    settings = all_settings(cluster, postgres, tmp_path)
    with ExitStack() as stack:

        def service(name: str, **more: str) -> ServiceProcess:
            return stack.enter_context(ServiceProcess(name, {**more, **settings[name]}, forked=False))

        shut_out = not_let_in(stack, cluster, settings, tmp_path)
        ingest = service("ingest", PARLEY_FAULT="ingest.before_produce:1:raise")
        router, projector = service("router"), service("projector")
        port = int(ingest.wait_for_event("ingest.listening")["port"])
        stage = stack.enter_context(scene(cluster, postgres, ingest_url=f"http://127.0.0.1:{port}/webhooks/simulated"))
        stage.register()
        seal_token(stage)
        stage.open_window(PHONE)
        sender = service("sender", **without_secrets(stage.env), PARLEY_FAULT="sender.before_write:1:raise")
        running = [ingest, router, projector, sender]
        for process in running:
            process.wait_ready()
        signed = post(webhook_corpus.TEXT, secret=SECRET)
        assert exchange(port, signed).status == 500, "the fault of ingest did not fire"
        wait_for(lambda: exchange(port, signed).status == 200, 30, "a log that takes webhooks")
        stage.put(text(TEXT, to=f"+{PHONE}"))
        assert sender.wait_exit(60.0) == 70
        sender.start(PARLEY_FAULT="")
        publish_commands(stage)
        for action in (None, Error(code=131026, details=f"{NAME} +{PHONE}"), Garbage(), None):
            if action is not None:
                stage.misbehave(action)
            stage.put(text(TEXT, to=f"+{PHONE}"))
        ask_oddly(port)
        play_all(port)
        lag = "parley_consumer_lag_records"
        wait_for(lambda: router.metric(lag) == sender.metric(lag) == 0 == due(stage), 60, "all commands to be judged")
        # Not before: Meta stops the account in some of them.
        log.append(cluster.bootstrap_servers, [raw_record(body) for body in webhooks()])
        for process, point in ((router, "router.mid_batch_emit"), (projector, "projector.before_pg_commit")):
            process.kill()
            process.start(PARLEY_FAULT=f"{point}:1:raise")
            post_some(port)
            assert process.wait_exit(60.0) == 70
            process.start()
        sender.kill()
        sender.start(PARLEY_FAULT="")
        for process in running:
            process.wait_ready()
        wait_for(lambda: router.metric(lag) == 0, 60, "the router to have read everything")
        wait_for(
            lambda: reached(postgres) == log.end_offsets(cluster.bootstrap_servers, *topics.PROJECTOR_SOURCES),
            90,
            "the read models to have everything",
        )
        pids = {one.name: one.pid for one in running}
        places = process_places(pids)
        places |= {f"log of {one.name}": one.log for one in running}
        places |= {f"log {number} of who was not let in": one.log for number, one in enumerate(shut_out)}
        places |= {f"metrics of {one.name}": one.get("/metrics")[1] for one in running}
        assert dumpers(pids).sightings == ()
        assert all("FaultInjected" in one.log for one in running)
    dead = dead_letter_places(cluster.bootstrap_servers, postgres)
    assert len(dead) > 500, "the corpora were not read"
    assert search(WORDS, places | dead).sightings == ()
    planted = {name: f"{content}{' '.join(WORDS)}" for name, content in places.items()}
    assert len(search(WORDS, planted).sightings) == len(WORDS) * len(planted), "what is there is not found"


def all_settings(cluster: Kafka, postgres: str, folder: Path) -> dict[str, dict[str, str]]:
    """Of each service, its secrets in files. Each goes into Kafka by its own name, where there is a door that asks for one."""
    with psycopg.connect(postgres) as connection:
        for role in (SENDER, PROJECTOR):
            connection.execute(f"ALTER ROLE {role} PASSWORD '{PASSWORD}'".encode())
    dsns = {role: with_password(with_role(postgres, role), PASSWORD) for role in (SENDER, PROJECTOR)}
    own: dict[str, dict[str, str]] = {
        "ingest": {**request_corpus.SECRETS, "PARLEY_INGEST_APPS": json.dumps(APPS)},
        "router": {},
        "projector": {"PARLEY_POSTGRES_DSN": dsns[PROJECTOR]},
        "sender": {"PARLEY_POSTGRES_DSN": dsns[SENDER], "PARLEY_TOKEN_KEY": KEY},
    }
    if cluster.guarded_servers is not None:
        complete(apply_users(cluster.bootstrap_servers, dict.fromkeys((user.name for user in read_users()), KAFKA_PASSWORD)))
    same = {**ALL_OF_IT, **LIMITS, "PARLEY_INGEST_PORT": "0", "PARLEY_LOG_LEVEL": "DEBUG"}
    return {
        name: {**same, **in_files(folder / name, {**told, **kafka_env(brokers(cluster, name))})} for name, told in own.items()
    }


def brokers(cluster: Kafka, service: str) -> Brokers:
    if cluster.guarded_servers is None:
        return cluster.bootstrap_servers
    return guarded(cluster, service, KAFKA_PASSWORD)


def guarded(cluster: Kafka, service: str, password: str) -> Access:
    servers = cluster.guarded_servers or cluster.bootstrap_servers
    return Access(servers=servers, protocol="SASL_PLAINTEXT", user=f"parley-{service}", password=password)


def in_files(folder: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """The same with each secret in a file of its own."""
    folder.mkdir()
    secret = {name: value for name, value in settings.items() if any(one in value for one in SECRETS)}
    for name, value in secret.items():
        (folder / name).write_text(value + "\n")
    return {name: value for name, value in settings.items() if name not in secret} | {
        f"{name}{FILE}": str(folder / name) for name in secret
    }


def not_let_in(stack: ExitStack, cluster: Kafka, settings: Mapping[str, Mapping[str, str]], folder: Path) -> list[ServiceProcess]:
    """Each service once with a password that Kafka does not take, and once with one that nobody asks for: both have said so."""
    wrong, unasked = list[ServiceProcess](), list[ServiceProcess]()
    for name, told in settings.items():
        other = {**told, **in_files(folder / f"{name}-shut", kafka_env(guarded(cluster, name, NO_PASSWORD)))}
        wrong.append(stack.enter_context(ServiceProcess(name, other)))
        unasked.append(stack.enter_context(ServiceProcess(name, {**other, "PARLEY_KAFKA_SECURITY_PROTOCOL": "PLAINTEXT"})))
    for process in unasked:
        assert process.wait_exit() == 78
        assert "PARLEY_KAFKA_PASSWORD" in process.log
    for process in wrong:
        process.wait_for_event("kafka.unreachable")
        process.kill()
    return [*wrong, *unasked]


def without_secrets(env: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name not in ("PARLEY_POSTGRES_DSN", "PARLEY_TOKEN_KEY")}


def seal_token(stage: Scene) -> None:
    """The number's token under the key of this test."""
    sealed = TokenBox.from_base64(KEY).seal(TOKEN, phone_number_id=NUMBER)
    stage.sql("UPDATE registry.phone_numbers SET access_token = %s", sealed)


def due(stage: Scene) -> int:
    """How many commands the sender knows whose time has come."""
    [(count,)] = stage.sql(
        "SELECT count(*) FROM sender.send_commands WHERE state IN ('waiting', 'retry', 'started') AND next_action_at <= now()"
    )
    return int(count)


def ask_oddly(port: int) -> None:
    """Requests that are refused, each with what must not be seen."""
    challenge = f"hub.mode=subscribe&hub.challenge=1&hub.verify_token={request_corpus.TOKEN}"
    body = encode(canaries.disguised(samples.document("message_text")))
    for request in (
        f"GET /webhooks?{challenge} HTTP/1.1\r\nHost: a\r\n\r\n".encode(),
        f"GET /webhooks?{challenge}x HTTP/1.1\r\nHost: a\r\n\r\n".encode(),
        f"GET /webhooks/{PHONE}?{challenge} HTTP/1.1\r\nHost: a\r\n\r\n".encode(),
        f"PATCH /webhooks HTTP/1.1\r\nHost: a\r\nX: {NAME}\r\n\r\n".encode(),
        f"{PHONE} {SECRET}\r\n\r\n".encode(),
        f"POST /webhooks HTTP/1.1\r\nHost: a\r\nContent-Length: {PHONE}\r\nX: {TEXT}\r\n\r\n".encode(),
        f"POST /webhooks HTTP/1.1\r\nHost: a\r\nContent-Length: -{PHONE}\r\n\r\n".encode(),
        post(body, f"X-Hub-Signature-256: sha256={SECRET}"),
        post(body, secret="not ours"),
        post(body, f"Authorization: Bearer {TOKEN}", f"Expect: {NAME}"),
    ):
        exchange(port, request)


def webhooks() -> list[bytes]:
    """Every webhook that Meta is known to post, about our person, and all that can be wrong about some of them."""
    bodies = [encode(canaries.disguised(samples.document(name))) for name in samples.names()]
    return [*bodies, *(bad for body in bodies[::4] for bad in canaries.spoiled(body))]


def play_all(port: int) -> None:
    """Every request and every content of the corpora, each answered as it should be."""
    everything = {**REQUESTS, **{name: carrying(case) for name, case in CASES.items()}}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        got = pool.map(lambda one: play(port, one, f"X-Canary: {NAME}").statuses, everything.values())
        found = dict(zip(everything, got, strict=True))
    assert {name: found[name] for name, one in everything.items() if found[name] != one.answers} == {}


def post_some(port: int) -> None:
    """What comes in is bytes to ingest, whatever it is."""
    with Wire(port) as wire:
        for body in webhooks()[::40]:
            assert wire.send(post(body, secret=SECRET)).reply().status in (200, 503)


def publish_commands(stage: Scene) -> None:
    """The corpus of bad commands, to people who have written to us; garbage in the lanes."""
    now = time.time_ns() // 1_000_000
    commands = [published(case, number, now) for number, case in enumerate(cases())]
    stage.sql(
        "INSERT INTO projector.conversations (phone_number_id, contact, last_inbound_at)"
        " SELECT %s, contact, now() - interval '1 minute' FROM unnest(%s::text[]) AS people (contact)",
        NUMBER,
        [one.person for one in commands if one.case.window is not None],
    )
    lane = topics.SENDS[Lane.BULK]
    garbage = [NewRecord(lane, NUMBER.encode(), value, ()) for value in (TEXT.encode(), b"\0\0\0\0\1" + PHONE.encode(), None)]
    stage.put_records([*(record for one in commands for record, _ in one.records), *garbage])
