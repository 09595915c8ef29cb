"""Does `parley routes check` say what the rules do, or everything that is wrong with them?"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from services.cli.__main__ import app

GOOD = """
routes:
  - name: sales-bot
    topic: sales.inbound.v1
    family: MessageReceived
    phone_number_id: ["106"]
    type: [text, button]
    keyword: [price, talk to sales]
  - name: plans
    topic: plans.v1
    family: [MessageReceived, MessageCopied]
    waba_id: 900
    payload: [UPGRADE, PLAN_*]
  - {name: any-tap, topic: taps.v1, family: MessageReceived, payload: "*"}
  - {name: failures, topic: failures.v1, family: MessageStatusChanged, status: failed}
"""
BAD = "routes:\n  - {name: Bot, topic: parley.x, family: [Nonsense], color: red}\n"
MISTAKES = [
    "routes[0].color: unknown key",
    "routes[0].name: must be lower-case words with dashes, at most 64 characters",
    "routes[0].topic: parley.x is for Parley alone, as is every name that begins with parley.",
    "routes[0].family[0]: unknown record Nonsense",
]


def check(folder: Path, content: str | None, *options: str) -> Result:
    file = folder / "routes.yaml"
    if content is not None:
        file.write_text(content, "utf-8")
    return CliRunner().invoke(app, ["routes", "check", str(file), *options])


def test_the_rules_are_told_in_words(tmp_path: Path) -> None:
    done = check(tmp_path, GOOD)
    assert (done.exit_code, done.stderr) == (0, "")
    rows = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert rows == [
        "ROUTE TOPIC COPIES",
        'sales-bot sales.inbound.v1 MessageReceived, of number 106, of type text or button, that say "price" or "talk to sales"',
        "plans plans.v1 MessageReceived and MessageCopied, of account 900, with payload UPGRADE or PLAN_…",
        "any-tap taps.v1 MessageReceived, with payload of any kind",
        "failures failures.v1 MessageStatusChanged, with status failed",
    ]


def test_every_mistake_is_told_and_the_exit_code_is_1(tmp_path: Path) -> None:
    done = check(tmp_path, BAD)
    assert (done.exit_code, done.stdout, done.stderr.splitlines()) == (1, "", MISTAKES)


def test_json_has_the_rules_or_the_mistakes(tmp_path: Path) -> None:
    good = check(tmp_path, GOOD, "--json")
    told = json.loads(good.stdout)
    assert (good.exit_code, told["mistakes"], len(told["routes"])) == (0, [], 4)
    assert told["routes"][1] == {
        "name": "plans",
        "topic": "plans.v1",
        "family": ["MessageReceived", "MessageCopied"],
        "waba_id": ["900"],
        "phone_number_id": [],
        "type": [],
        "status": [],
        "keyword": [],
        "payload": ["UPGRADE", "PLAN_*"],
    }
    bad = check(tmp_path, BAD, "--json")
    told = json.loads(bad.stdout)
    assert (bad.exit_code, bad.stderr, told["routes"]) == (1, "", [])
    assert [f"{mistake['place']}: {mistake['problem']}" for mistake in told["mistakes"]] == MISTAKES


def test_a_file_without_rules_is_right(tmp_path: Path) -> None:
    done = check(tmp_path, "")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "There is no rule: nothing is copied.\n")


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_file_that_cannot_be_read_is_a_mistake(tmp_path: Path, options: list[str]) -> None:
    done = check(tmp_path, None, *options)
    assert done.exit_code == 1
    assert "cannot be read (FileNotFoundError)" in done.output
