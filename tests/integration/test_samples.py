"""Does every webhook that Meta is known to post end in the read models once, however often it comes, and move only what it may?

Each sample is posted as it is, again as other bytes, and as another webhook: to a number of its own with message ids of its own,
so that no sample hides behind what another one did.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import psycopg
import pytest

from services.cli import rewriting
from services.sandbox.ledger import Verdict, judge
from services.sandbox.ledger_reader import read
from services.sandbox.settling import Lookout
from services.sandbox.simulator.app import running
from services.sandbox.simulator.client import SimulatorClient
from services.sandbox.simulator.payloads import encode
from services.sandbox.simulator.settings import SimulatorSettings
from services.sandbox.stack import Stack
from services.sandbox.webhook_elements import elements
from tests.support import samples
from tests.support.waiting import wait_for

SETTLE_SECONDS: Final = 60.0
AT_ONCE: Final = 16
OPENS_NO_WINDOW: Final = {"system", "request_welcome", "edit", "revoke"}
DELIVERY: Final = ("sent", "delivered", "read", "played", "failed")

Pair = tuple[str, str]
"""A business number and a contact."""


def own(document: Any, nth: int) -> Any:
    """The same for a number of its own, with ids of its own."""
    ids = {old: f"{old[:6]}of-sample-{nth}-{k}" for k, old in enumerate(rewriting.message_ids(document))}
    return rewriting.to_number(rewriting.with_ids(document, ids), f"90{nth:04d}")


DOCUMENTS: Final = [samples.document(name) for name in samples.names()]
OWN: Final = [own(document, nth) for nth, document in enumerate(DOCUMENTS)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What Postgres and the judge say when nothing moves any more."""

    verdict: Verdict
    windows: Mapping[Pair, int]
    delivery: Mapping[tuple[str, str], int]
    copies: Mapping[str, list[bool | None]]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    one = Stack(tmp_path_factory.mktemp("stack"))
    one.start()
    try:
        yield one
    finally:
        one.stop()


@pytest.fixture(scope="module")
def seen(stack: Stack) -> Seen:
    verdict = asyncio.run(posted(stack))
    with psycopg.connect(stack.env["PARLEY_POSTGRES_DSN"]) as connection:
        windows = connection.execute(
            "SELECT phone_number_id, contact, (extract(epoch FROM last_inbound_at) * 1000)::bigint"
            " FROM projector.conversations WHERE last_inbound_at IS NOT NULL"
        ).fetchall()
        delivery = connection.execute(
            "SELECT wamid, word, (extract(epoch FROM at) * 1000)::bigint FROM projector.messages CROSS JOIN LATERAL"
            " (VALUES ('sent', sent_at), ('delivered', delivered_at), ('read', read_at), ('played', played_at),"
            " ('failed', failed_at)) AS told (word, at) WHERE at IS NOT NULL"
        ).fetchall()
        copies: dict[str, list[bool | None]] = {}
        for wamid, is_copy in connection.execute("SELECT wamid, is_copy FROM projector.messages"):
            copies.setdefault(wamid, []).append(is_copy)
    return Seen(
        verdict=verdict,
        windows={(number, contact): at for number, contact, at in windows},
        delivery={(wamid, word): at for wamid, word, at in delivery},
        copies=copies,
    )


async def posted(stack: Stack) -> Verdict:
    """Post everything, many at once; what the judge says afterwards."""
    bootstrap, dsn = stack.env["PARLEY_KAFKA_BOOTSTRAP_SERVERS"], stack.env["PARLEY_POSTGRES_DSN"]
    async with aiohttp.ClientSession() as session:
        simulator = SimulatorClient(stack.env["PARLEY_SIMULATOR_URL"], session)
        turn = asyncio.Semaphore(AT_ONCE)

        async def post(body: bytes) -> None:
            async with turn:
                webhook = await simulator.post_webhook(raw=body.decode())
                assert webhook.state == "delivered"

        async with asyncio.TaskGroup() as posts:
            for body in bodies():
                posts.create_task(post(body))
        async with Lookout(bootstrap, dsn, simulator) as lookout:
            left = await lookout.settle(SETTLE_SECONDS)
        assert left.is_settled, f"still on its way: {left}"
        ledger = await read(simulator=simulator, bootstrap_servers=bootstrap, dsn=dsn, published=(), consents=(), limits={})
    return judge(ledger)


def bodies() -> Iterator[bytes]:
    """As Meta writes them: once, in another order of the keys, and for another number."""
    for document, another in zip(DOCUMENTS, OWN, strict=True):
        once, again = encode(document), encode(turned(document))
        assert once != again
        yield from (once, again, encode(another))


def turned(node: Any) -> Any:
    """The same with the keys of every object from the last to the first."""
    if isinstance(node, list):
        return [turned(part) for part in node]
    return {key: turned(node[key]) for key in reversed(node)} if isinstance(node, dict) else node


@pytest.mark.failure("R13")
def test_nothing_is_lost_nothing_invented_nothing_doubled(seen: Seen) -> None:
    assert seen.verdict.findings == (), "\n".join(map(str, seen.verdict.findings))
    told = [one for name in samples.names() for one in samples.expected(name)]
    assert seen.verdict.dead_letters == 3 * sum("dead_letter" in one for one in told)
    once = [element.identity for document in DOCUMENTS for element in elements(encode(document))]
    assert seen.verdict.events >= len(set(once))
    assert seen.verdict.duplicates_absorbed >= len(once)


def test_exactly_the_customers_own_messages_open_a_window(seen: Seen) -> None:
    assert seen.windows == latest(one for document in (*DOCUMENTS, *OWN) for one in customers_words(document))


def test_exactly_the_statuses_of_messages_move_their_delivery(seen: Seen) -> None:
    assert seen.delivery == earliest(one for document in (*DOCUMENTS, *OWN) for one in reports(document))


