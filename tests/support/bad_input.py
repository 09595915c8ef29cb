"""What becomes of bad input, number by number? `make samples` writes `docs/bad-input.md` from the corpora, which tests prove."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from tests.support import command_corpus, request_corpus, webhook_corpus
from tests.support.command_corpus import Dead, Told

PAGE: Final = Path(__file__).parents[2] / "docs" / "bad-input.md"

WEBHOOKS: Final[Mapping[int, str]] = {
    1: "a length and chunks at once",
    2: "the same length twice",
    3: "two lengths",
    4: "a length that is no plain number",
    5: "another transfer encoding, or two",
    6: "chunks that are none",
    7: "100,000 chunks of a byte",
    8: "bare line ends",
    9: "blanks around a header's name",
    10: "folded headers",
    11: "control characters in a header",
    12: "no host, or two",
    13: "HTTP/1.0",
    14: "another version, HTTP/2, TLS",
    15: "a request line that is too long",
    16: "a header that is too long, or too many",
    17: "`Expect: 100-continue`",
    18: "any other `Expect`",
    19: "more declared than is taken",
    20: "the client goes before it has sent everything",
    21: "slow clients",
    22: "requests in a row without waiting",
    23: "other methods",
    24: "other paths",
    25: "no signature",
    26: "only the old signature",
    27: "several signatures",
    28: "a secret that is not ours",
    29: "another body than was signed",
    30: "another spelling of the signature",
    31: "a signature of another length or alphabet",
    32: "a signature that is no ASCII",
    33: "the signature of the same JSON in other bytes",
    34: "the secret before, during a rotation",
    35: "the secret before, after it",
    36: "another app's signature",
    37: "nothing, signed",
    38: "packed bodies",
    39: "bombs",
    40: "any content type",
    41: "3 MB",
    42: "4 MiB, and a byte more",
    43: "chunks that grow past the limit",
    44: "a challenge with a wrong token or mode",
    45: "a challenge without its word, or with another than Meta's",
    46: "a challenge's parameter twice",
    47: "a right challenge",
    48: "no JSON",
    49: "no UTF-8",
    50: "half of a character",
    51: "nested too deeply",
    52: "numbers that are none",
    53: "numbers that are too long",
    54: "a key twice, or one that cannot be read",
    55: "keys and lists of a hostile size",
    56: "JSON that is no object",
    57: "NUL",
    58: "another product",
    59: "no list of entries",
    60: "no list of changes",
    61: "a field that nobody knows",
    62: "no value",
    63: "no number of ours",
    64: "a number under another account",
    65: "the same change twice",
    66: "10,000 messages",
    67: "one bad message among 99",
    68: "a message without a usable id",
    69: "an id twice, with other content",
    70: "a sender by user id only",
    71: "no sender",
    72: "instants that are none",
    73: "types that nobody knows, or without their object",
    74: "texts of every length and script",
    75: "a flow's answer that is no JSON",
    76: "media without an id",
    77: "a place that is none",
    78: "an answer to a message that nobody knows",
    79: "names of other people",
    80: "errors in a message",
    81: "statuses that nobody knows",
    82: "a status of a message that nobody knows",
    83: "statuses in any order",
    84: "a status several times",
    85: "callback data of any kind",
    86: "two messages for one attempt",
    87: "prices of a new shape",
    88: "statuses beside messages",
    89: "Kafka away, or slow",
    90: "more than can be taken",
}
COMMANDS: Final[Mapping[int, str]] = {
    1: "no command",
    2: "no usable `command_id`",
    3: "the same again",
    4: "another under the same id",
    5: "another key than the number",
    6: "a number that nobody knows",
    7: "another tenant's number",
    8: "a number that is paused or disabled",
    9: "no recipient",
    10: "a recipient that is none",
    11: "a recipient in another spelling",
    12: "the number itself",
    13: "somebody whom Meta cannot reach",
    14: "a user id where a number is needed",
    15: "no type that can be sent",
    16: "the content of another type",
    17: "an empty text",
    18: "a text that is too long",
    19: "NUL, and half of a character",
    20: "longer or more than Meta takes",
    21: "buttons and rows that do not go together",
    22: "the window is closed",
    23: "the window closes meanwhile",
    24: "no consent",
    25: "an opt-out comes meanwhile",
    26: "a template that nobody knows",
    27: "a template that is stopped",
    28: "no language",
    29: "wrong parameters",
    30: "another lane than the template's category",
    31: "media of another number, or too old",
    32: "links that are not fetched",
    33: "an id and a link",
    34: "an answer to no message",
    35: "callback data of the producer's own",
    36: "an end that is over, or too far",
    37: "a time that is over, or too far",
    38: "no code in the lane of codes",
    39: "`resend_once` without leave",
    40: "fields that nobody knows",
    41: "more than 64 KiB",
    42: "10,001 commands at once",
    43: "one bad command among many",
    44: "odd JSON",
    45: "a tenant's quota is used up",
    46: "a hundred to one person at once",
    47: "a later schema",
    48: "packed or sealed",
    49: "JSON and headers within a text",
    50: "a number without a usable token",
    51: "no value",
    52: "no key, or another partition",
}
_INGEST: Final = "tests/integration/test_ingest.py"
ELSEWHERE: Final[Mapping[str, tuple[str, str]]] = {
    "webhook-89": (_INGEST, "test_while_kafka_hangs_requests_are_refused_in_time_and_then_at_once_and_it_recovers"),
    "webhook-90": (_INGEST, "test_a_used_up_byte_budget_refuses_at_once_until_kafka_is_back"),
    "command-46": (
        "tests/integration/test_limits.py",
        "test_of_a_flooded_pair_what_has_no_turn_in_time_expires_and_meta_refuses_none",
    ),
}
"""What wants a broker that is broken, or time: numbers with a test of their own."""
ANSWERS: Final[Mapping[str, tuple[str, str]]] = {
    "webhook-89": ("503", "nothing; Meta comes again"),
    "webhook-90": ("503 for what is too much", "what was answered 200"),
    "command-46": ("`accepted`, one in 6 seconds; then `expired`", ""),
}
NOTES: Final[Mapping[int, str]] = {
    6: "An extension of a chunk is no harm as long as it comes fast enough.",
    15: "Not 414: what cannot be parsed has one answer.",
    16: "Not 431, for the same reason.",
    38: "Only gzip and deflate are unpacked, up to 8 MiB; what was signed before it was packed is counted, and worth an alert.",
    41: "An element whose event would not fit into a record of 5 MiB is set aside alone.",
    46: "One answer for whatever stands there twice.",
    55: "More than 30,000 elements, 250,000 values or 24 MiB of events: the webhook is one dead letter. Texts may hold anything.",
    57: "Postgres holds no NUL: in a column it is replaced, `raw` keeps it. In an id it is none.",
    63: "Numbers that nobody registered are events like others: who may send from a number is asked when something is sent.",
    64: "The log has what Meta said. Tenants are told apart by number where commands are judged.",
    69: "Both are in the log; the read models keep what was recorded first.",
    71: "An id of more than 512 bytes is in the log, and a dead letter of the projector.",
    73: "`raw` has what has no column.",
    78: "It may come later, or never.",
    81: "A status is kept by its word.",
    82: "It makes the message known; what is told of it later is added.",
    85: "More than 512 characters stand in `raw` only. Whose attempt it is is asked by the sender.",
    86: "The sender tells `duplicate_confirmed`.",
}


_CASES: Final = command_corpus.cases()


def rows() -> list[tuple[str, str, str, str, str, str]]:
    """Number, what it is, how many variants, answer, what is kept, a note: of webhooks, then of commands."""
    return [*(_webhook(n) for n in WEBHOOKS), *(_command(n) for n in COMMANDS)]


def number_of(name: str) -> int:
    """The number with which a case's name begins."""
    return int(name.partition(" ")[0])


