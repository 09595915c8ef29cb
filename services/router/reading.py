"""How is one value of Meta's JSON read, be it a text, an id, an instant or a person, and what does an element inherit?"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import orjson

from services.common.domain.failure import Unprocessable
from services.common.domain.ids import contact_key, event_id_of_element
from services.common.domain.reasons import Reason
from services.router.body import BROKEN

MAX_DEPTH: Final = 64
MAX_ID_CHARACTERS: Final = 1024
STANDBY: Final = "standby"
_FUTURE_MS: Final = 2 * 24 * 3600 * 1000
_MILLISECOND_DIGITS: Final = 13
_DIGITS: Final = re.compile(r"[0-9]{1,32}", re.ASCII)
_BSUID: Final = re.compile(r"[A-Z]{2}\.[A-Za-z0-9.]{1,133}")
_NUL: Final = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_INT, _LONG = 2**31, 2**63
_MODELLED: Final = frozenset({"profile", "wa_id", "user_id", "parent_user_id", "identity_key_hash"})
_MODELLED_PROFILE: Final = frozenset({"name", "username"})

Object = Mapping[str, Any]
_NOTHING: Final[dict[str, Any]] = {}


class Flag:
    """What was unusual and mended: words of the column `flags`."""

    TIMESTAMP_MILLISECONDS: Final = "timestamp_milliseconds"
    TEXT_NUL: Final = "text_nul"
    RESPONSE_JSON: Final = "response_json"
    STATUS_UNKNOWN: Final = "status_unknown"
    PRODUCT_ITEMS: Final = "product_items"


class Position(NamedTuple):
    """Where the raw record stands in the log (`topic/partition/offset`), and when ingest received it (milliseconds).

    `is_large`: it is so long that what an element of it becomes may be too long for a record.
    """

    place: str
    received_at: int
    is_large: bool = False


class Person(NamedTuple):
    """Whom an element names."""

    wa_id: str | None
    bsuid: str | None
    parent_bsuid: str | None
    entry: Object

    @property
    def contact(self) -> str | None:
        """Our key: BSUID first, else wa_id."""
        return contact_key(bsuid=self.bsuid, wa_id=self.wa_id)


class Names(NamedTuple):
    """Under which keys an element names a person."""

    number: str
    user: str
    parents: tuple[str, ...]


FROM: Final = Names("from", "from_user_id", ("from_parent_user_id",))
TO: Final = Names("to", "to_user_id", ("to_parent_user_id",))
RECIPIENT: Final = Names("recipient_id", "recipient_user_id", ("recipient_parent_user_id", "parent_recipient_user_id"))


class Scope:
    """What an element inherits: its raw record, its entry, and the value of its change."""

    __slots__ = ("at", "contacts", "entry", "entry_at", "field", "value", "waba_id")

    def __init__(self, entry: Object, position: Position, field: str, value: Object) -> None:
        self.at, self.entry, self.field, self.value = position, entry, field, value
        self.waba_id, self.entry_at = optional(entry, "id"), _entry_time(entry.get("time"))
        contacts = value.get("contacts")
        self.contacts: list[Any] = contacts if isinstance(contacts, list) else []

    def within(self, nested: Object) -> Scope:
        """Of a value in the value: its own names before those around it."""
        return Scope(self.entry, self.at, self.field, {"metadata": self.value.get("metadata"), **nested})

    def event_id(self, pointer: str) -> str:
        """The same for the same element of the same raw record."""
        return event_id_of_element(self.at.place, pointer)

    def optional_phone_number_id(self) -> str | None:
        """The number that the change is about, where it names one."""
        return optional(child(self.value, "metadata"), "phone_number_id")

    def phone_number_id(self, pointer: str) -> str:
        """The number that the change is about; Unprocessable when it names none, empty when a standby does not."""
        metadata = self.value.get("metadata")
        found = metadata.get("phone_number_id") if isinstance(metadata, dict) else None
        if metadata is None and self.field == STANDBY:
            return ""  # the one field that Meta publishes without
        if found is None or isinstance(found, BROKEN):
            raise Unprocessable(Reason.PHONE_MISSING, pointer=pointer)
        if not isinstance(found, str) or not found or "\0" in found:
            raise Unprocessable(Reason.ID_TYPE, pointer=pointer, detail="phone_number_id")
        return found

    def told_at(self, told: Object) -> int | None:
        """The entry's time; of what has one of its own, that."""
        return optional_instant(told, "timestamp") or self.entry_at

    def sole_entry(self) -> Object:
        """The entry of `contacts` when there is one only: what names nobody is then about that person."""
        return self.contacts[0] if len(self.contacts) == 1 and isinstance(self.contacts[0], dict) else _NOTHING

    def entry_of(self, wa_id: str | None, bsuid: str | None) -> Object:
        """The person's entry in `contacts`, found by name: the list is not parallel to the others."""
        for entry in self.contacts:
            if isinstance(entry, dict) and (
                (wa_id is not None and entry.get("wa_id") == wa_id) or (bsuid is not None and entry.get("user_id") == bsuid)
            ):
                return entry
        return _NOTHING


