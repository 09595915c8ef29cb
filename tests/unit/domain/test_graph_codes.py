"""Is every error code that Meta documents in the table, and does each row say what its verdict needs?"""

from __future__ import annotations

import re
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.domain.graph_codes import CODES, Row, Scope, Verdict, row_of
from services.common.domain.reasons import Reason

DOCUMENTED = {
    "authorization": (0, 3, 10, 104, 190, *range(200, 300), 131005),
    "integrity": (368, 130497, 131031),
    "throttling": (4, 17, 32, 613, 80007, 80008, 130429, 131048, 131056, 131064, 133016),
    "graph": (1, 2, 33, 100),
    "messages": (
        *(130403, 130472, 131000, 131001, 131002, 131006, 131008, 131009, 131014, 131016, 131021, 131026, 131030, 131035),
        *(131036, 131037, 131042, 131043, 131044, 131045, 131047, 131049, 131050, 131051, 131052, 131053, 131055, 131057),
        *(131059, 131061, 131062, 131063, 134011, 135000, 137000, 139200, 1752041),
    ),
    "templates": (132000, 132001, 132005, 132007, 132008, 132012, 132015, 132016, 132018, 132068, 132069),
    "marketing messages": (134100, 134101, 134102, 134103),
    "registration": (133000, 133004, 133005, 133006, 133008, 133009, 133010, 133015, 136024, 136025),
    "groups": (
        *(131020, 131041, 131201, 131202, 131203, 131204, 131207, 131208, 131209, 131210, 131211, 131212, 131213, 131214),
        131215,
    ),
    "calling": (
        *(138000, 138001, 138002, 138003, 138004, 138005, 138006, 138007, 138009, 138012, 138013, 138014, 138015, 138017),
        *(138018, 138019, 138020, 138021, 138022, 138023),
    ),
    "block list": (139100, 139101, 139102, 139103),
    "flows": (139000, 139001, 139002, 139003, 139004),
    "usernames": (147001, 147002, 147003, 147004, 147005),
    "template management": (
        *(2388019, 2388024, 2388039, 2388040, 2388047, 2388072, 2388073, 2388293, 2388299, 2388318, 2388330),
    ),
    "migration": (2388001, 2388012, 2388091, 2388093, 2388103, 2494100),
    "synchronization": (2593107, 2593108, 2593109),
    "analytics": (2593079, 2593085, 200005, 200006, 200007),
}
OBSERVED = (470,)

ROWS = [pytest.param(row, id=str(code)) for row, code in {row: code for code, row in sorted(CODES.items())}.items()]


@pytest.mark.parametrize("family", DOCUMENTED)
def test_every_documented_code_is_in_the_table(family: str) -> None:
    assert set(DOCUMENTED[family]) - CODES.keys() == set()


def test_nothing_else_is_in_the_table() -> None:
    assert set(CODES) == {code for codes in DOCUMENTED.values() for code in codes} | set(OBSERVED)


@given(st.integers())
def test_a_code_that_is_not_listed_proves_nothing(code: int) -> None:
    row = row_of(code)
    assert row is CODES.get(code) or row.verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("row", ROWS)
def test_only_what_passes_by_itself_has_a_wait(row: Row) -> None:
    waits = row.verdict in (Verdict.RETRY, Verdict.RETRY_WITH_503)
    assert (row.wait_seconds > 0) == waits
    assert row.growth >= 1


@pytest.mark.parametrize("row", ROWS)
def test_a_verdict_and_its_reason_agree(row: Row) -> None:
    waits = row.verdict in (Verdict.RETRY, Verdict.RETRY_WITH_503)
    if row.covers is None:
        assert (row.reason in {Reason.THROTTLED, Reason.PAIR_LIMIT, Reason.MEDIA}) == waits
    else:
        stopping = {Reason.ACCESS_TOKEN, Reason.ACCOUNT_STOPPED, Reason.PAYMENT, Reason.CONFIGURATION}
        assert (row.verdict, row.reason in stopping) == (Verdict.RETRY, True)
        assert row.scope in (Scope.TOKEN, Scope.NUMBER, Scope.WABA)
    assert (row.reason is Reason.NO_ANSWER) == (row.verdict is Verdict.UNKNOWN)
    assert (row.reason is Reason.ACCESS_TOKEN) == (row.scope is Scope.TOKEN)


@pytest.mark.parametrize("row", [*ROWS, pytest.param(row_of(-1), id="unlisted")])
def test_what_the_producer_is_told_is_one_short_sentence(row: Row) -> None:
    assert re.fullmatch(r"[A-Z][^.!?\n]{10,110}\.", row.told)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (131047, Reason.WINDOW_CLOSED),
        (131050, Reason.OPTED_OUT),
        (131026, Reason.UNDELIVERABLE),
        (131049, Reason.UNDELIVERABLE),
        (132001, Reason.TEMPLATE),
        (132015, Reason.TEMPLATE),
        (368, Reason.ACCOUNT_STOPPED),
        (131042, Reason.PAYMENT),
        (131048, Reason.ACCOUNT_STOPPED),
        (131030, Reason.CONFIGURATION),
        (131009, Reason.REJECTED_BY_META),
    ],
)
def test_what_a_producer_has_to_do_differently_is_another_reason(code: int, reason: Reason) -> None:
    assert CODES[code].reason is reason


def test_the_table_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        CODES[1] = CODES[2]  # type: ignore[index]
    with pytest.raises(FrozenInstanceError):
        CODES[1].verdict = Verdict.FINAL  # type: ignore[misc]
