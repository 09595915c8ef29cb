"""In which of its lanes' partitions does a command of a number stand, where one process is not enough for the number?

A number may have K sub-lanes, each with a key and so a partition of its own. A recipient is always in the same one: the order of
its commands and its pair limit need nobody else. The number's limit is dealt out to the sub-lanes, and no part is lent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from zlib import crc32

from services.common.domain import recipients
from services.common.domain.records import SendMessage
from services.common.domain.send_policy import READ

MOST: Final = 16
"""Sub-lanes of a number. The least that Meta allows a number is 20 messages a second: each sub-lane has one of them then."""
_ENTRY: Final = re.compile(r"([0-9]{1,32})=([0-9]{1,2})")


def parse(text: str) -> dict[str, int]:
    """`<phone_number_id>=<K>,…` as phone_number_id -> K; ValueError names the entry, without its text."""
    counts: dict[str, int] = {}
    for place, entry in enumerate(text.split(",") if text.strip() else (), 1):
        found = _ENTRY.fullmatch(entry.strip())
        if found is None or not 1 <= int(found[2]) <= MOST:
            raise ValueError(f"entry {place} is not <phone_number_id>=<sub-lanes, 1 to {MOST}>")
        if found[1] in counts:
            raise ValueError(f"entry {place} names a number that another one names")
        counts[found[1]] = int(found[2])
    return counts


def turn_of(message: SendMessage) -> str:
    """Commands of a number with the same are kept in their order: a recipient's. A `read` is no message and
    needs no order: it neither waits for another nor lets one wait."""
    if message.type == READ:
        return message.command_id
    return recipients.pair_of(to=message.to, bsuid=message.recipient, group_id=message.group_id)


def key_of(message: SendMessage, counts: Mapping[str, int]) -> bytes:
    """The key of a command in its lane's topic: `phone_number_id`, or `phone_number_id#n` of a number that has sub-lanes."""
    count = counts.get(message.phone_number_id, 1)
    if count == 1:
        return message.phone_number_id.encode()
    return _key(message.phone_number_id, crc32(turn_of(message).encode()) % count)


def keys(phone_number_id: str, count: int) -> list[bytes]:
    """The keys of all sub-lanes of a number, from 0; of one that has only one lane that one's."""
    return [phone_number_id.encode()] if count == 1 else [_key(phone_number_id, sublane) for sublane in range(count)]


def _key(phone_number_id: str, sublane: int) -> bytes:
    return f"{phone_number_id}#{sublane}".encode()


def part(limit: int, sublane: int, *, count: int) -> int:
    """Of `limit` messages a second those of one sub-lane. All of a number's are the limit; 0 where there are more sub-lanes."""
    return limit // count + (sublane < limit % count)


def debit(owed: int, received: int, *, share: int, limit: int) -> tuple[int, int]:
    """How many of `received` messages one owner of `share` of `limit` takes off, and what it owes from now on.

    `owed` is in parts of 1/limit, from the last call, 0 at first. Rounded up, and made up for later: the owners together have
    always taken off at least as many as were received, and less than one more each.
    """
    owed += received * share
    whole = -(-owed // limit)
    return whole, owed - whole * limit
