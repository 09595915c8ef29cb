"""Does a signed POST end as a row, and anything else leave no trace but a metric?"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Mapping

import psycopg
import pytest

from services.common.domain import topics
from services.sandbox.stack import Stack
from tests.support import log
from tests.support.waiting import wait_for
from tests.support.webhooks import body, message


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    one = Stack(tmp_path_factory.mktemp("stack"))
    one.start()
    try:
        yield one
    finally:
        one.stop()


def signature(stack: Stack, content: bytes) -> str:
    return "sha256=" + hmac.new(stack.env["PARLEY_APP_SECRET"].encode(), content, hashlib.sha256).hexdigest()


def post(stack: Stack, content: bytes, headers: Mapping[str, str]) -> int:
    request = urllib.request.Request(stack.env["PARLEY_INGEST_URL"], data=content, headers=dict(headers))
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code


def rows(stack: Stack, wamid: str) -> list[tuple[str, str]]:
    with psycopg.connect(stack.env["PARLEY_POSTGRES_DSN"]) as connection:
        found = connection.execute("SELECT direction, text FROM projector.messages WHERE wamid = %s", (wamid,)).fetchall()
    return [(str(direction), str(text)) for direction, text in found]


def refused(stack: Stack, reason: str) -> float:
    url = next(address for name, address, note in stack.addresses() if (name, note) == ("metrics", "ingest"))
    with urllib.request.urlopen(url, timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    wanted = ("parley_webhook_requests_total{", f'outcome="{reason}"')
    return sum(float(line.rpartition(" ")[2]) for line in lines if all(part in line for part in wanted))


def test_a_signed_post_ends_as_a_row(stack: Stack) -> None:
    wamid = f"wamid.{uuid.uuid4().hex}"
    content = body(messages=[message(wamid)])
    assert post(stack, content, {"X-Hub-Signature-256": signature(stack, content)}) == 200
    wait_for(lambda: rows(stack, wamid) == [("inbound", "Olá")], 20, "the row")


@pytest.mark.parametrize(
    ("case", "status", "reason"),
    [
        ("unsigned", 401, "signature_missing"),
        ("tampered", 401, "signature_mismatch"),
        ("oversized", 413, "body_too_large"),
    ],
)
def test_a_post_that_is_not_metas_leaves_no_trace_but_a_metric(stack: Stack, case: str, status: int, reason: str) -> None:
    content = body(messages=[message(f"wamid.{case}")])
    headers = {
        "unsigned": {},
        "tampered": {"X-Hub-Signature-256": signature(stack, content + b" ")},
        "oversized": {"X-Hub-Signature-256": signature(stack, content), "Content-Length": str(4 * 1024 * 1024 + 1)},
    }[case]
    bootstrap = stack.env["PARLEY_KAFKA_BOOTSTRAP_SERVERS"]
    before, counted = log.end_offsets(bootstrap, topics.WEBHOOKS), refused(stack, reason)
    assert post(stack, content, headers) == status
    assert refused(stack, reason) == counted + 1
    assert log.end_offsets(bootstrap, topics.WEBHOOKS) == before
    assert rows(stack, f"wamid.{case}") == []


def account_update(stack: Stack, state: str, at: int) -> None:
    change = {"field": "account_update", "value": {"event": "DISABLED_UPDATE", "ban_info": {"waba_ban_state": state}}}
    entry = {"id": stack.account.waba_id, "time": at, "changes": [change]}
    content = json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()
    assert post(stack, content, {"X-Hub-Signature-256": signature(stack, content)}) == 200


def sending_states(stack: Stack) -> list[str]:
    with psycopg.connect(stack.env["PARLEY_POSTGRES_DSN"]) as connection:
        found = connection.execute(
            "SELECT event FROM projector.account_events WHERE record = 'SendingStateChanged' ORDER BY occurred_at"
        ).fetchall()
    return [str(event) for (event,) in found]


def test_a_ban_stops_the_account_its_end_lets_it_go_and_both_come_back_as_events(stack: Stack) -> None:
    at = int(time.time())
    account_update(stack, "DISABLE", at - 2)
    wait_for(lambda: sending_states(stack) == ["stopped"], 30, "the stop to be told and kept")
    account_update(stack, "REINSTATE", at - 1)
    wait_for(lambda: sending_states(stack) == ["stopped", "sending"], 30, "its end to be told and kept")
