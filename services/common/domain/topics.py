"""Which topics exist? Partitions and retention stand in `deploy/kafka/topics.yaml`; a contract test compares names."""

from __future__ import annotations

from typing import Final

from services.common.domain.lanes import Lane

WEBHOOKS: Final = "parley.webhooks.v1"
INBOUND_MESSAGES: Final = "parley.inbound-messages.v1"
MESSAGE_COPIES: Final = "parley.message-copies.v1"
MESSAGE_STATUSES: Final = "parley.message-statuses.v1"
CONTACT_EVENTS: Final = "parley.contact-events.v1"
ACCOUNT_EVENTS: Final = "parley.account-events.v1"
CONSENT_RECORDS: Final = "parley.consent-records.v1"
SEND_COMMANDS: Final = "parley.send-commands.v1"
PARKED_COMMANDS: Final = "parley.parked-commands.v1"
"""Commands of a later schema than the router knew: it reads them anew when it is started."""
SEND_OUTCOMES: Final = "parley.send-outcomes.v1"
SENDS: Final = {lane: f"parley.sends.{lane}.v1" for lane in Lane}
ROUTER_DEAD_LETTERS: Final = "parley.router.dead-letters.v1"
PROJECTOR_DEAD_LETTERS: Final = "parley.projector.dead-letters.v1"
SENDER_DEAD_LETTERS: Final = "parley.sender.dead-letters.v1"

DEAD_LETTERS: Final = (ROUTER_DEAD_LETTERS, PROJECTOR_DEAD_LETTERS, SENDER_DEAD_LETTERS)
WEBHOOK_EVENTS: Final = (INBOUND_MESSAGES, MESSAGE_COPIES, MESSAGE_STATUSES, CONTACT_EVENTS, ACCOUNT_EVENTS)
"""What the router makes of webhooks."""
PROJECTOR_SOURCES: Final = (
    *WEBHOOK_EVENTS,
    CONSENT_RECORDS,
    SEND_OUTCOMES,
    ROUTER_DEAD_LETTERS,
    SENDER_DEAD_LETTERS,
)
"""What the read models are made of. The projector's own dead letters are written in its transaction instead."""
ROUTER_SOURCES: Final = (WEBHOOKS, SEND_COMMANDS)
FOREIGN: Final = (CONSENT_RECORDS, SEND_COMMANDS)
"""Written by producers, who may do so in transactions: only in these topics may offsets have gaps."""
SENDER_SOURCES: Final = tuple(SENDS.values())
ALL: Final = (
    WEBHOOKS,
    *WEBHOOK_EVENTS,
    CONSENT_RECORDS,
    SEND_COMMANDS,
    PARKED_COMMANDS,
    *SENDS.values(),
    SEND_OUTCOMES,
    *DEAD_LETTERS,
)
