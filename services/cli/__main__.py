"""`parley`: the operator's command."""

from __future__ import annotations

import sys

import typer

from services.cli import hours, numbers, rates, routes, show, sim, templates, tenants
from services.cli.export import export
from services.cli.listen import listen
from services.cli.problem import CommandError
from services.cli.rebuild import rebuild
from services.cli.replay import replay
from services.cli.resend import resend
from services.cli.send import send
from services.cli.sends import sends
from services.cli.simulate import simulate
from services.cli.sql import sql
from services.cli.stack_commands import demo, down, migrate, up
from services.cli.surroundings import adopt_local_stack
from services.cli.trace import trace

EXIT_INTERRUPTED = 130
app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Operate Parley. Works against the stack of PARLEY_* variables, else that of .parley/stack.env in this directory.",
)
for command in (demo, up, down, migrate, send, sends, trace, resend, listen, simulate, sql, export, rebuild, replay):
    app.command()(command)
app.add_typer(numbers.app, name="number")
app.add_typer(tenants.app, name="tenant")
app.add_typer(rates.app, name="rates")
app.add_typer(hours.app, name="hours")
app.add_typer(routes.app, name="routes")
app.add_typer(templates.app, name="template")
app.add_typer(sim.app, name="sim")


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
