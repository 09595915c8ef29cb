"""Does a stored token open for its own number under its own key, and for nothing else?"""

from __future__ import annotations

import base64
import os

import pytest

from services.common.platform.tokens import TokenBox, TokenUnreadable

KEY = bytes(range(32))


def test_a_token_comes_back() -> None:
    sealed = TokenBox(KEY).seal("EAAG-secret", phone_number_id="1")
    assert TokenBox.from_base64(base64.b64encode(KEY).decode()).open(sealed, phone_number_id="1") == "EAAG-secret"


def test_the_same_token_never_looks_the_same_and_does_not_show() -> None:
    box = TokenBox(KEY)
    one, two = (box.seal("EAAG-secret", phone_number_id="1") for _ in range(2))
    assert one != two
    assert b"EAAG" not in one


def test_a_row_copied_to_another_number_does_not_open() -> None:
    sealed = TokenBox(KEY).seal("EAAG-secret", phone_number_id="1")
    with pytest.raises(TokenUnreadable):
        TokenBox(KEY).open(sealed, phone_number_id="2")


def test_another_key_a_changed_byte_and_a_cut_do_not_open() -> None:
    sealed = TokenBox(KEY).seal("EAAG-secret", phone_number_id="1")
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(TokenUnreadable):
            TokenBox(KEY).open(bytes(changed), phone_number_id="1")
        with pytest.raises(TokenUnreadable):
            TokenBox(KEY).open(sealed[:place], phone_number_id="1")
    with pytest.raises(TokenUnreadable):
        TokenBox(os.urandom(32)).open(sealed, phone_number_id="1")


@pytest.mark.parametrize("text", ["", "short", "not base64!", base64.b64encode(b"x" * 31).decode()])
def test_a_bad_key_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(ValueError, match="token key") as refused:
        TokenBox.from_base64(text)
    assert not text or text not in str(refused.value)
