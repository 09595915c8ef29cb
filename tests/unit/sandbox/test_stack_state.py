"""Do addresses and secrets of a stack outlive it?"""

from __future__ import annotations

import json
import socket
import stat
from itertools import count
from pathlib import Path

from services.common.platform.tokens import TokenBox
from services.sandbox.account import read_account
from services.sandbox.stack_state import PORTS_FILE, SECRETS_FILE, keep_ports, keep_secrets, wait_for_release


def test_secrets_stay_the_same_and_a_new_number_gets_a_token(tmp_path: Path) -> None:
    first = keep_secrets(tmp_path, ["1"], ["sender"])
    second = keep_secrets(tmp_path, ["1", "2"], ["sender", "router"])
    assert (second.app_secret, second.token_key) == (first.app_secret, first.token_key)
    assert second.access_tokens["1"] == first.access_tokens["1"]
    assert second.access_tokens["2"] not in {"", first.access_tokens["1"]}
    assert second.kafka_passwords["sender"] == first.kafka_passwords["sender"]
    assert second.kafka_passwords["router"] not in {"", first.kafka_passwords["sender"]}


def test_secrets_of_two_stacks_differ_and_are_for_their_owner_only(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert keep_secrets(tmp_path / "a", [], []).app_secret != keep_secrets(tmp_path / "b", [], []).app_secret
    assert stat.S_IMODE((tmp_path / "a" / SECRETS_FILE).stat().st_mode) == 0o600


def test_the_token_key_is_one_that_the_services_take(tmp_path: Path) -> None:
    box = TokenBox.from_base64(keep_secrets(tmp_path, [], []).token_key)
    assert box.open(box.seal("token", phone_number_id="1"), phone_number_id="1") == "token"


def test_ports_stay_the_same_while_nobody_else_has_them(tmp_path: Path) -> None:
    numbers = count(20_000)
    first = keep_ports(tmp_path, ["kafka", "ingest"], pick=lambda: next(numbers), usable=lambda _: True)
    second = keep_ports(tmp_path, ["kafka", "ingest"], pick=lambda: next(numbers), usable=lambda port: port != first["kafka"])
    assert second == {"kafka": 20_002, "ingest": first["ingest"]}
    assert (tmp_path / PORTS_FILE).exists()


def test_ports_that_are_still_held_are_waited_for(tmp_path: Path) -> None:
    assert wait_for_release(tmp_path, 0.0)
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        (tmp_path / PORTS_FILE).write_text(json.dumps({"kafka": holder.getsockname()[1]}))
        assert not wait_for_release(tmp_path, 0.2)
    assert wait_for_release(tmp_path, 10.0)


def test_no_two_names_share_a_port(tmp_path: Path) -> None:
    picks = iter([20_000, 20_000, 20_000, 20_001])
    assert keep_ports(tmp_path, ["a", "b"], pick=lambda: next(picks), usable=lambda _: True) == {"a": 20_000, "b": 20_001}


def test_registry_and_simulator_get_the_same_numbers_limits_and_tokens() -> None:
    account = read_account()
    tokens = {number.phone_number_id: f"token-{number.phone_number_id}" for number in account.numbers}
    world = account.world(tokens)
    assert {one.phone_number_id: one.token for one in world.numbers} == tokens
    assert [one.throughput for one in world.numbers] == [one.throughput for one in account.numbers]
    assert {one.waba_id for one in world.numbers} == {one.waba_id for one in world.templates} == {account.waba_id}
