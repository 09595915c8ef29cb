"""`parley resend`: try a command once more that will not be tried by itself."""

from __future__ import annotations

import getpass
import sys
import time
from functools import partial
from typing import Annotated, Final

import typer

from services.cli import ledger, show
from services.cli.database import in_database
from services.cli.overview import State
from services.cli.problem import USAGE, CommandError
from services.cli.story import lines, rows, standing, with_short_wamids
from services.cli.trace import told
from services.common.domain.resending import BY_OPERATOR

_POLL_SECONDS: Final = 0.2


def resend(
    command_id: Annotated[str, typer.Argument(help="The command's idempotency key.")],
    reason: Annotated[str, typer.Option(help="Why, for whoever reads it later. Name no customer.")],
    asked_by: Annotated[str | None, typer.Option("--as", help="Who wants it; the user of this machine when left out.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait until the sender has come to it.")] = 10.0,
) -> None:
    """Make one more attempt of a command that is unresolved, rejected or expired. An unresolved one may arrive twice."""
    if not reason.strip():
        raise CommandError("--reason is empty.", exit_code=USAGE)
    _show(command_id)
    if not yes and not (sys.stdin.isatty() and typer.confirm("Send it again?")):
        raise CommandError("Nothing was done.", hint="--yes sends it again without a question.")
    who = asked_by or getpass.getuser()
    resend_id = in_database(partial(ledger.ask_resend, command_id=command_id, asked_by=who, why=reason.strip()))
    if resend_id is None:
        raise CommandError("It has gone on meanwhile.", hint=f"See: parley trace {command_id}")
    show.line(f"Asked for, by {who}.")
    deadline = time.monotonic() + wait
    while (is_sent := in_database(partial(ledger.resend_done, resend_id=resend_id))) is None:
        if time.monotonic() >= deadline:
            show.aside("The sender has not come to it yet; it does as soon as it runs.")
            return
        time.sleep(_POLL_SECONDS)
    if not is_sent:
        raise CommandError("It had gone on by itself before the sender came to it.", hint=f"See: parley trace {command_id}")
    show.line(f"It is tried again. What becomes of it: parley trace {command_id}")


def _show(command_id: str) -> None:
    """What is known of it, and what sending it again means."""
    now, found = told(command_id)
    story = with_short_wamids(found)
    show.table(rows(lines(story)))
    show.line(standing(story, now=now))
    if story.command.state not in BY_OPERATOR:
        raise CommandError(f"It is {story.command.state}: only what is {_LISTED} is sent again by hand.")
    if story.command.state is State.UNRESOLVED:
        show.line("Meta may have it. If so, its recipient gets it twice.")


_LISTED: Final = f"{', '.join(BY_OPERATOR[:-1])} or {BY_OPERATOR[-1]}"
