"""Which fault points are there, who passes each, and what makes it pass? The table that the cycles are driven by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How one point is reached.

    `victim` is who passes it: a service, or the `rebuild` of an operator. The pass at which the fault fires is drawn from 1 to
    `most`. `media`: commands carry a file. `parked`: commands stand parked at each start. `guest`: where it is to be that pass or
    a later one, somebody joins and leaves the victim's group, so that partitions move. `is_whole_log`: nothing may be deleted
    from the log. `survives`: an exception there ends a request, not the victim. `is_slow`: tests play half as many lives.
    """

    victim: str
    most: int = 3
    media: bool = False
    parked: bool = False
    guest: int | None = None
    is_whole_log: bool = False
    survives: bool = False
    is_slow: bool = False


PLANS: Final[dict[str, Plan]] = {
    "ingest.after_read": Plan(victim="ingest", most=5, survives=True),
    "ingest.after_hmac": Plan(victim="ingest", most=5, survives=True),
    "ingest.before_produce": Plan(victim="ingest", most=5, survives=True),
    "ingest.after_ack_before_200": Plan(victim="ingest", most=5, survives=True),
    "router.after_fetch": Plan(victim="router"),
    "router.mid_batch_emit": Plan(victim="router"),
    "router.after_emit_before_commit": Plan(victim="router"),
    "router.after_reopen_before_commit": Plan(victim="router", most=1, parked=True),
    "router.on_assign": Plan(victim="router", most=2, guest=2, is_slow=True),
    "router.on_revoke": Plan(victim="router", most=1, guest=1, is_slow=True),
    "projector.after_fetch": Plan(victim="projector"),
    "projector.before_pg_commit": Plan(victim="projector"),
    "projector.after_pg_commit_before_offset": Plan(victim="projector"),
    "projector.after_rebuild_batch": Plan(victim="rebuild", most=1, is_whole_log=True),
    "projector.on_assign": Plan(victim="projector", most=2, guest=2, is_slow=True),
    "projector.on_revoke": Plan(victim="projector", most=1, guest=1, is_slow=True),
    "sender.after_intake_before_commit": Plan(victim="sender"),
    "sender.after_gate": Plan(victim="sender"),
    "sender.before_started": Plan(victim="sender"),
    "sender.after_started": Plan(victim="sender"),
    "sender.before_write": Plan(victim="sender"),
    "sender.mid_write": Plan(victim="sender", survives=True),
    "sender.after_write": Plan(victim="sender", survives=True),
    "sender.after_response": Plan(victim="sender"),
    "sender.before_outcome_commit": Plan(victim="sender"),
    "sender.after_outcome_commit": Plan(victim="sender"),
    "sender.after_emit_before_commit": Plan(victim="sender"),
    "sender.media_before_upload": Plan(victim="sender", most=2, media=True),
    "sender.media_after_upload": Plan(victim="sender", most=2, media=True),
    "sender.on_assign": Plan(victim="sender", most=2, guest=2),
    "sender.on_revoke": Plan(victim="sender", most=2, guest=2),
}
