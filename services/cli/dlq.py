"""`parley dlq`: something is in dead letters, what now?"""

from __future__ import annotations

import getpass
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from services.cli import dead_letters, show, times
from services.cli.database import in_database
from services.cli.dead_letters import Count, Decision, Filter, Kept, Letter, Place, Source, State
from services.cli.describing import full_name
from services.cli.kafka_login import kafka
from services.cli.problem import FAILED, USAGE, CommandError
from services.cli.rebuild import done, prepare
from services.cli.redriving import Report, at_desk, deciding
from services.cli.surroundings import operator_dsn
from services.common.domain import topics
from services.common.platform.lifecycle import Rounds
from services.common.platform.registry import Connection

app = typer.Typer(no_args_is_help=True, help="Records that a service set aside: look at them, redrive or discard them.")

_POLL_SECONDS: Final = 0.2
_SHOWN: Final = 60
_NO_NAME: Final = "A place is topic/partition/offset, as `parley dlq list` shows it, or that with #/pointer for one element."
_COMMANDS: Final = (topics.SEND_COMMANDS, *topics.SENDER_SOURCES)
_AGAIN: Final = "--again takes it all the same."


def _topic(name: str | None) -> str | None:
    try:
        return None if name is None else full_name(name)
    except ValueError as problem:
        raise typer.BadParameter(str(problem)) from None


Places = Annotated[list[str] | None, typer.Argument(metavar="PLACE", help=_NO_NAME)]
OfSource = Annotated[Source | None, typer.Option("--source", help="Set aside by this service.")]
Cause = Annotated[str | None, typer.Option("--cause", metavar="WORD", help="Set aside for this reason.")]
OfTopic = Annotated[str | None, typer.Option("--topic", help="From this topic: send-commands, webhooks …", callback=_topic)]
Number = Annotated[str | None, typer.Option("--number", metavar="ID", help="Of this phone number id, where the record says it.")]
Since = Annotated[str | None, typer.Option("--since", metavar="T", help=f"Appended at first then or later. {times.HELP}")]
Until = Annotated[str | None, typer.Option("--until", metavar="T", help="Appended at first before then.")]
Why = Annotated[str, typer.Option("--reason", help="Why, for whoever reads it later. Name no customer.")]
Who = Annotated[str | None, typer.Option("--as", help="Who wants it; the user of this machine when left out.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it. Without it more than one named letter is only counted.")]
Again = Annotated[bool, typer.Option("--again", help="Also what was redriven or discarded already.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object.")]


