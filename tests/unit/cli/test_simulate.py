"""Does `parley simulate` find the webhook that is meant, and change in it only what it was asked to change?"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from services.cli import rewriting
from services.cli.problem import CommandError
from services.cli.simulate import SAMPLES, Sample, grouped, nearest, rewritten, sample_folder, simulate
from tests.support import samples

NOW = 1_800_000_000_123
ALL = [Sample(name, samples.document(name)) for name in samples.names()]
BODY: dict[str, Any] = {
    "entry": [
        {
            "time": 1763838270,
            "changes": [
                {
                    "value": {
                        "metadata": {"display_phone_number": "15550783881", "phone_number_id": "1"},
                        "messages": [
                            {"id": "wamid.a", "timestamp": "1763838270", "context": {"id": "wamid.b"}},
                            {"id": "wamid.c", "timestamp": "1763838270999", "text": {"body": "not wamid.a, and time 1"}},
                        ],
                        "statuses": [{"id": "wamid.a", "timestamp": 1763838270999}, {"id": "wamid.a", "timestamp": True}],
                        "calls": [{"id": "wacid.d", "timestamp": "soon", "start_time": "1763838270"}],
                    }
                }
            ],
        }
    ]
}


def told(**changes: Any) -> dict[str, Any]:
    """What would be posted of BODY."""
    ((_, text),) = rewritten([Sample("body", BODY)], **{"now": None, "is_fresh": False, "to": None, **changes})
    body: dict[str, Any] = json.loads(text)
    return body


def value(body: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = body["entry"][0]["changes"][0]["value"]
    return found


def test_without_options_a_sample_is_posted_as_it_is() -> None:
    texts = rewritten(ALL, now=None, is_fresh=False, to=None)
    assert [text.encode() for _, text in texts] == [samples.body(name) for name in samples.names()]


def test_every_instant_becomes_now_in_its_own_unit_and_type_and_nothing_else_changes() -> None:
    new = told(now=NOW)
    assert new["entry"][0]["time"] == 1_800_000_000
    assert [one["timestamp"] for one in value(new)["messages"]] == ["1800000000", "1800000000123"]
    assert [one["timestamp"] for one in value(new)["statuses"]] == [NOW, True]
    assert value(new)["calls"] == value(BODY)["calls"]
    assert rewriting.message_ids(new) == rewriting.message_ids(BODY)


def test_the_same_old_id_becomes_the_same_new_one_and_every_other_text_stays() -> None:
    new = told(is_fresh=True)
    ids = rewriting.message_ids(new)
    assert len(ids) == len(rewriting.message_ids(BODY)) == 4
    assert not set(ids) & set(rewriting.message_ids(BODY))
    assert [one.partition(".")[0] for one in ids] == ["wamid", "wamid", "wamid", "wacid"]
    assert {one["id"] for one in value(new)["statuses"]} == {value(new)["messages"][0]["id"]}
    assert rewriting.with_ids(new, dict(zip(ids, rewriting.message_ids(BODY), strict=True))) == BODY


def test_ids_without_a_prefix_as_in_metas_older_examples_are_ids_and_other_texts_are_none() -> None:
    ids = ["ABGGFlA5Fpa", "gBGGFlB5YjhvAgnhRUM0RkNFRjY4", "ABEGkYaYVSEEAhAL3SLAWwHKeKrt6s3FKB0c"]
    assert rewriting.message_ids({"ids": ids, "texts": ["ABGG", "see wamid.a", "wamid.", "US.13491208655302741918"]}) == tuple(
        ids
    )


def test_an_id_that_two_samples_share_stays_shared_and_every_run_has_others() -> None:
    pair = [Sample("one", {"id": "wamid.a"}), Sample("two", {"message_id": "wamid.a"})]
    runs = [[json.loads(text) for _, text in rewritten(pair, now=None, is_fresh=True, to=None)] for _ in range(2)]
    assert all(one["id"] == two["message_id"] for one, two in runs)
    assert runs[0] != runs[1]


def test_a_number_is_replaced_by_its_id_and_not_as_people_dial_it() -> None:
    assert value(told(to="2"))["metadata"] == {"display_phone_number": "15550783881", "phone_number_id": "2"}


def test_what_is_given_stays_as_it_is() -> None:
    before = copy.deepcopy(BODY)
    told(now=NOW, is_fresh=True, to="2")
    assert before == BODY


@pytest.mark.parametrize("sample", ALL, ids=lambda sample: sample.name)
def test_of_every_sample_only_what_was_asked_for_changes(sample: Sample) -> None:
    ids = rewriting.message_ids(sample.body)
    there = {one: f"wamid.new-{nth}" for nth, one in enumerate(ids)}
    back = {new: old for old, new in there.items()}
    assert rewriting.with_ids(rewriting.with_ids(sample.body, there), back) == sample.body
    changed = rewriting.at_instant(rewriting.to_number(sample.body, "2"), NOW)
    assert set(differing(sample.body, changed)) <= {"timestamp", "time", "phone_number_id"}


def differing(one: Any, other: Any, key: str = "") -> list[str]:
    """The keys of the values in which two bodies of the same shape differ."""
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert list(one) == list(other)
        return [name for key in one for name in differing(one[key], other[key], key)]
    if isinstance(one, list):
        return [name for a, b in zip(one, other, strict=True) for name in differing(a, b)]
    return [] if one == other else [key]


def test_names_are_grouped_by_their_first_word() -> None:
    assert grouped(["status_sent", "message_text", "message_image"]) == [
        ("message", "message_image"),
        ("", "message_text"),
        ("status", "status_sent"),
    ]


def test_the_nearest_names_are_those_that_may_have_been_meant() -> None:
    names = samples.names()
    assert nearest("mesage_text", names)[0] == "message_text"
    assert nearest("Status_Played", names)[0] == "status_played"
    assert len(nearest("stop", names)) == 5
    assert all("stop" in one for one in nearest("stop", names))
    assert nearest("xyzzy", names) == []


def test_samples_are_those_of_the_checkout_around_else_of_the_installation(tmp_path: Path) -> None:
    here, installed = tmp_path / "checkout", tmp_path / "installed"
    for folder in (here, installed):
        (folder / SAMPLES).mkdir(parents=True)
    (here / "docs" / "adr").mkdir(parents=True)
    assert sample_folder(here / "docs" / "adr", installed) == here / SAMPLES
    assert sample_folder(tmp_path / "elsewhere", installed) == installed / SAMPLES
    assert sample_folder(tmp_path / "elsewhere", tmp_path / "site-packages") is None


@pytest.mark.usefixtures("nowhere")
def test_the_list_has_every_sample_and_no_expectation(capsys: pytest.CaptureFixture[str]) -> None:
    simulate(is_listing=True, as_json=True)
    assert json.loads(capsys.readouterr().out) == samples.names()
    simulate(is_listing=True)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in lines] == samples.names()
    assert len({line.rindex(" ") for line in lines}) == 1


@pytest.mark.usefixtures("nowhere")
@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("mesage_text", None, "There is no sample and no file mesage_text."),
        ("message_text.expected", None, "There is no sample and no file message_text.expected."),
        ("torn.json", "{", "torn.json cannot be read as JSON."),
        ("list.json", "[]", "list.json is no webhook: its JSON is no object."),
        ("nan.json", '{"a": NaN}', "nan.json cannot be read as JSON."),
        ("deep.json", '{"a":' * 100_000, "deep.json cannot be read as JSON."),
        ("large.json", '{"a": 1e999}', "A number is too large or the nesting too deep to be posted."),
    ],
)
def test_what_is_no_webhook_is_said_before_anything_is_posted(name: str, content: str | None, problem: str) -> None:
    if content is not None:
        Path(name).write_text(content)
    with pytest.raises(CommandError) as raised:
        simulate(["message_text", name])
    assert (str(raised.value), raised.value.exit_code) == (problem, 2)
    assert content is not None or "Did you mean message_text" in raised.value.hint


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In no checkout."""
    monkeypatch.chdir(tmp_path)
