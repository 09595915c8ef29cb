"""Do secrets, phone numbers, names and texts stay out of everything that operators see, whatever comes in and whoever dies?"""

from __future__ import annotations

import base64
import json
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import psycopg
import pytest

from services.common.domain import topics
from services.common.domain.lanes import Lane
from services.common.platform.kafka import NewRecord
from services.common.platform.tokens import TokenBox
from services.sandbox.providers import Kafka
from services.sandbox.simulator.payloads import encode
from services.sandbox.simulator.rules import Error, Garbage
from tests.support import canaries, log, samples
from tests.support.canaries import NAME, PHONE, TEXT
from tests.support.command_corpus import cases, published
from tests.support.http import Wire, exchange, post
from tests.support.processes import ServiceProcess
from tests.support.read_models import reached
from tests.support.search import dead_letter_places, dumpers, process_places, search
from tests.support.sending import APP_SECRET, NUMBER, TOKEN, Scene, scene, text
from tests.support.waiting import wait_for
from tests.support.webhooks import raw_record

SECRET: Final = "canary-of-the-app-secret"
VERIFY: Final = "canary-of-the-verify-token"
PASSWORD: Final = "canary-of-the-password"
KEY: Final = base64.b64encode(b"canary-of-the-key-of-the-tokens!").decode()
CORPUS_PEOPLE: Final = "4917000"
"""How the numbers of all people of the corpus begin."""
SECRETS: Final = (SECRET, VERIFY, PASSWORD, KEY, TOKEN, APP_SECRET)
WORDS: Final = {word: word for word in (*SECRETS, PHONE, NAME, TEXT, CORPUS_PEOPLE)}


@pytest.mark.timeout(240)
def test_nothing_of_people_and_secrets_is_seen(cluster: Kafka, postgres: str, tmp_path: Path) -> None:
    with psycopg.connect(postgres) as connection:
        for role in ("parley_sender", "parley_projector"):
            connection.execute(f"ALTER ROLE {role} PASSWORD '{PASSWORD}'".encode())
        info = connection.info
        dsn = f"host={info.host} port={info.port} dbname={info.dbname} password={PASSWORD} user="

    def files(**secrets: str) -> dict[str, str]:
        for name, value in secrets.items():
            (tmp_path / name).write_text(value + "\n")
        return {f"PARLEY_{name.partition('-')[0].upper()}_FILE": str(tmp_path / name) for name in secrets}

    reader = {
        "PARLEY_KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap_servers,
        "PARLEY_DEAD_LETTER_LIMIT": "false",
        "PARLEY_LOG_LEVEL": "DEBUG",
    }
    own = files(app_secret=SECRET, app_secret_previous=APP_SECRET, verify_token=VERIFY)
    of_projector = files(**{"postgres_dsn-projector": f"{dsn}parley_projector"})
    of_sender = files(**{"postgres_dsn-sender": f"{dsn}parley_sender", "token_key": KEY})
    with ExitStack() as stack:
        ingest = stack.enter_context(ServiceProcess("ingest", {**reader, **own, "PARLEY_INGEST_PORT": "0"}, forked=False))
        router = stack.enter_context(ServiceProcess("router", reader, forked=False))
        projector = stack.enter_context(ServiceProcess("projector", {**reader, **of_projector}, forked=False))
        port = int(ingest.wait_for_event("ingest.listening")["port"])
        stage = stack.enter_context(scene(cluster, postgres, ingest_url=f"http://127.0.0.1:{port}/webhooks"))
        stage.register()
        seal_token(stage)
        stage.open_window(PHONE)
        sender = stack.enter_context(
            ServiceProcess("sender", {**without_secrets(stage.env), **reader, **of_sender}, forked=False)
        )
        running = [ingest, router, projector, sender]
        for process in running:
            process.wait_ready()
        ask_oddly(port)
        post_some(port)
        log.append(cluster.bootstrap_servers, [raw_record(body) for body in webhooks()])
        publish_commands(cluster)
        for action in (None, Error(code=131026, details=f"{NAME} +{PHONE}"), Garbage(), None):
            if action is not None:
                stage.misbehave(action)
            stage.put(text(TEXT, to=f"+{PHONE}"))
        for process, point in ((router, "router.mid_batch_emit"), (projector, "projector.before_pg_commit")):
            process.kill()
            process.start(PARLEY_FAULT=f"{point}:1:raise")
            post_some(port)
            assert process.wait_exit(60.0) == 70
            process.start()
        sender.kill()
        sender.start()
        for process in running:
            process.wait_ready()
        wait_for(lambda: router.metric("parley_consumer_lag_records") == 0, 60, "the router to have read everything")
        wait_for(
            lambda: reached(postgres) == log.end_offsets(cluster.bootstrap_servers, *topics.PROJECTOR_SOURCES),
            90,
            "the read models to have everything",
        )
        pids = {one.name: one.pid for one in running}
        places = process_places(pids)
        places |= {f"log of {one.name}": one.log for one in running}
        places |= {f"metrics of {one.name}": one.get("/metrics")[1] for one in running}
        assert dumpers(pids).sightings == ()
    dead = dead_letter_places(cluster.bootstrap_servers, postgres)
    assert len(dead) > 500, "the corpus was not read"
    assert search(WORDS, places | dead).sightings == ()


def without_secrets(env: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name not in ("PARLEY_POSTGRES_DSN", "PARLEY_TOKEN_KEY")}


def seal_token(stage: Scene) -> None:
    """The number's token under the key of this test."""
    sealed = TokenBox.from_base64(KEY).seal(TOKEN, phone_number_id=NUMBER)
    stage.sql("UPDATE registry.phone_numbers SET access_token = %s", sealed)


def ask_oddly(port: int) -> None:
    """Requests that are refused, each with what must not be seen."""
    challenge = f"hub.mode=subscribe&hub.challenge=1&hub.verify_token={VERIFY}"
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


def post_some(port: int) -> None:
    """What comes in is bytes to ingest, whatever it is."""
    with Wire(port) as wire:
        for body in webhooks()[::40]:
            assert wire.send(post(body, secret=SECRET)).reply().status in (200, 503)


def publish_commands(cluster: Kafka) -> None:
    """The corpus of bad commands, with a text of ours in each that has one; garbage in the lanes."""
    now = time.time_ns() // 1_000_000
    found = [record for number, case in enumerate(cases()) for record, _ in published(case, number, now).records]
    ours = [one._replace(value=(one.value or b"").replace(b'"hello"', json.dumps(TEXT).encode())) for one in found]
    lane = topics.SENDS[Lane.BULK]
    garbage = [NewRecord(lane, NUMBER.encode(), value, ()) for value in (TEXT.encode(), b"\0\0\0\0\1" + PHONE.encode(), None)]
    log.append(cluster.bootstrap_servers, [*ours, *garbage])
