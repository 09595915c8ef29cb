"""What becomes of an accepted message: which statuses, when, and in which order do they leave?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from services.sandbox.simulator.config import Behaviour, Customer
from services.sandbox.simulator.errors import MARKETING_STOPPED, UNDELIVERABLE, WINDOW_CLOSED, Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One status: when it happens and when its webhook leaves, in seconds after acceptance."""

    status: str
    happens_after: float
    leaves_after: float
    refusal: Refusal | None = None


def journey(
    *,
    customer: Customer,
    category: str,
    is_window_closed: bool,
    behaviour: Behaviour,
    draw: Callable[[], float],
    fails_with: Refusal | None = None,
) -> list[Step]:
    """The statuses of one message. `draw` gives numbers in [0, 1); equal draws give equal journeys."""
    refusal = fails_with or _fate(customer, category, is_window_closed, behaviour, draw)
    if refusal is not None:
        after = behaviour.sent_after_seconds
        return [Step(status="failed", happens_after=after, leaves_after=after, refusal=refusal)]
    plan = [("sent", behaviour.sent_after_seconds)]
    if draw() < behaviour.delivered_probability:
        plan.append(("delivered", behaviour.delivered_after_seconds))
        if customer.sends_read_receipts and draw() < behaviour.read_probability:
            plan.append(("read", behaviour.read_after_seconds))
    stretch = 1.0 + behaviour.delay_spread * (2.0 * draw() - 1.0)
    happens = [after * stretch for _, after in plan]
    leaves = happens[::-1] if draw() < behaviour.reorder_probability else happens
    return [
        Step(status=status, happens_after=happened, leaves_after=left)
        for (status, _), happened, left in zip(plan, happens, leaves, strict=True)
    ]


def _fate(
    customer: Customer,
    category: str,
    is_window_closed: bool,
    behaviour: Behaviour,
    draw: Callable[[], float],
) -> Refusal | None:
    """Why a message that was accepted never reaches the person, if so."""
    if is_window_closed:
        details = "Message failed to send because more than 24 hours have passed since the customer last replied."
        return Refusal(code=WINDOW_CLOSED, details=details)
    if category == "marketing" and not customer.accepts_marketing:
        return Refusal(code=MARKETING_STOPPED, details="The user stopped marketing messages.")
    if not customer.reachable or draw() < behaviour.failed_probability:
        return Refusal(code=UNDELIVERABLE, details="Message Undeliverable.")
    return None
