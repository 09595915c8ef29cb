"""`parley sim`: how does one be the other side, a customer or a Meta that has a bad day?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Literal, TypeVar, assert_never

import aiohttp
import typer

from services.cli import show
from services.cli.problem import CommandError
from services.cli.surroundings import need, simulator_url
from services.common.domain.recipients import phone_digits
from services.sandbox.simulator.client import SimulatorClient, SimulatorRefusedError
from services.sandbox.simulator.config import StatusesWhen
from services.sandbox.simulator.rules import (
    Action,
    Delay,
    DropAfter,
    DropBefore,
    Error,
    Garbage,
    Hang,
    OddAnswer,
    OddBody,
)

T = TypeVar("T")
Way = Literal["slow", "hang", "drop-before", "drop-after", "odd-before", "odd-after", "garbage"]
app = typer.Typer(no_args_is_help=True, help="Play the other side of the sandbox: customers and Meta.")
ToNumber = Annotated[str | None, typer.Option("--to", help="Phone number id. Default: PARLEY_PHONE_NUMBER_ID.")]


@app.command()
def say(
    number: Annotated[str, typer.Argument(help="The customer's phone number.")],
    text: Annotated[str, typer.Argument(help="What the customer writes.")],
    to: ToNumber = None,
) -> None:
    """A customer writes to a business number; returns when ingest has taken the webhook."""
    digits = phone_digits(number)
    if digits is None:
        raise typer.BadParameter("the customer's number is a phone number in international form")
    phone_number_id = to or need("PARLEY_PHONE_NUMBER_ID")
    show.line(simulated(lambda client: client.inbound(phone_number_id, digits, text, wait=True)))


@app.command()
def fail(
    code: Annotated[int, typer.Option(help="Meta's error code, such as 131049 or 130429.")],
    following: Annotated[int, typer.Option("--next", min=1, help="How many messages get it.")] = 1,
) -> None:
    """Meta refuses the next messages."""
    simulated(lambda client: client.rules(Error(code=code), times=following))
    show.line(f"The next {following} messages get error {code}.")


@app.command()
def misbehave(  # noqa: PLR0917 - typer reads the options from the parameters
    way: Annotated[Way, typer.Argument(help="In which way.")],
    following: Annotated[int | None, typer.Option("--next", min=1, help="How many messages get it. Default: one.")] = None,
    seconds: Annotated[float | None, typer.Option(min=0.001, help="For how long.")] = None,
    always: Annotated[bool, typer.Option("--always", help="Until `behave`.")] = False,
    share: Annotated[float, typer.Option(min=0.001, max=1.0, help="So many of these messages, picked by chance.")] = 1.0,
    number: Annotated[str | None, typer.Option(help="Only messages from this phone number id.")] = None,
    to: Annotated[str | None, typer.Option(help="Only messages to this phone number or BSUID.")] = None,
    delay: Annotated[float, typer.Option(min=0.0, help="slow, hang: seconds until the answer, or until the reset.")] = 5.0,
    tail: Annotated[float, typer.Option(min=0.0, help="slow: mean of an exponential delay on top, in seconds.")] = 0.0,
    status: Annotated[int, typer.Option(min=200, max=599, help="odd-*: HTTP status of the answer.")] = 502,
    body: Annotated[OddBody, typer.Option(help="odd-*: what it says; no_* and empty_list are valid JSON.")] = "html",
) -> None:
    """Meta's answers are late, lost or nonsense.

    slow: the answer comes late. hang: no answer, nothing accepted. drop-before, drop-after: connection reset, before or after
    the message was accepted. odd-before, odd-after: an answer that is none of Graph's, such as a proxy's HTML 502. garbage:
    accepted, 200, no JSON.
    """
    action = _action(way, delay=delay, tail=tail, status=status, body=body)
    simulated(
        lambda client: client.rules(
            action, times=following, seconds=seconds, always=always, share=share, phone_number_id=number, to=to
        )
    )
    show.line(f"Meta misbehaves: {way}.")


@app.command()
def limit(
    messages_per_second: Annotated[int, typer.Argument(min=0, help="What really passes; 0: what is advertised.")],
    number: ToNumber = None,
) -> None:
    """A number gets another rate than the one that Meta advertises; above it come errors 130429."""
    phone_number_id = number or need("PARLEY_PHONE_NUMBER_ID")
    simulated(lambda client: client.change_number(phone_number_id, hidden_throughput=messages_per_second or None))
    show.line(f"{messages_per_second}/s pass." if messages_per_second else "The advertised rate passes.")


@app.command()
def statuses(
    when: Annotated[StatusesWhen, typer.Argument(help="before_answer: Graph's answer waits for the first status webhook.")],
    late: Annotated[float, typer.Option(min=0.0, help="So many seconds later than usual.")] = 0.0,
) -> None:
    """Status webhooks come before the answer, late, or never; `statuses after_answer` is how Meta is."""
    simulated(lambda client: client.behave(statuses=when, statuses_late_seconds=late))
    show.line(f"Statuses: {when}, {late:g} s late.")


@app.command()
def behave() -> None:
    """End what `fail` and `misbehave` began. `limit` and `statuses` stay until they are changed back."""
    simulated(lambda client: client.clear_rules())
    show.line("Meta behaves.")


def _action(way: Way, *, delay: float, tail: float, status: int, body: OddBody) -> Action:
    match way:
        case "slow":
            return Delay(seconds=delay, tail_seconds=tail)
        case "hang":
            return Hang(seconds=delay)
        case "drop-before":
            return DropBefore()
        case "drop-after":
            return DropAfter()
        case "odd-before" | "odd-after":
            return OddAnswer(http_status=status, body=body, accepts=way == "odd-after")
        case "garbage":
            return Garbage()
    assert_never(way)


def simulated(work: Callable[[SimulatorClient], Awaitable[T]]) -> T:
    """What the running simulator makes of it; CommandError when it refuses or is not there."""
    url = simulator_url()

    async def with_client() -> T:
        async with aiohttp.ClientSession() as session:
            return await work(SimulatorClient(url, session))

    try:
        return asyncio.run(with_client())
    except SimulatorRefusedError as problem:
        raise CommandError(f"The simulator refused: {problem}") from None
    except (aiohttp.ClientError, TimeoutError):
        raise CommandError("The simulator does not answer.", hint="Is the stack running? `make up` starts it.") from None
