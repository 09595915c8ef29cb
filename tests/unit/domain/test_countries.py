"""Which country does a contact's name tell?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.domain.countries import country_of


@pytest.mark.parametrize(
    ("contact", "country"),
    [
        ("4915112345678", "DE"),
        ("5511999990000", "BR"),
        ("551199990000", "BR"),
        ("5215512345678", "MX"),
        ("14155552671", "US"),
        ("16135550123", "CA"),
        ("79161234567", "RU"),
        ("77011234567", "KZ"),
        ("15550100001", None),
        ("870773111632", None),
        ("999", None),
        ("DE.1234", "DE"),
        ("BR.ENT.99", "BR"),
        ("group-1.x", None),
        ("", None),
    ],
)
def test_a_number_or_a_user_id_tells_the_country(contact: str, country: str | None) -> None:
    assert country_of(contact) == country


@given(st.text(max_size=20) | st.from_regex(r"[0-9]{1,16}", fullmatch=True))
def test_whatever_the_name_it_is_two_letters_or_none(contact: str) -> None:
    country = country_of(contact)
    assert country is None or (len(country) == 2 and country.isascii() and country.isupper())