@app.command("list")
def list_all(  # noqa: PLR0917 - typer reads the options from the parameters
    source: OfSource = None,
    cause: Cause = None,
    topic: OfTopic = None,
    number: Number = None,
    state: Annotated[State | None, typer.Option(help="Only those that stand like this.")] = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(min=1, help="How many are listed at most.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Count dead letters by reason and list the newest. Neither keys nor contents are shown."""
    wanted = _filter(source, cause, topic, number, state=state, since=since, until=until)
    _look()

    async def read(connection: Connection) -> tuple[list[Count], list[Letter]]:
        return await dead_letters.counts(connection, wanted), await dead_letters.listed(connection, wanted, limit=limit)

    counts, letters = in_database(read)
    if as_json:
        show.as_json({"counts": [asdict(one) for one in counts], "letters": [_as_object(one) for one in letters]})
        return
    if not counts:
        show.aside("There are no such dead letters.")
        return
    rows = [(one.consumer_group, one.reason, one.state, str(one.count)) for one in counts]
    show.table([("SET ASIDE BY", "REASON", "STATE", "LETTERS"), *rows])
    show.line()
    show.table([("APPENDED", "REASON", "STATE", "NUMBER ID", "PLACE"), *map(_row, letters)])
    total = sum(one.count for one in counts)
    if total > len(letters):
        show.aside(f"{len(letters)} of {total} are listed: --limit lists more.")


@app.command("show")
def show_one(
    place: Annotated[str, typer.Argument(help=_NO_NAME)],
    raw: Annotated[
        bool, typer.Option("--raw", help="Write its bytes to stdout and nothing else. They may hold numbers and texts.")
    ] = False,
    to: Annotated[Path | None, typer.Option("--to", help="With --raw: into this new file, which only you may read.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show why a record was set aside, where it stood and what was decided. Its bytes only on demand."""
    if to is not None and not raw:
        raise CommandError("--to is for --raw.", exit_code=USAGE)
    if raw and as_json:
        raise CommandError("--raw writes bytes and --json an object: give one of them.", exit_code=USAGE)
    letters = _named([_place(place)])
    if raw:
        _write_raw(letters, to)
        return
    told = [_told(letter) for letter in letters]
    if as_json:
        show.as_json({"letters": told})
        return
    for number, one in enumerate(told):
        if number:
            show.line()
        _tell(one)


@app.command()
def redrive(  # noqa: PLR0917 - typer reads the options from the parameters
    reason: Why,
    places: Places = None,
    source: OfSource = None,
    cause: Cause = None,
    topic: OfTopic = None,
    number: Number = None,
    since: Since = None,
    until: Until = None,
    asked_by: Who = None,
    yes: Yes = False,
    again: Again = False,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for what becomes of them.")] = 10.0,
    as_json: AsJson = False,
) -> None:
    """Append records once more where they came from, so that their service reads them again. Mend the cause first.

    Of a webhook only the element that was set aside is read again, under the ids that it would have had.
    """
    why = _checked(reason)
    wanted = _filter(source, cause, topic, number, state=None, since=since, until=until)
    named = _places(places, wanted)
    brokers, dsn = kafka(), operator_dsn()
    prepare("dlq")

    async def work() -> tuple[Report, list[Letter]] | None:
        async with at_desk(dsn, brokers) as desk:
            await desk.look()
            letters = await _chosen(desk.connection, named, wanted, again=again)
            if not _is_to_do(letters, named, yes=yes, verb="redriven", as_json=as_json):
                return None
            report = await desk.redrive(letters, who=asked_by or getpass.getuser(), why=why)
            deadline = time.monotonic() + wait
            rounds = Rounds(_POLL_SECONDS)
            while await desk.look() and time.monotonic() < deadline:
                await rounds.begin()
            touched = [Place(*letter[:4]) for letter, _ in report.redriven]
            return report, await dead_letters.at_places(desk.connection, touched)

    finished = done(work())
    if finished is not None:
        _tell_redriven(*finished, as_json=as_json)


@app.command()
def discard(  # noqa: PLR0917 - typer reads the options from the parameters
    reason: Why,
    places: Places = None,
    source: OfSource = None,
    cause: Cause = None,
    topic: OfTopic = None,
    number: Number = None,
    since: Since = None,
    until: Until = None,
    asked_by: Who = None,
    yes: Yes = False,
    again: Again = False,
    as_json: AsJson = False,
) -> None:
    """Note that nothing more is to be done about them. Nothing is deleted."""
    why = _checked(reason)
    wanted = _filter(source, cause, topic, number, state=None, since=since, until=until)
    named = _places(places, wanted)
    dsn = operator_dsn()

    async def work() -> int | None:
        async with deciding(dsn) as connection:
            letters = await _chosen(connection, named, wanted, again=again)
            if not _is_to_do(letters, named, yes=yes, verb="discarded", as_json=as_json):
                return None
            await dead_letters.discard(connection, letters, who=asked_by or getpass.getuser(), why=why)
            return len(letters)

    count = done(work())
    if count is None:
        return
    if as_json:
        show.as_json({"discarded": count})
    else:
        show.line(f"{_letters(count)} discarded. They stay where they are: parley dlq list --state discarded")


def _filter(
    source: Source | None,
    cause: str | None,
    topic: str | None,
    number: str | None,
    *,
    state: State | None,
    since: str | None,
    until: str | None,
) -> Filter:
    return Filter(
        source=source,
        cause=cause,
        topic=topic,
        number=number,
        state=state,
        since=None if since is None else times.instant(since),
        until=None if until is None else times.instant(until),
    )


def _place(text: str) -> Place:
    where, mark, pointer = text.partition("#")
    topic, _, rest = where.partition("/")
    partition, _, offset = rest.partition("/")
    numbers = [int(one) for one in (partition, offset) if one.isascii() and one.isdigit() and len(one) <= 18]
    if not topic or len(numbers) != 2 or numbers[0] >= 2**31:
        raise typer.BadParameter(_NO_NAME)
    return Place(_topic(topic) or topic, numbers[0], numbers[1], pointer if mark else None)


def _checked(reason: str) -> str:
    if not reason.strip():
        raise CommandError("--reason is empty.", exit_code=USAGE)
    return reason.strip()


def _places(texts: Sequence[str] | None, wanted: Filter) -> list[Place]:
    """Those that are named; none when a filter says which. Neither or both is refused."""
    named = [_place(one) for one in texts or ()]
    if not named and wanted == Filter():
        raise CommandError("Say which: a place, or --source, --cause, --topic, --number, --since, --until.", exit_code=USAGE)
    if named and wanted != Filter():
        raise CommandError("Name places or filter, not both.", exit_code=USAGE)
    return named


def _look() -> None:
    """What has become of redrives is noted by whoever looks; without Kafka the list is as of the last look."""
    if not in_database(dead_letters.unsettled):
        return
    dsn = operator_dsn()
    prepare("dlq")

    async def work() -> None:
        async with at_desk(dsn, kafka()) as desk:
            await desk.look()

    try:
        if os.environ.get("PARLEY_KAFKA_BOOTSTRAP_SERVERS"):
            done(work())
    except CommandError as problem:
        show.aside(f"What has become of redrives is not looked at now: {problem}")


async def _chosen(connection: Connection, named: Sequence[Place], wanted: Filter, *, again: bool) -> list[Letter]:
    """Those that are open; with `again` all. A named one that is not there, or not open, is refused."""
    if not named:
        found = await dead_letters.listed(connection, wanted, limit=None)
        chosen = found if again else [one for one in found if one.state == State.OPEN]
        if len(chosen) < len(found):
            left = Counter(one.state for one in found if one.state != State.OPEN)
            told = ", ".join(f"{count} {state}" for state, count in sorted(left.items()))
            show.aside(f"Left out: {told}. --again takes them all the same.")
        return chosen
    found = await dead_letters.at_places(connection, named)
    for place in named:
        _refuse_missing(place, found)
    for letter in () if again else found:
        if letter.state != State.OPEN:
            raise CommandError(f"{letter.place} is {letter.state} already: nothing was done.", hint=_AGAIN)
    return found


def _refuse_missing(place: Place, found: Sequence[Letter]) -> None:
    if not any(place.names(letter) for letter in found):
        raise CommandError(
            f"There is no dead letter at {'/'.join(map(str, place[:3]))}{f'#{place.pointer}' if place.pointer else ''}.",
            hint="See: parley dlq list. A rebuild of the read models takes away what the projector can read by now.",
        )


def _named(places: Sequence[Place]) -> list[Letter]:
    found = in_database(partial(dead_letters.at_places, places=places))
    for place in places:
        _refuse_missing(place, found)
    return found


def _is_to_do(letters: Sequence[Letter], named: Sequence[Place], *, yes: bool, verb: str, as_json: bool) -> bool:
    """False for nothing, and for a dry run, which says what would be done."""
    if yes or (len(letters) == 1 and named):
        return True
    would = Counter((one.consumer_group, one.reason) for one in letters)
    if as_json:
        counts = [{"consumer_group": group, "reason": why, "count": count} for (group, why), count in sorted(would.items())]
        show.as_json({"dry_run": True, "letters": len(letters), "counts": counts})
        return False
    if letters:
        rows = [(group, why, str(count)) for (group, why), count in sorted(would.items())]
        show.table([("SET ASIDE BY", "REASON", "LETTERS"), *rows])
    show.line(f"{_letters(len(letters))} would be {verb}. Nothing was done{': --yes does it' if letters else ''}.")
    return False


def _letters(count: int) -> str:
    return "1 letter" if count == 1 else f"{count} letters"


def _row(letter: Letter) -> tuple[str, ...]:
    place = show.masked(letter.pointer)
    short = place if len(place) <= _SHOWN else f"{place[: _SHOWN - 1]}…"
    where = f"{letter.topic}/{letter.partition}/{letter.offset}{f'#{short}' if short else ''}"
    return (show.instant(letter.appended_at), letter.reason, letter.state, letter.phone_number_id or "-", where)


def _as_object(letter: Letter) -> dict[str, Any]:
    return {"place": letter.place, **letter._asdict()}


def _told(letter: Letter) -> dict[str, Any]:
    """All but key and bytes."""

    async def read(connection: Connection) -> tuple[Kept | None, list[Decision]]:
        return await dead_letters.kept(connection, letter), await dead_letters.decisions(connection, letter)

    kept, decisions = in_database(read)
    headers = [] if kept is None else kept.record.headers
    return {
        **_as_object(letter),
        "error": "" if kept is None else kept.error,
        "bytes": 0 if kept is None else len(kept.record.value or b""),
        "headers": [[name, show.masked(value.decode("utf-8", "replace"))] for name, value in headers],
        "decisions": [one._asdict() for one in decisions],
    }


def _tell(told: dict[str, Any]) -> None:
    rows = [
        ("place", told["place"]),
        ("appended", show.instant(told["appended_at"])),
        ("set aside by", told["consumer_group"]),
        ("reason", told["reason"]),
        ("error", told["error"] or "-"),
        ("number id", told["phone_number_id"] or "-"),
        ("state", told["state"]),
        ("bytes", f"{told['bytes']} (--raw writes them)"),
        *(("header", f"{name}: {value}") for name, value in told["headers"]),
    ]
    show.table([*rows, *(("decided", _in_words(one)) for one in told["decisions"])])


def _in_words(decision: dict[str, Any]) -> str:
    offset = decision["appended_offset"]
    what = decision["outcome"] or ("begun" if decision["decision"] == "redrive" and offset is None else "")
    where = "" if offset is None else f" to offset {offset}"
    end = f" ({what.replace('_', ' ')})" if what else ""
    who = f"{decision['decision']}{where} by {decision['decided_by']}{end}"
    return f"{show.instant(decision['decided_at'])} {who}: {decision['why']}"


def _write_raw(letters: Sequence[Letter], to: Path | None) -> None:
    if len(letters) > 1:
        pointers = "\n".join(f"  {letter.place}" for letter in letters)
        raise CommandError(f"{len(letters)} elements of this record were set aside: name one.\n{pointers}", exit_code=USAGE)
    kept = in_database(partial(dead_letters.kept, letter=letters[0]))
    value = b"" if kept is None else kept.record.value or b""
    if to is None:
        sys.stdout.buffer.write(value)
        sys.stdout.buffer.flush()
        return
    try:
        descriptor = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise CommandError(f"{to} is there already.", hint="Name a new file.") from None
    except OSError as problem:
        raise CommandError(f"{to} cannot be written: {problem.strerror}.") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(value)
    show.aside(f"{len(value)} bytes in {to}.")


def _tell_redriven(report: Report, letters: Sequence[Letter], *, as_json: bool) -> None:
    """Exit code 1 unless every one was appended, and none came back."""
    states = {letter[:4]: letter.state for letter in letters}
    # One that a rebuild has taken away meanwhile could be read.
    become = [(letter, now_at, states.get(letter[:4], State.RESOLVED)) for letter, now_at in report.redriven]
    if as_json:
        redriven = [{"place": letter.place, "appended_to": now_at, "state": state} for letter, now_at, state in become]
        refused = [{"place": letter.place, "why": why} for letter, why in report.refused]
        show.as_json({"redriven": redriven, "refused": refused})
    else:
        _tell_states(become)
        for letter, why in report.refused:
            show.aside(f"{letter.place} was not redriven: {why}.")
    if report.refused or any(state == State.RETURNED for _, _, state in become):
        raise typer.Exit(FAILED)


def _tell_states(become: Sequence[tuple[Letter, str, str]]) -> None:
    count = Counter(state for _, _, state in become)
    told = ", ".join(f"{number} {state}" for state, number in sorted(count.items()))
    show.line(f"{_letters(len(become))} appended again{f': {told}' if told else ''}.")
    for letter, now_at, state in become:
        if state == State.RETURNED:
            show.aside(f"{letter.place} was set aside again: parley dlq show {now_at}")
    if count[State.REDRIVEN]:
        show.aside("Their service has not come to all of them yet: `parley dlq list` says later what became of them.")
    if any(letter.topic in _COMMANDS for letter, _, _ in become):
        show.aside("What became of a command: parley listen send-outcomes. One without expires_at counts as written now.")
