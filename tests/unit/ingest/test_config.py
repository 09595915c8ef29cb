"""Are bad settings named all at once, and do secrets stay out of sight?"""

from __future__ import annotations

import json

import pytest

from services.common.platform.config import load
from services.ingest.config import App, IngestSettings

GOOD = {
    "PARLEY_KAFKA_BOOTSTRAP_SERVERS": "localhost:9092",
    "PARLEY_APP_SECRET": "canary-secret-current",
    "PARLEY_APP_SECRET_PREVIOUS": "canary-secret-previous",
    "PARLEY_VERIFY_TOKEN": "canary-verify-token",
    "PARLEY_INGEST_APPS": json.dumps({"shop": {"app_secret": "canary-shop-secret", "verify_token": "canary-shop-token"}}),
}


def settings(monkeypatch: pytest.MonkeyPatch, **changes: str | None) -> IngestSettings:
    for name, value in {**GOOD, **changes}.items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    return load(IngestSettings)


def test_each_app_has_its_path_secrets_and_token(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings(monkeypatch).apps() == (
        App(
            name="default",
            path="/webhooks",
            secrets=(b"canary-secret-current", b"canary-secret-previous"),
            verify_token=b"canary-verify-token",
        ),
        App(name="shop", path="/webhooks/shop", secrets=(b"canary-shop-secret",), verify_token=b"canary-shop-token"),
    )


def test_without_a_rotation_and_other_apps_there_is_one_app_with_one_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    (app,) = settings(monkeypatch, PARLEY_APP_SECRET_PREVIOUS=None, PARLEY_INGEST_APPS=None).apps()
    assert app.secrets == (b"canary-secret-current",)


def test_secrets_do_not_print(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = settings(monkeypatch)
    assert "canary" not in repr(loaded) + str(loaded) + repr(loaded.apps()) + str(loaded.model_dump())


def test_all_bad_values_are_named_at_once_and_none_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        settings(
            monkeypatch,
            PARLEY_APP_SECRET="canary",
            PARLEY_VERIFY_TOKEN=None,
            PARLEY_INGEST_PORT="canary",
            PARLEY_INGEST_DEADLINE_SECONDS="-1",
            PARLEY_INGEST_APPS='{"canary": {"app_secret": "canary"',
        )
    printed = capsys.readouterr().err
    assert exit_.value.code == 78
    for name in ("APP_SECRET", "VERIFY_TOKEN", "INGEST_PORT", "INGEST_DEADLINE_SECONDS", "INGEST_APPS"):
        assert f"PARLEY_{name}: " in printed
    assert "canary" not in printed


@pytest.mark.parametrize(
    "apps",
    [
        {"default": {"app_secret": "canary-secret", "verify_token": "canary-token"}},
        {"Shop": {"app_secret": "canary-secret", "verify_token": "canary-token"}},
        {"a/b": {"app_secret": "canary-secret", "verify_token": "canary-token"}},
        {"": {"app_secret": "canary-secret", "verify_token": "canary-token"}},
        {"shop": {"app_secret": "canary-secret"}},
        {"shop": {"app_secret": "canary-secret", "verify_token": "canary-token", "aap_secret_previous": "canary-secret"}},
        {"shop": "canary"},
        ["canary"],
    ],
)
def test_an_app_that_is_not_right_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], apps: object
) -> None:
    with pytest.raises(SystemExit):
        settings(monkeypatch, PARLEY_INGEST_APPS=json.dumps(apps))
    printed = capsys.readouterr().err
    assert "PARLEY_INGEST_APPS: " in printed
    assert "canary" not in printed
