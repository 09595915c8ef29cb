"""Are the doors closed? Each principal may do what users.yaml says and nothing else; with TLS nobody talks to a stranger."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import psutil
import psycopg
import pytest
import uvloop
from aiokafka import AIOKafkaClient
from aiokafka.errors import KafkaConnectionError
from psycopg import sql

from services.common.platform.kafka_access import Access, client_options
from services.common.platform.migrations import migrate
from services.sandbox.kafka_native import Certificates, NativeKafka
from services.sandbox.kafka_probe import complete
from services.sandbox.postgres_account import Account, find_account, usable_folder
from services.sandbox.postgres_native import NativePostgres
from services.sandbox.stack_services import kafka_env
from services.sandbox.topics import Topic, apply_topics, read_topics
from services.sandbox.users import User, apply_users, read_users
from tests.support.certificates import Authority, Issued
from tests.support.command_line import parley
from tests.support.processes import ServiceProcess
from tests.support.rights import as_table, declared, tried
from tests.support.sending import NUMBER, PERSON, TOKEN_KEY, Scene
from tests.support.waiting import wait_for

T = TypeVar("T")
pytestmark = pytest.mark.timeout(300)
STRANGER = User(name="stranger", rights=frozenset())
"""Somebody with a password and no rights."""
USERS = (*read_users(), STRANGER)
PASSWORDS = {user.name: f"{user.name} says friend" for user in USERS}
TOPICS = (*read_topics(), Topic(name="elsewhere.v1", partitions=1, replicas=1, config={}))
GROUPS = (
    "parley.router", "parley.router.parked", "parley.projector", "parley.sender", "parley.other", "parley-producer.shop",
    "somebody.else",
)  # fmt: skip


def as_a_service(work: Coroutine[Any, Any, T]) -> T:
    """On the loop that services have. It lasts until every connection with TLS has said goodbye: it complains of open ones."""
    before = connections()

    async def to_the_end() -> T:
        try:
            return await work
        finally:
            await asyncio.to_thread(wait_for, lambda: connections() <= before, 10, "connections to be closed")

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(to_the_end())


def connections() -> set[Any]:
    """Our ends of those that are open."""
    return {one.laddr for one in psutil.Process().net_connections("tcp") if one.status == psutil.CONN_ESTABLISHED}


class Castle:
    """A broker whose guarded door has TLS and wants a certificate."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder)
        self.client = self.authority.issue("client")
        certificates = Certificates(identity_file=self.authority.issue("broker").both, client_ca_file=self.authority.ca_file)
        self.kafka = NativeKafka(folder / "kafka", certificates=certificates)

    def access(self, user: str) -> Access:
        """The right way in."""
        assert self.kafka.guarded_servers is not None
        return Access(
            servers=self.kafka.guarded_servers,
            protocol="SASL_SSL",
            user=user,
            password=PASSWORDS[user],
            ca_file=str(self.authority.ca_file),
            certificate_file=str(self.client.certificate),
            key_file=str(self.client.key),
        )


@pytest.fixture(scope="module")
def castle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Castle]:
    castle = Castle(tmp_path_factory.mktemp("castle"))
    castle.kafka.start()
    try:
        complete(apply_users(castle.kafka.bootstrap_servers, PASSWORDS, USERS))
        complete(apply_topics(castle.kafka.bootstrap_servers, [replace(topic, partitions=1) for topic in TOPICS]))
        yield castle
    finally:
        castle.kafka.kill()


class Vault:
    """A Postgres with a certificate of the same authority."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        self._authority = authority
        self.server = NativePostgres(folder / "postgres")
        self.server.start()
        self._show(authority.issue("postgres"), find_account(), folder / "certificate")

    def _show(self, issued: Issued, account: Account, folder: Path) -> None:
        """Files that belong to whoever runs the server: it takes no other key."""
        there = usable_folder(folder, account)
        with psycopg.connect(self.server.dsn, autocommit=True) as connection:
            for setting, path in (("ssl_cert_file", issued.certificate), ("ssl_key_file", issued.key)):
                mine = Path(shutil.copy2(path, there))
                if account.user is not None:
                    shutil.chown(mine, account.user)
                connection.execute(sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(setting), sql.Literal(str(mine))))
            connection.execute("ALTER SYSTEM SET ssl = on")
            connection.execute("SELECT pg_reload_conf()")
        wait_for(lambda: _is_open(self.dsn("operator")), 10, "Postgres to show its certificate")

    def dsn(self, role: str, ca_file: Path | None = None, host: str = "localhost") -> str:
        """Whoever has that host's certificate by that authority, or nobody."""
        port = urlsplit(self.server.dsn).port
        trust = f"sslmode=verify-full&sslrootcert={ca_file or self._authority.ca_file}&hostaddr=127.0.0.1"
        return f"postgresql://{role}@{host}:{port}/parley?{trust}"


