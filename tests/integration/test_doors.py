"""Are the doors closed? Each principal may do what users.yaml says and nothing else; with TLS nobody talks to a stranger."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiokafka import AIOKafkaClient
from aiokafka.errors import KafkaConnectionError

from services.common.platform.kafka_access import Access, client_options
from services.sandbox.kafka_native import Certificates, NativeKafka
from services.sandbox.kafka_probe import complete
from services.sandbox.topics import Topic, apply_topics, read_topics
from services.sandbox.users import User, apply_users, read_users
from tests.support.certificates import Authority
from tests.support.rights import as_table, declared, tried

STRANGER = User(name="stranger", rights=frozenset())
"""Somebody with a password and no rights."""
USERS = (*read_users(), STRANGER)
PASSWORDS = {user.name: f"{user.name} says friend" for user in USERS}
TOPICS = (*read_topics(), Topic(name="elsewhere.v1", partitions=1, replicas=1, config={}))
GROUPS = (
    "parley.router", "parley.router.parked", "parley.projector", "parley.sender", "parley.other", "parley-producer.shop",
    "somebody.else",
)  # fmt: skip


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


def test_every_principal_may_do_exactly_what_the_file_says(castle: Castle) -> None:
    names = [topic.name for topic in TOPICS]
    found = {
        cell: allowed for user in USERS for cell, allowed in asyncio.run(tried(castle.access(user.name), names, GROUPS)).items()
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

    return asyncio.run(knock())


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
        found = asyncio.run(tried(castle.access("stranger"), [topic], []))
        return {cell.operation for cell, allowed in found.items() if allowed and cell.kind == "topic"} == {"Write", "Describe"}

    assert not may_write()
    complete(apply_users(castle.kafka.bootstrap_servers, PASSWORDS, [more]))
    assert may_write()
    complete(apply_users(castle.kafka.bootstrap_servers, {"stranger": "another"}, [STRANGER]))
    assert not is_let_in(castle.access("stranger"))
    complete(apply_users(castle.kafka.bootstrap_servers, PASSWORDS, [STRANGER]))
    assert is_let_in(castle.access("stranger"))
    assert not may_write()
