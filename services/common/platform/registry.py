"""Which numbers may Parley send from? The operator's registry in Postgres: read by the sender, written by the CLI."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg

from services.common.platform.tokens import TokenBox

Connection = psycopg.AsyncConnection[tuple[Any, ...]]

COEXISTENCE_LIMIT: Final = 20
"""Messages a second of a number that is shared with the WhatsApp Business app; Meta raises it for nobody."""

_ADD: Final = """
INSERT INTO registry.phone_numbers (
    phone_number_id, waba_id, display_phone_number, messages_per_second, access_token, is_coexistence,
    portfolio_id, tenant_id, state
)
VALUES (%s, %s, %s, %s, %s, %s, %s, coalesce(%s, 'default'), 'active')
ON CONFLICT (phone_number_id) DO UPDATE SET
    waba_id = excluded.waba_id, display_phone_number = excluded.display_phone_number,
    messages_per_second = excluded.messages_per_second, access_token = excluded.access_token,
    is_coexistence = excluded.is_coexistence,
    portfolio_id = coalesce(excluded.portfolio_id, phone_numbers.portfolio_id),
    tenant_id = CASE WHEN %s::text IS NULL THEN phone_numbers.tenant_id ELSE excluded.tenant_id END, state = 'active',
    updated_at = now()
"""
_KEEP_TENANT: Final = """
INSERT INTO registry.tenants (tenant_id, name, resend_once) VALUES (%s, %s, %s)
ON CONFLICT (tenant_id) DO UPDATE SET name = excluded.name, resend_once = excluded.resend_once, updated_at = now()
"""
_TENANTS: Final = """
SELECT t.tenant_id, t.name, t.resend_once, count(n.phone_number_id) FROM registry.tenants AS t
LEFT JOIN registry.phone_numbers AS n ON n.tenant_id = t.tenant_id GROUP BY t.tenant_id ORDER BY t.tenant_id
"""
_LIST: Final = """
SELECT
    phone_number_id, waba_id, display_phone_number, messages_per_second, state, access_token, is_coexistence,
    (extract(epoch FROM updated_at) * 1000)::bigint, tenant_id
FROM registry.phone_numbers ORDER BY phone_number_id
"""
_SET_STATE: Final = """
UPDATE registry.phone_numbers SET state = %s, updated_at = now() WHERE phone_number_id = %s AND state <> 'disabled'
"""
_SET_LIMIT: Final = "UPDATE registry.phone_numbers SET messages_per_second = %s, updated_at = now() WHERE phone_number_id = %s"
_RENEW: Final = "UPDATE registry.phone_numbers SET access_token = %s, updated_at = now() WHERE phone_number_id = %s"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredNumber:
    """A business number as the registry has it; its token stays sealed."""

    phone_number_id: str
    waba_id: str
    display_phone_number: str | None
    messages_per_second: int
    state: str
    sealed_token: bytes = field(repr=False)
    is_coexistence: bool = False
    updated_at: int = 0
    """In milliseconds."""
    tenant_id: str = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """Whose numbers they are. `resend_once`: lanes in which a lost answer may become a second message."""

    tenant_id: str
    name: str
    resend_once: tuple[str, ...]
    numbers: int


async def add_number(
    connection: Connection,
    tokens: TokenBox,
    *,
    phone_number_id: str,
    waba_id: str,
    access_token: str,
    display_phone_number: str | None = None,
    messages_per_second: int = 80,
    is_coexistence: bool = False,
    portfolio_id: str | None = None,
    tenant_id: str | None = None,
) -> None:
    """Register a number, or give a registered one new values; it is active afterwards. The caller commits.

    A coexistence number has at most `COEXISTENCE_LIMIT`. `portfolio_id`: whose messaging limit it shares; None keeps what is
    known, and at first its account is one of its own. Without a tenant a new one is of the tenant `default`, and a registered
    one stays whose it is.
    """
    sealed = tokens.seal(access_token, phone_number_id=phone_number_id)
    named = (phone_number_id, waba_id, display_phone_number)
    values = (*named, messages_per_second, sealed, is_coexistence, portfolio_id, tenant_id, tenant_id)
    await connection.execute(_ADD, values)


async def list_numbers(connection: Connection) -> list[RegisteredNumber]:
    """Every registered number, by id."""
    rows = await (await connection.execute(_LIST)).fetchall()
    return [
        RegisteredNumber(
            phone_number_id=row[0],
            waba_id=row[1],
            display_phone_number=row[2],
            messages_per_second=row[3],
            state=row[4],
            sealed_token=bytes(row[5]),
            is_coexistence=row[6],
            updated_at=row[7],
            tenant_id=row[8],
        )
        for row in rows
    ]


async def keep_tenant(connection: Connection, tenant_id: str, *, name: str, resend_once: Sequence[str]) -> None:
    """Add a tenant, or give a known one these values. The caller commits."""
    await connection.execute(_KEEP_TENANT, (tenant_id, name, list(resend_once)))


async def list_tenants(connection: Connection) -> list[Tenant]:
    """Every tenant, by id."""
    rows = await (await connection.execute(_TENANTS)).fetchall()
    return [Tenant(tenant_id=row[0], name=row[1], resend_once=tuple(row[2]), numbers=row[3]) for row in rows]


async def pause_number(connection: Connection, phone_number_id: str, *, paused: bool) -> bool:
    """Hold its commands back, or send again; False for a number that is not registered or disabled. The caller commits."""
    state = "paused" if paused else "active"
    return (await connection.execute(_SET_STATE, (state, phone_number_id))).rowcount == 1


async def limit_number(connection: Connection, phone_number_id: str, messages_per_second: int) -> bool:
    """What Meta allows it from now on; False for a number that is not registered. The caller commits."""
    return (await connection.execute(_SET_LIMIT, (messages_per_second, phone_number_id))).rowcount == 1


async def renew_token(connection: Connection, tokens: TokenBox, phone_number_id: str, access_token: str) -> bool:
    """Another access token and nothing else, whatever the number's state; False if it is not registered. The caller commits."""
    sealed = tokens.seal(access_token, phone_number_id=phone_number_id)
    return (await connection.execute(_RENEW, (sealed, phone_number_id))).rowcount == 1
