"""What does a webhook say? One POST of Meta becomes one event or one dead letter per element; nothing vanishes.

An element is: of a field that carries lists (`messages`, `calls`, `history` …) each item of each list; of every other field the
whole value. What has no type here is an `UnrecognizedChange` with its place; unknown keys inside an element stay in its `raw`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, is_dataclass
from functools import partial
from hashlib import sha256
from typing import Any, Final

from services.common.domain.events import UnrecognizedChange, WebhookEvent
from services.common.domain.failure import Unprocessable
from services.common.domain.ids import event_id_of_element
from services.common.domain.reasons import Reason
from services.router import accounts, calls, contacts, messages, statuses
from services.router.body import BROKEN, DEEPEST, Damaged, TornObject, document
from services.router.reading import Object, Position, Scope, clean, dumped, raw_text

MAX_ELEMENTS: Final = 30_000
"""Of one webhook. Meta puts up to 1,000 into one, and four megabytes have room for as many of 140 bytes, which is less than any
that it sends. Each is a kilobyte or two until it is appended; four megabytes of `0,` would be two million dead letters.
"""
MAX_VALUE_BYTES: Final = 5 * 1024 * 1024 - 64 * 1024
"""Of a record's key and value: what a record may have, without room for headers."""
_NEVER_TOO_LARGE: Final = 512 * 1024
"""What such a body becomes fits into records: a byte comes back a few times at most, a short number as four of its length."""
_OBJECT: Final = "whatsapp_business_account"
OF_THE_WHOLE: Final = frozenset({"", "/object", "/entry"})
"""Pointers of what sets a body aside as a whole."""
_LONGEST_NAME: Final = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """An element that cannot become an event: why, where in the webhook, and its bytes.

    `pointer` is of the element; that of the problem is the same, or of something in it.
    """

    problem: Unprocessable
    value: bytes
    pointer: str = ""


Found = WebhookEvent | SetAside
Build = Callable[[Any, Scope, str], WebhookEvent]
"""Makes the event of one element; Unprocessable when it cannot be one."""
Walk = Callable[[Any, Scope, str], Iterable[Found]]
"""Finds the elements in what stands under one key of a value."""


def split(body: bytes, position: Position) -> list[Found]:
    """Every element of a webhook, in order: an event, or set aside alone while its siblings go on.

    Raises Unprocessable only when the body as a whole is no webhook, or has more than MAX_ELEMENTS. The same bytes at the same
    position give the same events.
    """
    whole = document(body)
    if len(body) > _NEVER_TOO_LARGE:
        position = position._replace(is_large=True)
    if "entry" not in whole and "field" in whole:
        # As the App Dashboard prints its samples: a change without anything around it.
        return list(_change(whole, {}, position, ""))
    entries = whole.get("entry")
    named = whole["object"] if "object" in whole else _misplaced_object(entries)
    if named != _OBJECT:
        raise Unprocessable(named.reason if isinstance(named, Damaged) else Reason.OBJECT_UNKNOWN, pointer="/object")
    if not isinstance(entries, list):
        raise Unprocessable(entries.reason if isinstance(entries, Damaged) else Reason.ENTRY_SHAPE, pointer="/entry")
    found: list[Found] = []
    for i, entry in enumerate(_bounded(entries)):
        changes = entry.get("changes") if isinstance(entry, dict) else None
        if not isinstance(changes, list):
            found.append(_set_aside(entry, Reason.CHANGES_SHAPE, f"/entry/{i}"))
            continue
        for j, change in enumerate(_bounded(changes)):
            _add(found, _change(change, entry, position, f"/entry/{i}/changes/{j}"))
    if not found and isinstance(whole, TornObject):
        raise Unprocessable(whole.reason)  # it says nothing, and something in it cannot be read: not the same as an empty one
    return found


def _bounded(items: list[Any]) -> list[Any]:
    """A list, looked at before anything is made of its items: they would be made a hundred times as large."""
    if len(items) > MAX_ELEMENTS:
        raise Unprocessable(Reason.TOO_MANY, detail=f"more than {MAX_ELEMENTS} elements")
    return items


