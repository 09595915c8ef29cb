"""Are bad settings named all at once, without their values?"""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from pathlib import Path

import pytest

from services.common.platform import faults
from services.common.platform.config import BadSettings, SublaneSettings, load, read, secret_files
from services.common.platform.secret_file import SecretFileError, secret
from services.ingest.config import IngestSettings
from services.projector.config import ProjectorSettings
from services.router.config import RouterSettings
from services.sender.config import SenderSettings

ROOT = Path(__file__).resolve().parents[3]


def start(**env: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")}
    return subprocess.run(
        [sys.executable, "-m", "services.router"], cwd=ROOT, env={**clean, **env}, capture_output=True, text=True, check=False
    )


def test_every_bad_value_is_named_at_once_and_none_is_printed() -> None:
    ended = start(PARLEY_OPS_PORT="hunter2", PARLEY_FAULT="nowhere:1:kill", PARLEY_INSTANCE="hunter2 /x")
    assert ended.returncode == 78
    named = {line.partition(":")[0] for line in ended.stderr.splitlines() if line.startswith("PARLEY_")}
    assert named == {"PARLEY_KAFKA_BOOTSTRAP_SERVERS", "PARLEY_OPS_PORT", "PARLEY_FAULT", "PARLEY_INSTANCE"}
    assert "hunter2" not in ended.stderr


def test_bad_sublanes_are_named_by_their_place() -> None:
    ended = start(PARLEY_KAFKA_BOOTSTRAP_SERVERS="nowhere:1", PARLEY_SUBLANES="1=4,hunter2=4")
    assert ended.returncode == 78
    assert "PARLEY_SUBLANES: entry 2 is not <phone_number_id>=<sub-lanes, 1 to 16>\n" in ended.stderr
    assert "hunter2" not in ended.stderr


@pytest.mark.parametrize("settings", [RouterSettings, SenderSettings])
def test_router_and_sender_read_the_same_setting(settings: type[SublaneSettings], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "KAFKA_BOOTSTRAP_SERVERS": "nowhere:1",
        "POSTGRES_DSN": "postgresql://nowhere.invalid",
        "TOKEN_KEY": base64.b64encode(bytes(32)).decode(),
    }.items():
        monkeypatch.setenv(f"PARLEY_{name}", value)
    assert load(settings).sublanes == {}
    monkeypatch.setenv("PARLEY_SUBLANES", "")
    assert load(settings).sublanes == {}
    monkeypatch.setenv("PARLEY_SUBLANES", "106540352242922=4,7=2")
    assert load(settings).sublanes == {"106540352242922": 4, "7": 2}


@pytest.mark.parametrize(
    "text",
    [
        "router.after_fetch",
        "router.after_fetch:0:kill",
        "router.after_fetch:x:kill",
        "nowhere:1:kill",
        "router.after_fetch:1:pray",
    ],
)
def test_a_fault_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="PARLEY_FAULT"):
        faults.parse(text)


def test_a_fault_fires_once_at_its_nth_pass() -> None:
    faults.arm("router.after_fetch:2:raise")
    try:
        faults.fault("router.after_fetch")
        faults.fault("router.mid_batch_emit")
        with pytest.raises(faults.FaultInjected):
            faults.fault("router.after_fetch")
        faults.fault("router.after_fetch")
    finally:
        faults.arm(None)


SECRETS = {
    IngestSettings: {
        "PARLEY_APP_SECRET": "canary-current",
        "PARLEY_APP_SECRET_PREVIOUS": "canary-previous",
        "PARLEY_VERIFY_TOKEN": "canary-verify",
        "PARLEY_INGEST_APPS": '{"shop": {"app_secret": "canary-shop", "verify_token": "canary-shop-token"}}',
    },
    ProjectorSettings: {"PARLEY_POSTGRES_DSN": "postgresql://canary.invalid"},
    RouterSettings: {},
    SenderSettings: {
        "PARLEY_POSTGRES_DSN": "postgresql://canary.invalid",
        "PARLEY_TOKEN_KEY": base64.b64encode(bytes(32)).decode(),
    },
}


@pytest.mark.parametrize("settings", SECRETS)
def test_every_secret_may_stand_in_a_file(
    settings: type[IngestSettings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARLEY_KAFKA_BOOTSTRAP_SERVERS", "nowhere:1")
    for name, value in SECRETS[settings].items():
        monkeypatch.setenv(name, value)
    told = load(settings).model_dump()
    for name, value in SECRETS[settings].items():
        monkeypatch.delenv(name)
        (tmp_path / name).write_text(value + "\n")
        monkeypatch.setenv(f"{name}_FILE", str(tmp_path / name))
    assert load(settings).model_dump() == told
    assert {path.name for path in secret_files(settings)} == SECRETS[settings].keys()


def test_what_is_wrong_with_files_of_secrets_is_told_at_once_and_nothing_of_it_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "canary-empty").write_text("\n")
    (tmp_path / "canary-latin").write_bytes(b"canary \xe9\xff")
    for name, value in {
        "APP_SECRET_FILE": str(tmp_path / "canary-nowhere"),
        "APP_SECRET_PREVIOUS": "canary-given",
        "APP_SECRET_PREVIOUS_FILE": str(tmp_path / "canary-twice"),
        "VERIFY_TOKEN_FILE": str(tmp_path / "canary-empty"),
        "INGEST_APPS_FILE": str(tmp_path / "canary-latin"),
        "INGEST_PORT": "canary",
    }.items():
        monkeypatch.setenv(f"PARLEY_{name}", value)
    with pytest.raises(BadSettings) as told:
        read(IngestSettings)
    assert [line.partition(": ")[0].removeprefix("PARLEY_") for line in told.value.lines] == [
        *("APP_SECRET_FILE", "APP_SECRET_PREVIOUS_FILE", "VERIFY_TOKEN_FILE", "INGEST_APPS_FILE"),
        *("KAFKA_BOOTSTRAP_SERVERS", "INGEST_PORT"),
    ]
    assert "canary" not in str(told.value)


def test_line_ends_behind_a_secret_are_no_part_of_it_and_blanks_are(tmp_path: Path) -> None:
    (tmp_path / "told").write_bytes(b" of two words \r\n\n")
    assert secret("PARLEY_X", {"PARLEY_X_FILE": str(tmp_path / "told")}) == " of two words "
    assert secret("PARLEY_X", {"PARLEY_X_FILE": "", "PARLEY_X": "given"}) == "given"
    assert secret("PARLEY_X", {}) is None
    with pytest.raises(SecretFileError, match="PARLEY_X is set as well as PARLEY_X_FILE"):
        secret("PARLEY_X", {"PARLEY_X_FILE": str(tmp_path / "told"), "PARLEY_X": "given"})
