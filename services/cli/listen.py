"""`parley listen`: what goes through a topic?"""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from services.cli import show
from services.cli.describing import Describer, full_name
from services.cli.kafka_login import kafka
from services.cli.reading import Reader
from services.common.platform.avro import Codec
from services.common.platform.kafka_access import Brokers


def _topic(name: str) -> str:
    try:
        return full_name(name)
    except ValueError as problem:
        raise typer.BadParameter(str(problem)) from None


def listen(
    topic: Annotated[str, typer.Argument(help="Such as send-outcomes or parley.send-outcomes.v1.", callback=_topic)],
    from_beginning: Annotated[bool, typer.Option("--from-beginning", help="From the oldest record, not only new ones.")] = False,
    until_end: Annotated[bool, typer.Option("--until-end", help="Stop where the topic ended when the command started.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a record, with everything.")] = False,
) -> None:
    """Show the records of a topic, one line each, decoded. Phone numbers are masked unless --json is given."""
    asyncio.run(_listen(kafka(), topic, from_beginning=from_beginning, until_end=until_end, as_json=as_json))


async def _listen(servers: Brokers, topic: str, *, from_beginning: bool, until_end: bool, as_json: bool) -> None:
    describer = Describer(Codec())
    async with Reader(servers, topic, from_beginning=from_beginning) as reader:
        async for record in reader.records(until_end=until_end):
            if as_json:
                show.as_json(describer.as_object(record))
            else:
                show.line(describer.as_line(record))
