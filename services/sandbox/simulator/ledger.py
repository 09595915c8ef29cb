"""What happened, exactly: every request, every inbound message, every webhook and its answers?"""

from __future__ import annotations

import dataclasses
import hashlib
from array import array
from collections.abc import Iterable
from typing import TypeVar

from pydantic import TypeAdapter

from services.sandbox.simulator.journal import Journal
from services.sandbox.simulator.policy import worst_second
from services.sandbox.simulator.records import (
    Answer,
    Arrival,
    Decision,
    JsonObject,
    Moment,
    NumberSummary,
    Signature,
    State,
    Summary,
    Tally,
    Update,
    Webhook,
    What,
)

_BODIES_KEPT = 2_000
_ARRIVAL = TypeAdapter(Arrival)
_UPDATE = TypeAdapter(Update)
_ANSWER = TypeAdapter(Answer)
_WHAT = TypeAdapter(tuple[What, ...])
_R = TypeVar("_R", Arrival, Webhook)


@dataclasses.dataclass(slots=True)
class _Stamps:
    """When things reached one number, in monotonic seconds, eight bytes each."""

    arrivals: array[float] = dataclasses.field(default_factory=lambda: array("d"))
    accepted: array[float] = dataclasses.field(default_factory=lambda: array("d"))
    inbound: array[float] = dataclasses.field(default_factory=lambda: array("d"))

    def summary(self) -> NumberSummary:
        return NumberSummary(
            arrivals=len(self.arrivals),
            accepted=len(self.accepted),
            inbound=len(self.inbound),
            worst_second_arrivals=worst_second([*self.arrivals, *self.inbound]),
            worst_second_accepted=worst_second([*self.accepted, *self.inbound]),
        )


