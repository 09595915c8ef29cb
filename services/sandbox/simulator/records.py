"""What did the simulator see and do: one arrival, one update, one webhook, one answer?"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

JsonObject = dict[str, object]

Decision = Literal[
    "accepted",
    "refused",
    "read_receipt",
    "dropped_before",
    "dropped_after",
    "hung",
    "garbage",
    "odd_before",
    "odd_after",
    "false_error",
]
Signature = Literal["good", "bad", "none", "sha1"]
State = Literal["pending", "delivered", "given_up"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One instant on two clocks: epoch milliseconds for people, monotonic seconds for arithmetic."""

    epoch_ms: float
    monotonic: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One request at the Graph endpoint, stamped when its bytes were read from the socket.

    `wamid` is set exactly when the message was accepted, whatever became of the answer.
    """

    seq: int
    read_at: float
    read_monotonic: float
    phone_number_id: str
    recipient: str | None
    opaque: str | None
    type: str | None
    decision: Decision
    wamid: str | None = None
    code: int | None = None
    http_status: int | None = None
    rule: int | None = None
    edge: str = "messages"
    """The last part of the path: messages or marketing_messages."""

    @property
    def is_accepted(self) -> bool:
        """True when the message was taken, whatever the client was told."""
        return self.wamid is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """Media that was taken, for one number. `uploaded_at` in seconds since the epoch."""

    id: str
    phone_number_id: str
    mime_type: str
    size: int
    sha256: str
    uploaded_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """One element of a webhook that is not on its way yet: an inbound message or a status."""

    id: int
    waba_id: str
    kind: Literal["message", "status"]
    wamid: str
    status: str | None
    due_at: float
    value: JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class What:
    """What one webhook carries, without its content."""

    kind: Literal["message", "status", "raw"]
    wamid: str | None = None
    status: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back for one POST: an HTTP status, or none when there was no answer at all."""

    status: int | None
    at: float
    after_seconds: float


@dataclass(slots=True, kw_only=True)
class Webhook:
    """One POST body and its fate. The bytes never change; they are let go some time after the end."""

    id: int
    created_at: float
    what: tuple[What, ...]
    body: bytes | None
    sha256: str
    size: int
    signature: Signature = "good"
    retries: bool = True
    posts_left: int = 1
    answers: list[Answer] = field(default_factory=list)
    state: State = "pending"
    failures: int = 0

    def view(self) -> WebhookView:
        """The record as the control API shows it."""
        return WebhookView(
            id=self.id,
            created_at=self.created_at,
            what=self.what,
            sha256=self.sha256,
            size=self.size,
            signature=self.signature,
            attempts=len(self.answers),
            answers=tuple(self.answers),
            state=self.state,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookView:
    """A webhook as seen from outside."""

    id: int
    created_at: float
    what: tuple[What, ...]
    sha256: str
    size: int
    signature: Signature
    attempts: int
    answers: tuple[Answer, ...]
    state: State


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberSummary:
    """One number's traffic: the worst sliding second counts inbound messages, too, as Meta does."""

    arrivals: int
    accepted: int
    inbound: int
    worst_second_arrivals: int
    worst_second_accepted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Totals since start or reset. Totals are exact even when old records were forgotten."""

    requests: int
    accepted: int
    decisions: dict[str, int]
    codes: dict[str, int]
    inbound: int
    double_accepts: dict[str, int]
    accepted_without_opaque: int
    webhooks: int
    webhook_posts: int
    webhook_states: dict[str, int]
    webhook_answers: dict[str, int]
    webhooks_posted_twice: int
    updates: dict[str, int]
    forgotten: int
    numbers: dict[str, NumberSummary]


@dataclass(slots=True, kw_only=True)
class Tally:
    """The counters behind a summary."""

    decisions: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    opaque: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    updates: Counter[str] = field(default_factory=Counter)
    accepted: int = 0
    unmarked: int = 0
    posted_twice: int = 0
    forgotten: int = 0
