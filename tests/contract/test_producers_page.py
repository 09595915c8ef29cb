"""Does the page for producers tell every kind of outcome, and every reason that one can carry?"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from services.common.domain.graph_codes import CODES, Verdict
from services.common.domain.reasons import Reason
from services.common.domain.records import SendOutcome
from services.sender.distrust import judged
from services.sender.response import Proof, classify

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = (ROOT / "docs" / "producers.md").read_text("utf-8")
KINDS: Final = set(re.findall(r"^\| `(\w+)` \|(?=[^|]+\| (?:yes|no|it follows))", PAGE, re.MULTILINE))
REASONS: Final = {
    reason: set(re.findall(r"`(\w+)`", kinds))
    for kinds, reason in re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| `(\w+)` \|", PAGE, re.MULTILINE)
}
NOT_IN_OUTCOMES: Final = "# the gate: why a command was refused"
"""Reasons that stand before this line of the enum belong to requests and dead letters."""
NEVER_TOLD: Final = {Reason.NOT_SENT}
"""No byte left us: it is tried again, and nobody is told."""


def reasons_of_outcomes() -> set[Reason]:
    source = (ROOT / "services" / "common" / "domain" / "reasons.py").read_text("utf-8")
    _, _, after = source.partition(NOT_IN_OUTCOMES)
    assert after
    return {Reason(value) for value in re.findall(r'^    [A-Z_]+ = "(\w+)"', after, re.MULTILINE)} - NEVER_TOLD


def test_every_reason_that_an_outcome_can_carry_has_its_line() -> None:
    assert set(REASONS) == {str(reason) for reason in reasons_of_outcomes()}


def test_every_kind_has_its_line_and_no_line_names_another() -> None:
    said = SendOutcome.__doc__ or ""
    named = re.findall(r"`(refused|rejected|expired|deferred|unknown|unresolved|resent|\w+_\w+)`:", said)
    assert {"accepted", *named} == KINDS
    assert set().union(*REASONS.values()) == KINDS - {"accepted"}


def test_every_code_of_meta_leads_to_a_kind_and_reason_that_stand_there() -> None:
    kinds = {Proof.REJECTED: "rejected", Proof.RETRY: "deferred", Proof.UNKNOWN: "unknown"}
    for code, row in CODES.items():
        for status in (400, 503):
            result = classify(status, b'{"error": {"code": %d}}' % code, attempt_no=1)
            for one in (result, judged(result, frozenset({code}))):
                assert kinds[one.proof] in REASONS[str(one.reason)], (code, one)
        if row.verdict is not Verdict.UNKNOWN and row.reason is not Reason.ACCESS_TOKEN:
            assert "late_failure" in REASONS[str(row.reason)], code
