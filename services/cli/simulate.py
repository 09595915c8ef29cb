"""`parley simulate`: what would happen if Meta posted this webhook now? Sends samples, as they are or as news."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import typer

from services.cli import rewriting, show
from services.cli.problem import FAILED, USAGE, CommandError
from services.cli.sim import simulated
from services.sandbox.simulator.client import SimulatorClient
from services.sandbox.simulator.graph import new_wamid
from services.sandbox.simulator.payloads import encode

SAMPLES: Final = Path("tests", "samples", "webhooks")
CHECKOUT: Final = Path(__file__).resolve().parents[2]
"""Where this file is of, unless it was copied into site-packages."""
EXPECTED: Final = ".expected"
KEPT: Final = len("wamid.")
"""How much of an id says what it is the id of."""
NEAR: Final = 5


class Sample(NamedTuple):
    """A webhook by the name it was asked for."""

    name: str
    body: Any


def simulate(  # noqa: PLR0917 - typer reads the options from the parameters
    samples: Annotated[list[str] | None, typer.Argument(metavar="SAMPLE", help="Name of a sample, or a JSON file.")] = None,
    to: Annotated[str | None, typer.Option(help="Phone number id it is for. Default: the sample's own.")] = None,
    now: Annotated[bool, typer.Option("--now", help="Every timestamp in it is now.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Every message id in it is new, so that it is no repetition.")] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Tell what ingest answered; exit code 1 unless 200.")] = True,
    is_listing: Annotated[bool, typer.Option("--list", help="Only list the samples.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines; with --list a list.")] = False,
) -> None:
    """Post sample webhooks to ingest through the simulated Meta, signed as Meta signs."""
    known = _known(sample_folder(Path.cwd(), CHECKOUT))
    if is_listing:
        _list(list(known), as_json=as_json)
        return
    if not samples:
        raise typer.BadParameter("name a sample or a JSON file; --list shows the samples")
    found = [_read(name, known) for name in samples]
    try:
        bodies = rewritten(found, now=int(time.time() * 1000) if now else None, is_fresh=fresh, to=to)
    except (ValueError, RecursionError):
        raise CommandError("A number is too large or the nesting too deep to be posted.", exit_code=USAGE) from None
    if not simulated(lambda client: _post(client, bodies, wait=wait, as_json=as_json)):
        raise typer.Exit(FAILED)


def sample_folder(here: Path, installed: Path) -> Path | None:
    """Of the checkout around this directory, else of the one that the package was installed from."""
    return next((folder / SAMPLES for folder in (here, *here.parents, installed) if (folder / SAMPLES).is_dir()), None)


def nearest(name: str, names: Sequence[str]) -> list[str]:
    """What may have been meant: similar names, then those that contain it."""
    near = get_close_matches(name.lower(), names, n=NEAR)
    return list(dict.fromkeys([*near, *(one for one in names if name and name.lower() in one)]))[:NEAR]


def grouped(names: Iterable[str]) -> list[tuple[str, str]]:
    """Sorted; with its first word before the first of each group."""
    rows: list[tuple[str, str]] = []
    word = ""
    for name in sorted(names):
        before, word = word, name.partition("_")[0]
        rows.append(("" if word == before else word, name))
    return rows


def rewritten(samples: Sequence[Sample], *, now: int | None, is_fresh: bool, to: str | None) -> list[tuple[str, str]]:
    """Names and JSON texts to post. An id that two samples share stays shared."""
    new = _new_ids(samples) if is_fresh else {}
    texts = []
    for name, given in samples:
        body = rewriting.with_ids(given, new)
        body = body if to is None else rewriting.to_number(body, to)
        body = body if now is None else rewriting.at_instant(body, now)
        texts.append((name, encode(body).decode()))
    return texts


def _new_ids(samples: Sequence[Sample]) -> Mapping[str, str]:
    old = dict.fromkeys(one for sample in samples for one in rewriting.message_ids(sample.body))
    return {one: one[:KEPT] + new_wamid()[KEPT:] for one in old}


def _known(folder: Path | None) -> dict[str, Path]:
    if folder is None:
        return {}
    return {path.stem: path for path in sorted(folder.glob("*.json")) if not path.stem.endswith(EXPECTED)}


def _list(names: Sequence[str], *, as_json: bool) -> None:
    if not names:
        hint = f"They are in {SAMPLES} of a checkout: run this there, or name JSON files of your own."
        raise CommandError("No samples here.", hint=hint)
    if as_json:
        show.as_json(names)
    else:
        show.table(grouped(names))


def _read(name: str, known: Mapping[str, Path]) -> Sample:
    path = known.get(name) or Path(name)
    if not path.is_file():
        near = nearest(name, list(known))
        hint = f"Did you mean {' or '.join(near)}? " if near else ""
        raise CommandError(
            f"There is no sample and no file {name}.", hint=f"{hint}`parley simulate --list` shows every sample.", exit_code=USAGE
        )
    try:
        body = json.loads(path.read_bytes(), parse_constant=_no_constant)
    except (OSError, ValueError, RecursionError):
        raise CommandError(f"{name} cannot be read as JSON.", exit_code=USAGE) from None
    if not isinstance(body, dict):
        raise CommandError(f"{name} is no webhook: its JSON is no object.", exit_code=USAGE)
    return Sample(name, body)


def _no_constant(word: str) -> Any:
    """NaN and the like: Python reads them, JSON has none."""
    raise ValueError(word)


async def _post(client: SimulatorClient, bodies: Sequence[tuple[str, str]], *, wait: bool, as_json: bool) -> bool:
    """One after the other; True unless ingest did not take one."""
    is_taken = True
    for name, text in bodies:
        if not wait:
            begun = await client.begin_webhook(text)
            if as_json:
                show.as_json({"sample": name, "webhook": begun})
            else:
                show.line(f"{name}: on its way as webhook {begun}")
            continue
        webhook = await client.post_webhook(raw=text, retry=False)
        is_taken = is_taken and webhook.state == "delivered"
        status = webhook.answers[-1].status if webhook.answers else None
        if as_json:
            show.as_json({"sample": name, "webhook": webhook.id, "status": status})
        else:
            show.line(f"{name}: ingest {'did not answer' if status is None else f'answered {status}'}")
    return is_taken