def test_a_message_that_also_came_as_a_copy_is_one_row_and_no_copy(seen: Seen) -> None:
    wamids = rewriting.message_ids(samples.document("batch_same_message_on_standby_and_messages"))
    assert [seen.copies[wamid] for wamid in wamids] == [[False]]


def test_the_samples_show_both_what_moves_and_what_must_not() -> None:
    """What is proven here is worth as much as the samples: there are some of each kind that opens no window or moves nothing."""
    silent = {name.partition("_")[0] for name in samples.names() if not any(customers_words(samples.document(name)))}
    assert silent >= {"history", "echo", "standby", "call", "status", "system", "group", "state", "preference"}
    idle = {name for name in samples.names() if name.startswith("status_") and not any(reports(samples.document(name)))}
    assert idle >= {"status_payment_captured", "status_payment_pending", "status_warning", "status_unknown_word"}
    assert {word for name in samples.names() for (_, word), _ in reports(samples.document(name))} == set(DELIVERY)


def changes(document: Any) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Field and value of every change that is about WhatsApp; the dashboard shows one without anything around."""
    found = [document] if "entry" not in document else []
    if document.get("object") in (None, "whatsapp_business_account"):
        found += [change for entry in document.get("entry", []) for change in entry["changes"]]
    for change in found:
        value = change.get("value")
        if isinstance(value, dict):
            yield change.get("field") or value.get("field"), value


def customers_words(document: Any) -> Iterator[tuple[Pair, int]]:
    """Who wrote to which number itself or in which group, and when."""
    for field, value in changes(document):
        for message in value.get("messages", []) if field == "messages" else []:
            if message.get("type") in OPENS_NO_WINDOW:
                continue
            if "group_id" in message:
                yield (value["metadata"]["phone_number_id"], message["group_id"]), milliseconds(message["timestamp"])
            else:
                ids = [one.get("user_id") for one in value.get("contacts", []) if one.get("wa_id") == message.get("from")]
                contact = message.get("from_user_id") or next(filter(None, ids), None) or message["from"]
                yield (value["metadata"]["phone_number_id"], contact), milliseconds(message["timestamp"])


def reports(document: Any) -> Iterator[tuple[tuple[str, str], int]]:
    """Which message got how far, and when."""
    for field, value in changes(document):
        around = {"messages": value, "standby": value.get("standby", {})}.get(field, {})
        for status in around.get("statuses", []):
            if status.get("type", "message") == "message" and status["status"] in DELIVERY:
                yield (status["id"], status["status"]), milliseconds(status["timestamp"])


def milliseconds(timestamp: str | int) -> int:
    return int(timestamp) * (1 if len(str(timestamp)) == 13 else 1000)


def latest(told: Iterable[tuple[Pair, int]]) -> dict[Pair, int]:
    found: dict[Pair, int] = {}
    for key, at in told:
        found[key] = max(at, found.get(key, at))
    return found


def earliest(told: Iterable[tuple[Pair, int]]) -> dict[Pair, int]:
    found: dict[Pair, int] = {}
    for key, at in told:
        found[key] = min(at, found.get(key, at))
    return found


def parley(folder: Path, env: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")}
    return subprocess.run(
        [sys.executable, "-m", "services.cli", "simulate", *arguments],
        cwd=folder,
        env={**inherited, **env},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )


@pytest.mark.usefixtures("seen")
def test_parley_simulate_posts_samples_as_news_to_the_number_it_is_given(stack: Stack, tmp_path: Path) -> None:
    number = "70001"
    done = parley(tmp_path, stack.env, "message_text", "status_sent", "--now", "--fresh", "--to", number, "--json")
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(one["sample"], one["status"]) for one in told] == [("message_text", 200), ("status_sent", 200)], done.stderr
    assert done.returncode == 0

    def rows() -> list[tuple[Any, ...]]:
        with psycopg.connect(stack.env["PARLEY_POSTGRES_DSN"]) as connection:
            return connection.execute(
                "SELECT direction, coalesce(occurred_at, sent_at) > now() - interval '5 minutes' FROM projector.messages"
                " WHERE phone_number_id = %s ORDER BY direction",
                (number,),
            ).fetchall()

    wait_for(lambda: rows() == [("inbound", True), ("outbound", True)], 20, "both rows")


@pytest.mark.usefixtures("seen")
def test_parley_simulate_need_not_wait(stack: Stack, tmp_path: Path) -> None:
    done = parley(tmp_path, stack.env, "message_text", "--no-wait")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("message_text: on its way as webhook ")


@pytest.mark.parametrize(("url", "answer"), [(None, "answered 401"), ("http://127.0.0.1:9/webhooks", "did not answer")])
def test_parley_simulate_fails_when_ingest_takes_nothing(stack: Stack, tmp_path: Path, url: str | None, answer: str) -> None:
    async def refused() -> subprocess.CompletedProcess[str]:
        told = {"ingest_url": url or stack.env["PARLEY_INGEST_URL"], "app_secret": "not the secret of the app"}
        async with running(SimulatorSettings.model_validate(told)) as (simulator_url, *_):
            env = {"PARLEY_SIMULATOR_URL": simulator_url}
            return await asyncio.to_thread(parley, tmp_path, env, "message_text", "status_sent")

    done = asyncio.run(refused())
    assert done.returncode == 1
    assert done.stdout.splitlines() == [f"message_text: ingest {answer}", f"status_sent: ingest {answer}"]


def test_parley_simulate_names_what_may_have_been_meant(tmp_path: Path) -> None:
    done = parley(tmp_path, {}, "mesage_text")
    assert (done.returncode, done.stdout) == (2, "")
    assert "message_text" in done.stderr
