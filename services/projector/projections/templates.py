"""What did webhooks tell of templates? Each word as last told; what Graph lists is the sender's to know."""

from __future__ import annotations

from typing import Final, NamedTuple

from services.common.domain.events import TemplateChanged
from services.projector.projections.merges import greatest, latest, words_and_instants
from services.projector.projections.table import Kind, Row, Table

_STATUS_FIELD: Final = "message_template_status_update"
_NO_STATUS: Final = frozenset({"quality_changed", _STATUS_FIELD})
"""A page of Meta's shows quality under the field of statuses."""


class TemplateRow(NamedTuple):
    """One template in one language. A word goes with its instant, which is compared first."""

    waba_id: str
    name: str
    language: str
    template_id: tuple[int, str]
    status: tuple[int, str] | None
    category: tuple[int, str] | None
    quality_score: tuple[int, str] | None
    components_at: int | None


def of_changed(event: TemplateChanged) -> tuple[TemplateRow, ...]:
    """By Meta's instant, where it gave one. What does not name account, template and language says nothing here."""
    if event.waba_id is None or event.template_name is None or event.template_language is None:
        return ()
    at = event.recorded_at if event.occurred_at is None else event.occurred_at
    is_status = event.field == _STATUS_FIELD and event.event not in _NO_STATUS
    return (
        TemplateRow(
            event.waba_id,
            event.template_name,
            event.template_language,
            (at, event.template_id),
            (at, event.event.upper()) if is_status else None,
            (at, event.category.upper()) if event.category else None,
            (at, event.new_quality_score.upper()) if event.new_quality_score else None,
            at if event.event == "components_changed" else None,
        ),
    )


def merge(known: TemplateRow, reported: TemplateRow) -> TemplateRow:
    """The last word of each kind; of two of the same instant the greater."""
    return TemplateRow(
        known.waba_id,
        known.name,
        known.language,
        max(known.template_id, reported.template_id),
        latest(known.status, reported.status),
        latest(known.category, reported.category),
        latest(known.quality_score, reported.quality_score),
        greatest(known.components_at, reported.components_at),
    )


def _flat(row: TemplateRow) -> Row:
    told = (row.template_id, row.status, row.category, row.quality_score)
    return (*row[:3], *words_and_instants(told), row.components_at)


TABLE: Final = Table(
    name="templates",
    columns={
        "waba_id": Kind.TEXT,
        "name": Kind.TEXT,
        "language": Kind.TEXT,
        "template_id": Kind.TEXT,
        "template_id_at": Kind.INSTANT,
        "status": Kind.TEXT,
        "status_at": Kind.INSTANT,
        "category": Kind.TEXT,
        "category_at": Kind.INSTANT,
        "quality_score": Kind.TEXT,
        "quality_score_at": Kind.INSTANT,
        "components_at": Kind.INSTANT,
    },
    key=3,
    merge=merge,
    flat=_flat,
)
