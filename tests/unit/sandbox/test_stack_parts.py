"""Who is told what in a stack, who gets which login, and who holds a state directory?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from services.sandbox.keeper_files import Claim, KeeperFiles, TakenError
from services.sandbox.problems import ProviderError
from services.sandbox.providers import Kafka, Provider
from services.sandbox.roles import role_password, with_password, without_password
from services.sandbox.stack_servers import Candidate
from services.sandbox.stack_services import OPERATED, PORT_NAMES, Wiring, port_names, service_env, services, stack_env
from services.sandbox.stack_state import Secrets

PASSWORDS = {f"parley-{name}": f"password-{name}" for name in OPERATED}
SECRETS = Secrets(
    app_secret="app-secret", verify_token="verify", token_key="key", access_tokens={"1": "token"}, kafka_passwords=PASSWORDS
)


def wiring(names: Sequence[str] = PORT_NAMES, *, guarded: str | None = "127.0.0.1:9095") -> Wiring:
    return Wiring(
        state_dir=Path("/state"),
        kafka="127.0.0.1:9092",
        guarded_kafka=guarded,
        operator_dsn="postgresql://operator@h/p",
        role_dsns={"parley_projector": "dsn-projector", "parley_sender": "dsn-sender"},
        ports={name: 20_000 + place for place, name in enumerate(names)},
        secrets=SECRETS,
    )


def test_each_service_gets_only_the_secrets_it_needs() -> None:
    told = {name: set(service_env(name, wiring()).values()) for name in (*OPERATED, "simulator")}
    assert {name for name, values in told.items() if "app-secret" in values} == {"ingest", "simulator"}
    assert {name for name, values in told.items() if "key" in values} == {"sender"}
    assert {name for name, values in told.items() if "dsn-sender" in values} == {"sender"}
    assert {name for name, values in told.items() if "dsn-projector" in values} == {"projector"}
    for one in OPERATED:
        assert {name for name, values in told.items() if f"password-{one}" in values} == {one}
    assert not {"postgresql://operator@h/p", "127.0.0.1:9092"} & set().union(*told.values())


def test_where_kafka_has_no_guarded_door_services_come_in_as_everybody_does() -> None:
    told = service_env("router", wiring(guarded=None))
    assert {name: value for name, value in told.items() if "KAFKA" in name} == {
        "PARLEY_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9092"
    }


def test_each_service_has_its_own_operations_port() -> None:
    ports = [service_env(name, wiring())["PARLEY_OPS_PORT"] for name in OPERATED]
    assert len(set(ports)) == len(OPERATED)


def test_a_second_instance_is_a_process_of_its_own_under_its_own_name() -> None:
    both = wiring(port_names({"router": 2}))
    first, second = service_env("router", both), service_env("router", both, 2)
    assert {name for name in first if first[name] != second[name]} == {"PARLEY_INSTANCE", "PARLEY_OPS_PORT"}
    assert second["PARLEY_INSTANCE"] == "2"
    found = services(both, {}, {"router": 2})
    assert [one.name for one in found] == ["ingest", "router", "router-2", "sender", "projector", "simulator"]
    assert len({one.log_path for one in found}) == len({one.ready_url for one in found}) == len(found)


def test_stack_env_has_exactly_the_documented_variables() -> None:
    env = stack_env(wiring(), analytics_dsn="a", waba_id="w", phone_number_id="1")
    assert {name.removeprefix("PARLEY_") for name in env} == {
        "KAFKA_BOOTSTRAP_SERVERS",
        "POSTGRES_DSN",
        "ANALYTICS_DSN",
        "INGEST_URL",
        "GRAPH_URL",
        "SIMULATOR_URL",
        "APP_SECRET",
        "VERIFY_TOKEN",
        "WABA_ID",
        "PHONE_NUMBER_ID",
        "TOKEN_KEY",
    }
    assert env["PARLEY_INGEST_URL"].endswith("/webhooks")


def test_a_role_has_one_password_for_each_server_account_and_another_role_another() -> None:
    dsn = "postgresql://op:s%40cret@db:5432/a"
    assert role_password(dsn, "parley_sender") == role_password(dsn.replace("/a", "/b"), "parley_sender")
    assert role_password(dsn, "parley_sender") != role_password(dsn, "parley_projector")
    assert with_password("postgresql://r@db:5432/a", "p") == "postgresql://r:p@db:5432/a"


def test_no_password_is_shown() -> None:
    assert without_password("postgresql://op:s%40cret@db:5432/a?sslmode=require") == "postgresql://op@db:5432/a?sslmode=require"
    assert without_password("postgresql://op@db/a") == "postgresql://op@db/a"


def test_a_directory_has_one_keeper_at_a_time(tmp_path: Path) -> None:
    files = KeeperFiles(tmp_path / "state")
    assert files.keeper() is None
    with Claim(files):
        assert files.keeper() is not None
        with pytest.raises(TakenError):
            Claim(files)
    assert files.keeper() is None
    with Claim(files):
        assert files.keeper() is not None


def test_a_pid_left_behind_by_a_crash_is_no_keeper(tmp_path: Path) -> None:
    files = KeeperFiles(tmp_path)
    files.pid_path.write_text("1")
    assert files.keeper() is None
    with Claim(files) as claim:
        assert claim.follows_a_crash
    with Claim(files) as claim:
        assert not claim.follows_a_crash


def test_addresses_are_read_back_until_they_are_forgotten(tmp_path: Path) -> None:
    files = KeeperFiles(tmp_path)
    assert files.addresses() == []
    files.publish([("kafka", "127.0.0.1:1", "native")])
    assert files.addresses() == [("kafka", "127.0.0.1:1", "native")]
    files.forget()
    assert files.addresses() == []


def test_when_no_provider_works_every_reason_is_told() -> None:
    def refuse(reason: str) -> Provider[Kafka]:
        def prepare() -> Kafka:
            raise ProviderError(reason)

        return Provider(name=reason.split(maxsplit=1)[0], prepare=prepare)

    with pytest.raises(ProviderError) as told:
        Candidate("Kafka", [refuse("docker is not running."), refuse("java is not installed.")])
    assert str(told.value).splitlines() == [
        "no Kafka can be had here.",
        "docker: docker is not running.",
        "java: java is not installed.",
    ]
