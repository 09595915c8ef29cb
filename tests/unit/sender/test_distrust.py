"""Is a code that has lied no proof any more, and every other result what it was?"""

from __future__ import annotations

from typing import Final

import orjson
import pytest

from services.common.domain.graph_codes import CODES
from services.common.domain.reasons import Reason
from services.sender.distrust import judged
from services.sender.response import Proof, classify, late, no_answer, not_sent

LIAR: Final = 131053


def answer(code: int, status: int = 400) -> bytes:
    return orjson.dumps({"error": {"code": code, "message": f"(#{code})"}, "status": status})


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("status", [400, 429, 503])
def test_a_refusal_by_a_code_that_has_lied_is_unknown(code: int, status: int) -> None:
    result = classify(status, answer(code), attempt_no=1)
    assert judged(result, frozenset()) == result
    assert judged(result, frozenset({code + 1})) == result
    again = judged(result, frozenset({code}))
    assert (again.proof, again.error_code, again.reason) == (Proof.UNKNOWN, code, Reason.NO_ANSWER)
    assert again.wait_seconds == 0.0


@pytest.mark.parametrize(
    "result",
    [
        late(),
        no_answer("ClientOSError"),
        not_sent("refused", attempt_no=1),
        classify(200, b'{"messages": [{"id": "wamid.X"}]}', attempt_no=1),
    ],
    ids=["late", "no answer", "not sent", "accepted"],
)
def test_what_has_no_code_is_what_it_was(result: object) -> None:
    assert judged(result, frozenset(CODES)) == result  # type: ignore[arg-type]  # each is a Result
