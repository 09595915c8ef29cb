"""`parley trace`: what happened to one command, and what happens next?"""

from __future__ import annotations

from typing import Annotated

import typer

from services.cli import ledger, show
from services.cli.database import in_database
from services.cli.problem import CommandError
from services.cli.story import Story, as_object, lines, rows, standing, with_short_wamids
from services.common.platform.registry import Connection

_NOT_FOUND = (
    "Was it appended? `parley listen send-commands --from-beginning --until-end` shows it. If so, no sender has taken it in yet, "
    "or it was set aside: `parley listen router.dead-letters` and `sender.dead-letters`, with the same options, say why."
)


def trace(
    command_id: Annotated[str, typer.Argument(help="The command's idempotency key.")],
    wamid: Annotated[bool, typer.Option("--wamid", help="Show Meta's message ids whole: they contain the phone number.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Tell the whole story of a command, from its lane to Meta's statuses. Neither its recipient nor its content is shown."""
    now, found = told(command_id)
    story = found if wamid else with_short_wamids(found)
    if as_json:
        show.as_json(as_object(story, now=now))
        return
    command = story.command
    show.line(f"{command.type} in lane {command.lane}, from number {command.phone_number_id}")
    show.table(rows(lines(story)))
    show.line(standing(story, now=now))


def told(command_id: str) -> tuple[int, Story]:
    """The story of a command and the moment it is of; CommandError where the sender knows none of this id."""

    async def read(connection: Connection) -> tuple[int, Story | None]:
        now = await ledger.as_of_one_moment(connection)
        return now, await ledger.story(connection, command_id)

    now, found = in_database(read)
    if found is None:
        raise CommandError("The sender knows no command of this id.", hint=_NOT_FOUND)
    return now, found
