"""Who is a contact, and under which names was it met?

A contact is never renamed here: that two keys belong to one person shows in the aliases they share, and who has a name today is
asked of `projector.names_of`. So any order of events ends in the same rows. Meta may answer a number with another wa_id (Brazil,
Mexico, Argentina); the number that was dialled stays an alias. A number that a person gave up may become somebody else's:
`contact_moves` says when, and bounds what it proves.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from services.common.domain.countries import country_of
from services.common.domain.events import (
    CallChanged,
    ContactChanged,
    MessageCopied,
    MessageReceived,
    MessageStatusChanged,
    ThreadHandedOver,
    UserPreferenceChanged,
)
from services.common.domain.records import SendOutcome
from services.projector.projections.merges import greatest, latest, same
from services.projector.projections.table import Kind, Row, Table, new


class ContactRow(NamedTuple):
    """A person. `wa_id`, `profile_name` and `superseded_by` are (when told, value)."""

    contact: str
    bsuid: str | None
    wa_id: tuple[int, str] | None
    profile_name: tuple[int, str] | None
    first_seen_at: int
    last_seen_at: int | None
    superseded_by: tuple[int, str] | None = None


class SightRow(NamedTuple):
    """A person as an event met it, from then to then. No table of its own: contacts and aliases are made of it.

    Of the many events of one person most say the same, and what they say is told apart once.
    """

    contact: str
    bsuid: str | None
    wa_id: str | None
    parent_bsuid: str | None
    profile_name: str | None
    spoke: bool
    first_at: int
    last_at: int


class AliasRow(NamedTuple):
    """One name of one contact."""

    alias: str
    contact: str
    first_seen_at: int


class MoveRow(NamedTuple):
    """A number that named a contact until then."""

    alias: str
    contact: str
    moved_at: int


def sight_of_received(event: MessageReceived) -> tuple[SightRow, ...]:
    """A message tells all about its sender."""
    at = event.occurred_at
    return (new(SightRow, (event.contact, event.bsuid, event.wa_id, event.parent_bsuid, event.profile_name, True, at, at)),)


def sight_of_status(event: MessageStatusChanged) -> tuple[SightRow, ...]:
    """A status tells that the contact exists; nothing that changes with every status, so that most write nothing."""
    if event.type != "message" or not event.contact:
        return ()
    at = event.occurred_at
    return (new(SightRow, (event.contact, event.bsuid, event.wa_id, event.parent_bsuid, None, False, at, at)),)


def sight_of_copied(event: MessageCopied) -> tuple[SightRow, ...]:
    """A copy tells that the contact exists, and how it calls itself."""
    if not event.contact:
        return ()
    at = event.occurred_at
    return (SightRow(event.contact, event.bsuid, event.wa_id, event.parent_bsuid, event.profile_name, False, at, at),)


def sight_of_person(event: CallChanged | UserPreferenceChanged | ThreadHandedOver) -> tuple[SightRow, ...]:
    """Whatever names a person tells that it exists, under its key and every id beside it."""
    if not event.contact:
        return ()
    at = _told_at(event)
    return (SightRow(event.contact, event.bsuid, event.wa_id, getattr(event, "parent_bsuid", None), None, False, at, at),)


def contact_of_sight(sight: SightRow) -> tuple[ContactRow, ...]:
    """The person that was met; only who spoke tells a wa_id that may be sent to, and was there."""
    last_at = sight.last_at
    return (
        ContactRow(
            sight.contact,
            sight.bsuid,
            (last_at, sight.wa_id) if sight.spoke and sight.wa_id else None,
            (last_at, sight.profile_name) if sight.profile_name else None,
            sight.first_at,
            last_at if sight.spoke else None,
        ),
    )


def aliases_of_sight(sight: SightRow) -> tuple[AliasRow, ...]:
    """Its key, wa_id and BSUIDs."""
    return _aliases(sight.contact, sight.first_at, sight.wa_id, sight.bsuid, sight.parent_bsuid)


def contacts_of_changed(event: ContactChanged) -> tuple[ContactRow, ...]:
    """The person of now, and each key of before, which the one of now supersedes."""
    if not event.contact or event.field in _NOT_ABOUT_A_PERSON:
        return ()
    at = _told_at(event)
    now = ContactRow(event.contact, event.bsuid, (at, event.wa_id) if event.wa_id else None, None, at, None)
    before = [
        ContactRow(name, name if name == event.previous_bsuid else None, None, None, at, None, (at, event.contact))
        for name in (event.previous_bsuid, event.previous_wa_id)
        if name and name != event.contact
    ]
    return (now, *before)


def aliases_of_changed(event: ContactChanged) -> tuple[AliasRow, ...]:
    """Ids are never given to somebody else, so those of before stay names; the number of before is a move."""
    if not event.contact or event.field in _NOT_ABOUT_A_PERSON:
        return ()
    parents = (event.parent_bsuid, event.previous_parent_bsuid)
    return _aliases(event.contact, _told_at(event), event.wa_id, event.bsuid, event.previous_bsuid, *parents)


def moves_of_changed(event: ContactChanged) -> tuple[MoveRow, ...]:
    """The number that was given up."""
    number = event.previous_wa_id
    if not event.contact or not number or number == event.contact or event.field in _NOT_ABOUT_A_PERSON:
        return ()
    return (MoveRow(number, event.contact, _told_at(event)),)


def _told_at(event: CallChanged | UserPreferenceChanged | ThreadHandedOver | ContactChanged) -> int:
    return event.recorded_at if event.occurred_at is None else event.occurred_at


def contact_of_outcome(event: SendOutcome) -> tuple[ContactRow, ...]:
    """An accepted send tells who Meta took the recipient for."""
    contact = recipient(event)
    if contact is None:
        return ()
    return (ContactRow(contact, event.bsuid, None, None, event.occurred_at, None),)


def aliases_of_outcome(event: SendOutcome) -> tuple[AliasRow, ...]:
    """Also the number that the command named: for the contact, and for the wa_id that Meta made of it."""
    contact = recipient(event)
    if contact is None:
        return ()
    dialled = digits(event.to) if event.to else None
    rows = _aliases(contact, event.occurred_at, event.wa_id, event.bsuid, dialled)
    if dialled and event.wa_id and contact != event.wa_id:
        rows += (AliasRow(dialled, event.wa_id, event.occurred_at),)
    return rows


def recipient(event: SendOutcome) -> str | None:
    """Whom an accepted send reached, by our key; None for any other outcome or when Meta named nobody."""
    return (event.contact or event.bsuid or event.wa_id) if event.kind == "accepted" else None


def digits(number: str) -> str | None:
    """A phone number without `+` and separators, as a wa_id is written; None when it is no number."""
    bare = number.translate(_SEPARATORS)
    return bare if bare.isascii() and bare.isdigit() else None


_NOT_ABOUT_A_PERSON: Final = frozenset({"smb_app_state_sync"})
"""The business' own contact book: a number and what the business calls it, not who has it."""
_SEPARATORS: Final = str.maketrans("", "", "+ -./()\u00a0\u2010\u2011")


