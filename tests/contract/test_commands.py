"""Does `parley` list every command, and does a command import its own module and not what only others need?"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Final

import pytest
from typer.testing import CliRunner

from services.cli.__main__ import app
from services.cli.commands import PLACES

HEAVY: Final = {"aiohttp", "aiokafka", "faust", "fastavro", "phonenumbers", "psycopg_pool", "pyarrow", "pydantic_settings"}
"""What takes long to import, and most commands do not use."""
OF_POSTGRES: Final = ["sql", "export", "rates", "hours", "tenant", "number", "sends", "trace", "resend"]
"""They ask Postgres, and nobody else."""
_MODULES: Final = """
import json, sys
from typer.testing import CliRunner
from services.cli.__main__ import app
codes = [CliRunner().invoke(app, [command, "--help"]).exit_code for command in sys.argv[1:]]
print(json.dumps([codes, list(sys.modules)]))
"""


def imported(*commands: str) -> set[str]:
    """The packages and modules that a process has when it has run the help of these."""
    done = subprocess.run([sys.executable, "-c", _MODULES, *commands], capture_output=True, text=True, check=True)
    codes, modules = json.loads(done.stdout)
    assert codes == [0] * len(commands)
    return set(modules)


def test_every_command_is_listed_in_order_with_what_it_does() -> None:
    told = CliRunner().invoke(app, ["--help"])
    rows = [line.split(maxsplit=1) for line in told.stdout.partition("Commands:\n")[2].splitlines()]
    assert (told.exit_code, [name for name, _ in rows]) == (0, list(PLACES))


def test_what_asks_only_postgres_imports_no_other_client() -> None:
    modules = imported(*OF_POSTGRES)
    assert "psycopg" in modules
    assert modules & HEAVY == set()


@pytest.mark.parametrize(
    ("command", "needed"),
    [("listen", {"aiokafka", "fastavro", "pydantic_settings"}), ("sim", {"aiohttp"}), ("routes", {"pydantic_settings"})],
)
def test_the_others_import_what_they_use(command: str, needed: set[str]) -> None:
    assert imported(command) & HEAVY == needed
