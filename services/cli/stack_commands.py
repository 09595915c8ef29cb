"""`parley demo`, `up`, `down`, `migrate`: how does an operator get a Parley on this machine?"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import psycopg
import typer

from services.cli import show
from services.cli.problem import CommandError
from services.cli.surroundings import operator_dsn, state_dir
from services.common.platform.migrations import Phase, PrePendingError
from services.common.platform.migrations import migrate as apply
from services.sandbox import up as kept
from services.sandbox.keeper_files import KeeperFiles
from services.sandbox.stack import Row


def demo(
    seconds: Annotated[float, typer.Option(min=5, max=86_400, help="How long traffic is played.")] = 60,
    seed: Annotated[int | None, typer.Option(help="Plays the same traffic again.")] = None,
    plain: Annotated[bool | None, typer.Option("--plain/--live", help="Lines or a picture. Default: what stdout is.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines.")] = False,
    keep: Annotated[Path | None, typer.Option(help="Folder for data and logs, kept for a look afterwards.")] = None,
) -> None:
    """Start everything, play traffic, show and judge it. Exit code 1 when anything was lost or sent twice."""
    from services.sandbox.demo.main import run  # noqa: PLC0415 - the other commands do not pay for it

    raise typer.Exit(run(seconds=seconds, seed=seed, plain=plain, json=as_json, state_dir=keep))


def up() -> None:
    """Start the stack and leave it running: its addresses are printed and written to .parley/stack.env."""
    folder = state_dir()
    try:
        rows = kept.running(folder)
        if rows is not None:
            show.aside("The stack is running already.")
        else:
            with show.progress() as progress:
                rows = kept.start(folder, progress.step)
    except kept.NotUpError as problem:
        raise CommandError(f"The stack did not start: {problem}", hint="Nothing was left running.") from None
    _print_block(rows, KeeperFiles(folder))


def down(
    purge: Annotated[bool, typer.Option("--purge", help="Remove its data as well: log, tables, secrets.")] = False,
) -> None:
    """Stop the stack that `up` started. Its data stays for the next `up`."""
    folder = state_dir()
    was_running = kept.stop(folder)
    show.line("The stack is stopped." if was_running else "No stack was running.")
    if purge:
        try:
            kept.purge(folder)
        except kept.NotUpError as problem:
            raise CommandError(f"Its data was not removed: {problem}") from None
        show.line("Its data is removed.")


def migrate(
    phase: Annotated[
        Phase, typer.Option(help="pre: before new code is rolled out. post: when no old code runs any more. all: both, in order.")
    ] = Phase.ALL,
) -> None:
    """Bring the database of PARLEY_POSTGRES_DSN up to date."""
    try:
        done = apply(operator_dsn(), phase=phase)
    except PrePendingError as problem:
        names = ", ".join(problem.names)
        raise CommandError(
            f"Not applied yet: {names}.", hint="First `parley migrate --phase pre`, then roll out the new code."
        ) from None
    except psycopg.errors.LockNotAvailable:
        raise CommandError(
            "A lock was not to be had in time: a table is in use, or somebody else migrates.",
            hint="Run it again: what was begun is undone, what was done before stays.",
        ) from None
    except psycopg.OperationalError as problem:
        raise CommandError(
            f"Postgres could not be used ({type(problem).__name__}).", hint="Is it running, and may this account log in?"
        ) from None
    for name in done.applied:
        show.line(f"applied {name}")
    show.line(f"{len(done.applied)} migrations applied." if done.applied else "Nothing to do.")
    if done.waiting:
        names = ", ".join(done.waiting)
        show.aside(f"When no old code runs any more: `parley migrate --phase post` for {names}.")


def _print_block(rows: Iterable[Row], files: KeeperFiles) -> None:
    named = [*rows, ("env", str(files.env_path), "set -a; . .parley/stack.env; set +a")]
    show.table([(" " + name, address, note) for name, address, note in named])
