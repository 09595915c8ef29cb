"""How does an old webhook become news: other instants, other ids, another number? What is given stays as it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

_INSTANTS: Final = frozenset({"timestamp", "time"})
_NUMBER: Final = "phone_number_id"
_DIGITS: Final = re.compile(r"[0-9]{1,13}", re.ASCII)
_MILLISECONDS_FROM: Final = 10**12
_ID: Final = re.compile(r"wa[mc]id\.\S+|[Ag]B[EG]G[A-Za-z0-9+/=]{6,}", re.ASCII)
"""Of a message, of a call, and without a prefix as Meta's older examples have them."""


def at_instant(body: Any, now: int) -> Any:
    """Every `timestamp` and `time` is `now` (milliseconds), in the unit and the JSON type that it had."""
    return _replaced(body, lambda key, value: _instant(value, now) if key in _INSTANTS else value)


def message_ids(body: Any) -> tuple[str, ...]:
    """The ids of messages and calls that a body names, each once, in the order of their first mention."""
    return tuple(dict.fromkeys(text for text in _texts(body) if _ID.fullmatch(text)))


def with_ids(body: Any, new: Mapping[str, str]) -> Any:
    """Every text that is one of these ids becomes the new one; part of a text is none."""
    return _replaced(body, lambda _, value: new.get(value, value) if isinstance(value, str) else value)


def to_number(body: Any, phone_number_id: str) -> Any:
    """Wherever the body names a business number by its id, it names this one."""
    return _replaced(body, lambda key, value: phone_number_id if key == _NUMBER and isinstance(value, str) else value)


def _instant(value: Any, now: int) -> Any:
    if isinstance(value, str):
        return str(_instant(int(value), now)) if _DIGITS.fullmatch(value) else value
    if not isinstance(value, int) or isinstance(value, bool):
        return value
    return now if value >= _MILLISECONDS_FROM else now // 1000


def _replaced(node: Any, leaf: Callable[[str, Any], Any], key: str = "") -> Any:
    """A copy in which every value that is no object and no list is what `leaf` makes of it."""
    if isinstance(node, dict):
        return {name: _replaced(value, leaf, name) for name, value in node.items()}
    if isinstance(node, list):
        return [_replaced(value, leaf) for value in node]
    return leaf(key, node)


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, (dict, list)):
        for value in node.values() if isinstance(node, dict) else node:
            yield from _texts(value)
