"""Does the name of each migration say when it may be applied, and does none that comes before the roll-out take anything away?"""

from __future__ import annotations

import re
from typing import Final

import pytest

from services.common.platform.migrations import FOLDER, Phase, phase_of

OLDER: Final = 24
"""The last number of those that are older than the rule of phases."""
BREAKING: Final = {
    "adding-not-nullable-field",
    "adding-required-field",
    "ban-drop-column",
    "ban-drop-schema",
    "ban-drop-table",
    "ban-set-schema",
    "changing-column-type",
    "renaming-column",
    "renaming-object",
    "renaming-table",
}
"""What squawk finds where code that runs meanwhile would fail: not in a pre migration, whatever the reason."""
FILES: Final = sorted(FOLDER.glob("*"))


def test_no_number_is_there_twice() -> None:
    numbers = [file.name[:4] for file in FILES]
    assert sorted(set(numbers)) == numbers


@pytest.mark.parametrize("name", [file.name for file in FILES])
def test_a_name_says_the_number_the_words_and_the_phase(name: str) -> None:
    wanted = r"\d{4}_[a-z0-9_]+\.sql" if int(name[:4]) <= OLDER else r"\d{4}_[a-z0-9_]+\.(pre|post)\.sql"
    assert re.fullmatch(wanted, name)


@pytest.mark.parametrize(
    ("name", "phase"),
    [
        ("0025_more.pre", Phase.PRE),
        ("0025_more.pre.sql", Phase.PRE),
        ("0026_less.post", Phase.POST),
        ("0026_less.post.sql", Phase.POST),
        ("0020_more_views", Phase.PRE),
        ("0027_post.pre.sql", Phase.PRE),
    ],
)
def test_the_phase_is_read_from_the_end_of_the_name(name: str, phase: Phase) -> None:
    assert phase_of(name) is phase


def exceptions(text: str) -> set[str]:
    """The rules of squawk that a file does not keep."""
    found = re.findall(r"squawk-ignore(?:-file)?[ \t]+(.*)$", text, re.MULTILINE)
    return {rule.strip() for rules in found for rule in rules.split(",")}


def test_exceptions_are_seen_wherever_squawk_sees_them() -> None:
    assert exceptions("-- squawk-ignore-file a, b\nSELECT 1;\n  -- squawk-ignore c\nSELECT 2;") == {"a", "b", "c"}


def test_a_pre_migration_makes_no_exception_from_what_breaks_code_that_runs() -> None:
    for file in FILES:
        if int(file.name[:4]) > OLDER and phase_of(file.name) is Phase.PRE:
            assert not BREAKING & exceptions(file.read_text("utf-8")), file.name
