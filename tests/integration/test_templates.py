"""Does the gate know templates, limits and causes as they are now? Sender and projector against a simulated Meta."""

from __future__ import annotations

import dataclasses
import json
import signal
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from services.common.domain import topics
from services.common.domain.events import AccountChanged, MessageReceived, TemplateChanged
from services.common.domain.ids import record_key
from services.common.domain.records import SendMessage
from services.common.platform.envelope import AVRO
from services.common.platform.kafka import NewRecord
from services.sandbox.providers import Kafka
from services.sandbox.simulator.client import SimulatorClient
from services.sandbox.simulator.rules import Delay, Error
from tests.support import log
from tests.support.command_line import parley
from tests.support.processes import ServiceProcess
from tests.support.sending import CODEC, NUMBER, PERSON, TOKEN_KEY, WABA, Scene, now_ms, scene, template, text
from tests.support.waiting import wait_for

AVRO_HEADERS = (("content-type", AVRO),)


@pytest.fixture
def stage(cluster: Kafka, postgres: str) -> Iterator[Scene]:
    """A number, and templates that Meta has approved; no sender yet."""
    with scene(cluster, postgres) as made:
        made.register()
        made.ask(add_templates)
        yield made


async def add_templates(client: SimulatorClient) -> None:
    await client.add_template(WABA, "order_update", "en_US")
    await client.add_template(WABA, "greeting", "en_US", body_parameters=2)
    await client.add_template(WABA, "code", "en_US", category="AUTHENTICATION", body_parameters=1, button_parameters=1)


@pytest.fixture
def sender(stage: Scene) -> Iterator[ServiceProcess]:
    with stage.sender() as process:
        yield process.wait_ready()


@pytest.fixture
def projector(stage: Scene) -> Iterator[ServiceProcess]:
    env = {"PARLEY_KAFKA_BOOTSTRAP_SERVERS": stage.kafka.bootstrap_servers, "PARLEY_POSTGRES_DSN": stage.dsn}
    with ServiceProcess("projector", {**env, "PARLEY_INSTANCE": "1"}) as process:
        yield process.wait_ready()


def filled(name: str, *texts: str, button: str | None = None, **fields: Any) -> SendMessage:
    components: list[dict[str, Any]] = [{"type": "body", "parameters": [{"type": "text", "text": one} for one in texts]}]
    if button is not None:
        parameters = [{"type": "text", "text": button}]
        components.append({"type": "button", "sub_type": "url", "index": "0", "parameters": parameters})
    return template(content=content(name, *components), **fields)


def content(name: str, *components: dict[str, Any], language: str = "en_US") -> str:
    return orjson.dumps({"name": name, "language": {"code": language}, "components": list(components)}).decode()


def tell(stage: Scene, event: TemplateChanged | AccountChanged) -> None:
    """Meta's webhook has come and was made an event."""
    stage.put_records([NewRecord(topics.ACCOUNT_EVENTS, WABA.encode(), CODEC.encode(event), AVRO_HEADERS)])


def changed(field: str, event: str, name: str = "order_update", **more: Any) -> TemplateChanged:
    return TemplateChanged(
        event_id=str(uuid.uuid4()),
        recorded_at=now_ms(),
        occurred_at=now_ms() // 1000 * 1000,
        field=field,
        event=event,
        template_id="1",
        raw=orjson.dumps({"event": event, "at": now_ms()}).decode(),
        waba_id=WABA,
        template_name=name,
        template_language="en_US",
        **more,
    )


def told(stage: Scene, command: SendMessage) -> tuple[str, str | None, str | None]:
    outcome = stage.wait_outcome(command)
    return outcome.kind, outcome.reason, outcome.detail


