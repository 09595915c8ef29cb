"""Is every answer of Meta's read for what it proves, and everything doubtful as unknown?"""

from __future__ import annotations

import orjson
import pytest

from services.common.domain.reasons import Reason
from services.sender.response import UNDECIDED, Proof, Scope, classify, late, no_answer, not_sent

# Meta's table of errors, with what each proves about the message. 131016 and 2 are told apart by the HTTP status.
WAITS = {
    Scope.NUMBER: (4, 17, 32, 613, 80007, 130429, 131057, 133000, 133015, 133016, 131064),
    Scope.PAIR: (131056,),
    Scope.COMMAND: (133004, 131052, 131053, 132069, 134101),
    Scope.TOKEN: (0, 3, 10, 190, 131005, *range(200, 300)),
}
FINAL = (
    *(368, 470, 130403, 130472, 130497, 131031, 131037, 131042, 131044, 131045, 131047, 131048, 131049, 131050),
    *(33, 100, 104, 131001, 131002, 131006, 131008, 131009, 131014, 131021, 131026, 131030, 131035, 131036, 131043),
    *(131051, 131055, 131059, 131061, 131062, 131063, 132000, 132001, 132005, 132007, 132008, 132012, 132015, 132016),
    *(132018, 132068, 133005, 133006, 133008, 133009, 133010, 134011, 134100, 134102, 134103, 136024, 136025, 137000),
    *(139200, 1752041, 80008, 131020, 131041, 131202, 131203, 131204, 131207),
)


def error(code: object) -> bytes:
    return orjson.dumps({"error": {"message": "(#1) told", "code": code, "fbtrace_id": "A"}})


def test_an_answer_with_an_id_is_an_acceptance() -> None:
    body = {"contacts": [{"input": "+49", "wa_id": "49", "user_id": "DE.1"}], "messages": [{"id": "wamid.1"}]}
    result = classify(200, orjson.dumps(body), attempt_no=1)
    assert (result.proof, result.wamid, result.wa_id, result.bsuid) == (Proof.ACCEPTED, "wamid.1", "49", "DE.1")


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"{}", b"[]", b"null", b'{"messages":[]}', b'{"messages":[{}]}', b'{"messages":[{"id":7}]}', error(100)],
)
def test_200_without_an_id_is_unknown_and_never_sent_again(body: bytes) -> None:
    result = classify(200, body, attempt_no=1)
    assert (result.proof, result.reason) == (Proof.UNKNOWN, Reason.UNREADABLE_ANSWER)


@pytest.mark.parametrize("status", [301, 302, 304, 400, 401, 403, 404, 408, 429, 500, 502, 503, 504])
@pytest.mark.parametrize("body", [b"", b"<html>busy</html>", b"{}", b'{"error":"no"}', b'{"error":{"code":"7"}}', b"\xff"])
def test_an_answer_without_an_error_of_graph_proves_nothing(status: int, body: bytes) -> None:
    assert classify(status, body, attempt_no=1).proof is Proof.UNKNOWN


@pytest.mark.parametrize(("scope", "code"), [(scope, code) for scope, codes in WAITS.items() for code in sorted(codes)])
def test_a_refusal_for_now_is_tried_again_in_its_scope_whatever_the_status(scope: Scope, code: int) -> None:
    for status in (400, 401, 403, 429, 500, 503):
        result = classify(status, error(code), attempt_no=1)
        assert (result.proof, result.scope, result.error_code) == (Proof.RETRY, scope, code)
        assert result.wait_seconds > 0


@pytest.mark.parametrize("code", sorted(FINAL))
def test_a_refusal_for_ever_is_a_rejection_whatever_the_status(code: int) -> None:
    for status in (400, 403, 404, 500):
        result = classify(status, error(code), attempt_no=1)
        assert (result.proof, result.error_code) == (Proof.REJECTED, code)


@pytest.mark.parametrize("code", [*sorted(UNDECIDED), 999_999, -1, 131_999])
def test_a_code_that_proves_nothing_is_unknown(code: int) -> None:
    assert classify(500, error(code), attempt_no=1).proof is Proof.UNKNOWN
    assert classify(400, error(code), attempt_no=1).proof is Proof.UNKNOWN


@pytest.mark.parametrize("code", [2, 131016])
def test_a_service_that_says_503_has_not_taken_the_message(code: int) -> None:
    assert classify(503, error(code), attempt_no=1).proof is Proof.RETRY


def test_a_redirect_proves_nothing_even_with_an_error_in_it() -> None:
    assert classify(302, error(100), attempt_no=1).proof is Proof.UNKNOWN


def test_a_code_too_large_for_the_ledger_is_unknown() -> None:
    result = classify(400, error(2**40), attempt_no=1)
    assert (result.proof, result.error_code) == (Proof.UNKNOWN, None)


def test_a_pair_waits_four_times_longer_each_time_and_at_most_an_hour() -> None:
    waits = [classify(400, error(131056), attempt_no=number).wait_seconds for number in range(1, 9)]
    assert waits == [4, 16, 64, 256, 1024, 3600, 3600, 3600]


def test_what_was_not_sent_is_tried_again_soon_and_then_later() -> None:
    waits = [not_sent("refused", attempt_no=number).wait_seconds for number in range(1, 12)]
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (0.5, 30.0)
    assert late().wait_seconds == 0.0
    assert {not_sent("x", attempt_no=1).proof, late().proof} == {Proof.NOT_SENT}


def test_no_answer_is_unknown() -> None:
    assert (no_answer("reset").proof, no_answer("reset").reason) == (Proof.UNKNOWN, Reason.NO_ANSWER)
