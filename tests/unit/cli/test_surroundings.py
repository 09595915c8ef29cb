"""Against which stack does a command work?"""

from __future__ import annotations

from pathlib import Path

import pytest

from services.cli.problem import CommandError
from services.cli.surroundings import adopt_local_stack, need, need_secret
from services.sandbox import stack_env


def test_the_stack_of_the_directory_is_used_when_no_address_is_set(tmp_path: Path) -> None:
    stack_env.write(tmp_path / stack_env.FILE_NAME, {"PARLEY_POSTGRES_DSN": "local", "PARLEY_WABA_ID": "local"})
    environ = {"PARLEY_WABA_ID": "mine"}
    assert adopt_local_stack(environ, tmp_path)
    assert environ == {"PARLEY_POSTGRES_DSN": "local", "PARLEY_WABA_ID": "mine"}


def test_two_stacks_are_never_mixed(tmp_path: Path) -> None:
    stack_env.write(tmp_path / stack_env.FILE_NAME, {"PARLEY_POSTGRES_DSN": "local", "PARLEY_TOKEN_KEY": "local"})
    environ = {"PARLEY_KAFKA_BOOTSTRAP_SERVERS": "elsewhere:9092"}
    assert not adopt_local_stack(environ, tmp_path)
    assert environ == {"PARLEY_KAFKA_BOOTSTRAP_SERVERS": "elsewhere:9092"}


def test_a_variable_that_is_only_blanks_counts_as_missing() -> None:
    with pytest.raises(CommandError) as told:
        need("PARLEY_POSTGRES_DSN", {"PARLEY_POSTGRES_DSN": "  "})
    assert told.value.exit_code == 78


def test_a_stack_whose_secrets_stand_in_files_is_not_mixed_with_another(tmp_path: Path) -> None:
    stack_env.write(tmp_path / stack_env.FILE_NAME, {"PARLEY_POSTGRES_DSN": "local", "PARLEY_TOKEN_KEY": "local"})
    assert not adopt_local_stack({"PARLEY_POSTGRES_DSN_FILE": "elsewhere"}, tmp_path)
    environ = {"PARLEY_TOKEN_KEY_FILE": "mine"}
    assert adopt_local_stack(environ, tmp_path)
    assert environ == {"PARLEY_TOKEN_KEY_FILE": "mine", "PARLEY_POSTGRES_DSN": "local"}


def test_a_secret_comes_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("of-the-file\n")
    environ = {"PARLEY_TOKEN_KEY_FILE": str(tmp_path / "key")}
    assert need_secret("PARLEY_TOKEN_KEY", environ) == "of-the-file"
    with pytest.raises(CommandError, match="PARLEY_TOKEN_KEY_FILE: PARLEY_TOKEN_KEY is set as well"):
        need_secret("PARLEY_TOKEN_KEY", {**environ, "PARLEY_TOKEN_KEY": "given"})
