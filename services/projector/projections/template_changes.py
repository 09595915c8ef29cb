"""What happened to a template, when and why? Every change of status, category, quality or content, each once."""

from __future__ import annotations

from typing import Final, NamedTuple

from services.common.domain.events import TemplateChanged
from services.projector.projections.account_events import content_sha256
from services.projector.projections.merges import first_recorded
from services.projector.projections.table import Kind, Table


class TemplateChangeRow(NamedTuple):
    """One webhook element about a template, in Meta's words."""

    content_sha256: bytes
    event_id: str
    recorded_at: int
    occurred_at: int | None
    waba_id: str | None
    template_id: str
    template_name: str | None
    template_language: str | None
    field: str
    event: str
    category: str | None
    previous_category: str | None
    correct_category: str | None
    category_update_at: int | None
    previous_quality_score: str | None
    new_quality_score: str | None
    reason: str | None
    recommendation: str | None
    disable_date: str | None


def of_changed(event: TemplateChanged) -> tuple[TemplateChangeRow, ...]:
    """A redelivery is the same row."""
    return (
        TemplateChangeRow(
            content_sha256(event),
            event.event_id,
            event.recorded_at,
            event.occurred_at,
            event.waba_id,
            event.template_id,
            event.template_name,
            event.template_language,
            event.field,
            event.event,
            event.category,
            event.previous_category,
            event.correct_category,
            event.category_update_at,
            event.previous_quality_score,
            event.new_quality_score,
            event.reason,
            event.recommendation,
            event.disable_date,
        ),
    )


TABLE: Final = Table(
    name="template_changes",
    columns={
        "content_sha256": Kind.BYTES,
        "event_id": Kind.TEXT,
        "recorded_at": Kind.INSTANT,
        "occurred_at": Kind.INSTANT,
        "waba_id": Kind.TEXT,
        "template_id": Kind.TEXT,
        "template_name": Kind.TEXT,
        "template_language": Kind.TEXT,
        "field": Kind.TEXT,
        "event": Kind.TEXT,
        "category": Kind.TEXT,
        "previous_category": Kind.TEXT,
        "correct_category": Kind.TEXT,
        "category_update_at": Kind.INSTANT,
        "previous_quality_score": Kind.TEXT,
        "new_quality_score": Kind.TEXT,
        "reason": Kind.TEXT,
        "recommendation": Kind.TEXT,
        "disable_date": Kind.TEXT,
    },
    key=1,
    merge=first_recorded,
)