@pytest.mark.usefixtures("sender", "projector")
def test_a_template_that_an_event_pauses_stops_within_seconds_and_goes_on_when_another_resumes_it(stage: Scene) -> None:
    before = template()
    stage.put(before)
    assert stage.wait_outcome(before).kind == "accepted"
    told_at = time.monotonic()
    tell(stage, changed("message_template_status_update", "PAUSED"))
    wait_for(lambda: stage.sql("SELECT status FROM projector.templates") == [("PAUSED",)], 20, "the projection")
    paused = template()
    stage.put(paused)
    assert told(stage, paused) == ("refused", "template_state", "template: PAUSED at Meta")
    assert time.monotonic() - told_at < 30
    tell(stage, _a_second_later("REINSTATED"))
    wait_for(lambda: stage.sql("SELECT status FROM projector.templates") == [("REINSTATED",)], 20, "the projection")
    resumed = template()
    stage.put(resumed)
    assert stage.wait_outcome(resumed).kind == "accepted"
    assert len(stage.arrivals()) == 2


def _a_second_later(event: str) -> TemplateChanged:
    """Meta tells whole seconds; two changes within one have no order."""
    one = changed("message_template_status_update", event)
    return dataclasses.replace(one, occurred_at=(one.occurred_at or 0) + 1000)


@pytest.mark.usefixtures("sender")
def test_missing_and_extra_parameters_are_refused_by_their_component_and_never_reach_meta(stage: Scene) -> None:
    hopeless = {
        "template.components: no body, the template has 2 parameters there": template(content=content("greeting")),
        "template.components[0] body: 1 parameter, the template has 2": filled("greeting", "Ana"),
        "template.components[0] body: 1 parameter, the template has none": filled("order_update", "Ana"),
        "template.components: no button 0, the template has 1 parameter there": filled("code", "1234", lane="otp"),
    }
    fitting = [filled("greeting", "Ana", "today"), filled("code", "1234", button="1234", lane="otp")]
    stage.put(*hopeless.values(), *fitting)
    for detail, command in hopeless.items():
        assert told(stage, command) == ("refused", "template_params", detail)
    assert {stage.wait_outcome(command).kind for command in fitting} == {"accepted"}
    assert len(stage.arrivals()) == 2


@pytest.mark.usefixtures("sender")
def test_a_template_that_meta_does_not_have_is_refused_by_a_list_that_is_newer_than_the_command(stage: Scene) -> None:
    unknown, elsewhere = template(content=content("nobody_knows_it")), template(content=content("greeting", language="de"))
    stage.put(unknown, elsewhere)
    assert told(stage, unknown) == ("refused", "template", "template.name: the account has no such template")
    assert told(stage, elsewhere)[:2] == ("refused", "template_lang")
    stage.ask(lambda client: client.add_template(WABA, "nobody_knows_it", "en_US"))
    known = template(content=content("nobody_knows_it"))
    stage.put(known)
    assert stage.wait_outcome(known).kind == "accepted"
    assert len(stage.arrivals()) == 1


@pytest.mark.usefixtures("sender", "projector")
def test_a_template_that_became_marketing_needs_a_grant_and_the_lane_of_marketing(stage: Scene) -> None:
    before = template()
    stage.put(before)
    assert stage.wait_outcome(before).kind == "accepted"
    tell(stage, changed("template_category_update", "completed", category="MARKETING", previous_category="UTILITY"))
    wait_for(lambda: stage.sql("SELECT category FROM projector.templates") == [("MARKETING",)], 20, "the projection")
    without = template()
    stage.put(without)
    assert told(stage, without)[:2] == ("refused", "no_consent")
    stage.consent("marketing", "granted")
    lane, bulk = template(), template(lane="bulk")
    stage.put(lane, bulk)
    assert told(stage, lane)[:2] == ("refused", "lane_mismatch")
    assert stage.wait_outcome(bulk).kind == "accepted"


@pytest.mark.usefixtures("sender")
def test_a_fallback_template_goes_when_the_window_is_closed_and_only_then(stage: Scene) -> None:
    parameters = [{"type": "text", "text": "Ana"}, {"type": "text", "text": "today"}]
    fallback = content("greeting", {"type": "body", "parameters": parameters})
    closed = text(fallback_template=fallback)
    misfit = text(fallback_template=content("greeting"))
    broken = text(fallback_template='{"name": "greeting"}')
    stage.put(closed, misfit, broken)
    outcome = stage.wait_outcome(closed)
    assert (outcome.kind, outcome.template_name, outcome.type) == ("accepted", "greeting", "template")
    assert told(stage, misfit)[:2] == ("refused", "template_params")
    assert told(stage, broken) == ("refused", "template_lang", "fallback_template: template.language: missing")
    stage.open_window()
    opened = text(fallback_template=fallback)
    stage.put(opened)
    outcome = stage.wait_outcome(opened)
    assert (outcome.kind, outcome.template_name, outcome.type) == ("accepted", None, "text")
    assert [arrival.type for arrival in stage.arrivals()] == ["template", "text"]


