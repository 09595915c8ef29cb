"""Is only what the app's secret signed taken?"""

from __future__ import annotations

import hmac
import json
import random

import pytest

from services.common.domain.reasons import Reason
from services.ingest.signature import same_token, shape_refusal, signed

SECRET = b"test_app_secret"
OTHER = b"another_app_secret"
COMPACT = b'{"object":"whatsapp_business_account","entry":[]}'
SPACED = b'{"object": "whatsapp_business_account", "entry": []}'
ESCAPED = rb'{"name":"J\u00f6rg","u":"https:\/\/x"}'
VECTORS = [
    (COMPACT, "dec6a680679a968e7e0319355b23599cbfc54502c0784668e9618baa0c633756"),
    (SPACED, "56cbbaf4961c6cfdae48b7f116c047e5eb513d2c931baae63a2bc1afd26f803a"),
    (ESCAPED, "e85cc05f75da876e22dca9904e1db8f8480fb5a6a960920f026820a7f941c0c6"),
]


def signature(body: bytes, secret: bytes = SECRET) -> bytes:
    return b"sha256=" + hmac.new(secret, body, "sha256").hexdigest().encode()


@pytest.mark.parametrize(("body", "digest"), VECTORS)
def test_published_vectors_are_accepted(body: bytes, digest: str) -> None:
    value = f"sha256={digest}".encode()
    assert shape_refusal([value]) is None
    assert signed(value, body, [SECRET])


def test_the_signature_of_reserialised_json_is_refused() -> None:
    reserialised = json.dumps(json.loads(ESCAPED), ensure_ascii=False, separators=(",", ":")).encode()
    assert signature(reserialised).endswith(b"5da4c7c8c94f03575add356111b395ad85771618038fdc002aa0ca4b0a22259b")
    assert not signed(signature(reserialised), ESCAPED, [SECRET])
    assert not signed(signature(ESCAPED), reserialised, [SECRET])


def test_no_signature_is_missing() -> None:
    assert shape_refusal([]) is Reason.SIGNATURE_MISSING


GOOD = signature(COMPACT)
HEX = GOOD[7:]


@pytest.mark.parametrize(
    "values",
    [
        [GOOD, GOOD],
        [GOOD, b"sha256=" + b"0" * 64],
        [b"SHA256=" + HEX],
        [HEX],
        [b"sha256:" + HEX],
        [b"sha1=" + HEX],
        [b"sha256=" + HEX.upper()],
        [GOOD[:-1]],
        [GOOD + b"0"],
        [b"sha256=" + HEX[:32] + b" " + HEX[33:]],
        [b"sha256= " + HEX[1:]],
        [b"sha256=" + b"g" * 64],
        [GOOD + b"\n"],
        [b" " + GOOD],
        [GOOD + b", " + GOOD],
        [b"sha256=" + "é".encode() * 32],
        [b"sha256=\xff\xfe" + HEX[2:]],
        [b"sha256=\xed\xa0\x80" + HEX[3:]],
        [b"sha256=" + "０".encode() + HEX[3:]],
        [b""],
        [b"sha256="],
    ],
)
def test_anything_but_one_strict_value_is_malformed(values: list[bytes]) -> None:
    assert shape_refusal(values) is Reason.SIGNATURE_MALFORMED


def test_a_body_changed_by_any_single_bit_is_refused() -> None:
    for bit in range(len(COMPACT) * 8):
        changed = bytearray(COMPACT)
        changed[bit // 8] ^= 1 << bit % 8
        assert not signed(GOOD, bytes(changed), [SECRET])


def test_another_secret_is_refused() -> None:
    assert not signed(signature(COMPACT, OTHER), COMPACT, [SECRET])


@pytest.mark.failure("I12")
def test_both_secrets_are_taken_during_a_rotation_and_the_old_one_not_after_it() -> None:
    old = signature(COMPACT, OTHER)
    assert signed(old, COMPACT, [SECRET, OTHER])
    assert signed(GOOD, COMPACT, [SECRET, OTHER])
    assert not signed(old, COMPACT, [SECRET])


def test_an_empty_body_has_a_signature_too() -> None:
    assert signed(signature(b""), b"", [SECRET])
    assert not signed(GOOD, b"", [SECRET])


def test_random_signatures_never_match() -> None:
    dice = random.Random(1)
    for _ in range(20_000):
        value = b"sha256=" + dice.randbytes(32).hex().encode()
        assert shape_refusal([value]) is None
        assert not signed(value, COMPACT, [SECRET, OTHER])


@pytest.mark.parametrize("given", ["", "tok", "token-", "Token", "tökén", "\ud800"])
def test_only_the_exact_token_is_ours(given: str) -> None:
    assert not same_token(given, b"token")
    assert same_token("token", b"token")