def _add(found: list[Found], more: Iterable[Found]) -> None:
    """Also of several lists together."""
    found += more
    _bounded(found)


def _misplaced_object(entries: Any) -> Any:
    """An example of Meta's has `object` inside the entry."""
    first = entries[0] if isinstance(entries, list) and entries else None
    return first.get("object") if isinstance(first, dict) else None


def _change(change: Any, entry: Object, position: Position, pointer: str) -> Iterable[Found]:
    if not isinstance(change, dict):
        return (_set_aside(change, Reason.CHANGES_SHAPE, pointer),)
    value, field = change.get("value"), change.get("field")
    if field is None and isinstance(value, dict):
        field = value.get("field")  # so another example of Meta's
    if not isinstance(field, str):
        return (_set_aside(change, Reason.CHANGES_SHAPE, pointer),)
    if not isinstance(value, dict):
        return (_set_aside(change if value is None else value, Reason.VALUE_SHAPE, f"{pointer}/value"),)
    scope, pointer = Scope(entry, position, clean(field) or "", value), f"{pointer}/value"
    walks = _LISTS.get(field)
    if walks is None:
        return (_one(_WHOLE.get(field), value, scope, pointer),)
    return _lists(value, scope, pointer, walks, _AROUND)


def _lists(parent: Object, scope: Scope, pointer: str, walks: Mapping[str, Walk], around: frozenset[str]) -> list[Found]:
    """The elements of an object that carries lists; `around` are the keys that tell about them and are none themselves."""
    found: list[Found] = []
    is_empty = True
    for name, part in parent.items():
        if name not in around:
            is_empty = False
            walk = walks.get(name)
            if walk is not None:
                _add(found, walk(part, scope, f"{pointer}/{name}"))
            else:
                _add(found, _each(None, part, scope, f"{pointer}/{_escaped(name)}"))
    return [_one(None, parent, scope, pointer)] if is_empty else found


def _each(build: Build | None, found: Any, scope: Scope, pointer: str) -> Iterable[Found]:
    """An event for each item; what should be a list and is none is one element that nobody recognizes."""
    if isinstance(found, list):
        return [_one(build, element, scope, f"{pointer}/{k}") for k, element in enumerate(_bounded(found))]
    return (_one(None, found, scope, pointer),)


def _one(build: Build | None, element: Any, scope: Scope, pointer: str) -> Found:
    """Exactly one event or dead letter."""
    try:
        if build is None:
            build = _unrecognized
        elif type(element) is not dict:
            raise Unprocessable(Reason.ELEMENT_SHAPE, pointer=pointer)
        event = build(element, scope, pointer)
        return _fitting(event, pointer) if scope.at.is_large else event
    except Unprocessable as problem:
        return _aside(element, problem, pointer)


def _fitting(event: WebhookEvent, pointer: str) -> WebhookEvent:
    """One that no broker takes would be tried for ever, and nothing behind it would come to its turn."""
    if _size(event) > MAX_VALUE_BYTES:
        raise Unprocessable(Reason.TOO_LARGE, pointer=pointer, detail=f"its event is more than {MAX_VALUE_BYTES} bytes")
    return event


def _size(event: WebhookEvent) -> int:
    """At least what its key and its value take."""
    key = getattr(event, "contact", None), getattr(event, "phone_number_id", None)
    return _bytes(key) + _bytes(tuple(vars(event).values()))


def _bytes(value: Any) -> int:
    if isinstance(value, str):
        return len(value.encode()) + 10
    if isinstance(value, tuple):
        return 10 + sum(map(_bytes, value))
    return 10 + (_bytes(tuple(vars(value).values())) if is_dataclass(value) else 0)


def _unrecognized(element: Any, scope: Scope, pointer: str) -> UnrecognizedChange:
    return UnrecognizedChange(
        event_id=scope.event_id(pointer),
        recorded_at=scope.at.received_at,
        pointer=pointer,
        raw=raw_text(element, pointer),
        occurred_at=scope.entry_at,
        waba_id=scope.waba_id,
        phone_number_id=scope.optional_phone_number_id(),
        field=scope.field,
    )


