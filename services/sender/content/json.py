"""Which value is a JSON text of a command? The one way in which the sender reads them. Pure."""

from __future__ import annotations

import json

import orjson


def parsed(text: str) -> object:
    """The value; None when it is not JSON, which is nothing that is ever asked for.

    Half of a character, as an escape in a text, is read as it stands: the check of contents finds and names it.
    """
    try:
        value: object = orjson.loads(text)
    except orjson.JSONDecodeError:
        return _with_halves(text)
    return value


def _with_halves(text: str) -> object:
    if "\\u" not in text:
        return None
    try:
        value: object = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return None
    return value


def _no_number(word: str) -> None:
    raise ValueError(word)