class Ledger:
    """The judge. A fact is in the journal before a client hears of it. Single records beyond `keep` are
    forgotten, oldest first; totals, double accepts and worst seconds stay exact for the whole run."""

    def __init__(self, journal: Journal, keep: int) -> None:
        self._journal = journal
        self._keep = keep
        self._clear()

    def _clear(self) -> None:
        self._arrivals: dict[int, Arrival] = {}
        self._webhooks: dict[int, Webhook] = {}
        self._stamps: dict[str, _Stamps] = {}
        self._bodies: dict[int, None] = {}
        self._inbound_wamids: set[str] = set()
        self._tally = Tally()
        self.last_seq = 0
        self.last_webhook = 0
        self.last_update = 0

    def reset(self) -> None:
        """Start over; the journal keeps the past but will not tell it again."""
        self._journal.append("reset", {})
        self._clear()

    def arrived(
        self,
        at: Moment,
        *,
        phone_number_id: str,
        recipient: str | None,
        opaque: str | None,
        message_type: str | None,
        decision: Decision,
        wamid: str | None = None,
        code: int | None = None,
        http_status: int | None = None,
        rule: int | None = None,
        edge: str = "messages",
    ) -> Arrival:
        """Record a request and what was decided, durably, before it is answered."""
        arrival = Arrival(
            seq=self.last_seq + 1,
            read_at=at.epoch_ms,
            read_monotonic=at.monotonic,
            phone_number_id=phone_number_id,
            recipient=recipient,
            opaque=opaque,
            type=message_type,
            decision=decision,
            wamid=wamid,
            code=code,
            http_status=http_status,
            rule=rule,
            edge=edge,
        )
        self._journal.append("request", arrival)
        self._count_arrival(arrival)
        return arrival

    def heard(self, fact: JsonObject, *, phone_number_id: str, monotonic: float, wamid: str) -> None:
        """Record an inbound message; `fact` is what a restart needs to know of it."""
        self._journal.append("inbound", {"phone_number_id": phone_number_id, "monotonic": monotonic, "wamid": wamid, **fact})
        self._count_inbound(phone_number_id, monotonic, wamid)

    def planned(self, update: Update) -> None:
        """Record an update that will leave in a webhook."""
        self._journal.append("update", update)
        self.last_update = max(self.last_update, update.id)
        self._tally.updates[update.status or update.kind] += 1

    def composed(
        self,
        body: bytes,
        what: Iterable[What],
        *,
        created_at: float,
        updates: Iterable[int] = (),
        signature: Signature = "good",
        retries: bool = True,
        posts: int = 1,
    ) -> Webhook:
        """Record a webhook with its bytes, before the first POST."""
        webhook = Webhook(
            id=self.last_webhook + 1,
            created_at=created_at,
            what=tuple(what),
            body=body,
            sha256=hashlib.sha256(body).hexdigest(),
            size=len(body),
            signature=signature,
            retries=retries,
            posts_left=posts,
        )
        fact: JsonObject = {
            "id": webhook.id,
            "created_at": created_at,
            "what": [dataclasses.asdict(one) for one in webhook.what],
            "body": body.decode("latin-1"),
            "signature": signature,
            "retries": retries,
            "posts": posts,
            "updates": list(updates),
        }
        self._journal.append("webhook", fact)
        self._count_webhook(webhook)
        return webhook

    def answered(self, webhook: Webhook, answer: Answer) -> None:
        """Record what came back for one POST."""
        self._journal.append("answer", {"webhook": webhook.id, **dataclasses.asdict(answer)})
        self._count_answer(webhook, answer)

    def settled(self, webhook: Webhook, state: State) -> None:
        """Record that no further POST of this webhook is due."""
        self._journal.append("settled", {"webhook": webhook.id, "state": state})
        self._count_settled(webhook, state)

    def is_inbound(self, wamid: str) -> bool:
        """True for a message some customer wrote."""
        return wamid in self._inbound_wamids

    def requests(self, after: int, limit: int) -> list[Arrival]:
        """Up to `limit` requests with a sequence number above `after`."""
        return _page(self._arrivals, after, limit, self.last_seq)

    def webhooks(self, after: int, limit: int) -> list[Webhook]:
        """Up to `limit` webhooks with an id above `after`."""
        return _page(self._webhooks, after, limit, self.last_webhook)

    def webhook(self, webhook_id: int) -> Webhook | None:
        """One webhook, unless it was forgotten."""
        return self._webhooks.get(webhook_id)

    def summary(self) -> Summary:
        """Totals of the whole run."""
        tally = self._tally
        return Summary(
            requests=self.last_seq,
            accepted=tally.accepted,
            decisions=dict(tally.decisions),
            codes=dict(tally.codes),
            inbound=len(self._inbound_wamids),
            double_accepts={opaque: times for opaque, times in tally.opaque.items() if times > 1},
            accepted_without_opaque=tally.unmarked,
            webhooks=self.last_webhook,
            webhook_posts=tally.answers.total(),
            webhook_states={state: count for state, count in tally.states.items() if count},
            webhook_answers=dict(tally.answers),
            webhooks_posted_twice=tally.posted_twice,
            updates=dict(tally.updates),
            forgotten=tally.forgotten,
            numbers={number: stamps.summary() for number, stamps in self._stamps.items()},
        )

    def restore(self, facts: Iterable[JsonObject]) -> tuple[list[JsonObject], list[Update]]:
        """Take the facts of an earlier life back in; pending webhooks are pending again, with the same bytes.

        Returns what others must take up: its inbound messages and the updates that had not left."""
        inbound: list[JsonObject] = []
        updates: dict[int, Update] = {}
        for fact in facts:
            kind = fact.pop("fact")
            if kind == "request":
                self._count_arrival(_ARRIVAL.validate_python(fact))
            elif kind == "inbound":
                inbound.append(fact)
                self._count_inbound(*_inbound_facts(fact))
            elif kind == "update":
                update = _UPDATE.validate_python(fact)
                updates[update.id] = update
                self.last_update = max(self.last_update, update.id)
                self._tally.updates[update.status or update.kind] += 1
            else:
                self._restore_webhook(str(kind), fact, updates)
        return inbound, list(updates.values())

    def pending(self) -> list[Webhook]:
        """Webhooks with a POST still due."""
        return [webhook for webhook in self._webhooks.values() if webhook.state == "pending"]

    def _restore_webhook(self, kind: str, fact: JsonObject, updates: dict[int, Update]) -> None:
        if kind == "webhook":
            webhook, carried = _webhook_of(fact)
            for update_id in carried:
                updates.pop(update_id, None)
            self._count_webhook(webhook)
            return
        known = self._webhooks.get(_ID.validate_python(fact.pop("webhook")))
        if known is None:
            return
        if kind == "answer":
            self._count_answer(known, _ANSWER.validate_python(fact))
        elif kind == "settled":
            self._count_settled(known, _STATE.validate_python(fact["state"]))

    def _count_arrival(self, arrival: Arrival) -> None:
        self.last_seq = arrival.seq
        self._arrivals[arrival.seq] = arrival
        self._tally.forgotten += _forget(self._arrivals, self._keep)
        self._tally.decisions[arrival.decision] += 1
        if arrival.code is not None:
            self._tally.codes[str(arrival.code)] += 1
        if arrival.decision == "read_receipt":
            return
        stamps = self._stamps.setdefault(arrival.phone_number_id, _Stamps())
        stamps.arrivals.append(arrival.read_monotonic)
        if arrival.is_accepted:
            stamps.accepted.append(arrival.read_monotonic)
            self._tally.accepted += 1
            if arrival.opaque is None:
                self._tally.unmarked += 1
            else:
                self._tally.opaque[arrival.opaque] += 1

    def _count_inbound(self, phone_number_id: str, monotonic: float, wamid: str) -> None:
        self._stamps.setdefault(phone_number_id, _Stamps()).inbound.append(monotonic)
        self._inbound_wamids.add(wamid)

    def _count_webhook(self, webhook: Webhook) -> None:
        self.last_webhook = webhook.id
        self._webhooks[webhook.id] = webhook
        self._tally.states[webhook.state] += 1
        self._tally.forgotten += _forget(self._webhooks, self._keep)

    def _count_answer(self, webhook: Webhook, answer: Answer) -> None:
        webhook.answers.append(answer)
        self._tally.answers[str(answer.status or "none")] += 1
        if len(webhook.answers) == 2:
            self._tally.posted_twice += 1
        if answer.status == 200:
            webhook.posts_left -= 1
            webhook.failures = 0
        else:
            webhook.failures += 1

    def _count_settled(self, webhook: Webhook, state: State) -> None:
        self._tally.states[webhook.state] -= 1
        self._tally.states[state] += 1
        webhook.state = state
        self._bodies[webhook.id] = None
        if len(self._bodies) > _BODIES_KEPT:
            oldest = next(iter(self._bodies))
            del self._bodies[oldest]
            forgotten = self._webhooks.get(oldest)
            if forgotten is not None and forgotten.state != "pending":
                forgotten.body = None

    def reopened(self, webhook: Webhook, posts: int) -> None:
        """A webhook is posted again on request."""
        self._tally.states[webhook.state] -= 1
        self._tally.states["pending"] += 1
        webhook.state = "pending"
        webhook.posts_left = posts


