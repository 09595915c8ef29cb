"""What else does a command say, besides whom it goes to and what it is? Seldom anything; kept as one JSON text."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Final

import orjson

from services.common.domain.records import SendMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The fields of `SendMessage` of the same names; `fallback_template` and `marketing_messages` are JSON texts, as there."""

    group_id: str | None = None
    recipient_identity_key_hash: str | None = None
    fallback_template: str | None = None
    caused_by: str | None = None
    category: str | None = None
    marketing_messages: str | None = None
    message_activity_sharing: bool | None = None
    oversize: str = "refuse"
    tenant_id: str | None = None
    biz_opaque_callback_data: str | None = None


NONE: Final = Options()
_FIELDS: Final = tuple(field.name for field in dataclasses.fields(Options))


def of(message: SendMessage) -> Options:
    """What a command says."""
    told = {name: value for name in _FIELDS if (value := getattr(message, name)) is not None}
    return Options(**told) if told != {"oversize": NONE.oversize} else NONE


def dumped(options: Options) -> str | None:
    """The text that is kept; None where nothing is said."""
    if options == NONE:
        return None
    told: dict[str, Any] = {name: getattr(options, name) for name in _FIELDS}
    return orjson.dumps({name: value for name, value in told.items() if value is not None}).decode()


def loaded(text: str | None) -> Options:
    """What `dumped` kept."""
    return NONE if text is None else Options(**orjson.loads(text))
