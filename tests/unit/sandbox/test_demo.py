"""Is the demo's script the same for a seed, does it hold what it promises, and does its picture fit and tell the truth?"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

import orjson
import pytest
from rich.console import Console, RenderableType

from services.common.domain import recipients
from services.common.domain.consent import Decision, said
from services.common.domain.lanes import Lane
from services.sandbox.demo import people, view
from services.sandbox.demo.business import HELP, NUMBERS, OFFERS, SHOP, account
from services.sandbox.demo.play import Note
from services.sandbox.demo.show import as_json
from services.sandbox.demo.snapshot import LastEvent, NumberNow, Snapshot, masked
from services.sandbox.demo.traffic import Kill, Planned, Publish, Say, Script, write
from services.sandbox.ledger import Finding, Kind, NumberVerdict, Verdict
from services.sandbox.simulator.policy import refuse_template
from services.sandbox.simulator.templates import components_of
from services.sender.content import check, definition

pytestmark = pytest.mark.unit

SEEDS = range(5)


def planned(script: Script) -> Iterator[Planned]:
    for step in script.steps:
        if isinstance(step, Publish):
            yield from step.planned
        elif isinstance(step, Say):
            later = None if step.then is None else step.then.reply
            yield from (one for one in (step.reply, step.afterwards, later) if one is not None)


def texts(script: Script) -> Iterator[str]:
    for step in script.steps:
        if isinstance(step, Say):
            yield from (say.text for say in (step, step.then) if say is not None and say.text is not None)


def test_the_same_seed_writes_the_same_script_and_another_seed_another() -> None:
    assert write(seed=1, seconds=60) == write(seed=1, seconds=60)
    assert write(seed=1, seconds=60) != write(seed=2, seconds=60)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_step_lies_within_the_time_and_in_order(seed: int) -> None:
    for seconds in (10.0, 60.0, 120.0):
        times = [step.at for step in write(seed=seed, seconds=seconds).steps]
        assert times == sorted(times)
        assert times[0] >= 0.0
        assert times[-1] < seconds


@pytest.mark.parametrize("seed", SEEDS)
def test_a_command_id_stands_for_one_content_but_for_the_one_planned_conflict(seed: int) -> None:
    contents: dict[str, set[str]] = {}
    for one in planned(write(seed=seed, seconds=60)):
        contents.setdefault(one.command.command_id, set()).add(one.command.content)
    assert sorted(len(content) for content in contents.values())[-2:] == [1, 2]


@pytest.mark.parametrize("seed", SEEDS)
def test_every_command_names_a_recipient_and_content_that_meta_takes(seed: int) -> None:
    templates = {(one.name, one.language): one for one in account().world({n.phone_number_id: "t" for n in NUMBERS}).templates}
    for one in planned(write(seed=seed, seconds=60)):
        command, content = one.command, orjson.loads(one.command.content)
        assert recipients.parse(to=command.to, bsuid=command.recipient) is not None
        assert check.problem(command.type, content) is None
        if command.type == "template" and content["name"] != "no_such_template":
            template = templates[content["name"], content["language"]["code"]]
            assert refuse_template(template, content) is None
            listed = orjson.dumps(components_of(template)).decode()
            assert definition.problem(content, definition.definition_of(template.parameter_format, listed)) is None
            assert command.to is not None or template.category != "AUTHENTICATION"
            lanes = {"MARKETING": Lane.BULK, "UTILITY": Lane.TRANSACTIONAL, "AUTHENTICATION": Lane.OTP}
            assert command.lane == lanes[template.category]


def test_a_minute_has_everything_the_demo_promises() -> None:
    script = write(seed=1, seconds=60)
    commands = list(planned(script))
    reasons = Counter(one.must_refuse for one in commands if one.must_refuse is not None)
    assert set(reasons) == {"window_closed", "opted_out", "no_consent", "expired", "template"}
    assert {one.form for one in commands} == {"json", "avro"}
    assert any(one.key is None for one in commands)
    assert any(one.copies > 1 for one in commands)
    assert any(one.raw is not None for one in commands)
    words = Counter(meant.decision for text in texts(script) if (meant := said(text)) is not None)
    assert words[Decision.WITHDRAWN] == words[Decision.GRANTED] >= 3
    kills = [(step.at, step.service) for step in script.steps if isinstance(step, Kill)]
    assert [service for _, service in kills] == ["sender", "sender", "router", "projector"]
    burst = max((step for step in script.steps if isinstance(step, Publish)), key=lambda step: len(step.planned))
    assert {one.command.phone_number_id for one in burst.planned} == {OFFERS.phone_number_id}
    assert all(burst.at < at < burst.at + len(burst.planned) / OFFERS.limit for at, _ in kills[:2])
    assert len(script.people) >= 200
    assert {one.country for one in script.people} == {"BR", "MX", "AR", "IN", "DE", "US"}


def test_who_changes_their_mind_gets_nothing_else_from_that_number() -> None:
    script = write(seed=1, seconds=60)
    fickle = {step.person.key for step in script.steps if isinstance(step, Say) and step.afterwards is not None}
    told = {f"+{step.person.wa_id}" for step in script.steps if isinstance(step, Say) and step.person.key in fickle}
    others = [step for step in script.steps if isinstance(step, Publish)]
    written = [one.command for step in others for one in step.planned if one.command.phone_number_id == HELP.phone_number_id]
    assert fickle
    assert not [command for command in written if command.to in told or command.recipient in fickle]


def test_people_are_different_and_some_show_no_number() -> None:
    invented = people.people(260, random.Random(7))
    assert len({person.key for person in invented}) == 260
    assert all(person.wa_id or person.bsuid for person in invented)
    assert 10 <= sum(person.wa_id is None for person in invented) <= 30
    assert sum(person.bsuid is not None for person in invented) >= 60


def rendered(what: RenderableType, width: int = 80) -> list[str]:
    console = Console(width=width, record=True, file=None, force_terminal=False, color_system=None)
    with console.capture() as capture:
        console.print(what)
    return capture.get().splitlines()


def snapshot(*, notes: int = 20) -> Snapshot:
    return Snapshot(
        phase="playing",
        elapsed=34.2,
        seconds=60.0,
        webhooks_per_second=182.4,
        webhook_posts=4812,
        webhook_errors=3,
        sends_per_second=98.0,
        numbers=tuple(
            NumberNow(name=one.name, limit=one.limit, sends=one.limit // 2, worst_second=one.limit, waiting=40) for one in NUMBERS
        ),
        funnel={"taken in": 1038, "waiting": 212, "accepted": 952, "sent": 950, "delivered": 913, "read": 614, "failed": 12},
        refused={"window_closed": 14, "opted_out": 12, "no_consent": 8, "expired": 6},
        windows_open=180,
        opted_out=9,
        backlog={"router": 3, "sender": 2, "projector": 12},
        dead_letters=3,
        last=tuple(LastEvent(clock="12:00:00", who="+55••••4321", what="delivered order_update") for _ in range(12)),
        notes=tuple(Note(at=nth, text=f"trouble {nth}") for nth in range(notes)),
    )


@pytest.mark.parametrize(("width", "height"), [(80, 24), (140, 40)])
def test_the_screen_fits_and_shows_every_figure(width: int, height: int) -> None:
    lines = rendered(
        view.screen(snapshot(), "kafka: 4.4 (native) · postgres: 15 (system) · meta: simulator", height=height), width
    )
    text = "\n".join(lines)
    assert len(lines) <= height
    assert all(len(line) <= width for line in lines)
    for shown in (
        "00:34 of 01:00",
        "182/s",
        "98/s",
        "40/80/s",
        "10/20/s",
        "window_closed 14",
        "read 614",
        "+55••••4321",
        "trouble 19",
    ):
        assert shown in text
    assert "taken in 1\N{NARROW NO-BREAK SPACE}038" in text


def test_a_higher_screen_shows_more_of_the_past() -> None:
    low, high = (rendered(view.screen(snapshot(), "", height=height)) for height in (24, 40))
    assert sum("trouble" in line for line in high) > sum("trouble" in line for line in low)


def test_a_log_line_is_one_line() -> None:
    assert view.line(snapshot()) == (
        "00:34 playing: webhooks 182/s, sends 40/80 40/80 10/20 per s, accepted 952, delivered 913, read 614, waiting 212,"
        " refused 40, lag 17"
    )
    assert view.note_line(Note(at=65, text="sender killed")) == "01:05 ! sender killed"


def verdict(*findings: Finding) -> Verdict:
    return Verdict(
        events=4812,
        duplicates_absorbed=611,
        commands=1038,
        accepted=952,
        rejected=2,
        refused={"window_closed": 14},
        surprises=1,
        dead_letters=3,
        unresolved=5,
        numbers=(NumberVerdict(phone_number_id=SHOP.phone_number_id, limit=80, arrivals=412, accepted=391, worst_second=79),),
        findings=findings,
    )


def test_the_report_names_numbers_reasons_and_every_broken_promise() -> None:
    lost = Finding(kind=Kind.LOST, what="command 1", why="acknowledged by Kafka, then nothing")
    text = "\n".join(rendered(view.report(verdict(lost), "projector 4")))
    for shown in (
        "Aurora shop",
        "79",
        "window_closed 14",
        "unresolved 5",
        "refused while read models lagged 1",
        "lost: command 1",
        "projector 4",
    ):
        assert shown in text


def test_a_clean_report_speaks_of_no_broken_promise() -> None:
    assert "broken promises" not in "\n".join(rendered(view.report(verdict(), "nothing")))


def test_the_verdict_as_json_has_every_kind_of_broken_promise() -> None:
    told = as_json(verdict(Finding(kind=Kind.DOUBLE_SEND, what="command 1", why="twice")), "nothing")
    assert orjson.loads(orjson.dumps(told))["broken"]["double_send"] == 1
    assert set(told["broken"]) == {kind.value.replace(" ", "_") for kind in Kind}
    assert told["ok"] is False


def test_a_masked_person_cannot_be_called() -> None:
    assert masked("5511987654321") == "+55••••4321"
    assert masked("BR.AbCdEfGhIjKlMnOpQrStUv") == "BR.••••StUv"
    assert masked("") == masked("short.id") == "••••"