def _webhook(number: int) -> tuple[str, str, str, str, str, str]:
    name = f"webhook-{number:02d}"
    requests = [one for key, one in request_corpus.REQUESTS.items() if number_of(key) == number]
    contents = [one for key, one in webhook_corpus.CASES.items() if number_of(key) == number]
    statuses = {_answer(status) for one in requests for status in one.answers} | {"200" for _ in contents}
    kept = [one.kept for one in requests if one.kept is not None] + [one.expected for one in contents]
    answer, left = ", ".join(sorted(statuses)), _kept(kept) or "nothing"
    answer, left = ANSWERS.get(name, (answer, left))
    return name, WEBHOOKS[number], str(len(requests) + len(contents)), answer, left, NOTES.get(number, "")


def _answer(status: int) -> str:
    return str(status) if status else "closed"


def _kept(results: Iterable[Iterable[str]]) -> str:
    told = [list(result) for result in results]
    words = {one.partition(" ")[0] for result in told for one in result}
    events = sorted(f"`{word}`" for word in words if word[0].isupper())
    letters = sorted(f"`{word}`" for word in words if not word[0].isupper())
    parts = [", ".join(events), f"dead letter {', '.join(letters)}" if letters else "", "no element" if [] in told else ""]
    return "; ".join(part for part in parts if part)


