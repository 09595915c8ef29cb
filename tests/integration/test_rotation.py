"""Are secrets changed under load without one refused webhook and without one failed send?"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from services.common.domain.records import SendMessage
from services.common.domain.topics import WEBHOOKS
from services.common.platform.registry import renew_token
from services.common.platform.tokens import TokenBox
from services.sandbox.providers import Kafka
from services.sandbox.simulator.rules import Delay
from tests.support.command_line import parley
from tests.support.http import exchange, post
from tests.support.log import end_offsets
from tests.support.processes import ServiceProcess
from tests.support.sending import NUMBER, PERSON, TOKEN, TOKEN_KEY, Scene, scene, text
from tests.support.waiting import wait_for
from tests.support.webhooks import body, message

_PACE_SECONDS = 0.15
PEOPLE = [f"49170000{number:04d}" for number in range(1, 31)]
OLD, NEW = "secret-before-the-rotation", "secret-after-the-rotation"


class Files:
    """A folder of secrets, each replaced as a whole, as a mounted secret is."""

    def __init__(self, folder: Path, **secrets: str) -> None:
        self._folder = folder
        self.env = {f"PARLEY_{name.upper()}_FILE": str(folder / name) for name in secrets}
        for name, value in secrets.items():
            self.write(name, value)

    def write(self, name: str, value: str) -> None:
        fresh = self._folder / f"{name}.new"
        fresh.write_text(value + "\n")
        fresh.replace(self._folder / name)


class Meta:
    """Posts one webhook after the other, signed with `secret` as it is at the moment."""

    def __init__(self, port: int, secret: str) -> None:
        self.secret, self.statuses = secret, list[int]()
        self._port, self._stopping = port, threading.Event()

    def _post(self) -> None:
        while not self._stopping.is_set():
            webhook = body(messages=[message(f"wamid.{len(self.statuses)}")])
            self.statuses.append(exchange(self._port, post(webhook, secret=self.secret)).status)

    @contextmanager
    def posting(self) -> Iterator[None]:
        thread = threading.Thread(target=self._post)
        thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            thread.join(10)

    def wait_for_more(self, count: int = 50) -> None:
        wanted = len(self.statuses) + count
        wait_for(lambda: len(self.statuses) >= wanted, 20, f"{count} webhooks more")


@pytest.mark.failure("I12")
def test_an_app_secret_is_rotated_without_a_refused_webhook(cluster: Kafka, tmp_path: Path) -> None:
    files = Files(tmp_path, app_secret=OLD, app_secret_previous=OLD, verify_token="token-of-ours")
    env = {"PARLEY_KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap_servers, "PARLEY_INGEST_PORT": "0", **files.env}
    with ServiceProcess("ingest", env) as ingest:
        port = int(ingest.wait_ready().wait_for_event("ingest.listening")["port"])
        wait_for(lambda: exchange(port, post(b"{}", secret=OLD)).status == 200, 30, "a log that takes webhooks")
        before = end_offsets(cluster.bootstrap_servers, WEBHOOKS)
        meta = Meta(port, OLD)
        with meta.posting():
            meta.wait_for_more()
            files.write("app_secret", NEW)
            ingest.wait_until(lambda: len(ingest.events("secrets.taken_over")) == 1, 10, "take the new secret over")
            meta.wait_for_more()
            meta.secret = NEW
            meta.wait_for_more()
            files.write("app_secret_previous", NEW)
            ingest.wait_until(lambda: len(ingest.events("secrets.taken_over")) == 2, 10, "forget the old secret")
            meta.wait_for_more()
            files.write("app_secret", "")
            ingest.wait_until(lambda: bool(ingest.events("secrets.unreadable")), 10, "say that a file is no secret")
            assert ingest.metric("parley_secrets_unreadable") == 1
            meta.wait_for_more()
            files.write("app_secret", NEW)
            ingest.wait_until(lambda: len(ingest.events("secrets.taken_over")) == 3, 10, "take the mended file")
            assert ingest.metric("parley_secrets_unreadable") == 0
        assert set(meta.statuses) == {200}
        assert end_offsets(cluster.bootstrap_servers, WEBHOOKS) - before == len(meta.statuses)
        assert exchange(port, post(b"{}", secret=OLD)).status == 401
        assert OLD not in ingest.log
        assert NEW not in ingest.log


@pytest.fixture
def stage(cluster: Kafka, postgres: str) -> Iterator[Scene]:
    with scene(cluster, postgres, throughput_limit="false", pair_limit="false") as made:
        made.register(limit=60)
        for person in {PERSON, *PEOPLE}:
            made.open_window(person)
        yield made


class Producer:
    """Commands at a steady pace for as long as the block lasts."""

    def __init__(self, stage: Scene) -> None:
        self.commands = list[SendMessage]()
        self._stage, self._stopping = stage, threading.Event()

    def _produce(self) -> None:
        while not self._stopping.is_set():
            few = [text(to=f"+{person}") for person in random.sample(PEOPLE, 5)]
            self._stage.put(*few)
            self.commands += few
            time.sleep(_PACE_SECONDS)

    @contextmanager
    def producing(self) -> Iterator[None]:
        thread = threading.Thread(target=self._produce)
        thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            thread.join(20)

    def wait_for_more(self, count: int = 20) -> None:
        wanted = len(self._stage.accepted()) + count
        wait_for(lambda: len(self._stage.accepted()) >= wanted, 30, f"{count} messages more")


def test_an_access_token_is_renewed_without_a_failed_send(stage: Scene, postgres: str, tmp_path: Path) -> None:
    """First as it should be done, the new one before the old is revoked; then the wrong way round."""

    def renew(token: str) -> None:
        secrets = Files(tmp_path, postgres_dsn=postgres, token_key=TOKEN_KEY, access_token=token)
        done = parley(tmp_path, "number", "token", NUMBER, **secrets.env)
        assert (done.returncode, done.stderr) == (0, "")
        assert token not in done.stdout

    def meta_takes(token: str | None) -> None:
        stage.ask(lambda client: client.change_number(NUMBER, token=token))

    # An answer that a slow machine gives late would be an unknown outcome, which nothing here settles.
    with stage.sender(PARLEY_SENDER_PAIR_SECONDS="0.02", PARLEY_SENDER_ANSWER_SECONDS="60") as sender:
        sender.wait_ready()
        producer = Producer(stage)
        with producer.producing():
            producer.wait_for_more()
            meta_takes(None)
            renew("token-number-two")
            sender.wait_for_event("number.token_renewed", 10)
            meta_takes("token-number-two")
            producer.wait_for_more()
            assert [one for one in stage.arrivals() if not one.is_accepted] == []
            meta_takes("token-number-three")
            wait_for(lambda: bool(stage.sql("SELECT 1 FROM sender.stops")), 20, "the sender to see that its token is revoked")
            renew("token-number-three")
            producer.wait_for_more()
        wait_for(lambda: set(stage.states().values()) <= {"accepted"}, 60, "every command to be sent")
        states = stage.states()
        assert states.keys() == {one.command_id for one in producer.commands}
        assert len(stage.accepted()) == len(states)
        assert {o.kind for o in stage.outcomes()} <= {"accepted", "deferred"}
        assert stage.sql("SELECT messages_per_second, state FROM registry.phone_numbers") == [(60, "active")]
        for token in (TOKEN, "token-number-two", "token-number-three"):
            assert token not in sender.log


async def renewed(dsn: str, token: str) -> None:
    """What the command does, without the time that it takes to start."""
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        assert await renew_token(connection, TokenBox.from_base64(TOKEN_KEY), NUMBER, token)


def test_a_refusal_of_the_old_token_that_comes_after_the_new_one_stops_nothing(stage: Scene, postgres: str) -> None:
    with stage.sender() as sender:
        sender.wait_ready()
        stage.ask(lambda client: client.change_number(NUMBER, token="token-number-two"))
        stage.misbehave(Delay(seconds=6.0))
        command = text()
        stage.put(command)
        wait_for(lambda: bool(stage.sql("SELECT 1 FROM sender.send_attempts")), 20, "an attempt with the old token")
        asyncio.run(renewed(postgres, "token-number-two"))
        sender.wait_for_event("number.token_renewed", 10)
        assert stage.sql("SELECT 1 FROM sender.stops") == [], "the old token was refused too early"
        assert stage.wait_outcome(command, "accepted").attempt_no == 2


def test_a_token_for_a_number_that_is_not_registered_is_refused(postgres: str, tmp_path: Path) -> None:
    secrets = Files(tmp_path, postgres_dsn=postgres, token_key=TOKEN_KEY, access_token="token-of-nobody")
    done = parley(tmp_path, "number", "token", NUMBER, **secrets.env)
    assert done.returncode == 1
    assert done.stderr.startswith(f"Number {NUMBER} is not registered")
