"""`parley`: the operator's command."""

from __future__ import annotations

import sys

import typer

from services.cli import show
from services.cli.commands import Commands
from services.cli.problem import CommandError
from services.cli.surroundings import adopt_local_stack

EXIT_INTERRUPTED = 130
app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Operate Parley. Works against the stack of PARLEY_* variables, else that of .parley/stack.env in this directory.",
)


@app.callback()
def _group() -> None:
    """Makes a group of it, though no command is registered here."""


def main() -> None:
    """Exit code 0: done. 1: failed. 2: the command line makes no sense. 78: the configuration does not."""
    adopt_local_stack()
    try:
        app()
    except CommandError as problem:
        show.aside(str(problem))
        if problem.hint:
            show.aside(problem.hint)
        sys.exit(problem.exit_code)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


if __name__ == "__main__":
    main()
