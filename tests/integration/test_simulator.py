"""Does the simulated Meta keep its word over real sockets: limits, webhooks, misbehaviour, and its own records?"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import ssl
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from benchmarks.certificate import throw_away
from services.sandbox.simulator.app import running
from services.sandbox.simulator.client import SimulatorClient, SimulatorRefusedError
from services.sandbox.simulator.config import Behaviour
from services.sandbox.simulator.payloads import sign
from services.sandbox.simulator.records import Arrival, JsonObject
from services.sandbox.simulator.rules import (
    Delay,
    DropAfter,
    DropBefore,
    Error,
    FalseError,
    Garbage,
    Hang,
    OddAnswer,
    OddBody,
    Statuses,
)
from services.sandbox.simulator.settings import SimulatorSettings

pytestmark = pytest.mark.integration

SECRET = "test_app_secret"
TOKEN = "token-of-the-number"
NUMBER = "106540352242922"
PERSON = "491700000001"
DAY_SECONDS = 86400
QUICK = Behaviour(sent_after_seconds=0.0, delivered_after_seconds=0.01, read_after_seconds=0.02, retry_gap_seconds=0.01)


@dataclass
class Receiver:
    """A subscriber: keeps what it was sent and answers from a script, then 200."""

    script: list[int] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    signatures: list[str | None] = field(default_factory=list)
    url: str = ""
    was_called: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.Response:
        self.was_called.set()
        self.bodies.append(await request.read())
        self.signatures.append(request.headers.get("X-Hub-Signature-256"))
        return web.Response(status=self.script.pop(0) if self.script else 200)

    @property
    def elements(self) -> list[dict[str, object]]:
        found = []
        for body in self.bodies:
            for entry in json.loads(body)["entry"]:
                for change in entry["changes"]:
                    found += [*change["value"].get("messages", []), *change["value"].get("statuses", [])]
        return found

    @property
    def statuses(self) -> list[object]:
        return [one["status"] for one in self.elements if "status" in one]


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    application = web.Application()
    application.router.add_post("/webhooks", receiver.handle)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    receiver.url = f"http://{host}:{port}/webhooks"
    try:
        yield receiver
    finally:
        await runner.cleanup()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """The simulator, its subscriber, and a sender."""

    sim: SimulatorClient
    receiver: Receiver
    session: aiohttp.ClientSession

    async def send(
        self, body: JsonObject, *, token: str | None = TOKEN, number: str = NUMBER, edge: str = "messages"
    ) -> tuple[int, JsonObject]:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        url = f"{self.sim.url}/v25.0/{number}/{edge}"
        async with self.session.post(url, json=body, headers=headers) as response:
            return response.status, await response.json()

    async def code(
        self, body: JsonObject, *, token: str | None = TOKEN, number: str = NUMBER, edge: str = "messages"
    ) -> tuple[int, object]:
        status, answer = await self.send(body, token=token, number=number, edge=edge)
        error = answer.get("error")
        return status, error["code"] if isinstance(error, dict) else None


def text(to: str = f"+{PERSON}", opaque: str | None = None) -> JsonObject:
    body: JsonObject = {"messaging_product": "whatsapp", "to": to, "type": "text", "text": {"body": "hi"}}
    return body if opaque is None else {**body, "biz_opaque_callback_data": opaque}


def template(name: str = "order", language: str = "en_US", *texts: str) -> JsonObject:
    parameters = [{"type": "text", "text": one} for one in texts]
    content = {
        "name": name,
        "language": {"code": language},
        "components": [{"type": "body", "parameters": parameters}],
    }
    return {"messaging_product": "whatsapp", "to": f"+{PERSON}", "type": "template", "template": content}


@asynccontextmanager
async def scene(tmp_path: Path, behaviour: Behaviour = QUICK) -> AsyncIterator[Scene]:
    world = {
        "numbers": [
            {
                "phone_number_id": NUMBER,
                "waba_id": "9",
                "display_phone_number": "15550001111",
                "token": TOKEN,
            }
        ],
        "templates": [{"waba_id": "9", "name": "order", "language": "en_US", "body_parameters": 1}],
        "customers": [{"wa_id": PERSON, "bsuid": "DE.abc", "name": "Jörg"}],
    }
    config = tmp_path / "world.json"
    config.write_text(json.dumps(world))
    async with receiving() as receiver, aiohttp.ClientSession() as session:
        settings = SimulatorSettings.model_validate(
            {"ingest_url": receiver.url, "app_secret": SECRET, "config": config, "behaviour": behaviour}
        )
        async with running(settings) as (url, *_):
            yield Scene(sim=SimulatorClient(url, session), receiver=receiver, session=session)


def play(tmp_path: Path, story: Callable[[Scene], Awaitable[None]], behaviour: Behaviour = QUICK) -> None:
    async def whole() -> None:
        async with asyncio.timeout(60), scene(tmp_path, behaviour) as stage:
            await story(stage)

    asyncio.run(whole())


def test_a_reply_inside_the_window_is_accepted_and_its_statuses_come_signed_with_our_data(tmp_path: Path) -> None:
    async def story(stage: Scene) -> None:
        await stage.sim.inbound(NUMBER, PERSON, "grüß/dich", wait=True)
        status, answer = await stage.send(text(opaque="attempt-1"))
        assert status == 200
        assert await stage.sim.wait_idle()
        (arrival,) = await stage.sim.requests()
        assert answer == {
            "messaging_product": "whatsapp",
            "contacts": [{"input": f"+{PERSON}", "wa_id": PERSON, "user_id": "DE.abc"}],
            "messages": [{"id": arrival.wamid}],
        }
        assert (arrival.decision, arrival.opaque, arrival.recipient) == ("accepted", "attempt-1", f"+{PERSON}")
        receiver = stage.receiver
        assert receiver.signatures == [sign(body, SECRET) for body in receiver.bodies]
        assert rb"gr\u00fc\u00df\/dich" in receiver.bodies[0]
        assert receiver.statuses == ["sent", "delivered", "read"]
        marked = [one["biz_opaque_callback_data"] for one in receiver.elements if "status" in one]
        assert marked == ["attempt-1"] * 3

    play(tmp_path, story)


def test_a_group_has_a_window_of_its_own_and_statuses_of_each_participant(tmp_path: Path) -> None:
    async def story(stage: Scene) -> None:
        group = {**text(to="a-group", opaque="attempt-1"), "recipient_type": "group"}
        assert await stage.code(group) == (400, 131041)
        await stage.sim.add_group("a-group", PERSON, "491700000002")
        await stage.sim.inbound(NUMBER, PERSON, "hello, you")
        assert await stage.code(group) == (400, 131047)
        await stage.sim.inbound(NUMBER, "491700000002", "hello, all", group_id="a-group", wait=True)
        assert await stage.code({**group, "type": "interactive", "interactive": {"type": "button"}}) == (400, 131051)
        status, answer = await stage.send(group)
        assert status == 200
        assert await stage.sim.wait_idle()
        assert isinstance(answer["messages"], list)
        assert answer["messages"][0]["group_id"] == "a-group"
        statuses = [one for one in stage.receiver.elements if "status" in one]
        assert {one["recipient_participant_id"] for one in statuses} == {PERSON, "491700000002"}
        assert {(one["recipient_id"], one["recipient_type"]) for one in statuses} == {("a-group", "group")}
        assert {one["biz_opaque_callback_data"] for one in statuses} == {"attempt-1"}
        assert len(statuses) == 6

    play(tmp_path, story)


def test_marketing_messages_are_templates_to_one_name_of_a_person(tmp_path: Path) -> None:
    async def story(stage: Scene) -> None:
        offer = {**template("order", "en_US", "Ana"), "product_policy": "STRICT"}
        assert (await stage.send(offer, edge="marketing_messages"))[0] == 200
        for wrong in (
            text(),
            {**offer, "recipient": "DE.abc"},
            {name: value for name, value in offer.items() if name != "to"},
            {**offer, "product_policy": "LOOSE"},
            {**offer, "recipient_type": "group"},
        ):
            assert await stage.code(wrong, edge="marketing_messages") == (400, 100)
        assert {one.edge for one in await stage.sim.requests()} == {"marketing_messages"}

    play(tmp_path, story)


def test_callers_without_the_right_token_or_number_are_told_so(tmp_path: Path) -> None:
    async def story(stage: Scene) -> None:
        assert await stage.code(text(), token=None) == (403, 200)
        assert await stage.code(text(), token="wrong") == (401, 190)
        status, answer = await stage.send(text(), number="404")
        assert status == 400
        assert isinstance(answer["error"], dict)
        assert (answer["error"]["code"], answer["error"]["error_subcode"]) == (100, 33)
        assert answer["error"]["fbtrace_id"]
        assert (await stage.sim.summary()).accepted == 0

    play(tmp_path, story)


def test_a_number_added_at_run_time_can_send(tmp_path: Path) -> None:
    async def story(stage: Scene) -> None:
        await stage.sim.add_number("2", waba_id="9", display_phone_number="15550002222", token="other")
        assert await stage.code(template("order", "en_US", "x"), number="2", token="other") == (200, None)
        await stage.sim.reset()
        assert await stage.code(template("order", "en_US", "x"), number="2", token="other") == (400, 100)

    play(tmp_path, story)


def test_free_form_outside_the_window_is_refused(tmp_path: Path) -> None:
    async def story(stage: Scene) -> None:
        assert await stage.code(text()) == (400, 131047)
        await stage.sim.inbound(NUMBER, PERSON, "old", timestamp=int(time.time()) - DAY_SECONDS - 1)
        assert await stage.code(text()) == (400, 131047)
        await stage.sim.inbound(NUMBER, PERSON, "new", timestamp=int(time.time()) - DAY_SECONDS + 60)
        assert await stage.code(text()) == (200, None)

    play(tmp_path, story)


def test_a_closed_window_can_be_reported_afterwards_instead(tmp_path: Path) -> None:
    async def story(stage: Scene) -> None:
        await stage.sim.behave(window="async")
        assert await stage.code(text(opaque="a")) == (200, None)
        assert await stage.sim.wait_idle()
        (failed,) = stage.receiver.elements
        assert failed["status"] == "failed"
        assert (
            json.loads(stage.receiver.bodies[0])["entry"][0]["changes"][0]["value"]["statuses"][0]["errors"][0]["code"] == 131047
        )

    play(tmp_path, story)


def test_templates_need_no_window_but_must_exist_and_fit(tmp_path: Path) -> None:
    async def story(stage: Scene) -> None:
        assert await stage.code(template("order", "en_US", "x")) == (200, None)
        assert await stage.code(template("order", "de", "x")) == (404, 132001)
        assert await stage.code(template("nothing", "en_US", "x")) == (404, 132001)
        assert await stage.code(template("order", "en_US")) == (400, 132000)
        await stage.sim.add_template("9", "order", "de", body_parameters=0)
        assert await stage.code(template("order", "de")) == (200, None)

    play(tmp_path, story)


def test_more_than_the_limit_in_a_second_is_throttled_and_inbound_counts(tmp_path: Path) -> None:
    async def story(stage: Scene) -> None:
        await stage.sim.add_number(NUMBER, waba_id="9", display_phone_number="15550001111", throughput=20, token=TOKEN)
        await stage.sim.behave(window="off")
        for each in range(5):
            await stage.sim.inbound(NUMBER, f"49170111{each}", "hello")
        codes = await asyncio.gather(*(stage.code(text(f"+49171000{each:03}")) for each in range(60)))
        summary = await stage.sim.summary()
        accepted = codes.count((200, None))
        assert accepted + codes.count((400, 130429)) == 60
        assert codes.count((400, 130429)) >= 1
        assert summary.codes == {"130429": 60 - accepted}
        assert summary.numbers[NUMBER].worst_second_accepted == 20
        assert summary.numbers[NUMBER].worst_second_arrivals > 20

    play(tmp_path, story)


def test_a_number_lets_less_pass_than_advertised_from_the_moment_it_is_told_to(tmp_path: Path) -> None:
    async def story(stage: Scene) -> None:
        await stage.sim.behave(window="off")
        await stage.sim.change_number(NUMBER, hidden_throughput=10)
        await stage.sim.inbound(NUMBER, "491701111", "hello")
        codes = await asyncio.gather(*(stage.code(text(f"+49171000{each:03}")) for each in range(30)))
        summary = await stage.sim.summary()
        assert summary.numbers[NUMBER].worst_second_accepted == 10
        assert codes.count((200, None)) == summary.accepted
        assert codes.count((400, 130429)) == 30 - summary.accepted > 0
        await stage.sim.change_number(NUMBER, hidden_throughput=None)
        after = await asyncio.gather(*(stage.code(text(f"+49172000{each:03}")) for each in range(30)))
        assert after == [(200, None)] * 30
        with pytest.raises(SimulatorRefusedError, match="unknown"):
            await stage.sim.change_number("999", hidden_throughput=1)

    play(tmp_path, story)


def test_a_revoked_token_is_refused_until_the_new_one_is_used(tmp_path: Path) -> None:
    async def story(stage: Scene) -> None:
        message = template("order", "en_US", "x")
        await stage.sim.change_number(NUMBER, token="the-new-one")
        assert await stage.code(message) == (401, 190)
        assert await stage.code(message, token="the-new-one") == (200, None)

    play(tmp_path, story)


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (502, "html", b"<html>"),
        (503, "empty", b""),
        (200, "no_messages", b'{"messaging_product":"whatsapp"}'),
        (200, "empty_list", b'{"messaging_product":"whatsapp","messages":[]}'),
        (200, "no_id", b'"message_status"'),
    ],
)
def test_an_odd_answer_comes_before_or_after_the_message_was_accepted(
    tmp_path: Path, status: int, body: OddBody, said: bytes
) -> None:
    async def story(stage: Scene) -> None:
        for accepts in (True, False):
            await stage.sim.rules(OddAnswer(http_status=status, body=body, accepts=accepts))
            url = f"{stage.sim.url}/v25.0/{NUMBER}/messages"
            headers = {"Authorization": f"Bearer {TOKEN}"}
            async with stage.session.post(url, json=template("order", "en_US", "x"), headers=headers) as response:
                answer = await response.read()
                assert response.status == status
                assert said in answer if said else answer == said
        [after, before] = await stage.sim.requests()
        assert (after.decision, after.is_accepted, after.http_status) == ("odd_after", True, status)
        assert (before.decision, before.is_accepted, before.http_status) == ("odd_before", False, status)
        assert await stage.sim.wait_idle()
        assert stage.receiver.statuses == ["sent", "delivered", "read"]

    play(tmp_path, story)


def test_an_answer_waits_for_the_status_webhook_where_the_webhook_comes_first(tmp_path: Path) -> None:
    async def story(stage: Scene) -> None:
        await stage.sim.behave(sent_after_seconds=0.1, delivered_probability=0.0)
        await stage.sim.rules(Statuses(when="before_answer"))
        for seen in (["sent"], ["sent"]):  # the second message is answered at once
            assert await stage.code(template("order", "en_US", "x")) == (200, None)
            assert stage.receiver.statuses == seen
        assert await stage.sim.wait_idle()
        assert stage.receiver.statuses == ["sent", "sent"]

    play(tmp_path, story)


def test_statuses_come_late_or_never_by_rule_and_by_behaviour(tmp_path: Path) -> None:
    async def story(stage: Scene) -> None:
        message = template("order", "en_US", "x")
        await stage.sim.rules(Statuses(when="never"))
        assert await stage.code(message) == (200, None)
        await stage.sim.behave(statuses="never")
        assert await stage.code(message) == (200, None)
        assert await stage.sim.wait_idle()
        assert stage.receiver.statuses == []
        await stage.sim.behave(statuses="after_answer", statuses_late_seconds=0.5)
        started = time.monotonic()
        assert await stage.code(message) == (200, None)
        assert stage.receiver.statuses == []
        assert await stage.sim.wait_idle()
        assert time.monotonic() - started >= 0.5
        assert stage.receiver.statuses == ["sent", "delivered", "read"]

    play(tmp_path, story)


def test_a_share_of_the_connections_is_reset_for_as_long_as_asked(tmp_path: Path) -> None:
    async def story(stage: Scene) -> None:
        await stage.sim.behave(pair_limit=False, throughput_limit=False)
        await stage.sim.rules(DropAfter(), always=True, share=0.3)
        reset = 0
        for _ in range(100):
            try:
                await stage.send(template("order", "en_US", "x"))
            except aiohttp.ClientError:
                reset += 1
        decisions = (await stage.sim.summary()).decisions
        assert decisions == {"dropped_after": reset, "accepted": 100 - reset}
        assert 10 <= reset <= 50

    play(tmp_path, story)


def test_with_a_certificate_it_listens_with_tls_too(tmp_path: Path) -> None:
    async def story() -> None:
        certificate, key = throw_away(tmp_path)
        settings = SimulatorSettings.model_validate(
            {"ingest_url": "http://127.0.0.1:9/", "app_secret": SECRET, "certificate": certificate, "certificate_key": key}
        )
        trusting = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=certificate))
        async with running(settings) as (plain, secure), aiohttp.ClientSession(connector=trusting) as session:
            assert plain.startswith("http://")
            before = time.monotonic()
            async with session.post(f"{secure}/v25.0/{NUMBER}/messages", json=text()) as response:
                assert response.status == 403
            [arrival] = await SimulatorClient(plain, session).requests()
            assert before <= arrival.read_monotonic <= time.monotonic()
        async with running(settings) as (_, secure), aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await session.get(secure)

    asyncio.run(story())


def test_too_many_messages_to_one_person_are_throttled_for_that_person_only(tmp_path: Path) -> None:
    async def story(stage: Scene) -> None:
        await stage.sim.behave(window="off", pair_burst=3, pair_interval_seconds=60)
        assert [await stage.code(text()) for _ in range(4)] == [(200, None)] * 3 + [(400, 131056)]
        assert await stage.code(text("DE.abc")) == (400, 131009)
        assert await stage.code(text("+491709999999")) == (200, None)
        await stage.sim.behave(pair_limit=False)
        assert await stage.code(text()) == (200, None)

    play(tmp_path, story)


def test_a_webhook_answered_with_503_is_repeated_with_the_same_bytes_until_200(tmp_path: Path) -> None:
    async def story(stage: Scene) -> None:
        stage.receiver.script = [503, 500, 404, 201]
        await stage.sim.inbound(NUMBER, PERSON, "hello", wait=True)
        (webhook,) = await stage.sim.webhooks()
        assert [answer.status for answer in webhook.answers] == [503, 500, 404, 201, 200]
        assert webhook.state == "delivered"
        assert len(set(stage.receiver.bodies)) == 1
        assert len(stage.receiver.bodies) == 5
        assert hashlib.sha256(stage.receiver.bodies[0]).hexdigest() == webhook.sha256
        assert len(set(stage.receiver.signatures)) == 1

    play(tmp_path, story)


def test_a_webhook_is_given_up_at_the_retry_horizon(tmp_path: Path) -> None:
    async def story(stage: Scene) -> None:
        stage.receiver.script = [503] * 1000
        await stage.sim.behave(retry_horizon_seconds=0.2)
        await stage.sim.inbound(NUMBER, PERSON, "hello", wait=True)
        assert (await stage.sim.summary()).webhook_states == {"given_up": 1}

    play(tmp_path, story)


def test_webhooks_can_come_twice_and_out_of_order(tmp_path: Path) -> None:
    async def story(stage: Scene) -> None:
        await stage.sim.behave(duplicate_probability=1.0, reorder_probability=1.0, delivered_after_seconds=0.2)
        assert await stage.code(template("order", "en_US", "x")) == (200, None)
        assert await stage.sim.wait_idle()
        statuses = stage.receiver.statuses
        assert sorted(map(str, statuses)) == ["delivered", "delivered", "read", "read", "sent", "sent"]
        assert statuses.index("read") < statuses.index("sent")
        assert (await stage.sim.summary()).webhooks_posted_twice == 3

    play(tmp_path, story)


def test_updates_that_are_due_together_travel_in_one_post_and_none_is_lost(tmp_path: Path) -> None:
    async def story(stage: Scene) -> None:
        await stage.sim.behave(batch_max=10, batch_seconds=0.1)
        wamids = await asyncio.gather(
            *(stage.sim.inbound(NUMBER, f"49172000{each:03}", "hello", wait=True) for each in range(30))
        )
        assert sorted(str(one["id"]) for one in stage.receiver.elements) == sorted(wamids)
        assert len(stage.receiver.bodies) < 30

    play(tmp_path, story)


def test_an_answer_dropped_after_accepting_leaves_an_accepted_message_and_a_reset_connection(tmp_path: Path) -> None:
    async def story(stage: Scene) -> None:
        await stage.sim.rules(DropAfter(), to=PERSON)
        with pytest.raises(aiohttp.ClientOSError) as broken:
            await stage.send({**template("order", "en_US", "x"), "biz_opaque_callback_data": "attempt"})
        assert broken.value.strerror == "Connection reset by peer"
        assert await stage.sim.wait_idle()
        (arrival,) = await stage.sim.requests()
        assert (arrival.decision, arrival.is_accepted, arrival.http_status) == ("dropped_after", True, None)
        assert stage.receiver.statuses == ["sent", "delivered", "read"]
        assert await stage.code({**template("order", "en_US", "x"), "biz_opaque_callback_data": "attempt"}) == (
            200,
            None,
        )
        assert (await stage.sim.summary()).double_accepts == {"attempt": 2}

    play(tmp_path, story)


def test_a_request_dropped_before_accepting_leaves_no_message(tmp_path: Path) -> None:
    async def story(stage: Scene) -> None:
        await stage.sim.rules(DropBefore(), times=2)
        for _ in range(2):
            with pytest.raises(aiohttp.ClientOSError, match="reset by peer"):
                await stage.send(template("order", "en_US", "x"))
        assert await stage.code(template("order", "en_US", "x")) == (200, None)
        arrivals = await stage.sim.requests()
        assert [arrival.decision for arrival in arrivals] == ["dropped_before", "dropped_before", "accepted"]
        assert (await stage.sim.summary()).accepted == 1

    play(tmp_path, story)


def test_errors_delays_hangs_and_garbage_come_as_asked_for(tmp_path: Path) -> None:
    async def story(stage: Scene) -> None:
        message = template("order", "en_US", "x")
        await stage.sim.rules(Error(code=131000))
        assert await stage.code(message) == (500, 131000)
        await stage.sim.rules(Error(code=130429, http_status=429))
        assert await stage.code(message) == (429, 130429)
        await stage.sim.rules(Garbage())
        with pytest.raises(json.JSONDecodeError):
            await stage.send(message)
        await stage.sim.rules(FalseError(code=131053))
        assert await stage.code(message) == (400, 131053)
        await stage.sim.rules(Hang(seconds=0.05))
        with pytest.raises(aiohttp.ClientOSError):
            await stage.send(message)
        await stage.sim.rules(Delay(seconds=0.2), seconds=30.0)
        started = time.monotonic()
        assert await stage.code(message) == (200, None)
        assert time.monotonic() - started >= 0.2
        await stage.sim.clear_rules()
        assert await stage.code(message) == (200, None)
        decided = [arrival.decision for arrival in await stage.sim.requests()]
        assert decided == ["refused", "refused", "garbage", "false_error", "hung", "accepted", "accepted"]
        assert (await stage.sim.summary()).accepted == 4

    play(tmp_path, story)


def test_the_arrival_time_is_the_socket_read_not_the_answer(tmp_path: Path) -> None:
    async def story(stage: Scene) -> None:
        before = time.monotonic()
        await stage.sim.rules(Delay(seconds=0.3))
        await stage.send(template("order", "en_US", "x"))
        await stage.send(template("order", "en_US", "x"))
        first, second = await stage.sim.requests()
        assert before <= first.read_monotonic <= before + 0.3
        assert second.read_monotonic >= first.read_monotonic + 0.3
        assert abs(first.read_at - time.time() * 1000) < 60_000

    play(tmp_path, story)


def test_anyone_can_send_any_webhook_with_any_signature_and_again(tmp_path: Path) -> None:
    async def story(stage: Scene) -> None:
        stage.receiver.script = [200, 401, 401, 401]
        good = await stage.sim.post_webhook({"object": "page", "entry": []})
        bad = await stage.sim.post_webhook({"object": "page"}, signature="bad")
        none = await stage.sim.post_webhook(raw="{not json", signature="none")
        old = await stage.sim.post_webhook({}, signature="sha1")
        assert [one.state for one in (good, bad, none, old)] == ["delivered", "given_up", "given_up", "given_up"]
        assert [one.attempts for one in (good, bad, none, old)] == [1, 1, 1, 1]
        assert stage.receiver.bodies[2] == b"{not json"
        signed = [
            sign(body, SECRET) == given for body, given in zip(stage.receiver.bodies, stage.receiver.signatures, strict=True)
        ]
        assert signed == [True, False, False, False]
        assert (await stage.sim.repeat_webhook(good.id, times=3)).attempts == 4
        assert stage.receiver.bodies[4:] == [stage.receiver.bodies[0]] * 3

    play(tmp_path, story)


def test_customers_speak_in_every_type_and_may_be_known_by_user_id_only(tmp_path: Path) -> None:
    async def story(stage: Scene) -> None:
        button = {"payload": "STOP", "text": "Stop promotions"}
        await stage.sim.inbound(
            NUMBER, "US.13491208655302741918", message_type="button", content=button, context_wamid="wamid.X", wait=True
        )
        (said,) = stage.receiver.elements
        assert said["button"] == button
        assert said["from_user_id"] == "US.13491208655302741918"
        assert "from" not in said
        assert isinstance(said["context"], dict)
        assert said["context"]["id"] == "wamid.X"
        reply = {**text(), "recipient": "US.13491208655302741918"}
        del reply["to"]
        assert await stage.code(reply) == (200, None)

    play(tmp_path, story)


def test_a_read_receipt_for_a_customers_message_is_a_success_and_counts_as_no_message(tmp_path: Path) -> None:
    async def story(stage: Scene) -> None:
        wamid = await stage.sim.inbound(NUMBER, PERSON, "hello")
        receipt: JsonObject = {"messaging_product": "whatsapp", "status": "read", "message_id": wamid}
        assert await stage.send(receipt) == (200, {"success": True})
        assert await stage.code({**receipt, "message_id": "wamid.unknown"}) == (400, 131009)
        assert (await stage.sim.summary()).accepted == 0

    play(tmp_path, story)


def test_control_requests_that_make_no_sense_are_explained(tmp_path: Path) -> None:
    async def story(stage: Scene) -> None:
        with pytest.raises(SimulatorRefusedError, match="unknown phone_number_id"):
            await stage.sim.inbound("404", PERSON, "hello")
        with pytest.raises(SimulatorRefusedError, match="either text, or type and object"):
            await stage.sim.inbound(NUMBER, PERSON)
        with pytest.raises(SimulatorRefusedError, match="read_probability"):
            await stage.sim.behave(read_probability=2)

    play(tmp_path, story)


@asynccontextmanager
async def life(receiver_url: str, tmp_path: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """One process of the simulator, with its URL; killed at the end if it still lives."""
    env = {
        **os.environ,
        "PARLEY_INGEST_URL": receiver_url,
        "PARLEY_APP_SECRET": SECRET,
        "PARLEY_SIMULATOR_CONFIG": str(tmp_path / "world.json"),
        "PARLEY_SIMULATOR_LEDGER": str(tmp_path / "ledger.jsonl"),
        "PARLEY_SIMULATOR_BEHAVIOUR__RETRY_GAP_SECONDS": "0.05",
        "PARLEY_SIMULATOR_BEHAVIOUR__READ_AFTER_SECONDS": "1.0",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.sandbox.simulator", env=env, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        line = (await process.stdout.readline()).decode()
        assert line.startswith("simulator listening on http://127.0.0.1:")
        yield process, line.split()[-1]
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def test_a_killed_simulator_remembers_everything_and_delivers_what_was_on_its_way(tmp_path: Path) -> None:
    async def first_life(receiver: Receiver, session: aiohttp.ClientSession) -> tuple[str, list[Arrival]]:
        receiver.script = [503] * 10_000
        async with life(receiver.url, tmp_path) as (process, url):
            stage = Scene(sim=SimulatorClient(url, session), receiver=receiver, session=session)
            inbound = await stage.sim.inbound(NUMBER, PERSON, "hello")
            assert await stage.code(text(opaque="a")) == (200, None)
            await receiver.was_called.wait()
            arrivals = await stage.sim.requests()
            process.kill()
        receiver.script.clear()
        return inbound, arrivals

    async def second_life(receiver: Receiver, session: aiohttp.ClientSession) -> list[Arrival]:
        async with life(receiver.url, tmp_path) as (process, url):
            stage = Scene(sim=SimulatorClient(url, session), receiver=receiver, session=session)
            arrivals = await stage.sim.requests()
            assert await stage.code(text(opaque="a")) == (200, None)
            assert await stage.sim.wait_idle()
            summary = await stage.sim.summary()
            assert summary.double_accepts == {"a": 2}
            assert summary.webhook_states == {"delivered": 7}
            assert [arrival.seq for arrival in await stage.sim.requests()] == [1, 2]
            process.terminate()
            assert await process.wait() == 0
        return arrivals

    async def whole() -> None:
        async with asyncio.timeout(60), receiving() as receiver, aiohttp.ClientSession() as session:
            inbound, before = await first_life(receiver, session)
            with (tmp_path / "ledger.jsonl").open("ab") as ledger:
                ledger.write(b'{"fact":"request","seq":99,"torn')
            assert await second_life(receiver, session) == before
            seen = {(one["id"], one.get("status")) for one in receiver.elements}
            statuses = {(before[0].wamid, status) for status in ("sent", "delivered", "read")}
            assert seen >= {(inbound, None), *statuses}

    number = {"phone_number_id": NUMBER, "waba_id": "9", "display_phone_number": "15550001111"}
    (tmp_path / "world.json").write_text(json.dumps({"numbers": [number]}))
    asyncio.run(whole())


def test_all_bad_settings_are_named_at_once() -> None:
    async def whole() -> tuple[int, str]:
        env = {**os.environ, "PARLEY_INGEST_URL": "ftp://x", "PARLEY_SIMULATOR_PORT": "many"}
        env.pop("PARLEY_APP_SECRET", None)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.sandbox.simulator", env=env, stderr=asyncio.subprocess.PIPE
        )
        _, told = await process.communicate()
        return await process.wait(), told.decode()

    code, told = asyncio.run(whole())
    assert code == 2
    assert all(name in told for name in ("PARLEY_INGEST_URL", "PARLEY_APP_SECRET", "port"))


async def upload(
    stage: Scene,
    data: bytes = b"x" * 10,
    mime_type: str = "image/jpeg",
    *,
    number: str = NUMBER,
    token: str = TOKEN,
    **fields: str,
) -> tuple[int, JsonObject]:
    form = aiohttp.FormData()
    for name, value in {"messaging_product": "whatsapp", "type": mime_type, **fields}.items():
        form.add_field(name, value)
    form.add_field("file", io.BytesIO(data), filename="a", content_type=mime_type)
    headers = {"Authorization": f"Bearer {token}"}
    async with stage.session.post(f"{stage.sim.url}/v25.0/{number}/media", data=form, headers=headers) as response:
        return response.status, await response.json()


async def upload_code(stage: Scene, *given: object, **fields: object) -> tuple[int, object]:
    status, answer = await upload(stage, *given, **fields)  # type: ignore[arg-type]
    error = answer.get("error")
    return status, error["code"] if isinstance(error, dict) else None


def test_media_gets_an_id_that_is_good_for_its_number_until_it_is_gone(tmp_path: Path) -> None:
    async def story(stage: Scene) -> None:
        await stage.sim.add_number("777", waba_id="9", display_phone_number="15550002222", token=TOKEN)
        for number in (NUMBER, "777"):
            await stage.sim.inbound(number, PERSON, "hi", wait=True)
        status, answer = await upload(stage, b"x" * 10)
        [kept] = await stage.sim.media()
        assert (status, answer) == (200, {"id": kept.id})
        assert (kept.phone_number_id, kept.size, kept.sha256) == (NUMBER, 10, hashlib.sha256(b"x" * 10).hexdigest())
        body: JsonObject = {"messaging_product": "whatsapp", "to": f"+{PERSON}", "type": "image", "image": {"id": kept.id}}
        assert await stage.code(body) == (200, None)
        assert await stage.code(body, number="777") == (400, 131009)
        assert await stage.code({**body, "image": {"id": "not-ours"}}) == (200, None)
        await stage.sim.delete_media(kept.id)
        assert await stage.code(body) == (400, 131009)

    play(tmp_path, story)


def test_media_that_is_too_large_or_of_no_type_is_not_taken(tmp_path: Path) -> None:
    async def story(stage: Scene) -> None:
        largest = 5 * 1024 * 1024
        assert await upload_code(stage, bytes(largest)) == (200, None)
        assert await upload_code(stage, bytes(largest + 1)) == (400, 131053)
        assert await upload_code(stage, b"") == (400, 131053)
        assert await upload_code(stage, bytes(largest + 1), "application/pdf") == (200, None)
        assert await upload_code(stage, b"x", "image/gif") == (400, 100)
        assert await upload_code(stage, messaging_product="other") == (400, 100)
        assert await upload_code(stage, token="wrong") == (401, 190)

    play(tmp_path, story)


def test_a_rule_for_media_leaves_messages_alone(tmp_path: Path) -> None:
    async def story(stage: Scene) -> None:
        await stage.sim.inbound(NUMBER, PERSON, "hi", wait=True)
        await stage.sim.rules(Error(code=131000), endpoint="media")
        assert await stage.code(text()) == (200, None)
        assert await upload_code(stage) == (500, 131000)
        await stage.sim.rules(DropAfter(), endpoint="media")
        with pytest.raises(aiohttp.ClientError):
            await upload(stage)
        assert len(await stage.sim.media()) == 1

    play(tmp_path, story)


def test_the_list_of_templates_is_paged_chosen_from_and_shown_to_its_own_account_alone(tmp_path: Path) -> None:
    async def story(stage: Scene) -> None:
        await stage.sim.add_template("9", "other", "de", category="MARKETING")
        await stage.sim.add_template("8", "foreign", "de")
        first = await listed(stage, fields="name,status", limit="1")
        second = await listed(stage, fields="name,status", limit="1", after=first["paging"]["cursors"]["after"])
        assert [set(page["data"][0]) for page in (first, second)] == [{"id", "name", "status"}] * 2
        assert [page["data"][0]["name"] for page in (first, second)] == ["order", "other"]
        assert [("next" in page["paging"]) for page in (first, second)] == [True, False]
        assert [one["name"] for one in (await listed(stage, category="MARKETING"))["data"]] == ["other"]
        assert (await listed(stage, token="wrong"))["error"]["code"] == 190
        assert (await listed(stage, account="8"))["error"]["code"] == 100
        assert (await listed(stage, after="yesterday"))["error"]["code"] == 131059

    play(tmp_path, story)


async def listed(stage: Scene, *, account: str = "9", token: str = TOKEN, **query: str) -> dict[str, Any]:
    url = f"{stage.sim.url}/v25.0/{account}/message_templates"
    async with stage.session.get(url, params=query, headers={"Authorization": f"Bearer {token}"}) as response:
        body: dict[str, Any] = await response.json()
    return body


def test_a_template_that_meta_pauses_is_refused_and_told_of_and_one_that_is_deleted_is_gone(tmp_path: Path) -> None:
    async def story(stage: Scene) -> None:
        await stage.sim.change_template("9", "order", "en_US", event="PAUSED", category="MARKETING", title="FIRST_PAUSE")
        assert await stage.code(template("order", "en_US", "x")) == (400, 132015)
        assert await stage.sim.wait_idle()
        changes = [json.loads(body)["entry"][0]["changes"][0] for body in stage.receiver.bodies]
        assert sorted(change["field"] for change in changes) == ["message_template_status_update", "template_category_update"]
        await stage.sim.change_template("9", "order", "en_US", event="REINSTATED", tell=False)
        assert await stage.code(template("order", "en_US", "x")) == (200, None)
        await stage.sim.remove_template("9", "order", "en_US")
        assert await stage.code(template("order", "en_US", "x")) == (404, 132001)
        with pytest.raises(SimulatorRefusedError):
            await stage.sim.change_template("9", "order", "en_US", event="PAUSED")

    play(tmp_path, story)


def test_who_is_written_to_first_beyond_the_messaging_limit_is_accepted_and_fails(tmp_path: Path) -> None:
    async def story(stage: Scene) -> None:
        for person in ("491700000002", "491700000003", "491700000002"):
            assert await stage.code({**template("order", "en_US", "x"), "to": f"+{person}"}) == (200, None)
        await stage.sim.inbound(NUMBER, "491700000004", "hello", wait=True)
        assert await stage.code({**template("order", "en_US", "x"), "to": "+491700000004"}) == (200, None)
        assert await stage.sim.wait_idle()
        failed = [one for one in stage.receiver.elements if one.get("status") == "failed"]
        assert [one["recipient_id"] for one in failed] == ["491700000003"]

    play(tmp_path, story, QUICK.changed({"messaging_limit": 1}))


def test_direct_send_needs_no_window(tmp_path: Path) -> None:
    async def story(stage: Scene) -> None:
        assert await stage.code({**text(), "category": "utility"}) == (200, None)
        assert await stage.code({**text(), "category": "marketing"}) == (400, 131047)

    play(tmp_path, story)