def _command(number: int) -> tuple[str, str, str, str, str, str]:
    name = f"command-{number:02d}"
    cases = [case for case in _CASES if case.row == number]
    outcomes = sorted({_outcome(told) for case in cases for told in (case.expects, *case.also) if isinstance(told, Told)})
    others = sorted({f"dead letter `{case.expects.reason}`" for case in cases if isinstance(case.expects, Dead)})
    others += sorted({case.expects for case in cases if isinstance(case.expects, str)})
    answer, left = ANSWERS.get(name, ("; ".join(outcomes), "; ".join(others)))
    return name, COMMANDS[number], str(len(cases)), answer, left, command_corpus.DEVIATIONS.get(number, "")


def _outcome(told: Told) -> str:
    reasons = ", ".join(f"`{reason}`" for reason in told.reasons if reason and reason != told.kind)
    return f"`{told.kind}` {reasons}".strip()


def page() -> str:
    """The whole document."""
    found = rows()
    head = ["number", "what", "variants", "answer", "kept", ""]
    webhooks = _table(head, [row for row in found if row[0].startswith("webhook")])
    commands = _table([*head[:3], "outcome", "or else", ""], [row for row in found if row[0].startswith("command")])
    tests = [f"- {name}: `{test}` in `{path}`" for name, (path, test) in ELSEWHERE.items()]
    return "\n".join([_INTRODUCTION, webhooks, _COMMANDS_INTRODUCTION, commands, _END, *tests, ""])


_INTRODUCTION: Final = """# Bad input

What is wrong, odd or hostile, and what becomes of it. Written by `make samples` from the corpora in `tests/support/`, each
variant of which is played through the running services by `tests/integration/test_webhook_corpus.py` and
`test_command_corpus.py`; their test ids begin with the numbers here. Two searches go on from there: mutated samples in
`tests/unit/router/test_mutations.py`, and `make fuzz`, guided by the code that is reached.

What holds for all of it:

- The signature is checked first. Without a right one the answer is 401, nothing is kept, and a metric says why.
- What is signed is kept byte for byte and answered 200, whatever it says: with any other answer Meta would send it for days.
  (Without Kafka it is 503.)
- What cannot be used is set aside element by element, with its bytes, a reason and its place; its siblings go on.
- Each element is one event or in one dead letter. Nothing vanishes, nothing is answered 500, and no answer says more than its
  status.

## Webhooks

*closed* is a connection that ends without an answer. What is kept ends in the read models once; what they cannot hold is a dead
letter of the projector.
"""
_COMMANDS_INTRODUCTION: Final = """
## Commands

*parked* is kept until a router knows the schema, *waiting* until an operator has mended what is at fault, *ignored* is counted.
[Reasons](producers.md#reasons) says what to do about each.
"""
_END: Final = """
## With a test of their own
"""


def _table(head: Iterable[str], body: Iterable[Iterable[str]]) -> str:
    lines = [list(head), *map(list, body)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
    sys.exit(0)
