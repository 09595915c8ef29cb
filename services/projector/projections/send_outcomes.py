"""What became of commands, in the sender's words? Also of those that never got a wamid."""

from __future__ import annotations

from typing import Final, NamedTuple

from services.common.domain.records import SendOutcome
from services.projector.projections.table import Kind, Table


class OutcomeRow(NamedTuple):
    """One outcome."""

    event_id: str
    occurred_at: int
    command_id: str
    attempt_no: int
    attempt_id: str | None
    kind: str
    lane: str
    type: str
    phone_number_id: str
    waba_id: str | None
    contact: str | None
    addressed_to: str | None
    wa_id: str | None
    bsuid: str | None
    wamid: str | None
    template_name: str | None
    reason: str | None
    detail: str | None
    error_code: int | None
    source: str
    trace_id: str | None = None
    not_before_at: int | None = None
    group_id: str | None = None
    possible_duplicate: bool | None = None
    biz_opaque_callback_data: str | None = None


def of_outcome(event: SendOutcome) -> tuple[OutcomeRow, ...]:
    """As it is."""
    return (
        OutcomeRow(
            event.event_id,
            event.occurred_at,
            event.command_id,
            event.attempt_no,
            event.attempt_id,
            event.kind,
            event.lane,
            event.type,
            event.phone_number_id,
            event.waba_id,
            event.contact,
            event.to,
            event.wa_id,
            event.bsuid,
            event.wamid,
            event.template_name,
            event.reason,
            event.detail,
            event.error_code,
            event.source,
            event.trace_id,
            event.not_before_at,
            event.group_id,
            event.possible_duplicate,
            event.biz_opaque_callback_data,
        ),
    )


def merge(known: OutcomeRow, _reported: OutcomeRow) -> OutcomeRow:
    """Re-emission after a crash repeats an outcome byte for byte, its instant included, by which it finds its month."""
    return known


TABLE: Final = Table(
    name="send_outcomes",
    columns={
        "event_id": Kind.TEXT,
        "occurred_at": Kind.INSTANT,
        "command_id": Kind.TEXT,
        "attempt_no": Kind.INT4,
        "attempt_id": Kind.TEXT,
        "kind": Kind.TEXT,
        "lane": Kind.TEXT,
        "type": Kind.TEXT,
        "phone_number_id": Kind.TEXT,
        "waba_id": Kind.TEXT,
        "contact": Kind.TEXT,
        "addressed_to": Kind.TEXT,
        "wa_id": Kind.TEXT,
        "bsuid": Kind.TEXT,
        "wamid": Kind.TEXT,
        "template_name": Kind.TEXT,
        "reason": Kind.TEXT,
        "detail": Kind.TEXT,
        "error_code": Kind.INT4,
        "source": Kind.TEXT,
        "trace_id": Kind.TEXT,
        "not_before_at": Kind.INSTANT,
        "group_id": Kind.TEXT,
        "possible_duplicate": Kind.BOOL,
        "biz_opaque_callback_data": Kind.TEXT,
    },
    key=2,
    merge=merge,
)