def _standby(found: Any, scope: Scope, pointer: str) -> Iterable[Found]:
    """One level deeper, with contacts of its own."""
    if not isinstance(found, dict):
        return _each(None, found, scope, pointer)
    return _lists(found, scope.within(found), pointer, _IN_STANDBY, _AROUND)


def _history(found: Any, scope: Scope, pointer: str) -> Iterable[Found]:
    """Chunks of threads of messages, or why there are none."""
    if not isinstance(found, list):
        return [_one(None, found, scope, pointer)]
    out: list[Found] = []
    for k, chunk in enumerate(_bounded(found)):
        where = f"{pointer}/{k}"
        if not isinstance(chunk, dict):
            out.append(_set_aside(chunk, Reason.ELEMENT_SHAPE, where))
        elif not any(chunk.get(name) for name in chunk if name not in _AROUND):
            out.append(_one(accounts.history_progress, chunk, scope, where))
        else:
            walks: dict[str, Walk] = {"threads": partial(_threads, chunk), "errors": _EACH_ERROR}
            _add(out, _lists(chunk, scope, where, walks, _AROUND))
    return out


def _threads(chunk: Object, found: Any, scope: Scope, pointer: str) -> Iterable[Found]:
    if not isinstance(found, list):
        return [_one(None, found, scope, pointer)]
    out: list[Found] = []
    for k, thread in enumerate(_bounded(found)):
        where = f"{pointer}/{k}"
        if not isinstance(thread, dict):
            out.append(_set_aside(thread, Reason.ELEMENT_SHAPE, where))
            continue
        build = partial(messages.past, thread=messages.Thread(chunk, thread))
        _add(out, _lists(thread, scope, where, {"messages": partial(_each, build)}, _AROUND_THREAD))
    return out


def _conversation_context(found: Any, scope: Scope, pointer: str) -> Iterable[Found]:
    return _each(None, found, scope, pointer) if isinstance(found, list) else (_one(contacts.context, found, scope, pointer),)


def _set_aside(element: Any, reason: Reason, pointer: str) -> SetAside:
    return _aside(element, Unprocessable(reason, pointer=pointer), pointer)


def _aside(element: Any, problem: Unprocessable, pointer: str) -> SetAside:
    """With its bytes. That it is damaged explains more than what is missing in what is left of it.

    They are kept until all of the webhook is read: without the frames of whoever raised, and without the four kilobytes, or twice
    their length, of the buffer that they were written in.
    """
    if isinstance(element, BROKEN):
        problem = Unprocessable(element.reason, pointer=problem.pointer)
    return SetAside(problem=problem.with_traceback(None), value=bytes(memoryview(dumped(element))), pointer=pointer)


def meant(found: Iterable[Found], body: bytes, place: str, pointers: Iterable[str]) -> list[Found]:
    """Of what `split` found in a body at this place, only the elements that hold what these point to, or are held by it.

    A pointer of which nothing is found is set aside: it meant something to whoever asked.
    """
    elements, whole = list(found), document(body)
    kept: list[Found] = []
    for pointer in pointers:
        ids = {event_id_of_element(place, one) for one in (*_around(pointer), *_within(whole, pointer))}
        of_it = [one for one in elements if (_are_related(one, pointer) if isinstance(one, SetAside) else one.event_id in ids)]
        kept += of_it or [_set_aside(None, Reason.REDRIVEN_POINTER, pointer)]
    return kept


def _are_related(aside: SetAside, pointer: str) -> bool:
    """One of the two holds the other, or they are the same."""
    element, other = f"{aside.pointer}/", f"{pointer}/"
    return element.startswith(other) or other.startswith(element)


def _around(pointer: str) -> Iterator[str]:
    """The pointer, and those to what it stands in."""
    while pointer:
        yield pointer
        pointer = pointer.rpartition("/")[0]


def _within(whole: Any, pointer: str) -> Iterator[str]:
    """Pointers to what stands in there, as deep as elements do."""
    node = whole
    for name in pointer.split("/")[1:]:
        node = _part(node, name)
    level = [(pointer, node)]
    while level:
        level = [(f"{at}/{name}", part) for at, one in level if at.count("/") < DEEPEST for name, part in _parts(one)]
        yield from (at for at, _ in level)


