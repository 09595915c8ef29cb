"""`parley replay`: what does the log say of one person, one number or one time? In tables of their own, for questions."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated

import typer

from services.cli import show, times
from services.cli.kafka_login import kafka
from services.cli.problem import USAGE, CommandError
from services.cli.rebuild import done, prepare
from services.cli.surroundings import operator_dsn
from services.projector import replay as asking
from services.projector.batch import HoleError
from services.projector.replay import Question, ReplayReport, schema_of
from services.projector.replaying import ReplayStalled, Step

_STDIN = "-"


def replay(  # noqa: PLR0917 - typer reads the options from the parameters
    contact: Annotated[
        str | None,
        typer.Option(
            metavar="PHONE_OR_BSUID",
            help="Only what concerns this person under any name; - reads it from stdin, where no list of processes shows it.",
        ),
    ] = None,
    number: Annotated[str | None, typer.Option(metavar="ID", help="Only what concerns this phone number id of ours.")] = None,
    since: Annotated[str | None, typer.Option(metavar="T", help=f"Not what Kafka has of before. {times.HELP}")] = None,
    until: Annotated[str | None, typer.Option(metavar="T", help="Not what Kafka has of then or later.")] = None,
    schema: Annotated[str, typer.Option(metavar="NAME", help="The tables are in schema parley_replay_NAME.")] = "scratch",
    drop: Annotated[bool, typer.Option("--drop", help="Only drop that schema.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Read the log again into a schema of its own, like the live tables, with only what concerns the question.

    The live tables stay as they are. What the schema had before is dropped. It holds texts and phone numbers in clear.
    """
    try:
        name = schema_of(schema)
    except ValueError as problem:
        raise typer.BadParameter(f"--schema: {problem}") from None
    if drop:
        is_dropped = done(asking.drop_replay(operator_dsn(), name=schema))
        show.line(f"Schema {name} is dropped." if is_dropped else f"There is no schema {name}.")
        return
    question = Question(
        contact=sys.stdin.readline().strip() if contact == _STDIN else contact,
        phone_number_id=number,
        since=None if since is None else times.instant(since),
        until=None if until is None else times.instant(until),
    )
    if question == Question() or not (question.contact is None or question.contact):
        raise CommandError("Say what it is about: --contact, --number, --since or --until.", exit_code=USAGE)
    if question.since is not None and question.until is not None and question.since >= question.until:
        raise CommandError("--since is not before --until.", exit_code=USAGE)
    servers, dsn = kafka(), operator_dsn()
    prepare("replay")
    with show.meter() as at:

        def told(step: Step) -> None:
            at(step.text, step.done, step.total)

        try:
            report = done(asking.replay(question, name=schema, bootstrap_servers=servers, dsn=dsn, told=told))
        except ReplayStalled:
            raise CommandError("The log did not give all records that it has; try again.") from None
        except HoleError as hole:
            raise CommandError(f"The answer is not whole: {hole}.", hint="Ask again.") from None
    if as_json:
        show.as_json(asdict(report))
    else:
        _tell(report, schema)


def _tell(report: ReplayReport, schema: str) -> None:
    show.line(f"{report.records} records read.")
    show.table([("TABLE", "ROWS"), *((table, str(rows)) for table, rows in report.rows.items())])
    drop = "parley replay --drop" if schema == "scratch" else f"parley replay --schema {schema} --drop"
    show.line(f"To look, as the same role: SET search_path TO {report.schema};   To remove: {drop}")