_ID = TypeAdapter(int)
_STATE: TypeAdapter[State] = TypeAdapter(State)
_INBOUND = TypeAdapter(tuple[str, float, str])


def _inbound_facts(fact: JsonObject) -> tuple[str, float, str]:
    return _INBOUND.validate_python((fact["phone_number_id"], fact["monotonic"], fact["wamid"]))


def _webhook_of(fact: JsonObject) -> tuple[Webhook, list[int]]:
    """The webhook of a journal line, and the ids of the updates it carries."""
    stored = _STORED.validate_python(fact)
    body = stored.body.encode("latin-1")
    webhook = Webhook(
        id=stored.id,
        created_at=stored.created_at,
        what=stored.what,
        body=body,
        sha256=hashlib.sha256(body).hexdigest(),
        size=len(body),
        signature=stored.signature,
        retries=stored.retries,
        posts_left=stored.posts,
    )
    return webhook, stored.updates


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    """A webhook as the journal has it."""

    id: int
    created_at: float
    what: tuple[What, ...]
    body: str
    signature: Signature
    retries: bool
    posts: int
    updates: list[int]


_STORED = TypeAdapter(_Stored)


def _page(records: dict[int, _R], after: int, limit: int, last: int) -> list[_R]:
    first = max(after + 1, next(iter(records), last + 1))
    return [records[number] for number in range(first, min(last, first + limit - 1) + 1)]


def _forget(records: dict[int, _R], keep: int) -> int:
    """Drop the oldest record beyond `keep`; returns how many went."""
    if len(records) <= keep:
        return 0
    del records[next(iter(records))]
    return 1
