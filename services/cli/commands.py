"""Which commands has `parley`? Each is imported when it is asked for: nobody waits for what another command needs."""

from __future__ import annotations

from collections import UserDict
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_group

PLACES: Final = {
    "demo": "stack_commands.demo",
    "up": "stack_commands.up",
    "down": "stack_commands.down",
    "migrate": "stack_commands.migrate",
    "send": "send.send",
    "sends": "sends.sends",
    "trace": "trace.trace",
    "resend": "resend.resend",
    "listen": "listen.listen",
    "simulate": "simulate.simulate",
    "sql": "sql.sql",
    "export": "export.export",
    "rebuild": "rebuild.rebuild",
    "replay": "replay.replay",
    "dlq": "dlq.app",
    "number": "numbers.app",
    "tenant": "tenants.app",
    "rates": "rates.app",
    "hours": "hours.app",
    "routes": "routes.app",
    "template": "templates.app",
    "sim": "sim.app",
}
"""The module in this package and what it calls the command, or the group of commands, in the order in which help lists them."""


class _WhenAsked(UserDict[str, Any]):
    """A command by its name, imported with the look-up."""

    def __getitem__(self, name: str) -> Any:
        module, _, called = self.data[name].partition(".")
        found = getattr(import_module(f"services.cli.{module}"), called)
        holder = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None)
        if isinstance(found, typer.Typer):
            holder.add_typer(found, name=name)
        else:
            holder.command(name)(found)
        return get_group(holder).commands[name]


class Commands(TyperGroup):
    """The group of all of PLACES. Only its help, which says what each of them does, imports more than one."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = _WhenAsked(PLACES)
