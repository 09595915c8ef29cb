"""`parley rebuild`: do the read models say what the log says, and if not, make them anew."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from dataclasses import asdict
from typing import Annotated, Any, TypeVar

import psycopg
import typer
from aiokafka.errors import KafkaError

from services.cli import show, times
from services.cli.database import answering
from services.cli.kafka_login import kafka
from services.cli.problem import FAILED, USAGE, CommandError
from services.cli.reading import kafka_failed, quiet_clients
from services.cli.surroundings import operator_dsn
from services.common.platform import faults, logging
from services.common.platform.lifecycle import PATIENT_THRESHOLDS, make_busy
from services.projector import rebuild as building
from services.projector.comparison import Compared
from services.projector.rebuild import RebuildRefused, RebuildReport, Wish
from services.projector.replaying import Step

T = TypeVar("T")

_HEAD = ("TABLE", "LIVE ROWS", "REBUILT ROWS", "LIVE CHECKSUM", "REBUILT CHECKSUM", "ONLY LIVE", "ONLY REBUILT")


def rebuild(  # noqa: PLR0917 - typer reads the options from the parameters
    projection: Annotated[
        list[str] | None,
        typer.Option(help="Only this table or family of tables (contacts, consents, groups); may be given several times."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="T",
            help="Begin with a copy of the live rows and apply the log since then again: mends what is missing since, and takes "
            f"nothing away. {times.HELP}",
        ),
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin anew, even where an interrupted rebuild could go on.")] = False,
    compare_only: Annotated[
        bool, typer.Option("--compare-only", help="Change nothing; exit code 1 if the live tables differ.")
    ] = False,
    drop_old: Annotated[
        bool, typer.Option("--drop-old", help="Only drop the tables that the last rebuild replaced and kept.")
    ] = False,
    processes: Annotated[
        int, typer.Option(min=1, max=24, help="That read and apply at once: no more than there are cores to spare.")
    ] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Read the log from its beginning into fresh tables beside the live ones, compare both, and swap them.

    Projectors and readers go on meanwhile. What was killed goes on where it was when it is begun again. The tables of before
    are kept until the next swap or --drop-old.
    """
    if drop_old:
        if projection or since or fresh or compare_only or as_json:
            raise CommandError("--drop-old stands alone: it builds nothing.", exit_code=USAGE)
        _drop_old()
        return
    try:
        wish = Wish(
            projections=tuple(projection or ()),
            since=None if since is None else times.instant(since),
            is_fresh=fresh,
            compare_only=compare_only,
            processes=processes,
        )
    except ValueError as problem:
        raise typer.BadParameter(str(problem)) from None
    servers, dsn = kafka(), operator_dsn()
    prepare("rebuild")
    with show.meter() as at:

        def told(step: Step) -> None:
            at(step.text, step.done, step.total)

        report = done(building.rebuild(wish, bootstrap_servers=servers, dsn=dsn, told=told))
    if as_json:
        show.as_json(asdict(report))
    else:
        _tell(report)
    if report.differences and not report.swapped:
        raise typer.Exit(FAILED)


def prepare(service: str) -> None:
    """For a command that works as a service does, for long."""
    logging.configure(service=service, instance="cli", level="WARNING")
    quiet_clients()
    faults.arm(os.environ.get("PARLEY_FAULT"))
    make_busy(garbage_thresholds=PATIENT_THRESHOLDS)


def done(work: Coroutine[Any, Any, T]) -> T:
    """Run it; what went wrong is said in a sentence."""
    try:
        with answering():
            return asyncio.run(work)
    except RebuildRefused as problem:
        raise CommandError(f"Nothing was changed: {problem}.") from None
    except (KafkaError, TimeoutError) as problem:
        raise kafka_failed(problem) from None
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        raise CommandError("The database has no tables yet.", hint="`parley migrate` makes them.") from None


def _drop_old() -> None:
    if done(building.drop_old(operator_dsn())):
        show.line("The tables of before the last rebuild are dropped.")
    else:
        show.line("There are none: nothing is kept of before the last rebuild.")


def _tell(report: RebuildReport) -> None:
    went_on = ", after those of an interrupted rebuild" if report.resumed else ""
    show.line(f"{report.records} records replayed in {report.seconds:.1f} s{went_on}.")
    show.table([_HEAD, *map(_row, report.tables)])
    if report.swapped:
        show.line("The fresh tables are live. Those of before are kept until `parley rebuild --drop-old`.")
    elif report.differences:
        show.line(f"{len(report.differences)} tables do not say what the log says.")
    else:
        show.line("The live tables say what the log says.")


def _row(one: Compared) -> tuple[str, ...]:
    rows = (str(one.live_rows), str(one.rebuilt_rows))
    return (one.table, *rows, one.live_checksum, one.rebuilt_checksum, str(one.only_live), str(one.only_rebuilt))
