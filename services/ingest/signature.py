"""Did Meta sign these bytes? Strict about the header's shape, constant in time about its content."""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from typing import Final

from services.common.domain.reasons import Reason

_SHAPE: Final = re.compile(rb"sha256=([0-9a-f]{64})")


def shape_refusal(signatures: Sequence[bytes]) -> Reason | None:
    """Why these `X-Hub-Signature-256` values cannot be right whatever the body is; None for exactly one well-formed value."""
    if not signatures:
        return Reason.SIGNATURE_MISSING
    if len(signatures) > 1 or _SHAPE.fullmatch(signatures[0]) is None:
        return Reason.SIGNATURE_MALFORMED
    return None


def signed(signature: bytes, body: bytes, secrets: Sequence[bytes]) -> bool:
    """Whether one of the secrets signed these bytes, for a signature that `shape_refusal` found well-formed.

    Every secret is tried also after one matched, so the time does not tell which one it was.
    """
    given = bytes.fromhex(signature[7:].decode("ascii"))
    matched = False
    for secret in secrets:
        matched |= hmac.compare_digest(hmac.digest(secret, body, "sha256"), given)
    return matched


def same_token(given: str, expected: bytes) -> bool:
    """Whether a verify token is ours, in constant time; lone surrogates from a broken query are simply wrong."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected)
