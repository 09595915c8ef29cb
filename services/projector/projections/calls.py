"""What became of a call? One row by Meta's id of it, filled by whatever comes first; a call opens no window."""

from __future__ import annotations

from typing import Final, NamedTuple

from services.common.domain.events import CallChanged
from services.projector.projections.merges import greatest, least
from services.projector.projections.table import Kind, Table

_STATUS: Final = "status"


class CallRow(NamedTuple):
    """One call, in either direction. Instants are Meta's, the first of each kind; the words of its end are as last told."""

    wacid: str
    phone_number_id: str
    waba_id: str
    contact: str | None
    direction: str | None
    connected_at: int | None
    ringing_at: int | None
    accepted_at: int | None
    rejected_at: int | None
    terminated_at: int | None
    termination: str | None
    started_at: int | None
    ended_at: int | None
    duration_seconds: int | None
    error_code: int | None
    biz_opaque_callback_data: str | None
    cta_payload: str | None
    deeplink_payload: str | None
    recording_at: int | None


def of_changed(event: CallChanged) -> tuple[CallRow, ...]:
    """Answered is who has a start: an unanswered call of ours ends as COMPLETED too (Meta's calling webhooks)."""
    word = event.status if event.event == _STATUS else None
    is_end, at = event.event == "terminate", event.occurred_at
    return (
        CallRow(
            event.wacid,
            event.phone_number_id,
            event.waba_id,
            event.contact,
            event.direction,
            at if event.event == "connect" else None,
            at if word == "RINGING" else None,
            at if word == "ACCEPTED" else None,
            at if word == "REJECTED" else None,
            at if is_end else None,
            event.status if is_end else None,
            event.started_at,
            event.ended_at,
            event.duration_seconds,
            event.error_code,
            event.biz_opaque_callback_data,
            event.cta_payload,
            event.deeplink_payload,
            at if event.media_id is not None else None,
        ),
    )


def merge(known: CallRow, reported: CallRow) -> CallRow:
    """Everything either knows: the first instants, the longest duration; of two different words the greater."""
    return CallRow(
        known.wacid,
        max(known.phone_number_id, reported.phone_number_id),
        max(known.waba_id, reported.waba_id),
        greatest(known.contact, reported.contact),
        greatest(known.direction, reported.direction),
        least(known.connected_at, reported.connected_at),
        least(known.ringing_at, reported.ringing_at),
        least(known.accepted_at, reported.accepted_at),
        least(known.rejected_at, reported.rejected_at),
        least(known.terminated_at, reported.terminated_at),
        greatest(known.termination, reported.termination),
        least(known.started_at, reported.started_at),
        greatest(known.ended_at, reported.ended_at),
        greatest(known.duration_seconds, reported.duration_seconds),
        greatest(known.error_code, reported.error_code),
        greatest(known.biz_opaque_callback_data, reported.biz_opaque_callback_data),
        greatest(known.cta_payload, reported.cta_payload),
        greatest(known.deeplink_payload, reported.deeplink_payload),
        least(known.recording_at, reported.recording_at),
    )


TABLE: Final = Table(
    name="calls",
    columns={
        "wacid": Kind.TEXT,
        "phone_number_id": Kind.TEXT,
        "waba_id": Kind.TEXT,
        "contact": Kind.TEXT,
        "direction": Kind.TEXT,
        "connected_at": Kind.INSTANT,
        "ringing_at": Kind.INSTANT,
        "accepted_at": Kind.INSTANT,
        "rejected_at": Kind.INSTANT,
        "terminated_at": Kind.INSTANT,
        "termination": Kind.TEXT,
        "started_at": Kind.INSTANT,
        "ended_at": Kind.INSTANT,
        "duration_seconds": Kind.INT8,
        "error_code": Kind.INT4,
        "biz_opaque_callback_data": Kind.TEXT,
        "cta_payload": Kind.TEXT,
        "deeplink_payload": Kind.TEXT,
        "recording_at": Kind.INSTANT,
    },
    key=1,
    merge=merge,
)
