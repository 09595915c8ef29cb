"""Which country is a person of? Told by the number or the user id that names the contact, by nothing else."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import phonenumbers
from phonenumbers import phonenumberutil

_REMEMBERED: Final = 65_536
_NOWHERE: Final = "001"
"""What the library says of numbers that belong to no country, such as those of satellites."""


@lru_cache(maxsize=_REMEMBERED)
def country_of(contact: str) -> str | None:
    """Two letters (ISO 3166-1 alpha-2) of a wa_id's digits, or of a business-scoped user id, which begins with them.

    None where a number is of no one country or tells none. Meta never says where a person is: a number tells who issued it.
    """
    if not contact.isdigit():
        letters, dot, _ = contact.partition(".")
        return letters if dot and len(letters) == 2 and letters.isascii() and letters.isupper() else None
    try:
        found = phonenumberutil.region_code_for_number(phonenumbers.parse(f"+{contact}"))
    except phonenumbers.NumberParseException:
        return None
    return None if found == _NOWHERE else found
