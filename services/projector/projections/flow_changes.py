"""Was a flow published, blocked or slow, and when? Every change of state and every alert, each once."""

from __future__ import annotations

from typing import Final, NamedTuple

from services.common.domain.events import FlowChanged
from services.projector.projections.account_events import content_sha256
from services.projector.projections.merges import first_recorded
from services.projector.projections.table import Kind, Table


class FlowChangeRow(NamedTuple):
    """One webhook element about a flow. Rates are shares of 1, latencies milliseconds, as Meta tells them."""

    content_sha256: bytes
    event_id: str
    recorded_at: int
    occurred_at: int | None
    waba_id: str | None
    flow_id: str | None
    event: str
    previous_status: str | None
    status: str | None
    alert_state: str | None
    threshold: float | None
    error_rate: float | None
    availability: float | None
    p50_latency: float | None
    p90_latency: float | None
    requests_count: int | None
    message: str | None


def of_changed(event: FlowChanged) -> tuple[FlowChangeRow, ...]:
    """A redelivery is the same row."""
    return (
        FlowChangeRow(
            content_sha256(event),
            event.event_id,
            event.recorded_at,
            event.occurred_at,
            event.waba_id,
            event.flow_id,
            event.event,
            event.old_status,
            event.new_status,
            event.alert_state,
            event.threshold,
            event.error_rate,
            event.availability,
            event.p50_latency,
            event.p90_latency,
            event.requests_count,
            event.message,
        ),
    )


TABLE: Final = Table(
    name="flow_changes",
    columns={
        "content_sha256": Kind.BYTES,
        "event_id": Kind.TEXT,
        "recorded_at": Kind.INSTANT,
        "occurred_at": Kind.INSTANT,
        "waba_id": Kind.TEXT,
        "flow_id": Kind.TEXT,
        "event": Kind.TEXT,
        "previous_status": Kind.TEXT,
        "status": Kind.TEXT,
        "alert_state": Kind.TEXT,
        "threshold": Kind.FLOAT8,
        "error_rate": Kind.FLOAT8,
        "availability": Kind.FLOAT8,
        "p50_latency": Kind.FLOAT8,
        "p90_latency": Kind.FLOAT8,
        "requests_count": Kind.INT8,
        "message": Kind.TEXT,
    },
    key=1,
    merge=first_recorded,
)
