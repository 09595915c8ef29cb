"""How are access tokens kept? AES-256-GCM under a key from the environment, each bound to its number."""

from __future__ import annotations

import base64
import binascii
import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES: Final = 12
KEY_BYTES: Final = 32


class TokenUnreadable(Exception):  # noqa: N818 - what is the matter
    """The stored token was not made under this key for this number. Says nothing about its content."""


class TokenBox:
    """Encrypts and decrypts; a ciphertext moved to another number's row does not open."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"the token key must be {KEY_BYTES} bytes")
        self._cipher = AESGCM(key)

    @classmethod
    def from_base64(cls, text: str) -> TokenBox:
        """From `PARLEY_TOKEN_KEY`; a ValueError that does not quote it."""
        try:
            return cls(base64.b64decode(text, validate=True))
        except binascii.Error:
            raise ValueError("the token key is not base64") from None

    def seal(self, token: str, *, phone_number_id: str) -> bytes:
        """12 bytes nonce, then ciphertext and tag."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, token.encode(), phone_number_id.encode())

    def open(self, sealed: bytes, *, phone_number_id: str) -> str:
        """The token, or TokenUnreadable."""
        try:
            plain = self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], phone_number_id.encode())
            return plain.decode()
        except (InvalidTag, ValueError):
            raise TokenUnreadable("the access token does not open under PARLEY_TOKEN_KEY") from None