def person(element: Object, names: Names, scope: Scope, pointer: str) -> Person:
    """Who an element names, completed from `contacts`. A BSUID has been seen where the number stands."""
    wa_id, bsuid = element.get(names.number), element.get(names.user)
    # Nearly always both are what they should be; otherwise it is looked at more closely.
    if not (type(wa_id) is str and wa_id.isdigit()) or not (
        bsuid is None or (type(bsuid) is str and bsuid and "\0" not in bsuid)
    ):
        wa_id, bsuid = named_person(element, names.number, names.user, pointer)
    parent = None
    for name in names.parents:
        if name in element:
            parent = optional(element, name)
    if not scope.contacts:
        return Person(wa_id, bsuid, parent, _NOTHING)
    entry = scope.entry_of(wa_id, bsuid)
    if entry:
        wa_id, bsuid = wa_id or _plain_number(entry.get("wa_id")), bsuid or optional(entry, "user_id")
        if parent is None and "parent_user_id" in entry:
            parent = optional(entry, "parent_user_id")
    return Person(wa_id, bsuid, parent, entry)


def name_of_person(element: Object, name: str, pointer: str) -> str | None:
    """A wa_id or a user id; absent, null and empty are none."""
    found = element.get(name)
    if not found and (found is None or found == ""):
        return None
    if not isinstance(found, str):
        raise Unprocessable(Reason.ID_TYPE, pointer=f"{pointer}/{name}")
    if "\0" in found:
        raise Unprocessable(Reason.TEXT_NUL, pointer=f"{pointer}/{name}")
    return found


def named_person(names: Object, number: str, user: str, pointer: str) -> tuple[str | None, str | None]:
    """wa_id and BSUID of an object that is about a person and has no `contacts` beside it."""
    wa_id, bsuid = name_of_person(names, number, pointer), name_of_person(names, user, pointer)
    if wa_id is not None and not wa_id.isdigit() and _BSUID.fullmatch(wa_id):
        return None, bsuid or wa_id
    return wa_id, bsuid


def _plain_number(found: Any) -> str | None:
    text = clean(found)
    return None if text is None or _BSUID.fullmatch(text) else text


def unmodelled(entry: Object) -> str | None:
    """The entry of `contacts` as JSON when it has keys that no column holds."""
    profile = entry.get("profile")
    if entry.keys() <= _MODELLED and (profile is None or (isinstance(profile, dict) and profile.keys() <= _MODELLED_PROFILE)):
        return None
    return dumped(entry).decode(errors="replace") or None  # of a damaged entry, what can be read


def dumped(element: Any) -> bytes:
    """Its JSON with sorted keys, so that the same content in other bytes is the same text; empty when nested too deeply."""
    return element.raw if isinstance(element, BROKEN) else _json(element)


