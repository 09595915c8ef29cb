"""May a business start writing to this contact in this category? The only place that answers.

Evidence folds into two instants per contact and category: the last grant and the last withdrawal. Both are
maxima, so `merge` is a join and any order and any repetition of evidence ends in the same decision; in a tie
the withdrawal wins. Evidence of category `all`, such as a STOP or START keyword, counts for every category.
What a contact's own words are evidence of, `said` says.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from services.common.domain.consent_keywords import (
    PROMOTION_START_PHRASES,
    PROMOTION_STOP_PHRASES,
    START_WORDS,
    STOP_WORDS,
)


class ConsentCategory(StrEnum):
    """Meta's template categories, and `all` for evidence about every one of them."""

    ALL = "all"
    MARKETING = "marketing"
    UTILITY = "utility"
    AUTHENTICATION = "authentication"


class Decision(StrEnum):
    """What a piece of evidence says."""

    GRANTED = "granted"
    WITHDRAWN = "withdrawn"


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


class Said(NamedTuple):
    """What a contact's words decide, and about which messages."""

    decision: Decision
    category: ConsentCategory


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


def said(text: str) -> Said | None:
    """What the whole message asks for if it is a keyword and nothing else; inside a sentence it is not."""
    return None if len(text) > _LONGEST_TEXT else _KEYWORDS.get(normalised(text))


_KEYWORDS = {
    word: Said(decision, category)
    for decision, category, languages in (
        (Decision.WITHDRAWN, ConsentCategory.ALL, STOP_WORDS),
        (Decision.GRANTED, ConsentCategory.ALL, START_WORDS),
        (Decision.WITHDRAWN, ConsentCategory.MARKETING, PROMOTION_STOP_PHRASES),
        (Decision.GRANTED, ConsentCategory.MARKETING, PROMOTION_START_PHRASES),
    )
    for words in languages.values()
    for word in words
}
# Room for decomposed letters and for what people put around a keyword.
_LONGEST_TEXT = 4 * max(map(len, _KEYWORDS))


def normalised(text: str) -> str:
    """Composed, case-folded, single spaces, without what cannot be seen, and without punctuation or emoji around it."""
    if text.isascii():  # is composed already
        return " ".join(text.lower().replace("_", " ").strip(_ASCII_AROUND).split())
    composed = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    if _ODD.search(composed):  # much cheaper than to translate each text
        composed = composed.translate(_SAME)
    first, last = 0, len(composed)
    while first < last and _is_around(composed[first]):
        first += 1
    while last > first and _is_around(composed[last - 1]):
        last -= 1
    return " ".join(composed[first:last].split())


def _is_around(character: str) -> bool:
    """Punctuation, emoji and other symbols, spaces, controls: what may stand before and after a keyword."""
    return unicodedata.category(character)[0] in "PSZC"


_ASCII_AROUND = "".join(filter(_is_around, map(chr, range(128))))

# What keyboards put for the same letter. The joiners U+200C and U+200D are not here: inside a word they can be spelling.
_SAME: dict[int, str | None] = {
    **dict.fromkeys((0x2018, 0x2019, 0x02BC), "'"),
    **dict.fromkeys((*range(0x2010, 0x2016), 0x2212), "-"),
    ord("_"): " ",  # as in a payload
    **dict.fromkeys((0x00AD, 0x034F, 0x061C, 0x200B, 0x200E, 0x200F, 0xFEFF)),  # soft hyphen, zero width, direction
    **dict.fromkeys((*range(0x202A, 0x202F), *range(0x2060, 0x2070))),  # direction, word joiner
    **dict.fromkeys(range(0xFE00, 0xFE10)),  # variation selectors of emoji
    0x0307: None,  # the dot that is left of a case-folded İ
    **dict.fromkeys((0x0640, *range(0x064B, 0x0653), 0x0670)),  # Arabic tatweel and vowels
    **dict.fromkeys((*range(0x0591, 0x05BE), 0x05BF, 0x05C1, 0x05C2, 0x05C4, 0x05C5, 0x05C7)),  # Hebrew points
}
_ODD = re.compile(f"[{''.join(map(re.escape, map(chr, _SAME)))}]")


def _last(known: int | None, reported: int | None) -> int | None:
    if known is None or reported is None:
        return reported if known is None else known
    return max(known, reported)
