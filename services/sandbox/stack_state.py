"""What does a stack remember between two lives? Its secrets and its ports, so that addresses and data go on being valid."""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from services.sandbox.ports import free_port, is_free
from services.sandbox.stack_env import write_private

SECRETS_FILE, PORTS_FILE = "secrets.json", "ports.json"
TOKEN_KEY_BYTES = 32
PAUSE_SECONDS = 0.1


class Secrets(BaseModel):
    """Made up once for each state directory. Access tokens by phone number id."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    app_secret: str
    verify_token: str
    token_key: str
    access_tokens: dict[str, str]
    kafka_passwords: dict[str, str] = {}
    """By principal."""


def keep_secrets(state_dir: Path, phone_number_ids: Iterable[str], kafka_users: Iterable[str]) -> Secrets:
    """Those of an earlier life where there was one; a number that is new gets a token, a principal of Kafka a password."""
    path = state_dir / SECRETS_FILE
    kept = Secrets.model_validate_json(path.read_bytes()) if path.exists() else _new_secrets()
    tokens = {one: kept.access_tokens.get(one) or f"EAA{secrets.token_hex(24)}" for one in phone_number_ids}
    passwords = {one: kept.kafka_passwords.get(one) or secrets.token_urlsafe(32) for one in kafka_users}
    complete = kept.model_copy(update={"access_tokens": tokens, "kafka_passwords": passwords})
    write_private(path, complete.model_dump_json())
    return complete


def _new_secrets() -> Secrets:
    return Secrets(
        app_secret=secrets.token_hex(16),
        verify_token=secrets.token_urlsafe(16),
        token_key=base64.b64encode(secrets.token_bytes(TOKEN_KEY_BYTES)).decode(),
        access_tokens={},
    )


def wait_for_release(state_dir: Path, within_seconds: float) -> bool:
    """Wait until nobody listens on the ports of the earlier life; False when somebody still does after that time."""
    path = state_dir / PORTS_FILE
    held = set(json.loads(path.read_text()).values()) if path.exists() else set()
    deadline = time.monotonic() + within_seconds
    while held := {port for port in held if not is_free(port)}:
        if time.monotonic() > deadline:
            return False
        time.sleep(PAUSE_SECONDS)
    return True


def keep_ports(
    state_dir: Path, names: Iterable[str], *, pick: Callable[[], int] = free_port, usable: Callable[[int], bool] = is_free
) -> dict[str, int]:
    """One port for each name, all different: that of the earlier life where nobody has taken it since, else a free one."""
    path = state_dir / PORTS_FILE
    earlier: dict[str, int] = json.loads(path.read_text()) if path.exists() else {}
    ports: dict[str, int] = {}
    for name in names:
        port = earlier.get(name, 0)
        while not port or port in ports.values() or not usable(port):
            port = pick()
        ports[name] = port
    write_private(path, json.dumps(ports))
    return ports
