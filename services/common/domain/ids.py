"""Which identifiers are there, and how do we derive our own?"""

from __future__ import annotations

from hashlib import sha1
from typing import Final, NewType
from uuid import UUID

WabaId = NewType("WabaId", str)
PhoneNumberId = NewType("PhoneNumberId", str)
"""The business number's id at Meta (`metadata.phone_number_id`); not the phone number."""
WaId = NewType("WaId", str)
"""A customer's number as digits. May be absent."""
Bsuid = NewType("Bsuid", str)
"""Business-scoped user id, `CC.` and up to 128 characters."""
Wamid = NewType("Wamid", str)
CommandId = NewType("CommandId", str)
AttemptId = NewType("AttemptId", str)
EventId = NewType("EventId", str)

NAMESPACE = UUID("6f1c8b0e-4a55-5d0f-9d0e-5b8f3f3a7c11")
"""Namespace of every uuid5 of Parley. Changing it changes every id: never."""
_PREFIX: Final = NAMESPACE.bytes
_VARIANT: Final = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def named(name: str) -> str:
    """`str(uuid5(NAMESPACE, name))` at a quarter of the cost: every event has one."""
    h = sha1(_PREFIX + name.encode(), usedforsecurity=False).hexdigest()
    return f"{h[:8]}-{h[8:12]}-5{h[13:16]}-{_VARIANT[h[16]]}{h[17:20]}-{h[20:32]}"


def event_id_of_element(place: str, pointer: str) -> str:
    """The same element of the same raw record, at `topic/partition/offset`, gets the same id on every redelivery by Kafka."""
    return named(f"{place}#{pointer}")


def attempt_id(command_id: str, attempt_no: int) -> AttemptId:
    """What `biz_opaque_callback_data` carries: known before the send, echoed in every status webhook."""
    return AttemptId(named(f"{command_id}/{attempt_no}"))


def outcome_event_id(command_id: str, attempt_no: int, kind: str) -> EventId:
    """Re-emitting an outcome after a crash gives the same id, so consumers see one event."""
    return EventId(named(f"{command_id}/{attempt_no}/{kind}"))


def contact_key(*, bsuid: str | None, wa_id: str | None) -> str | None:
    """BSUID first, else wa_id; None when Meta named nobody."""
    return bsuid or wa_id or None


def record_key(phone_number_id: str, contact: str | None) -> str:
    """Partition key of typed events: one conversation is one partition."""
    return f"{phone_number_id}/{contact or ''}"
