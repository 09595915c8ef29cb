"""Which codes did Meta tell lately in `failed` statuses and in errors about numbers and accounts? The projector's rows.

Crash thinking: nothing is kept. The last quarter of an hour is read at each look, whoever read it before, and the fold takes the
same evidence once; what became visible late, or while no sender ran, is read as well. A rebuild of the projections brings rows
with Meta's own time, so what it brings of older days is not read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from services.common.domain import graph_codes
from services.common.domain.account_state import LATE_MS
from services.common.domain.covers import Covers
from services.common.domain.late_codes import CODES, LateCode
from services.common.platform import postgres
from services.sender.stop_ledger import SQL

_OF_COUNTRIES: Final = [code for code in CODES if graph_codes.row_of(code).covers is Covers.COUNTRY]


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """Codes, and when each number that they may be about was last told to have sent; milliseconds."""

    codes: Sequence[LateCode] = ()
    sent: Mapping[str, int] = field(default_factory=dict)


class LateCodes:
    """Reads `projector.message_statuses` and `projector.account_events`."""

    def __init__(self, pool: postgres.Pool) -> None:
        self._pool = pool

    async def newest(self, numbers: Sequence[str], *, now: int) -> Late:
        """What was told of these numbers, and of any account, in the last `LATE_MS`; raises what Postgres raises."""
        asked = {"since": now - LATE_MS - 1_000, "codes": list(CODES), "of_countries": _OF_COUNTRIES}
        async with self._pool.connection() as connection:
            failed = await (await connection.execute(SQL["late_codes"], {**asked, "numbers": list(numbers)})).fetchall()
            errors = await (await connection.execute(SQL["late_errors"], {"since": asked["since"]})).fetchall()
            codes = [LateCode(phone_number_id=row[0], code=row[1], contact=row[2], at=row[3]) for row in failed]
            codes += [one for row in errors if (one := of_error(row)) is not None]
            if not codes:
                return Late()
            sent = await (await connection.execute(SQL["last_sent"], {"numbers": list(numbers)})).fetchall()
        return Late(codes=codes, sent=dict(sent))


def of_error(row: Sequence[Any]) -> LateCode | None:
    """(account, number, Meta's words, instant) of an error; None where they have no code."""
    waba_id, phone_number_id, raw, at = row
    try:
        said = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    code = graph_codes.code_of(said)
    return None if code is None else LateCode(code=code, at=at, phone_number_id=phone_number_id, waba_id=waba_id)