def _json(element: Any) -> bytes:
    try:
        return orjson.dumps(element, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        return b""


def raw_text(element: Any, pointer: str) -> str:
    """What the column `raw` holds. Unprocessable for what is damaged or deeper than readers should have to follow."""
    if type(element) is dict:  # most of all: neither torn nor damaged
        text = _json(element)
    elif isinstance(element, BROKEN):
        raise Unprocessable(element.reason, pointer=pointer)
    else:
        text = dumped(element)
    # Counted first: what opens fewer objects and arrays than the limit cannot be deeper, and that is nearly everything.
    if not text or (text.count(b"{") + text.count(b"[") >= MAX_DEPTH and _is_too_deep(element)):
        raise Unprocessable(Reason.JSON_DEPTH, pointer=pointer, detail=f"more than {MAX_DEPTH} levels")
    return text.decode()


def _is_too_deep(element: Any) -> bool:
    level: list[Any] = [element]
    for _ in range(MAX_DEPTH):
        level = [part for node in level for part in _parts(node)]
        if not level:
            return False
    return True


def _parts(node: Any) -> Any:
    if isinstance(node, dict):
        return node.values()
    return node if isinstance(node, list) else ()


def flags_text(flags: list[str], raw: str) -> str | None:
    """The column `flags`; NUL is looked for in the JSON, where it stands escaped."""
    if "\\u0000" in raw and _NUL.search(raw):
        flags.append(Flag.TEXT_NUL)
    return " ".join(flags) or None


def identifier(element: Object, name: str, reason: Reason, pointer: str) -> str:
    """A text that must be there."""
    found = element.get(name)
    if not isinstance(found, str) or not found or len(found) > MAX_ID_CHARACTERS:
        raise Unprocessable(reason, pointer=f"{pointer}/{name}")
    if "\0" in found:
        raise Unprocessable(Reason.TEXT_NUL, pointer=f"{pointer}/{name}")
    return found


def instant(element: Object, scope: Scope, pointer: str, flags: list[str], name: str = "timestamp") -> int:
    """Meta's seconds, as string or number, as milliseconds. Thirteen digits are milliseconds already, and flagged."""
    at, is_in_milliseconds = _milliseconds(element.get(name))
    if at == 0:
        raise Unprocessable(Reason.TIMESTAMP, pointer=f"{pointer}/{name}")
    if is_in_milliseconds:
        flags.append(Flag.TIMESTAMP_MILLISECONDS)
    if at > scope.at.received_at + _FUTURE_MS:
        raise Unprocessable(Reason.TIMESTAMP, pointer=f"{pointer}/{name}", detail="in the future")
    return at


def optional_instant(element: Object, name: str) -> int | None:
    """Seconds as milliseconds, of the past or the future; None for anything else."""
    return _milliseconds(element.get(name))[0] or None


def _milliseconds(found: Any) -> tuple[int, bool]:
    """An instant, and whether it was told in milliseconds; 0 for what is none."""
    text = str(found) if type(found) is int else found
    if not isinstance(text, str) or not text.isdigit() or not text.isascii() or len(text) > _MILLISECOND_DIGITS:
        return 0, False
    return (int(text), True) if len(text) == _MILLISECOND_DIGITS else (int(text) * 1000, False)


def _entry_time(found: Any) -> int | None:
    return found * 1000 if type(found) is int and 0 < found < 10**11 else None


def child(parent: Object, name: str) -> Object:
    """An object within; empty when there is none."""
    found = parent.get(name)
    return found if isinstance(found, dict) else _NOTHING


def objects(parent: Object, name: str) -> list[Object]:
    """The objects of a list within; a single object counts as a list of one."""
    found = parent.get(name)
    if isinstance(found, dict):
        return [found]
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def optional(parent: Object, name: str) -> str | None:
    """A text; None for anything but a text that is not empty."""
    found = parent.get(name)
    if found is None or (type(found) is str and found and "\0" not in found):
        return found
    return clean(found)


def clean(found: Any) -> str | None:
    """A text as Postgres can hold it: NUL becomes U+FFFD (the raw JSON keeps it)."""
    if not isinstance(found, str) or not found:
        return None
    return found.replace("\0", "\N{REPLACEMENT CHARACTER}") if "\0" in found else found


def texts(parent: Object, names: tuple[str, ...]) -> list[str | None]:
    """`optional` for several at once, which is most of what is done with an element."""
    found = []
    for name in names:
        text = parent.get(name)
        if text is not None and (type(text) is not str or not text or "\0" in text):
            text = clean(text)
        found.append(text)
    return found


def word(parent: Object, name: str) -> str | None:
    """A text, or an integer as text: Meta writes ids and limits both ways."""
    found = parent.get(name)
    return str(found) if type(found) is int else clean(found)


def integer(parent: Object, name: str) -> int | None:
    """What fits into 32 bits; digits in a text count too."""
    found = _whole(parent.get(name))
    return found if found is not None and -_INT <= found < _INT else None


def long_integer(parent: Object, name: str) -> int | None:
    """What fits into 64 bits; digits in a text count too."""
    found = _whole(parent.get(name))
    return found if found is not None and -_LONG <= found < _LONG else None


def _whole(found: Any) -> int | None:
    if type(found) is int:
        return found
    return int(found) if isinstance(found, str) and _DIGITS.fullmatch(found) else None


def decimal(parent: Object, name: str) -> float | None:
    """A number, or a text that is one; None for anything else."""
    found = parent.get(name)
    if isinstance(found, bool) or not isinstance(found, int | float | str) or (isinstance(found, str) and not found.isascii()):
        return None
    try:
        number = float(found)
    except (ValueError, OverflowError):
        return None
    return number if abs(number) < float("inf") else None


def first_error(element: Object) -> Object:
    """The first of `errors`."""
    errors = element.get("errors")
    return errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else _NOTHING
