"""Which groups has a business number, how are they set, and who is in them?"""

from __future__ import annotations

from typing import Final, NamedTuple

from services.common.domain.events import GroupChanged
from services.projector.projections.merges import greatest, latest, least, words_and_instants
from services.projector.projections.table import Kind, Row, Table

_ADDED: Final = "added"
_REMOVED: Final = "removed"
_SUSPENSIONS: Final = {"group_suspend": "suspended", "group_suspend_cleared": "cleared"}

Told = tuple[int, str] | None
"""A word and when it was told; the instant is compared first."""


class GroupRow(NamedTuple):
    """One group. Settings are as last told, instants the first of each kind."""

    phone_number_id: str
    group_id: str
    waba_id: str
    created_at: int | None
    deleted_at: int | None
    subject: Told
    description: Told
    invite_link: Told
    join_approval_mode: Told
    suspension: Told


class MemberRow(NamedTuple):
    """One person in one group: last time in, last time out. In the group is who came last after leaving last."""

    phone_number_id: str
    group_id: str
    contact: str
    added_at: int | None
    removed_at: int | None


def groups_of_changed(event: GroupChanged) -> tuple[GroupRow, ...]:
    """What failed changed nothing; a request without a group is none yet."""
    if event.group_id is None or event.error_code is not None:
        return ()
    at = event.occurred_at

    def told(word: str | None) -> Told:
        return None if word is None else (at, word)

    return (
        GroupRow(
            event.phone_number_id,
            event.group_id,
            event.waba_id,
            at if event.type == "group_create" else None,
            at if event.type == "group_delete" else None,
            told(event.subject),
            told(event.description),
            told(event.invite_link),
            told(event.join_approval_mode),
            told(_SUSPENSIONS.get(event.type)),
        ),
    )


def members_of_changed(event: GroupChanged) -> tuple[MemberRow, ...]:
    """Those who came and those who left; who could not be added was not in it."""
    if event.group_id is None:
        return ()
    at = event.occurred_at
    return tuple(
        MemberRow(
            event.phone_number_id,
            event.group_id,
            contact,
            at if one.change == _ADDED else None,
            at if one.change == _REMOVED else None,
        )
        for one in event.participants
        if one.change in (_ADDED, _REMOVED) and (contact := one.bsuid or one.wa_id) is not None
    )


def merge_groups(known: GroupRow, reported: GroupRow) -> GroupRow:
    """Firsts, and the words told last; of two of the same instant the greater."""
    return GroupRow(
        known.phone_number_id,
        known.group_id,
        max(known.waba_id, reported.waba_id),
        least(known.created_at, reported.created_at),
        least(known.deleted_at, reported.deleted_at),
        latest(known.subject, reported.subject),
        latest(known.description, reported.description),
        latest(known.invite_link, reported.invite_link),
        latest(known.join_approval_mode, reported.join_approval_mode),
        latest(known.suspension, reported.suspension),
    )


def merge_members(known: MemberRow, reported: MemberRow) -> MemberRow:
    """The last of each."""
    return MemberRow(
        known.phone_number_id,
        known.group_id,
        known.contact,
        greatest(known.added_at, reported.added_at),
        greatest(known.removed_at, reported.removed_at),
    )


def _flat(row: GroupRow) -> Row:
    return (*row[:5], *words_and_instants(row[5:]))


GROUPS: Final = Table(
    name="groups",
    columns={
        "phone_number_id": Kind.TEXT,
        "group_id": Kind.TEXT,
        "waba_id": Kind.TEXT,
        "created_at": Kind.INSTANT,
        "deleted_at": Kind.INSTANT,
        "subject": Kind.TEXT,
        "subject_at": Kind.INSTANT,
        "description": Kind.TEXT,
        "description_at": Kind.INSTANT,
        "invite_link": Kind.TEXT,
        "invite_link_at": Kind.INSTANT,
        "join_approval_mode": Kind.TEXT,
        "join_approval_mode_at": Kind.INSTANT,
        "suspension": Kind.TEXT,
        "suspension_at": Kind.INSTANT,
    },
    key=2,
    merge=merge_groups,
    flat=_flat,
)
MEMBERS: Final = Table(
    name="group_members",
    columns={
        "phone_number_id": Kind.TEXT,
        "group_id": Kind.TEXT,
        "contact": Kind.TEXT,
        "added_at": Kind.INSTANT,
        "removed_at": Kind.INSTANT,
    },
    key=3,
    merge=merge_members,
)
