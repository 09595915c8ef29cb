"""May a business start writing to this contact in this category? The only place that answers.

Evidence folds into two instants per contact and category: the last grant and the last withdrawal. Both are
maxima, so `merge` is a join and any order and any repetition of evidence ends in the same decision; in a tie
the withdrawal wins. Evidence of category `all`, such as a STOP or START keyword, counts for every category.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from services.common.domain.consent_keywords import START_WORDS, STOP_WORDS

_STOP = frozenset().union(*STOP_WORDS.values())
_START = frozenset().union(*START_WORDS.values())


class ConsentCategory(StrEnum):
    """Meta's template categories, and `all` for evidence about every one of them."""

    ALL = "all"
    MARKETING = "marketing"
    UTILITY = "utility"
    AUTHENTICATION = "authentication"


class ConsentReason(StrEnum):
    """Why a decision is as it is; the same word in log, metric, event and answer."""

    GRANTED = "granted"
    NOT_WITHDRAWN = "not_withdrawn"
    WITHDRAWN = "withdrawn"
    NEVER_GRANTED = "never_granted"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentState:
    """The last grant and the last withdrawal of one contact in one category; empty is no evidence at all."""

    granted_at: int | None = None
    withdrawn_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentDecision:
    allowed: bool
    reason: ConsentReason


def merge(known: ConsentState, reported: ConsentState) -> ConsentState:
    """What both know together; old evidence that comes late changes nothing newer."""
    return ConsentState(
        granted_at=_last(known.granted_at, reported.granted_at),
        withdrawn_at=_last(known.withdrawn_at, reported.withdrawn_at),
    )


def decide(state_all: ConsentState, state_category: ConsentState, category: ConsentCategory) -> ConsentDecision:
    """Marketing needs a grant newer than any withdrawal; utility and authentication only not to be withdrawn.

    Asked about `all`, it answers for the category that needs most.
    """
    state = merge(state_all, state_category)
    if state.withdrawn_at is not None and (state.granted_at is None or state.granted_at <= state.withdrawn_at):
        return ConsentDecision(allowed=False, reason=ConsentReason.WITHDRAWN)
    if state.granted_at is not None:
        return ConsentDecision(allowed=True, reason=ConsentReason.GRANTED)
    if category in (ConsentCategory.MARKETING, ConsentCategory.ALL):
        return ConsentDecision(allowed=False, reason=ConsentReason.NEVER_GRANTED)
    return ConsentDecision(allowed=True, reason=ConsentReason.NOT_WITHDRAWN)


def keyword(text: str) -> Literal["stop", "start"] | None:
    """What the whole message asks for if it is a keyword and nothing else; inside a sentence it is not."""
    words = _normalised(text)
    if words in _STOP:
        return "stop"
    return "start" if words in _START else None


def _normalised(text: str) -> str:
    """Composed, case-folded, single spaces, and no punctuation, spaces or invisible characters around it."""
    if text.isascii():  # is composed already
        return " ".join(text.lower().strip(_ASCII_AROUND).split())
    composed = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    first, last = 0, len(composed)
    while first < last and _is_around(composed[first]):
        first += 1
    while last > first and _is_around(composed[last - 1]):
        last -= 1
    return " ".join(composed[first:last].split())


def _is_around(character: str) -> bool:
    return unicodedata.category(character)[0] in "PZC"


_ASCII_AROUND = "".join(filter(_is_around, map(chr, range(128))))


def _last(known: int | None, reported: int | None) -> int | None:
    if known is None or reported is None:
        return reported if known is None else known
    return max(known, reported)
