"""What does the registry have of a number? One that is active, with Meta's usual limit and a token that opens."""

from __future__ import annotations

from typing import Final

from services.common.platform.registry import RegisteredNumber
from services.common.platform.tokens import KEY_BYTES, TokenBox

TOKENS: Final = TokenBox(bytes(KEY_BYTES))


def registered(phone_number_id: str, waba_id: str) -> RegisteredNumber:
    """As it is read."""
    return RegisteredNumber(
        phone_number_id=phone_number_id,
        waba_id=waba_id,
        display_phone_number=None,
        messages_per_second=80,
        state="active",
        sealed_token=TOKENS.seal("token", phone_number_id=phone_number_id),
    )
