"""Is every answer of Meta's read for what it proves, and everything doubtful as unknown?"""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.domain.graph_codes import CODES, Scope
from services.common.domain.reasons import Reason
from services.sender.response import Proof, Result, classify, late, no_answer, not_sent, repeated

WAITS = {
    Scope.THROUGHPUT: (130429,),
    Scope.NUMBER: (17, 32, 613, 131057, 133000, 133015, 133016, 131037, 131045, 131048, 133010),
    Scope.PAIR: (131056,),
    Scope.WABA: (80007, 368, 130497, 131031, 131042, 131063, 131064),
    Scope.APP: (4,),
    Scope.COMMAND: (131052, 131053, 132069, 134101),
    Scope.TOKEN: (0, 3, 10, 190, 131005, *range(200, 300)),
}
WAITS_WITH_503 = (2, 131016, 133004)
FINAL = (
    *(470, 130403, 130472, 131044, 131047, 131049, 131050),
    *(33, 100, 104, 131001, 131002, 131006, 131008, 131009, 131014, 131021, 131026, 131030),
    *(131051, 131055, 131059, 131061, 131062, 132000, 132001, 132005, 132007, 132008, 132012, 132015, 132016),
    *(132018, 132068, 133005, 133006, 133008, 133009, 134011, 134100, 134102, 134103, 136024, 136025, 137000),
    *(139200, 1752041, 80008, 131020, 131041, 131202, 131203, 131204, 131207, 131208, 131209, 131210, 131211, 131212),
    *(131213, 131214, 131215, 138000, 138001, 138002, 138003, 138005, 138006, 138009, 138012, 138013, 138014, 138015),
    *(138017, 138018, 139000, 139001, 139002, 139003, 139004, 139101, 139102, 147001, 147002, 147003, 147004, 147005),
    *(2388019, 2388024, 2388039, 2388040, 2388047, 2388072, 2388073, 2388293, 2388299, 2593107, 2593108),
)
UNKNOWN = (
    *(1, 131000, 131035, 131036, 131043, 131201, 135000, 138004, 138007, *range(138019, 138024), 139100, 139103, 200005),
    *(200006, 200007, 2388001, 2388012, 2388091, 2388093, 2388103, 2388318, 2388330, 2494100, 2593079, 2593085, 2593109),
)
STATUSES = (400, 401, 403, 404, 429, 500, 503)


def error(code: object, trace_id: object = "A") -> bytes:
    return orjson.dumps({"error": {"message": "(#1) told", "code": code, "fbtrace_id": trace_id}})


def test_what_every_code_of_the_table_proves_is_written_here() -> None:
    assert {*FINAL, *UNKNOWN, *WAITS_WITH_503, *(code for codes in WAITS.values() for code in codes)} == set(CODES)


def test_an_answer_with_an_id_is_an_acceptance() -> None:
    body = {"contacts": [{"input": "+49", "wa_id": "49", "user_id": "DE.1"}], "messages": [{"id": "wamid.1"}]}
    result = classify(200, orjson.dumps(body), attempt_no=1)
    assert (result.proof, result.wamid, result.wa_id, result.bsuid) == (Proof.ACCEPTED, "wamid.1", "49", "DE.1")


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"{}", b"[]", b"null", b'{"messages":[]}', b'{"messages":[{}]}', b'{"messages":[{"id":7}]}', error(100)],
)
@pytest.mark.failure("S7")
def test_200_without_an_id_is_unknown_and_never_sent_again(body: bytes) -> None:
    result = classify(200, body, attempt_no=1)
    assert (result.proof, result.reason) == (Proof.UNKNOWN, Reason.ID_UNREADABLE)


@pytest.mark.parametrize("status", [301, 302, 304, 400, 401, 403, 404, 408, 429, 500, 502, 503, 504])
@pytest.mark.parametrize("body", [b"", b"<html>busy</html>", b"{}", b'{"error":"no"}', b'{"error":{"code":"7"}}', b"\xff"])
@pytest.mark.failure("S7")
def test_an_answer_without_an_error_of_graph_proves_nothing(status: int, body: bytes) -> None:
    assert classify(status, body, attempt_no=1).proof is Proof.UNKNOWN


@pytest.mark.parametrize(("scope", "code"), [(scope, code) for scope, codes in WAITS.items() for code in sorted(codes)])
def test_a_refusal_for_now_is_tried_again_in_its_scope_whatever_the_status(scope: Scope, code: int) -> None:
    for status in STATUSES:
        result = classify(status, error(code), attempt_no=1)
        assert (result.proof, result.scope, result.error_code) == (Proof.RETRY, scope, code)
        assert 0 < result.wait_seconds <= 3600


