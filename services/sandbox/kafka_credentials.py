"""How is Kafka told passwords and rights? By two of its requests that aiokafka has not, or only for one right at a time."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final

from aiokafka.protocol.admin import CreateAclsRequest_v1
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import CompactArray, CompactBytes, CompactString, Int8, Int16, Int32, Schema, TaggedFields

_SHA_512: Final = 2
_ITERATIONS: Final = 4096
"""The fewest that Kafka takes. More would make each new connection dearer; our passwords are long and nobody's own."""
_SALT_BYTES: Final = 32


class AlterScramResponse(Response):
    """AlterUserScramCredentials, KIP-554: what became of each user."""

    API_KEY = 51
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "results",
            CompactArray(
                ("user", CompactString("utf-8")),
                ("error_code", Int16),
                ("error_message", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class AlterScramRequest(RequestStruct):
    """AlterUserScramCredentials, KIP-554."""

    FLEXIBLE_VERSION = True
    API_KEY = 51
    API_VERSION = 0
    RESPONSE_TYPE = AlterScramResponse
    SCHEMA = Schema(
        (
            "deletions",
            CompactArray(("name", CompactString("utf-8")), ("mechanism", Int8), ("tags", TaggedFields)),
        ),
        (
            "upsertions",
            CompactArray(
                ("name", CompactString("utf-8")),
                ("mechanism", Int8),
                ("iterations", Int32),
                ("salt", CompactBytes),
                ("salted_password", CompactBytes),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class SetScramPasswords(Request[AlterScramRequest]):
    """These users have these passwords from now on, for SCRAM-SHA-512. Only salted digests go over the wire."""

    API_KEY = 51

    def __init__(self, passwords: Mapping[str, str]) -> None:
        self._passwords = passwords

    def build(self, request_struct_class: type[AlterScramRequest]) -> AlterScramRequest:
        return request_struct_class([], [_upsertion(name, password) for name, password in self._passwords.items()], {})


def _upsertion(name: str, password: str) -> tuple[Any, ...]:
    salt = secrets.token_bytes(_SALT_BYTES)
    salted = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ITERATIONS)
    return (name, _SHA_512, _ITERATIONS, salt, salted, {})


class CreateAcls(Request[CreateAclsRequest_v1]):
    """All these rules in one request; aiokafka's own has room for one."""

    API_KEY = 30

    def __init__(self, rules: Sequence[tuple[int, str, int, str, str, int, int]]) -> None:
        self._rules = rules

    def build(self, request_struct_class: type[CreateAclsRequest_v1]) -> CreateAclsRequest_v1:
        return request_struct_class(list(self._rules))
