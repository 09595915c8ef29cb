"""Does a code that Meta tells only after it accepted a message stop a number or an account? The fold of `account_state` decides.

Meta tells most payment problems that way. What is told late is about the past, so three things are asked of it: that it is not
long ago, that it is newer than what ended the stop last (the fold), and that nothing of the same scope was sent since.
https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/status
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from services.common.domain import account_state, graph_codes
from services.common.domain.account_state import LATE_MS, Evidence, Key, Source
from services.common.domain.covers import Covers, area_of
from services.common.domain.graph_codes import Scope

CODES: Final = tuple(
    sorted(code for code, row in graph_codes.CODES.items() if row.covers is not None and row.scope is not Scope.TOKEN)
)
"""Codes that stop something, however Meta tells them; none of tokens, for an accepted message has proved its own."""
_SECOND_MS: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LateCode:
    """A code of a `failed` status, or of an error in `value.errors`, and what it names. `at`: Meta's second, in milliseconds.

    `contact`: whom the message was for, as far as it tells the country; empty where nobody is named.
    """

    code: int
    at: int
    phone_number_id: str | None = None
    waba_id: str | None = None
    contact: str = ""


def told_late(
    given: Iterable[LateCode], *, now: int, sent: Mapping[str, int], waba_of: Mapping[str, str]
) -> Iterator[dict[Key, Evidence]]:
    """What these say is stopped. `sent`: number -> Meta's second of its newest `sent` status; `waba_of`: our numbers.

    Meta's second is taken as its end, so that the failure of a probe is not older than the probe, and it counts once it is over.
    """
    accounts = frozenset(waba_of.values())
    for one in given:
        at = one.at + _SECOND_MS - 1
        if one.code not in CODES or not now - LATE_MS <= at <= now:
            continue
        number = one.phone_number_id
        waba_id = one.waba_id if number is None else waba_of.get(number)
        if waba_id not in accounts or (number is None and graph_codes.row_of(one.code).scope is not Scope.WABA):
            continue
        digits = one.contact if one.contact.isdigit() else None
        told = account_state.of_answer(
            one.code,
            phone_number_id=number or "",
            waba_id=waba_id,
            area=area_of(digits=digits, bsuid=one.contact),
            at=at,
            source=Source.WEBHOOK,
        )
        yield {key: evidence for key, evidence in told.items() if not _was_sent_since(one.at, key, evidence, sent, waba_of)}


def _was_sent_since(at: int, key: Key, evidence: Evidence, sent: Mapping[str, int], waba_of: Mapping[str, str]) -> bool:
    """True when a later message of the scope went out. Of what stops only a part, nobody knows which part that one was of."""
    if evidence.covers is not Covers.EVERYTHING:
        return False
    return any(
        sent_at > at and (number == key.scope_id if key.scope is Scope.NUMBER else waba_of.get(number) == key.scope_id)
        for number, sent_at in sent.items()
    )
