"""Which error codes are no proof any more? Those that came for a message which Meta had, as a status webhook told later."""

from __future__ import annotations

import dataclasses

from services.common.domain.graph_codes import Scope
from services.common.domain.reasons import Reason
from services.common.platform import logging, metrics
from services.sender.findings import Evidence
from services.sender.outcomes import Attempt
from services.sender.response import Proof, Result
from services.sender.store import Store

log = logging.get(__name__)


def judged(result: Result, codes: frozenset[int]) -> Result:
    """What a result is worth: a refusal by a code that has lied before is unknown, and so never sent again."""
    if result.error_code not in codes or result.proof not in (Proof.RETRY, Proof.REJECTED):
        return result
    detail = "Meta has had messages that it answered with this code."
    return dataclasses.replace(
        result, proof=Proof.UNKNOWN, reason=Reason.NO_ANSWER, detail=detail, scope=Scope.COMMAND, covers=None, wait_seconds=0.0
    )


class Distrust:
    """The codes as last read. All senders learn them from Postgres; whoever finds one writes it there."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.codes: frozenset[int] = frozenset()

    async def reload(self) -> None:
        """Read them anew: an operator may have taken one away."""
        self.codes = await self._store.distrusted()

    def tell(self, attempt: Attempt, found: Evidence, *, is_duplicate: bool) -> None:
        """Two things that should not happen: a refusal that was none, and a command that was accepted twice."""
        if found.is_contradiction:
            code = "" if found.error_code is None else str(found.error_code)
            metrics.FALSE_REJECTIONS.labels(found.outcome, code).inc()
            log.critical(
                "send.false_rejection",
                command_id=attempt.command_id,
                attempt_no=attempt.attempt_no,
                outcome=found.outcome,
                code=found.error_code,
            )
        if is_duplicate:
            metrics.DUPLICATE_SENDS.inc()
            log.critical("send.duplicate_confirmed", command_id=attempt.command_id, attempt_no=attempt.attempt_no)
