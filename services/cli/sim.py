"""`parley sim`: how does one be the other side, a customer or a Meta that has a bad day?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import aiohttp
import typer

from services.cli import show
from services.cli.problem import CommandError
from services.cli.surroundings import need, simulator_url
from services.common.domain.recipients import phone_digits
from services.sandbox.simulator.client import SimulatorClient, SimulatorRefusedError
from services.sandbox.simulator.rules import Error

T = TypeVar("T")
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
def behave() -> None:
    """End what `fail` began."""
    simulated(lambda client: client.clear_rules())
    show.line("Meta behaves.")


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
