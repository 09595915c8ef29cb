"""Does `parley up` give a whole working Parley that survives its shell, heals itself, and goes without a trace?"""

from __future__ import annotations

import os
import shlex
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from services.sandbox import stack_env
from services.sandbox.keeper_files import KeeperFiles
from services.sandbox.stack_services import OPERATED
from services.sandbox.supervisor import answers_ok
from tests.support.waiting import wait_for

pytestmark = pytest.mark.timeout(400)
START_SECONDS, STOP_SECONDS, HEAL_SECONDS = 180.0, 90.0, 60.0
TO = "+5511987654321"
SEND = ["send", "--to", TO, "--template", "order_update", "--param", "Ana", "--wait", "--timeout", "60"]


class Shell:
    """A person's shell in an empty folder with a blank in its name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = KeeperFiles(folder / ".parley")
        self.env = {name: value for name, value in os.environ.items() if _is_ours(name)}

    def parley(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return self._run([sys.executable, "-m", "services.cli", *arguments], self.folder, env)

    def sh(self, script: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        return self._run(["/bin/sh", "-c", script], cwd, {})

    def _run(self, command: list[str], cwd: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=cwd,
            env={**self.env, **env},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=START_SECONDS,
            check=False,
        )

    def up(self) -> str:
        done = self.parley("up")
        assert done.returncode == 0, done.stderr
        return done.stdout

    def keeper(self) -> psutil.Process:
        pid = self.files.keeper()
        assert pid is not None, "no stack runs"
        return psutil.Process(pid)

    def processes(self) -> list[psutil.Process]:
        """The keeper and everything below it."""
        keeper = self.keeper()
        return [keeper, *keeper.children(recursive=True)]

    def service(self, name: str) -> psutil.Process:
        [found] = [one for one in self.keeper().children() if one.cmdline()[-1:] == [f"services.{name}"]]
        return found


def _is_ours(name: str) -> bool:
    """Where servers come from is the session's choice, all else is this shell's own."""
    return not name.startswith("PARLEY_") or name.startswith("PARLEY_SANDBOX_")


def _all_gone(processes: list[psutil.Process]) -> bool:
    return not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in processes)


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A shell whose stack is up; each test leaves it up."""
    shell = Shell(tmp_path_factory.mktemp("a checkout"))
    try:
        shell.up()
        yield shell
    finally:
        shell.parley("down", "--purge")


@pytest.fixture
def other_shell(tmp_path: Path) -> Iterator[Shell]:
    """A shell in which nothing runs yet."""
    shell = Shell(tmp_path)
    try:
        yield shell
    finally:
        shell.parley("down", "--purge")


def test_a_sourced_stack_env_is_all_that_a_command_elsewhere_needs(shell: Shell, tmp_path: Path) -> None:
    parley = shlex.join([sys.executable, "-m", "services.cli", *SEND])
    done = shell.sh(f"set -a; . {shlex.quote(str(shell.files.env_path))}; set +a; {parley}", tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("accepted wamid.")
    assert stat.S_IMODE(shell.files.env_path.stat().st_mode) == 0o600


def test_each_service_comes_to_kafka_as_itself_and_not_by_the_operators_door(shell: Shell) -> None:
    [(address, kind)] = [(address, note) for name, address, note in shell.files.addresses() if name == "kafka"]
    told = {name: shell.service(name).environ() for name in OPERATED}
    if "(native" in kind:
        assert {name: env["PARLEY_KAFKA_USER"] for name, env in told.items()} == {name: f"parley-{name}" for name in OPERATED}
        assert address not in {env["PARLEY_KAFKA_BOOTSTRAP_SERVERS"] for env in told.values()}
        assert len({env["PARLEY_KAFKA_PASSWORD"] for env in told.values()}) == len(OPERATED)
    else:  # a Kafka of this kind has one door
        assert {env["PARLEY_KAFKA_BOOTSTRAP_SERVERS"] for env in told.values()} == {address}


def test_what_a_customer_says_opens_the_window_for_a_text(shell: Shell) -> None:
    customer = "+5511912345678"
    refused = shell.parley("send", "--to", customer, "--text", "Hello", "--wait")
    assert (refused.returncode, refused.stdout.splitlines()[-1]) == (1, "refused window_closed")
    assert shell.parley("sim", "say", customer, "Is anybody there?").returncode == 0

    def answered() -> bool:
        return shell.parley("send", "--to", customer, "--text", "Yes", "--wait").returncode == 0

    wait_for(answered, HEAL_SECONDS, "the projector to have the window open")
    heard = shell.parley("listen", "inbound-messages", "--from-beginning", "--until-end").stdout
    assert "Is anybody there?" in heard
    assert "912345678" not in heard


def test_a_second_up_starts_nothing_and_prints_the_same_addresses(shell: Shell) -> None:
    before = shell.processes()
    done = shell.parley("up")
    assert done.returncode == 0
    assert "running already" in done.stderr
    assert [(one.pid, one.create_time()) for one in shell.processes()] == [(one.pid, one.create_time()) for one in before]
    env = stack_env.read(shell.files.env_path)
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "INGEST_URL", "PHONE_NUMBER_ID"):
        assert env[f"PARLEY_{name}"] in done.stdout
    assert env["PARLEY_APP_SECRET"] not in done.stdout