@pytest.mark.parametrize("code", sorted(FINAL))
def test_a_refusal_for_ever_is_a_rejection_whatever_the_status_and_holds_nothing_else(code: int) -> None:
    for status in STATUSES:
        result = classify(status, error(code), attempt_no=1)
        assert (result.proof, result.error_code, result.scope, result.wait_seconds) == (Proof.REJECTED, code, Scope.COMMAND, 0)
        assert (result.reason, result.detail) == (CODES[code].reason, CODES[code].told)


@pytest.mark.parametrize("code", UNKNOWN)
def test_a_code_that_may_come_with_an_accepted_message_is_unknown_whatever_the_status(code: int) -> None:
    for status in STATUSES:
        result = classify(status, error(code), attempt_no=1)
        assert (result.proof, result.reason, result.error_code) == (Proof.UNKNOWN, Reason.NO_ANSWER, code)
        assert result.detail == f"HTTP {status}. {CODES[code].told}"


@pytest.mark.parametrize("code", WAITS_WITH_503)
def test_only_a_service_that_says_503_has_not_taken_the_message(code: int) -> None:
    for status in STATUSES:
        result = classify(status, error(code), attempt_no=1)
        assert result.proof is (Proof.RETRY if status == 503 else Proof.UNKNOWN)
        assert (result.wait_seconds > 0) == (status == 503)


@given(st.integers(-(2**31), 2**31 - 1).filter(lambda code: code not in CODES), st.sampled_from(STATUSES))
def test_a_code_that_nobody_listed_is_unknown(code: int, status: int) -> None:
    result = classify(status, error(code), attempt_no=1)
    assert (result.proof, result.reason, result.error_code) == (Proof.UNKNOWN, Reason.NO_ANSWER, code)


def test_with_200_no_code_proves_anything() -> None:
    assert {classify(200, error(code), attempt_no=1).proof for code in CODES} == {Proof.UNKNOWN}


@pytest.mark.parametrize("code", [1, 100, 190, 999_999, 2**40, "7"])
def test_the_trace_of_every_refusal_is_kept(code: object) -> None:
    assert classify(400, error(code, "Az8or2yhqkZfEZ-_4Qn_Bam"), attempt_no=1).trace_id == "Az8or2yhqkZfEZ-_4Qn_Bam"
    assert classify(302, error(code, "A" * 64), attempt_no=1).trace_id == "A" * 64


@pytest.mark.parametrize("trace_id", [None, 7, "", "A" * 65, "two words", "line\n", "+491701234567", "\u0661"])
def test_what_does_not_look_like_a_trace_is_not_kept(trace_id: object) -> None:
    result = classify(400, error(100, trace_id), attempt_no=1)
    assert (result.proof, result.trace_id) == (Proof.REJECTED, None)


def test_a_redirect_proves_nothing_even_with_an_error_in_it() -> None:
    assert classify(302, error(100), attempt_no=1).proof is Proof.UNKNOWN


def test_a_code_too_large_for_the_ledger_is_unknown() -> None:
    result = classify(400, error(2**40), attempt_no=1)
    assert (result.proof, result.error_code) == (Proof.UNKNOWN, None)


def test_what_was_not_sent_is_tried_again_soon_and_then_later() -> None:
    waits = [not_sent("refused", attempt_no=number).wait_seconds for number in range(1, 12)]
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (0.5, 30.0)
    assert late().wait_seconds == 0.0
    assert {not_sent("x", attempt_no=1).proof, late().proof} == {Proof.NOT_SENT}


def test_no_answer_is_unknown() -> None:
    assert (no_answer("reset").proof, no_answer("reset").reason) == (Proof.UNKNOWN, Reason.NO_ANSWER)


def test_what_is_no_message_is_accepted_without_an_id() -> None:
    assert classify(200, b'{"success": true}', attempt_no=1, is_message=False) == Result(proof=Proof.ACCEPTED)
    assert classify(200, b'{"success": true}', attempt_no=1).proof is Proof.UNKNOWN
    assert classify(200, b'{"success": false}', attempt_no=1, is_message=False).proof is Proof.UNKNOWN


def test_only_an_unknown_result_of_a_call_that_may_be_repeated_is_made_again() -> None:
    lost = no_answer("TimeoutError")
    waits = [repeated(lost, attempt_no=number) for number in (1, 2, 3, 30)]
    assert [(one.proof, one.wait_seconds) for one in waits] == [
        (Proof.RETRY, 2.0),
        (Proof.RETRY, 4.0),
        (Proof.RETRY, 8.0),
        (Proof.RETRY, 1024.0),
    ]
    for result in (
        Result(proof=Proof.ACCEPTED),
        Result(proof=Proof.REJECTED, error_code=131009),
        not_sent("refused", attempt_no=1),
    ):
        assert repeated(result, attempt_no=1) == result