@pytest.mark.usefixtures("sender")
def test_direct_send_needs_no_window_and_names_its_category(stage: Scene) -> None:
    stage.ask(lambda client: client.behave(window="sync"))
    direct, wrong = text(category="utility"), text(category="marketing")
    stage.put(direct, wrong)
    assert stage.wait_outcome(direct).kind == "accepted"
    assert told(stage, wrong) == ("refused", "content", "category: neither utility nor authentication")


@pytest.mark.usefixtures("sender")
def test_a_template_that_meta_paused_without_a_word_is_found_in_its_list(stage: Scene) -> None:
    command = template()
    stage.put(command)
    assert stage.wait_outcome(command).kind == "accepted"
    stage.ask(lambda client: client.change_template(WABA, "order_update", "en_US", event="PAUSED", tell=False))
    stage.sql("UPDATE sender.template_polls SET next_poll_at = now()")
    wait_for(lambda: ("PAUSED",) in stage.sql("SELECT status FROM sender.templates"), 20, "the next reading of the list")
    paused = template()
    stage.put(paused)
    assert told(stage, paused)[:2] == ("refused", "template_state")
    stage.ask(lambda client: client.remove_template(WABA, "order_update", "en_US"))
    stage.sql("UPDATE sender.template_polls SET next_poll_at = now()")
    wait_for(lambda: len(stage.sql("SELECT FROM sender.templates")) == 2, 20, "the list without it")


def test_for_a_list_that_cannot_be_read_nobody_waits_and_meta_judges(stage: Scene) -> None:
    stage.ask(lambda client: client.rules(Error(code=80008), seconds=120, endpoint="message_templates"))
    with stage.sender() as sender:
        sender.wait_ready()
        sender.wait_until(lambda: sender.metric("parley_template_polls_total", outcome="throttled") == 1, 20, "be throttled")
        stage.open_window()
        free, misfit = text(), filled("greeting", "Ana", to="+491700000009")
        stage.put(free, misfit)
        assert stage.wait_outcome(free).kind == "accepted"
        outcome = stage.wait_outcome(misfit)
        assert (outcome.kind, outcome.error_code) == ("rejected", 132000)
        assert sender.metric("parley_template_polls_total", outcome="throttled") == 1


def test_while_the_first_list_is_being_read_a_template_waits_for_it(stage: Scene) -> None:
    stage.ask(lambda client: client.rules(Delay(seconds=3), endpoint="message_templates"))
    with stage.sender() as sender:
        sender.wait_ready()
        misfit = filled("greeting", "Ana")
        stage.put(misfit)
        assert told(stage, misfit)[:2] == ("refused", "template_params")
        assert sender.metric("parley_template_polls_total", outcome="complete") == 1
    assert stage.arrivals() == []


@pytest.mark.usefixtures("sender")
def test_the_messaging_limit_delays_who_is_written_to_first_and_nobody_else(stage: Scene) -> None:
    stage.sql("INSERT INTO projector.messaging_limits VALUES (%s, '2', now())", WABA)
    first, second = template(to="+491700000011"), template(to="+491700000012")
    stage.put(first, second)
    assert {stage.wait_outcome(one).kind for one in (first, second)} == {"accepted"}
    third, again = template(to="+491700000013"), template(to="+491700000011")
    stage.put(third, again)
    assert stage.wait_outcome(again).kind == "accepted"
    wait_for(lambda: _parked_seconds(stage, third) > 5, 20, "the third person to wait")
    assert stage.sql("SELECT room, messaging_limit FROM sender.portfolios") == [(0, 2)]
    stage.open_window("491700000014")
    answer = template(to="+491700000014")
    stage.put(answer)
    assert stage.wait_outcome(answer).kind == "accepted"
    # A day later the first of them no longer counts.
    stage.sql("UPDATE sender.portfolio_recipients SET started_at = now() - interval '25 hours' WHERE recipient = '491700000012'")
    stage.sql("UPDATE sender.portfolios SET counted_at = now() - interval '1 minute'")
    stage.sql("UPDATE sender.send_commands SET next_action_at = now() WHERE command_id = %s", third.command_id)
    wake = template(to="+491700000011")
    stage.put(wake)
    assert stage.wait_outcome(third).kind == "accepted"
    people = stage.sql("SELECT recipient FROM sender.portfolio_recipients ORDER BY recipient")
    assert people == [("491700000011",), ("491700000013",)]