@pytest.mark.parametrize("name", ["router", "sender"])
def test_a_killed_service_is_back_by_itself_and_commands_go_on(shell: Shell, name: str) -> None:
    before = shell.service(name)
    before.kill()
    [metrics] = [address for kind, address, note in shell.files.addresses() if (kind, note) == ("metrics", name)]
    wait_for(lambda: _all_gone([before]) and answers_ok(metrics.replace("/metrics", "/ready")), HEAL_SECONDS, f"a new {name}")
    done = shell.parley(*SEND)
    assert done.returncode == 0, done.stderr


def test_down_leaves_no_process_and_the_next_up_goes_on_with_the_same_data(shell: Shell) -> None:
    sent = shell.parley(*SEND, "--json")
    command_id = sent.stdout.partition('"command_id":"')[2].partition('"')[0]
    before, env = shell.processes(), stack_env.read(shell.files.env_path)
    assert shell.parley("down").stdout == "The stack is stopped.\n"
    assert _all_gone(before)
    assert not shell.files.env_path.exists()
    block = shell.up()
    assert stack_env.read(shell.files.env_path) == env
    if "(docker" not in block:  # a container's data goes with it
        assert command_id in shell.parley("listen", "send-outcomes", "--from-beginning", "--until-end").stdout
    assert shell.parley(*SEND).returncode == 0


def test_a_keeper_killed_with_9_takes_everything_along_and_is_no_obstacle_to_the_next_up(shell: Shell) -> None:
    before = shell.processes()
    before[0].kill()
    if sys.platform == "linux":
        wait_for(lambda: _all_gone(before), STOP_SECONDS, "every process of the stack to end")
    assert shell.files.keeper() is None
    # Containers go some seconds later: testcontainers' reaper waits whether anybody comes back.
    wait_for(lambda: shell.parley("listen", "webhooks", "--until-end").returncode == 1, STOP_SECONDS, "the broker to be gone")
    shell.up()
    assert shell.parley(*SEND).returncode == 0


def test_ctrl_c_during_the_start_leaves_nothing_behind(other_shell: Shell) -> None:
    starting = subprocess.Popen(
        [sys.executable, "-m", "services.cli", "up"],
        cwd=other_shell.folder,
        env=other_shell.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert starting.stdout is not None
        for line in starting.stdout:
            if line.startswith("starting Kafka"):
                break
        wait_for(lambda: len(other_shell.processes()) > 1, START_SECONDS, "the first server process")
        processes = other_shell.processes()
        starting.send_signal(signal.SIGINT)
        rest, _ = starting.communicate(timeout=STOP_SECONDS)
    finally:
        starting.kill()
        starting.wait()
    assert starting.returncode == 130, rest
    assert "Traceback" not in rest
    assert _all_gone(processes)
    assert other_shell.files.keeper() is None
    assert not other_shell.files.env_path.exists()


def test_a_start_that_fails_says_which_part_and_leaves_nothing_running(other_shell: Shell) -> None:
    done = other_shell.parley("up", PARLEY_SANDBOX_KAFKA="127.0.0.1:9")
    assert done.returncode == 1
    assert "Kafka" in done.stderr
    assert "127.0.0.1:9" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert other_shell.files.keeper() is None
    assert not other_shell.files.env_path.exists()
