"""Does `parley dlq` say what is wrong with its command line, and which of several elements a pointer is of?"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from typer.testing import CliRunner

from services.cli.dlq import app
from services.cli.problem import USAGE, CommandError
from services.cli.redriving import nearest


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("redrive", "--reason", "x"), "Say which"),
        (("discard", "--reason", "x", "--yes"), "Say which"),
        (("redrive", "webhooks/2/1", "--reason", " "), "--reason is empty"),
        (("redrive", "webhooks/2/1", "--source", "router", "--reason", "x"), "not both"),
        (("show", "webhooks/2/1", "--reason", "x"), "No such option"),
        (("show", "webhooks/2/1", "--to", "bytes"), "--to is for --raw"),
        (("show", "webhooks/2/1", "--raw", "--json"), "give one of them"),
        (("show", "webhooks/2/1", "--raw", "--to", "bytes", "--json"), "give one of them"),
        (("redrive", "webhooks/2/1"), "--reason"),
        (("redrive", "webhooks/2", "--reason", "x"), "A place is"),
        (("redrive", "nowhere/2/1", "--reason", "x"), "no topic of this name"),
        (("redrive", f"webhooks/{2**31}/1", "--reason", "x"), "A place is"),
        (("redrive", "webhooks/2/\N{SUPERSCRIPT TWO}", "--reason", "x"), "A place is"),
        (("list", "--since", "yesterday"), "no instant"),
    ],
)
def test_a_command_line_that_makes_no_sense_is_refused_before_anything_is_asked(arguments: Sequence[str], told: str) -> None:
    done = CliRunner().invoke(app, list(arguments))
    if isinstance(done.exception, CommandError):
        assert (done.exception.exit_code, told in str(done.exception)) == (USAGE, True)
    else:
        assert (done.exit_code, told in " ".join(done.output.replace("│", " ").split())) == (USAGE, True), done.output


@pytest.mark.parametrize(
    ("pointer", "expected"),
    [
        ("/entry/0/changes/0/value/messages/1/id", "/entry/0/changes/0/value/messages/1/timestamp"),
        ("/entry/0/changes/0/value/messages/1", "/entry/0/changes/0/value/messages/1/timestamp"),
        ("/entry/0/changes/0/value/messages/10/id", "/entry/0/changes/0/value/messages/10"),
        ("/entry/1/changes", "/entry/1"),
    ],
)
def test_a_pointer_is_of_the_element_with_which_it_shares_most_of_the_way(pointer: str, expected: str) -> None:
    elements = [
        "/entry/0/changes/0/value/messages/1/timestamp",
        "/entry/0/changes/0/value/messages/10",
        "/entry/0/changes/0/value/messages/2/timestamp",
        "/entry/1",
    ]
    assert nearest(pointer, elements) == expected
