"""Is every client told the same about how to get into Kafka, and a contradiction refused before any client is made?"""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from services.cli.kafka_login import kafka
from services.common.platform.config import KafkaSettings, load
from services.common.platform.kafka_access import Access, client_options
from services.sandbox.stack_services import kafka_env
from tests.support.certificates import Authority

SERVERS = "a:1,b:2"


def read(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Access:
    for name, value in {"BOOTSTRAP_SERVERS": SERVERS, **variables}.items():
        monkeypatch.setenv(f"PARLEY_KAFKA_{name}", value)
    return load(KafkaSettings).kafka


def test_servers_alone_are_an_open_door(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"bootstrap_servers": SERVERS, "security_protocol": "PLAINTEXT"}
    assert client_options(SERVERS) == client_options(read(monkeypatch)) == told


def test_with_sasl_a_client_is_told_who_we_are_and_nobody_else_is(monkeypatch: pytest.MonkeyPatch) -> None:
    access = read(monkeypatch, SECURITY_PROTOCOL="SASL_PLAINTEXT", USER="parley-router", PASSWORD="geheim")
    assert client_options(access) == {
        "bootstrap_servers": SERVERS,
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "parley-router",
        "sasl_plain_password": "geheim",
    }
    assert "geheim" not in repr(access)
    assert "geheim" not in repr(load(KafkaSettings))


def test_with_tls_names_are_checked_and_our_certificate_is_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    issued = authority.issue("client")
    files = {"CA_FILE": authority.ca_file, "CERTIFICATE_FILE": issued.certificate, "KEY_FILE": issued.key}
    access = read(monkeypatch, SECURITY_PROTOCOL="SSL", **{name: str(path) for name, path in files.items()})
    trust = client_options(access)["ssl_context"]
    assert (trust.verify_mode, trust.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert [one["subject"] for one in trust.get_ca_certs()] == [((("commonName", "authority"),),)]


def test_what_a_stack_tells_a_service_is_what_the_service_reads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    issued = authority.issue("client")
    access = Access(
        servers=SERVERS,
        protocol="SASL_SSL",
        mechanism="SCRAM-SHA-256",
        user="somebody",
        password="geheim",
        ca_file=str(authority.ca_file),
        certificate_file=str(issued.certificate),
        key_file=str(issued.key),
    )
    for name, value in kafka_env(access).items():
        monkeypatch.setenv(name, value)
    assert load(KafkaSettings).kafka == kafka() == access


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"USER": "somebody"}, {"USER"}),
        ({"PASSWORD": "geheim"}, {"PASSWORD"}),
        ({"SECURITY_PROTOCOL": "SASL_SSL"}, {"USER", "PASSWORD"}),
        ({"SECURITY_PROTOCOL": "SASL_SSL", "USER": "somebody"}, {"PASSWORD"}),
        ({"SECURITY_PROTOCOL": "TLS"}, {"SECURITY_PROTOCOL"}),
        ({"SASL_MECHANISM": "GSSAPI"}, {"SASL_MECHANISM"}),
        ({"SECURITY_PROTOCOL": "SSL", "CA_FILE": "/nowhere"}, {"CA_FILE"}),
        ({"SECURITY_PROTOCOL": "SSL", "CA_FILE": __file__}, {"CA_FILE"}),
        ({"SECURITY_PROTOCOL": "SSL", "KEY_FILE": __file__}, {"KEY_FILE"}),
        ({"SECURITY_PROTOCOL": "SSL", "CERTIFICATE_FILE": __file__}, {"KEY_FILE"}),
        ({"CERTIFICATE_FILE": __file__, "KEY_FILE": __file__}, {"CERTIFICATE_FILE"}),
    ],
)
def test_a_contradiction_is_told_by_name_and_without_its_value(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variables: dict[str, str], named: set[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        read(monkeypatch, **variables)
    told = capsys.readouterr().err
    assert ended.value.code == 78
    assert {line.partition(":")[0] for line in told.splitlines() if line.startswith("PARLEY_")} == {
        f"PARLEY_KAFKA_{name}" for name in named
    }
    assert "geheim" not in told
