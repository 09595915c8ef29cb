"""`parley rebuild`: do the read models say what the log says, and if not, make them anew."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated

import psycopg
import typer
from aiokafka.errors import KafkaError

from services.cli import show
from services.cli.problem import FAILED, CommandError
from services.cli.reading import kafka_is_away, quiet_clients
from services.cli.surroundings import kafka_servers, operator_dsn
from services.common.platform import logging
from services.projector.rebuild import RebuildRefused, RebuildReport
from services.projector.rebuild import rebuild as build


def rebuild(
    compare_only: Annotated[
        bool, typer.Option("--compare-only", help="Change nothing; exit code 1 if the live tables differ.")
    ] = False,
    drop_old: Annotated[
        bool, typer.Option("--drop-old", help="Do not keep the tables of before until the next rebuild.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Replay the log from its beginning into fresh tables beside the live ones, and swap them."""
    servers, dsn = kafka_servers(), operator_dsn()
    logging.configure(service="rebuild", instance="cli", level="WARNING")
    quiet_clients()
    try:
        report = asyncio.run(build(bootstrap_servers=servers, dsn=dsn, compare_only=compare_only, drop_old=drop_old))
    except RebuildRefused as problem:
        raise CommandError(f"Nothing was changed: {problem}.") from None
    except KafkaError:
        raise kafka_is_away() from None
    except psycopg.OperationalError:
        raise CommandError("Postgres does not answer.", hint="Is the stack running? `make up` starts it.") from None
    if as_json:
        show.as_json(asdict(report))
    else:
        _tell(report)
    if report.differences:
        raise typer.Exit(FAILED)


def _tell(report: RebuildReport) -> None:
    show.line(f"{report.records} records replayed in {report.seconds:.1f} s.")
    if report.swapped:
        show.line("The fresh tables are live.")
    elif report.differences:
        head = ("TABLE", "ONLY LIVE", "ONLY REBUILT")
        show.table([head, *((one.table, str(one.only_live), str(one.only_rebuilt)) for one in report.differences)])
    else:
        show.line("The live tables say what the log says.")
