"""`parley send`: publish a real send-command, and see what became of it."""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from dataclasses import asdict
from typing import Annotated, Final

import typer
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from services.cli import show
from services.cli.composing import UsageError, compose, other_content, whole
from services.cli.kafka_login import kafka
from services.cli.problem import FAILED, CommandError
from services.cli.reading import Reader, kafka_failed, quiet_clients
from services.cli.surroundings import need
from services.common.domain import recipients, topics
from services.common.domain.failure import Unprocessable
from services.common.domain.lanes import Lane
from services.common.domain.records import FULL_NAMES, SendMessage, SendOutcome
from services.common.platform.avro import Codec
from services.common.platform.envelope import cloud_event
from services.common.platform.kafka_access import Brokers, client_options

PUBLISH_SECONDS = 15.0
SOURCE: Final = "/parley/cli"
GOES_ON: Final = frozenset({"deferred", "unknown", "resent"})
"""Kinds of outcomes after which another one follows."""


def send(  # noqa: PLR0917 - typer reads the options from the parameters
    to: Annotated[str | None, typer.Option(help="Phone number in international form.")] = None,
    recipient: Annotated[str | None, typer.Option(help="Business-scoped user id, in place of a phone number.")] = None,
    text: Annotated[str | None, typer.Option(help="Text message; needs an open 24-hour window.")] = None,
    template: Annotated[str | None, typer.Option(help="Name of an approved template.")] = None,
    kind: Annotated[
        str | None, typer.Option("--type", help="Any other type, in Meta's word: image, interactive, location …")
    ] = None,
    content: Annotated[
        typer.FileBinaryRead | None, typer.Option(help="File with what Meta wants under that word, as JSON; - reads stdin.")
    ] = None,
    command: Annotated[
        typer.FileBinaryRead | None,
        typer.Option(help="File with a whole send-command as producers write it, as JSON; - reads stdin. With no other content."),
    ] = None,
    media: Annotated[
        str | None,
        typer.Option(help="For --type image, video, audio, document or sticker: a file of the sender's, or a link to upload."),
    ] = None,
    caption: Annotated[str | None, typer.Option(help="Text below --media.")] = None,
    language: Annotated[str, typer.Option(help="Language of the template.")] = "en",
    param: Annotated[list[str] | None, typer.Option(help="Parameter of its body: Ana, 1=Ana or name=Ana. Repeatable.")] = None,
    button: Annotated[list[str] | None, typer.Option(help="Parameter of a button: 0=1234. Repeatable.")] = None,
    lane: Annotated[Lane, typer.Option(help="How urgent it is.")] = Lane.TRANSACTIONAL,
    policy: Annotated[str, typer.Option(help="What happens when no answer comes: hold or resend_once.")] = "hold",
    from_number: Annotated[
        str | None, typer.Option("--from", help="Phone number id it comes from. Default: PARLEY_PHONE_NUMBER_ID.")
    ] = None,
    expires: Annotated[str | None, typer.Option(help="Not later than in 90s, 10m, 2h, 1d.")] = None,
    command_id: Annotated[uuid.UUID | None, typer.Option(help="Idempotency key; the same one is never sent twice.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the outcome; exit code 1 unless Meta accepted it.")] = False,
    timeout: Annotated[float, typer.Option(min=1, help="How many seconds --wait waits.")] = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines.")] = False,
) -> None:
    """Publish a send-command to parley.send-commands.v1."""
    now = int(time.time() * 1000)
    key = str(command_id or uuid.uuid4())
    try:
        if command is not None:
            if any(given is not None for given in (to, recipient, text, template, kind, content, media, caption, expires)):
                raise UsageError("--command is the whole command: name nothing of it by another option")
            number = from_number or os.environ.get("PARLEY_PHONE_NUMBER_ID")
            message = whole(command.read(), command_id=key, phone_number_id=number, now=now)
        else:
            message = compose(
                command_id=key,
                phone_number_id=from_number or need("PARLEY_PHONE_NUMBER_ID"),
                to=to,
                recipient=recipient,
                text=text,
                template=template,
                other=other_content(kind, None if content is None else content.read(), media=media, caption=caption),
                language=language,
                params=param or [],
                buttons=button or [],
                lane=lane,
                policy=policy,
                now=now,
                expires=expires,
            )
    except UsageError as problem:
        raise typer.BadParameter(str(problem)) from None
    quiet_clients()
    if not asyncio.run(_send(kafka(), message, wait_seconds=timeout if wait else None, as_json=as_json)):
        raise typer.Exit(FAILED)


async def _send(servers: Brokers, command: SendMessage, *, wait_seconds: float | None, as_json: bool) -> bool:
    """True unless an outcome was waited for and Meta did not accept."""
    if wait_seconds is None:
        await _publish(servers, command)
        _tell_published(command, as_json=as_json)
        return True
    async with Reader(servers, topics.SEND_OUTCOMES, from_beginning=False) as outcomes:
        await _publish(servers, command)
        _tell_published(command, as_json=as_json)
        try:
            async with asyncio.timeout(wait_seconds):
                return await _settled(outcomes, command, as_json=as_json)
        except TimeoutError:
            raise CommandError(
                f"No outcome within {wait_seconds:g} s.", hint="The command stays valid: see `parley listen send-outcomes`."
            ) from None


async def _publish(servers: Brokers, command: SendMessage) -> None:
    producer = AIOKafkaProducer(**client_options(servers), client_id="parley-cli", enable_idempotence=True)
    at = command.created_at or 0
    headers = cloud_event(event_id=command.command_id, event_type=FULL_NAMES[SendMessage], source=SOURCE, at=at)
    pair = recipients.pair_of(to=command.to, bsuid=command.recipient)
    key = f"{command.phone_number_id}/{pair}".encode()
    try:
        async with asyncio.timeout(PUBLISH_SECONDS):
            await producer.start()
            await producer.send_and_wait(topics.SEND_COMMANDS, Codec().encode(command), key=key, headers=headers)
    except (KafkaError, TimeoutError) as problem:
        raise kafka_failed(problem) from None
    finally:
        await producer.stop()


async def _settled(outcomes: Reader, command: SendMessage, *, as_json: bool) -> bool:
    """Show each outcome of the command until one is final; whether Meta accepted."""
    codec = Codec()
    async for record in outcomes.records(until_end=False):
        try:
            outcome = codec.decode(record.value or b"")
        except Unprocessable:
            continue  # somebody else's bytes in the topic
        if isinstance(outcome, SendOutcome) and outcome.command_id == command.command_id:
            _tell_outcome(outcome, as_json=as_json)
            if outcome.kind not in GOES_ON:
                return outcome.kind == "accepted"
    return False


def _tell_published(command: SendMessage, *, as_json: bool) -> None:
    if as_json:
        show.as_json({"command_id": command.command_id, "topic": topics.SEND_COMMANDS})
    else:
        show.line(f"published {command.command_id}")


def _tell_outcome(outcome: SendOutcome, *, as_json: bool) -> None:
    if as_json:
        show.as_json(asdict(outcome))
        return
    code = f"error {outcome.error_code}" if outcome.error_code is not None else None
    why = [part for part in (outcome.wamid, outcome.reason, code, outcome.detail) if part]
    show.line(" ".join([outcome.kind, *why]))
