"""What does Meta tell about an account, a number, a template, a flow, a group, or of an error that belongs to no message?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from services.common.domain.events import (
    AccountChanged,
    ErrorReported,
    FlowChanged,
    GroupChanged,
    Participant,
    PhoneNumberChanged,
    Restriction,
    TemplateChanged,
)
from services.common.domain.failure import Unprocessable
from services.common.domain.reasons import Reason
from services.router.reading import (
    Object,
    Scope,
    child,
    decimal,
    first_error,
    flags_text,
    identifier,
    instant,
    integer,
    long_integer,
    named_person,
    objects,
    optional,
    optional_instant,
    raw_text,
    word,
)

_PARTICIPANT_LISTS: Final = {"added_participants": "added", "removed_participants": "removed", "failed_participants": "failed"}


def account(value: Object, scope: Scope, pointer: str) -> AccountChanged:
    """Any field about an account. Alerts have been published nested and flat."""
    alert = child(value, "alert_info") or value
    info, ban, tier = child(value, "waba_info"), child(value, "ban_info"), child(value, "volume_tier_info")
    certification, disconnection = child(value, "partner_client_certification_info"), child(value, "disconnection_info")
    decision = optional(value, "decision")
    return AccountChanged(
        event_id=scope.event_id(pointer),
        recorded_at=scope.at.received_at,
        field=scope.field,
        event=optional(value, "event") or decision or optional(alert, "alert_type") or scope.field,
        raw=raw_text(value, pointer),
        occurred_at=scope.told_at(value),
        waba_id=scope.waba_id,
        phone_number_id=scope.optional_phone_number_id(),
        display_phone_number=optional(value, "display_phone_number") or optional(value, "phone_number"),
        status=decision
        or optional(alert, "alert_status")
        or optional(value, "solution_status")
        or optional(certification, "status")
        or optional(value, "status"),
        entity_type=optional(value, "entity_type"),
        entity_id=word(value, "entity_id"),
        severity=optional(alert, "alert_severity"),
        description=optional(alert, "alert_description"),
        country=optional(value, "country"),
        violation_type=optional(child(value, "violation_info"), "violation_type"),
        ban_state=optional(ban, "waba_ban_state"),
        ban_date=word(ban, "waba_ban_date"),
        restrictions=tuple(_restrictions(value)),
        reason=optional(disconnection, "reason") or _first_text(certification, "rejection_reasons"),
        initiated_by=optional(disconnection, "initiated_by"),
        owner_business_id=word(info, "owner_business_id"),
        subject_waba_id=word(info, "waba_id"),
        partner_app_id=word(info, "partner_app_id"),
        solution_id=word(value, "solution_id") or word(info, "solution_id"),
        messaging_limit=word(value, "max_daily_conversations_per_business"),
        max_phone_numbers_per_business=integer(value, "max_phone_numbers_per_business"),
        max_phone_numbers_per_waba=integer(value, "max_phone_numbers_per_waba"),
        pricing_category=optional(tier, "pricing_category"),
        pricing_tier=optional(tier, "tier"),
        effective_month=optional(tier, "effective_month"),
        region=optional(tier, "region"),
        configuration_name=optional(value, "configuration_name"),
    )


def _restrictions(value: Object) -> Iterator[Restriction]:
    for one in objects(value, "restriction_info"):
        kind = optional(one, "restriction_type")
        if kind is not None:
            yield Restriction(restriction_type=kind, expires_at=optional_instant(one, "expiration"))


def _first_text(parent: Object, name: str) -> str | None:
    found = parent.get(name)
    return next((one for one in found if isinstance(one, str) and one), None) if isinstance(found, list) else None


def phone_number(value: Object, scope: Scope, pointer: str) -> PhoneNumberChanged:
    """Any field about one number. Some name it only as people dial it."""
    settings = child(value, "phone_number_settings")
    decision, status = optional(value, "decision"), optional(value, "status")
    return PhoneNumberChanged(
        event_id=scope.event_id(pointer),
        recorded_at=scope.at.received_at,
        field=scope.field,
        event=optional(value, "event") or decision or status or optional(value, "type") or scope.field,
        raw=raw_text(value, pointer),
        occurred_at=scope.told_at(value),
        waba_id=scope.waba_id,
        phone_number_id=optional(settings, "phone_number_id") or scope.optional_phone_number_id(),
        display_phone_number=optional(value, "display_phone_number"),
        decision=decision,
        requested_verified_name=optional(value, "requested_verified_name"),
        rejection_reason=optional(value, "rejection_reason"),
        old_limit=word(value, "old_limit"),
        current_limit=word(value, "current_limit"),
        messaging_limit=word(value, "max_daily_conversations_per_business"),
        username=optional(value, "username"),
        status=status,
        requester=word(value, "requester"),
        calling_status=optional(child(settings, "calling"), "status"),
    )


def history_progress(chunk: Object, scope: Scope, pointer: str) -> PhoneNumberChanged:
    """A chunk of the history without messages: how far it has come."""
    progress = child(chunk, "metadata")
    return PhoneNumberChanged(
        event_id=scope.event_id(pointer),
        recorded_at=scope.at.received_at,
        field=scope.field,
        event="history_progress",
        raw=raw_text(chunk, pointer),
        occurred_at=scope.entry_at,
        waba_id=scope.waba_id,
        phone_number_id=scope.optional_phone_number_id(),
        display_phone_number=optional(child(scope.value, "metadata"), "display_phone_number"),
        history_phase=integer(progress, "phase"),
        history_chunk_order=integer(progress, "chunk_order"),
        history_progress=integer(progress, "progress"),
    )


def template(value: Object, scope: Scope, pointer: str) -> TemplateChanged:
    """Any field about a template."""
    template_id = value.get("message_template_id")
    if type(template_id) is int and template_id > 0:
        template_id = str(template_id)
    if not isinstance(template_id, str) or not template_id or "\0" in template_id:
        raise Unprocessable(Reason.ID_TYPE, pointer=f"{pointer}/message_template_id")
    other, rejection = child(value, "other_info"), child(value, "rejection_info")
    return TemplateChanged(
        event_id=scope.event_id(pointer),
        recorded_at=scope.at.received_at,
        field=scope.field,
        event=_template_event(value, scope.field),
        template_id=template_id,
        raw=raw_text(value, pointer),
        occurred_at=scope.told_at(value),
        waba_id=scope.waba_id,
        template_name=optional(value, "message_template_name"),
        template_language=optional(value, "message_template_language"),
        # An impending change has the category that holds today under `new_category`, a completed one the same.
        category=optional(value, "new_category")
        or optional(value, "message_template_category")
        or optional(value, "current_category")
        or optional(value, "category"),
        previous_category=optional(value, "previous_category"),
        correct_category=optional(value, "correct_category") or optional(value, "suggested_category"),
        category_update_at=optional_instant(value, "category_update_timestamp"),
        previous_quality_score=optional(value, "previous_quality_score"),
        new_quality_score=optional(value, "new_quality_score"),
        reason=optional(value, "reason") or optional(rejection, "reason"),
        recommendation=optional(rejection, "recommendation"),
        disable_date=word(child(value, "disable_info"), "disable_date"),
        title=optional(other, "title"),
        description=optional(other, "description"),
    )


def _template_event(value: Object, field: str) -> str:
    """Meta's word; else by what the value has, for a page of Meta's shows quality under the field of statuses."""
    told = optional(value, "event")
    if told is not None:
        return told
    if "new_quality_score" in value:
        return "quality_changed"
    if field == "template_correct_category_detection":
        return "detected"
    if field == "template_category_update":
        return "completed" if "previous_category" in value else "impending"
    return "components_changed" if field == "message_template_components_update" else field


def flow(value: Object, scope: Scope, pointer: str) -> FlowChanged:
    """State or health of a flow."""
    return FlowChanged(
        event_id=scope.event_id(pointer),
        recorded_at=scope.at.received_at,
        field=scope.field,
        event=optional(value, "event") or scope.field,
        raw=raw_text(value, pointer),
        flow_id=word(value, "flow_id"),
        occurred_at=scope.told_at(value),
        waba_id=scope.waba_id,
        message=optional(value, "message"),
        old_status=optional(value, "old_status"),
        new_status=optional(value, "new_status"),
        alert_state=optional(value, "alert_state"),
        threshold=decimal(value, "threshold"),
        error_rate=decimal(value, "error_rate"),
        availability=decimal(value, "availability"),
        p50_latency=decimal(value, "p50_latency"),
        p90_latency=decimal(value, "p90_latency"),
        requests_count=long_integer(value, "requests_count"),
    )


def group(element: Object, scope: Scope, pointer: str) -> GroupChanged:
    """A group came, went or changed."""
    flags: list[str] = []
    raw, error = raw_text(element, pointer), first_error(element)
    return GroupChanged(
        event_id=scope.event_id(pointer),
        occurred_at=instant(element, scope, pointer, flags),
        recorded_at=scope.at.received_at,
        waba_id=scope.waba_id or "",
        phone_number_id=scope.phone_number_id(pointer),
        field=scope.field,
        type=identifier(element, "type", Reason.ELEMENT_SHAPE, pointer),
        raw=raw,
        group_id=optional(element, "group_id"),
        request_id=optional(element, "request_id"),
        subject=optional(element, "subject") or optional(child(element, "group_subject"), "text"),
        description=optional(element, "description") or optional(child(element, "group_description"), "text"),
        invite_link=optional(element, "invite_link"),
        join_approval_mode=optional(element, "join_approval_mode"),
        join_request_id=optional(element, "join_request_id"),
        reason=optional(element, "reason"),
        initiated_by=optional(element, "initiated_by"),
        participants=tuple(_participants(element, pointer)),
        error_code=integer(error, "code"),
        error_title=optional(error, "title"),
        flags=flags_text(flags, raw),
    )


def _participants(element: Object, pointer: str) -> Iterator[Participant]:
    for name, change in _PARTICIPANT_LISTS.items():
        for number, one in enumerate(objects(element, name)):
            wa_id, bsuid = named_person(one, "wa_id", "user_id", f"{pointer}/{name}/{number}")
            yield Participant(
                change=change,
                wa_id=wa_id,
                bsuid=bsuid,
                parent_bsuid=optional(one, "parent_user_id"),
                username=optional(one, "username"),
                input=optional(one, "input"),
                error_code=integer(first_error(one), "code"),
            )


def error(element: Object, scope: Scope, pointer: str) -> ErrorReported:
    """An error that belongs to a number or account, and to no message."""
    return ErrorReported(
        event_id=scope.event_id(pointer),
        recorded_at=scope.at.received_at,
        field=scope.field,
        code=integer(element, "code"),
        raw=raw_text(element, pointer),
        occurred_at=scope.told_at(element),
        waba_id=scope.waba_id,
        phone_number_id=scope.optional_phone_number_id(),
        title=optional(element, "title"),
        message=optional(element, "message"),
        details=optional(child(element, "error_data"), "details"),
    )
