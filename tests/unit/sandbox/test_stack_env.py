"""Does a shell read from `stack.env` exactly what was written?"""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sandbox import stack_env

AWKWARD = {
    "PARLEY_POSTGRES_DSN": "postgresql://op:p%40ss&w;rd@127.0.0.1:5432/parley?options=-c%20work_mem%3D4MB",
    "PARLEY_APP_SECRET": 'it\'s $HOME `id` \\ "quoted" !',
    "PARLEY_VERIFY_TOKEN": "",
    "PARLEY_TOKEN_KEY": "aGVsbG8+/w==",
    "PARLEY_WABA_ID": "# not a comment",
}
values = st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=40)


def test_a_shell_that_sources_the_file_exports_every_value_unchanged(tmp_path: Path) -> None:
    folder = tmp_path / "with a blank"
    folder.mkdir()
    path = folder / stack_env.FILE_NAME
    stack_env.write(path, AWKWARD)
    script = "set -a; . ./stack.env; set +a; env -0"
    told = subprocess.run(["/bin/sh", "-c", script], cwd=folder, env={}, capture_output=True, check=True).stdout
    seen = dict(pair.split("=", 1) for pair in told.decode().split("\0") if pair)
    assert {name: seen.get(name) for name in AWKWARD} == AWKWARD


@given(st.dictionaries(st.from_regex(r"PARLEY_[A-Z_]{1,12}", fullmatch=True), values, max_size=5))
def test_what_was_written_is_read_back_without_a_shell(env: dict[str, str]) -> None:
    assert stack_env.from_text(stack_env.as_text(env)) == env


def test_simple_values_are_not_quoted() -> None:
    assert stack_env.as_text({"PARLEY_GRAPH_URL": "http://127.0.0.1:8080"}) == "PARLEY_GRAPH_URL=http://127.0.0.1:8080\n"


def test_the_file_is_for_its_owner_only_also_when_it_replaces_an_open_one(tmp_path: Path) -> None:
    path = tmp_path / stack_env.FILE_NAME
    path.write_text("OLD=1\n")
    path.chmod(0o644)
    stack_env.write(path, {"NEW": "2"})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stack_env.read(path) == {"NEW": "2"}
    assert [entry.name for entry in tmp_path.iterdir()] == [stack_env.FILE_NAME]


@pytest.mark.parametrize("name", ["", "1ST", "WITH BLANK", "X;rm"])
def test_what_is_no_name_of_a_variable_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no name of a variable"):
        stack_env.as_text({name: "x"})


@pytest.mark.parametrize("line", ["words without a sign", "A=two words", "B C=1"])
def test_a_line_that_is_no_assignment_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="no assignment"):
        stack_env.from_text(line + "\n")
