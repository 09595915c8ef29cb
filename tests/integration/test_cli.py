"""Does the command line keep its contract with scripts: exit codes, and errors that say what to do next?"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command_line import parley

TOKEN = "EAAnever-shown"  # a made-up one
KEY = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="


@pytest.mark.parametrize(
    "arguments",
    [
        ["send", "--to", "+5511987654321", "--text", "x"],
        ["listen", "webhooks"],
        ["number", "list"],
        ["sends"],
        ["trace", "1"],
        ["migrate"],
    ],
)
def test_without_a_stack_the_command_says_how_to_get_one(tmp_path: Path, arguments: list[str]) -> None:
    done = parley(tmp_path, *arguments, PARLEY_PHONE_NUMBER_ID="1")
    assert done.returncode == 78
    assert "is not set" in done.stderr
    assert "make up" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    "arguments",
    [["send", "--to", "+5511987654321"], ["listen", "nonsense"], ["sends", "--state", "lost"], ["fly"], ["down", "--wings"]],
)
def test_a_command_line_that_makes_no_sense_ends_with_2(tmp_path: Path, arguments: list[str]) -> None:
    assert parley(tmp_path, *arguments, PARLEY_PHONE_NUMBER_ID="1").returncode == 2


def test_a_kafka_that_does_not_answer_is_said_in_a_sentence(tmp_path: Path) -> None:
    done = parley(tmp_path, "listen", "webhooks", "--until-end", PARLEY_KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:9")
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["Kafka does not answer.", "Is the stack running? `make up` starts it."]


def test_down_without_a_stack_is_no_failure(tmp_path: Path) -> None:
    done = parley(tmp_path, "down", "--purge")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "No stack was running.")
    assert list(tmp_path.iterdir()) == []


def test_a_token_cannot_be_given_on_the_command_line(tmp_path: Path) -> None:
    done = parley(tmp_path, "number", "add", "1", "--waba-id", "2", "--token", TOKEN)
    assert done.returncode == 2
    assert TOKEN not in done.stdout + done.stderr


def test_a_missing_token_names_the_ways_to_give_it(tmp_path: Path) -> None:
    done = parley(tmp_path, "number", "add", "1", "--waba-id", "2", PARLEY_TOKEN_KEY=KEY)
    assert done.returncode == 2
    assert "--token-file" in done.stderr


def test_a_token_key_that_is_none_is_a_configuration_error_that_does_not_quote_it(tmp_path: Path) -> None:
    done = parley(tmp_path, "number", "add", "1", "--waba-id", "2", PARLEY_TOKEN_KEY="c2hvcnQ=", PARLEY_ACCESS_TOKEN=TOKEN)
    assert done.returncode == 78
    assert "32 bytes" in done.stderr
    assert "c2hvcnQ" not in done.stderr