def _is_open(dsn: str) -> bool:
    try:
        psycopg.connect(dsn, connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True


@pytest.fixture(scope="module")
def vault(castle: Castle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vault]:
    vault = Vault(tmp_path_factory.mktemp("vault"), castle.authority)
    try:
        yield vault
    finally:
        vault.server.stop_immediate()


def test_postgres_is_nobody_whose_certificate_is_not_good_and_tells_nothing_in_clear(vault: Vault, tmp_path: Path) -> None:
    assert _is_open(vault.dsn("operator"))
    assert not _is_open(vault.dsn("operator", ca_file=Authority(tmp_path, "others").ca_file))
    assert not _is_open(vault.dsn("operator", host="elsewhere.example"))


@contextmanager
def everything(castle: Castle, vault: Vault) -> Iterator[Scene]:
    """All services and the simulated Meta, each by its own principal, role and trust, with TLS wherever it talks to another."""
    meta = castle.authority.issue("meta")
    secrets = {"PARLEY_APP_SECRET": "secret-of-the-app", "PARLEY_VERIFY_TOKEN": "token-of-ours"}
    with ExitStack() as stack:

        def started(name: str, **env: str) -> ServiceProcess:
            told = {**kafka_env(castle.access(f"parley-{name}")), **env}
            return stack.enter_context(ServiceProcess(name, told))

        ingest = started("ingest", PARLEY_INGEST_PORT="0", **secrets)
        port = ingest.wait_for_event("ingest.listening")["port"]
        told = {
            "PARLEY_INGEST_URL": f"http://127.0.0.1:{port}/webhooks",
            "PARLEY_APP_SECRET": secrets["PARLEY_APP_SECRET"],
            "PARLEY_SIMULATOR_CERTIFICATE": str(meta.certificate),
            "PARLEY_SIMULATOR_CERTIFICATE_KEY": str(meta.key),
        }
        simulator = stack.enter_context(ServiceProcess("simulator", told, module="services.sandbox.simulator"))
        simulator.wait_until(lambda: "listening on https" in simulator.log, 20.0, "listen")
        plain, secure = re.findall(r"listening on (https?://\S+)", simulator.log)
        services = [
            ingest,
            started("router"),
            started("projector", PARLEY_POSTGRES_DSN=vault.dsn("parley_projector")),
            started(
                "sender",
                PARLEY_POSTGRES_DSN=vault.dsn("parley_sender"),
                PARLEY_GRAPH_URL=secure,
                PARLEY_GRAPH_CA_FILE=str(castle.authority.ca_file),
                PARLEY_TOKEN_KEY=TOKEN_KEY,
                PARLEY_SENDER_REGISTRY_SECONDS="0.3",
            ),
        ]
        scene = Scene(castle.kafka, vault.dsn("operator"), simulator, plain)
        scene.register()
        for service in services:
            service.wait_ready()
        yield scene


def test_with_all_doors_closed_a_message_goes_both_ways_and_the_operator_sees_it(
    castle: Castle, vault: Vault, tmp_path: Path
) -> None:
    operator = {
        **kafka_env(castle.access("parley-operator")),
        "PARLEY_POSTGRES_DSN": vault.dsn("operator"),
        "PARLEY_PHONE_NUMBER_ID": NUMBER,
    }
    migrate(vault.dsn("operator"))
    with everything(castle, vault) as scene:
        scene.ask(lambda meta: meta.inbound(NUMBER, PERSON, "Is anybody there?"))
        wait_for(lambda: scene.sql("SELECT 1 FROM projector.conversations") != [], 20, "the window to be open")
        sent = parley(tmp_path, "send", "--to", f"+{PERSON}", "--text", "Yes", "--wait", **operator)
        assert (sent.returncode, sent.stderr) == (0, "")
        wait_for(lambda: scene.sql("SELECT 1 FROM projector.message_statuses") != [], 20, "Meta's statuses")
        logins = scene.sql(
            "SELECT DISTINCT usename::text, ssl FROM pg_stat_activity JOIN pg_stat_ssl USING (pid)"
            " WHERE application_name IN ('parley-projector', 'parley-sender')"
        )
        assert sorted(logins) == [("parley_projector", True), ("parley_sender", True)]
    heard = parley(tmp_path, "listen", "inbound-messages", "--from-beginning", "--until-end", **operator)
    assert "Is anybody there?" in heard.stdout
    compared = parley(tmp_path, "rebuild", "--compare-only", "--processes", "2", **operator)
    assert (compared.returncode, compared.stderr) == (0, "")


def test_a_service_that_is_not_let_in_or_may_not_do_its_work_says_so_and_waits(castle: Castle) -> None:
    wrong = kafka_env(replace(castle.access("parley-router"), password="a wrong one"))
    with ServiceProcess("router", {**wrong, "PARLEY_LOG_LEVEL": "DEBUG"}) as shut:
        shut.wait_for_event("kafka.unreachable")
        assert "SaslAuthenticationFailed" in shut.log
        assert shut.get("/ready")[0] == 503
        shut.kill()
        told = shut.start(**kafka_env(castle.access("parley-ingest"))).wait_for_event("kafka.topics_forbidden")
        assert "parley.send-commands.v1" in told["topics"]
        assert "parley.webhooks.v1" not in told["topics"]
        assert not any(one in shut.log for one in ("a wrong one", "says friend"))


def test_the_operator_is_told_what_is_wrong_and_no_password(castle: Castle, tmp_path: Path) -> None:
    wrong = kafka_env(replace(castle.access("parley-operator"), password="a wrong one"))
    shut = parley(tmp_path, "listen", "webhooks", "--until-end", **wrong)
    assert shut.returncode == 1
    assert "PARLEY_KAFKA_USER" in shut.stderr
    less = kafka_env(castle.access("parley-ingest"))
    forbidden = parley(tmp_path, "listen", "webhooks", "--from-beginning", **less)
    assert forbidden.returncode == 1
    assert "users.yaml" in forbidden.stderr
    assert not any(one in shut.stderr + forbidden.stderr for one in ("a wrong one", "says friend", "Traceback"))


def test_every_principal_may_do_exactly_what_the_file_says(castle: Castle) -> None:
    names = [topic.name for topic in TOPICS]
    found = {
        cell: allowed for user in USERS for cell, allowed in as_a_service(tried(castle.access(user.name), names, GROUPS)).items()
    }
    expected = {cell: allowed for user in USERS for cell, allowed in declared(user.name, found).items() if cell.user == user.name}
    assert len(found) == len(USERS) * (8 * len(TOPICS) + 3 * len(GROUPS) + 5)
    assert found == expected, as_table(found, expected)


def is_let_in(access: Access) -> bool:
    async def knock() -> bool:
        client = AIOKafkaClient(**client_options(access), client_id="parley-knock")
        try:
            await client.bootstrap()
        except KafkaConnectionError:
            return False
        finally:
            await client.close()
        return True

    return as_a_service(knock())


def test_nobody_is_let_in_without_name_password_and_certificate_nor_goes_in_to_a_stranger(castle: Castle, tmp_path: Path) -> None:
    right = castle.access("parley-ingest")
    others = Authority(tmp_path, "others")
    theirs = others.issue("somebody")
    assert is_let_in(right)
    wrong = {
        "no password": replace(right, password="no"),
        "another's password": replace(right, password=PASSWORDS["parley-router"]),
        "unknown": replace(right, user="nobody"),
        "no SASL": replace(right, protocol="SSL"),
        "no TLS": replace(right, protocol="SASL_PLAINTEXT"),
        "nothing": Access(servers=right.servers),
        "another mechanism": replace(right, mechanism="SCRAM-SHA-256"),
        "no certificate": replace(right, certificate_file=None, key_file=None),
        "a stranger's certificate": replace(right, certificate_file=str(theirs.certificate), key_file=str(theirs.key)),
        "a stranger's broker": replace(right, ca_file=str(others.ca_file)),
        "a broker of another name": replace(right, servers=right.servers.replace("127.0.0.1", "127.0.0.2")),
    }
    assert {case for case, access in wrong.items() if is_let_in(access)} == set()


def test_a_password_and_rights_that_change_count_at_once(castle: Castle) -> None:
    """How a password is rotated, and what becomes of a right that is taken out of the file."""
    more = replace(
        STRANGER, rights=frozenset(right for user in read_users() if user.name == "parley-ingest" for right in user.rights)
    )
    topic = "parley.webhooks.v1"

    def may_write() -> bool:
        found = as_a_service(tried(castle.access("stranger"), [topic], []))
        return {cell.operation for cell, allowed in found.items() if allowed and cell.kind == "topic"} == {"Write", "Describe"}

    assert not may_write()
    complete(apply_users(castle.kafka.bootstrap_servers, PASSWORDS, [more]))
    assert may_write()
    complete(apply_users(castle.kafka.bootstrap_servers, {"stranger": "another"}, [STRANGER]))
    assert not is_let_in(castle.access("stranger"))
    complete(apply_users(castle.kafka.bootstrap_servers, PASSWORDS, [STRANGER]))
    assert is_let_in(castle.access("stranger"))
    assert not may_write()