def _part(node: Any, name: str) -> Any:
    return next((part for one, part in _parts(node) if one == name), None)


def _parts(node: Any) -> Iterable[tuple[str, Any]]:
    """What an object or a list has, each under its name in a pointer."""
    if isinstance(node, dict):
        return ((_escaped(name), part) for name, part in node.items())
    return ((str(k), part) for k, part in enumerate(node)) if isinstance(node, list) else ()


def _escaped(name: str) -> str:
    """As a JSON pointer has it; of a name of a hostile length the beginning and a digest, for each element carries it."""
    if len(name) > _LONGEST_NAME:
        name = f"{name[: _LONGEST_NAME // 2]}…{sha256(name.encode()).hexdigest()}"
    return name.replace("~", "~0").replace("/", "~1")


_AROUND: Final = frozenset({"messaging_product", "metadata", "contacts", "field", "object"})
_AROUND_THREAD: Final = frozenset({"id", "context"})

_EACH_ERROR: Final[Walk] = partial(_each, accounts.error)
_GROUPS: Final[Mapping[str, Walk]] = {"groups": partial(_each, accounts.group), "errors": _EACH_ERROR}
_ECHOES: Final[Mapping[str, Walk]] = {"message_echoes": partial(_each, messages.echo), "errors": _EACH_ERROR}
_IN_STANDBY: Final[Mapping[str, Walk]] = {
    "messages": partial(_each, messages.standby),
    "statuses": partial(_each, statuses.changed),
    "message_echoes": partial(_each, messages.standby_echo),
    "errors": _EACH_ERROR,
}

_LISTS: Final[Mapping[str, Mapping[str, Walk]]] = {
    "messages": {
        "messages": partial(_each, messages.received),
        "statuses": partial(_each, statuses.changed),
        "errors": _EACH_ERROR,
        "user_actions": partial(_each, contacts.user_action),
        "conversation_context": _conversation_context,
    },
    "standby": {"standby": _standby, "errors": _EACH_ERROR},
    "smb_message_echoes": _ECHOES,
    "message_echoes": _ECHOES,
    "history": {"history": _history, "messages": partial(_each, messages.past_media), "errors": _EACH_ERROR},
    "smb_app_state_sync": {"state_sync": partial(_each, contacts.synced), "errors": _EACH_ERROR},
    "calls": {"calls": partial(_each, calls.call), "statuses": partial(_each, calls.status), "errors": _EACH_ERROR},
    "user_preferences": {"user_preferences": partial(_each, contacts.preference), "errors": _EACH_ERROR},
    "automatic_events": {"automatic_events": partial(_each, contacts.automatic_event), "errors": _EACH_ERROR},
    "tracking_events": {"events": partial(_each, contacts.tracking_event), "errors": _EACH_ERROR},
    "group_lifecycle_update": _GROUPS,
    "group_participants_update": _GROUPS,
    "group_settings_update": _GROUPS,
    "group_status_update": _GROUPS,
}
"""Fields that carry lists, and what is in them."""

_WHOLE: Final[Mapping[str, Build]] = {
    "account_alerts": accounts.account,
    "account_review_update": accounts.account,
    "account_update": accounts.account,
    "business_capability_update": accounts.account,
    "business_status_update": accounts.account,
    "partner_solutions": accounts.account,
    "payment_configuration_update": accounts.account,
    "account_settings_update": accounts.phone_number,
    "business_username_update": accounts.phone_number,
    "business_username_updates": accounts.phone_number,
    "phone_number_name_update": accounts.phone_number,
    "phone_number_quality_update": accounts.phone_number,
    "security": accounts.phone_number,
    "message_template_components_update": accounts.template,
    "message_template_quality_update": accounts.template,
    "message_template_status_update": accounts.template,
    "template_category_update": accounts.template,
    "template_correct_category_detection": accounts.template,
    "flows": accounts.flow,
    "consumer_profile": contacts.noticed,
    "user_id_update": contacts.noticed,
    "messaging_handovers": contacts.handed_over,
}
"""Fields whose value is one element."""

FIELDS: Final = frozenset(_LISTS) | frozenset(_WHOLE)
"""Every webhook field that has a type here."""