def _aliases(contact: str, at: int, *names: str | None) -> tuple[AliasRow, ...]:
    return tuple([AliasRow(name, contact, at) for name in dict.fromkeys((contact, *names)) if name])


def merge_sights(known: SightRow, reported: SightRow) -> SightRow:
    """From the first to the last."""
    if known.first_at <= reported.first_at and known.last_at >= reported.last_at:
        return known
    return known._replace(first_at=min(known.first_at, reported.first_at), last_at=max(known.last_at, reported.last_at))


def merge_contacts(known: ContactRow, reported: ContactRow) -> ContactRow:
    """The latest words, the earliest and the last sight."""
    return ContactRow(
        known.contact,
        greatest(known.bsuid, reported.bsuid),
        latest(known.wa_id, reported.wa_id),
        latest(known.profile_name, reported.profile_name),
        min(known.first_seen_at, reported.first_seen_at),
        greatest(known.last_seen_at, reported.last_seen_at),
        latest(known.superseded_by, reported.superseded_by),
    )


def merge_aliases(known: AliasRow, reported: AliasRow) -> AliasRow:
    """The earliest sight."""
    return known if known.first_seen_at <= reported.first_seen_at else reported


def _flat(row: ContactRow) -> Row:
    wa_id_at, wa_id = row.wa_id or (None, None)
    profile_name_at, profile_name = row.profile_name or (None, None)
    superseded_at, superseded_by = row.superseded_by or (None, None)
    named = (row.contact, row.bsuid, wa_id, wa_id_at, profile_name, profile_name_at)
    return (*named, row.first_seen_at, row.last_seen_at, superseded_by, superseded_at, country_of(row.contact))


SIGHTS: Final = Table(
    name="sights",
    columns={
        "contact": Kind.TEXT,
        "bsuid": Kind.TEXT,
        "wa_id": Kind.TEXT,
        "parent_bsuid": Kind.TEXT,
        "profile_name": Kind.TEXT,
        "spoke": Kind.BOOL,
        "first_at": Kind.INSTANT,
        "last_at": Kind.INSTANT,
    },
    key=6,
    merge=merge_sights,
)
CONTACTS: Final = Table(
    name="contacts",
    columns={
        "contact": Kind.TEXT,
        "bsuid": Kind.TEXT,
        "wa_id": Kind.TEXT,
        "wa_id_at": Kind.INSTANT,
        "profile_name": Kind.TEXT,
        "profile_name_at": Kind.INSTANT,
        "first_seen_at": Kind.INSTANT,
        "last_seen_at": Kind.INSTANT,
        "superseded_by": Kind.TEXT,
        "superseded_at": Kind.INSTANT,
        "country": Kind.TEXT,
    },
    key=1,
    merge=merge_contacts,
    flat=_flat,
)
ALIASES: Final = Table(
    name="contact_aliases",
    columns={"alias": Kind.TEXT, "contact": Kind.TEXT, "first_seen_at": Kind.INSTANT},
    key=2,
    merge=merge_aliases,
)
MOVES: Final = Table(
    name="contact_moves",
    columns={"alias": Kind.TEXT, "contact": Kind.TEXT, "moved_at": Kind.INSTANT},
    key=3,
    merge=same,
)