def _parked_seconds(stage: Scene, command: SendMessage) -> float:
    rows = stage.sql(
        "SELECT extract(epoch FROM next_action_at - now())::float8 FROM sender.send_commands"
        " WHERE command_id = %s AND state = 'waiting'",
        command.command_id,
    )
    return float(rows[0][0]) if rows else 0.0


@pytest.mark.usefixtures("sender")
def test_an_answer_to_another_numbers_message_and_a_template_to_nobody_are_refused(stage: Scene) -> None:
    stage.open_window()
    wamids = {number: f"wamid.{number * 2}" for number in (NUMBER, "999")}
    for number, wamid in wamids.items():
        stage.sql("INSERT INTO projector.messages (wamid, direction, phone_number_id) VALUES (%s, 'inbound', %s)", wamid, number)
    own, foreign = text(context_wamid=wamids[NUMBER]), text(context_wamid=wamids["999"])
    stage.put(own, foreign)
    assert told(stage, foreign) == ("refused", "context", "context_wamid: a message of another number")
    assert stage.wait_outcome(own).kind == "accepted"
    nobody = "491700000021"
    for n in range(3):
        before = template(to=f"+{nobody}")
        stage.put(before)
        assert stage.wait_outcome(before).kind == "accepted"
        stage.sql(
            "INSERT INTO projector.messages"
            " (wamid, direction, phone_number_id, contact, occurred_at, failed_at, error_code)"
            " VALUES (%s, 'outbound', %s, %s, now(), now(), 131026)",
            f"wamid.undelivered.{n}",
            NUMBER,
            nobody,
        )
    refused = template(to=f"+{nobody}")
    stage.put(refused)
    assert told(stage, refused)[:2] == ("refused", "undeliverable")
    stage.sql(
        "INSERT INTO projector.conversations (phone_number_id, contact, last_inbound_at) VALUES (%s, %s, now())", NUMBER, nobody
    )
    heard = template(to=f"+{nobody}")
    stage.put(heard)
    assert stage.wait_outcome(heard).kind == "accepted"


def said(contact: str, words: str = "hello") -> MessageReceived:
    return MessageReceived(
        event_id=str(uuid.uuid4()),
        occurred_at=now_ms(),
        recorded_at=now_ms(),
        waba_id=WABA,
        phone_number_id=NUMBER,
        contact=contact,
        wamid=f"wamid.{uuid.uuid4().hex}",
        type="text",
        text=words,
        raw="{}",
        wa_id=contact,
    )


def inbound(event: MessageReceived) -> NewRecord:
    key = record_key(NUMBER, event.contact).encode()
    return NewRecord(topics.INBOUND_MESSAGES, key, CODEC.encode(event), AVRO_HEADERS)


def place_of_last(stage: Scene, contact: str) -> str:
    """Where the person's last message stands, as a bot that consumed it knows."""
    key = record_key(NUMBER, contact).encode()
    found = [one for one in log.read(stage.kafka.bootstrap_servers, topics.INBOUND_MESSAGES) if one.key == key]
    return f"{found[-1].topic}/{found[-1].partition}/{found[-1].offset}"


