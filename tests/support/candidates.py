"""What does a command look like whose turn it is? One of each kind, with nothing known about it."""

from __future__ import annotations

from typing import Any, Final

import orjson

from services.common.domain.consent import ConsentState
from services.common.domain.send_policy import Facts
from services.sender.knowledge import Candidate
from services.sender.options import Options
from services.sender.outcomes import Attempt

TEMPLATE: Final = {"name": "order_update", "language": {"code": "en"}}
FACTS: Final = Facts(
    number_state="active", display_phone_number=None, last_inbound_at=None, consent_all=ConsentState(), is_caught_up=False
)


def candidate(message_type: str = "text", content: object = None, **options: Any) -> Candidate:
    """A command that was never tried; `options` are fields of `Options`."""
    told = Options(**options)
    return Candidate(
        attempt=Attempt(
            command_id="c1",
            attempt_no=0,
            attempt_id=None,
            phone_number_id="100",
            lane=1,
            message_type=message_type,
            content=orjson.dumps(content).decode(),
            to="+49 170 0000001",
            bsuid=None,
            shard=0,
            options=told,
        ),
        content=content,
        fallback=None if told.fallback_template is None else orjson.loads(told.fallback_template),
        context_wamid=None,
        policy="hold",
        appended_at=0,
        received_at=0,
        expires_at=1,
        send_at=None,
        facts=FACTS,
    )
