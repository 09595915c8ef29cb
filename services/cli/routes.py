"""`parley routes`: is the file of routing rules right, and what does it say?"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from services.cli import show
from services.cli.problem import FAILED
from services.router.config import read_routes
from services.router.routes import Mistake, Route, RoutesError

app = typer.Typer(no_args_is_help=True, help="Rules that copy events to topics of bots and teams.")


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="The file that PARLEY_ROUTES_FILE will name.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Say what a file of routing rules does, or every mistake in it. Exit code 1 when there are mistakes."""
    routes: tuple[Route, ...] = ()
    mistakes: tuple[Mistake, ...] = ()
    try:
        routes = read_routes(file).all
    except RoutesError as problem:
        mistakes = problem.mistakes
    if as_json:
        show.as_json({"routes": [asdict(route) for route in routes], "mistakes": [mistake._asdict() for mistake in mistakes]})
    elif routes:
        show.table([("ROUTE", "TOPIC", "COPIES"), *((route.name, route.topic, in_words(route)) for route in routes)])
    elif not mistakes:
        show.aside("There is no rule: nothing is copied.")
    if mistakes:
        for mistake in () if as_json else mistakes:
            show.aside(str(mistake))
        raise typer.Exit(FAILED)


def in_words(route: Route) -> str:
    """What a rule copies, as one would say it."""
    conditions = (
        ("of account", route.waba_id),
        ("of number", route.phone_number_id),
        ("of type", route.type),
        ("with status", route.status),
        ("that say", [f'"{one}"' for one in route.keyword]),
        ("with payload", [_payload_in_words(one) for one in route.payload]),
    )
    said = [f"{words} {' or '.join(values)}" for words, values in conditions if values]
    return ", ".join([" and ".join(route.family), *said])


def _payload_in_words(payload: str) -> str:
    if not payload.endswith("*"):
        return payload
    return f"{payload[:-1]}…" if payload != "*" else "of any kind"