@pytest.mark.usefixtures("sender")
def test_replies_are_never_refused_because_the_projector_is_two_seconds_behind(stage: Scene, projector: ServiceProcess) -> None:
    plain = [f"4917000002{n:02d}" for n in range(10)]
    caused = [f"4917000003{n:02d}" for n in range(10)]
    stage.put_records([inbound(said("491700000299"))])
    wait_for(lambda: stage.sql("SELECT count(*) FROM projector.conversations") == [(1,)], 20, "a projector at work")
    stage.put_records([inbound(said(person)) for person in caused[:5]])
    projector.signal(signal.SIGSTOP)
    stage.put_records([inbound(said(person)) for person in [*plain, *caused]])
    commands = [text(to=f"+{person}") for person in plain]
    commands += [text(to=f"+{person}", caused_by=place_of_last(stage, person)) for person in caused]
    stopped_at = time.monotonic()
    stage.put(*commands)
    wait_for(lambda: len(stage.states()) == len(commands), 10, "the commands")
    wait_for(lambda: time.monotonic() - stopped_at > 2, 5, "a projector that is two seconds behind")
    assert stage.arrivals() == []
    projector.signal(signal.SIGCONT)
    assert [stage.wait_outcome(one).kind for one in commands] == ["accepted"] * len(commands)
    assert len(stage.arrivals()) == len(commands)


@pytest.mark.usefixtures("sender")
def test_a_command_that_names_a_stop_as_its_cause_is_not_sent_before_the_stop_is_known(
    stage: Scene, projector: ServiceProcess
) -> None:
    stage.put_records([inbound(said(PERSON))])
    wait_for(lambda: stage.sql("SELECT count(*) FROM projector.conversations") == [(1,)], 20, "the open window")
    projector.signal(signal.SIGSTOP)
    stage.put_records([inbound(said(PERSON, "STOP"))])
    command = text(caused_by=place_of_last(stage, PERSON))
    stage.put(command)
    wait_for(lambda: bool(stage.states()), 10, "the command")
    projector.signal(signal.SIGCONT)
    assert told(stage, command)[:2] == ("refused", "opted_out")
    assert stage.arrivals() == []


@pytest.mark.usefixtures("sender")
def test_a_cause_that_is_none_is_refused(stage: Scene) -> None:
    stage.open_window()
    hopeless = [text(caused_by=one) for one in ("yesterday", "parley.webhooks.v1/0/1", f"{topics.INBOUND_MESSAGES}/0/-1")]
    stage.put(*hopeless)
    assert {told(stage, command)[:2] for command in hopeless} == {("refused", "caused_by")}


def test_an_operator_reads_and_lists_templates(stage: Scene, tmp_path: Path) -> None:
    async def many(client: SimulatorClient) -> None:
        for n in range(220):
            await client.add_template(WABA, f"offer_{n:03d}", "en_US", category="MARKETING")
        await client.rules(Error(code=131059), endpoint="message_templates", on_next_page=True)

    stage.ask(many)
    env = {"PARLEY_POSTGRES_DSN": stage.dsn, "PARLEY_GRAPH_URL": stage.graph_url, "PARLEY_TOKEN_KEY": TOKEN_KEY}
    assert "parley template sync" in parley(tmp_path, "template", "list", **env).stderr
    done = parley(tmp_path, "template", "sync", **env)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{WABA}: 223 templates\n", "")
    rows = [json.loads(line) for line in parley(tmp_path, "template", "list", "--json", **env).stdout.splitlines()]
    assert len(rows) == 223
    [greeting] = [row for row in rows if row["name"] == "greeting"]
    assert (greeting["category"], greeting["status"], greeting["parameters"]) == ("UTILITY", "APPROVED", "body 2")
    table = parley(tmp_path, "template", "list", "--waba", WABA, **env).stdout.splitlines()
    assert table[0].split() == ["NAME", "LANGUAGE", "CATEGORY", "STATUS", "PARAMETERS", "ACCOUNT"]
    assert parley(tmp_path, "template", "list", "--status", "PAUSED", **env).stdout == ""
    shown = parley(tmp_path, "template", "show", "code", **env).stdout
    assert "parameters: body 1, button 0 url" in shown
    assert '"type":"BODY"' in shown
    missing = parley(tmp_path, "template", "show", "code", "--language", "de", **env)
    assert (missing.returncode, missing.stderr.splitlines()[0]) == (1, "There is no such template.")
    stage.ask(lambda client: client.rules(Error(code=80008), endpoint="message_templates"))
    throttled = parley(tmp_path, "template", "sync", **env)
    assert throttled.returncode == 1
    assert "not read." in throttled.stdout
    assert "80008" in throttled.stdout
