"""Does Meta take this message? The numbers, templates, people and limits a decision needs, in one place."""

from __future__ import annotations

from dataclasses import dataclass, field

from services.sandbox.simulator import accounts, policy
from services.sandbox.simulator.config import Account, Behaviour, Customer, Group, Number, Template, World
from services.sandbox.simulator.errors import (
    GROUP_UNKNOWN,
    MAINTENANCE,
    PAIR_RATE,
    SENDER_IS_RECIPIENT,
    SPAM_LIMIT,
    TEMPLATE_UNKNOWN,
    THROUGHPUT,
    TYPE_UNSUPPORTED,
    WINDOW_CLOSED,
    Refusal,
)
from services.sandbox.simulator.records import JsonObject, Moment

_GROUP_TYPES = ("text", "template", "image", "video", "audio", "document", "sticker")
_OVER_LIMIT = Refusal(code=SPAM_LIMIT, details="Message failed to send because the messaging limit is reached.")
_DIRECT = ("utility", "authentication")
"""Direct Send: a message that is no template and needs no window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """A message that was taken: for whom, in which price category, and whether the window or another reason fails it later."""

    people: tuple[Customer, ...]
    entered: str
    category: str
    is_window_closed: bool
    group_id: str | None = None
    fails_with: Refusal | None = None


@dataclass(slots=True)
class People:
    """Everyone who has a WhatsApp account, known by what they may be called."""

    _by_name: dict[str, Customer] = field(default_factory=dict)

    def put(self, customer: Customer) -> None:
        """Know a person by wa_id, BSUID and every number that leads to them."""
        for name in (customer.wa_id, customer.bsuid, *(_digits(alias) for alias in customer.aliases)):
            if name:
                self._by_name[name] = customer

    def find(self, name: str) -> Customer:
        """The person behind a phone number or BSUID; strangers exist, too."""
        if "." in name:
            return self._by_name.get(name) or Customer(bsuid=name)
        digits = _digits(name)
        return self._by_name.get(digits) or Customer(wa_id=digits)

    def speaking(self, name: str, called: str | None, bsuid: str | None) -> Customer:
        """The person who writes, remembered with the name and BSUID they come with."""
        known = self.find(name)
        news = {key: value for key, value in (("name", called), ("bsuid", bsuid)) if value is not None}
        customer = known.model_copy(update=news)
        self.put(customer)
        return customer


class Exchange:
    """Enforces Meta's rules by its own records. Limits count what passes; a refused message costs nothing."""

    def __init__(self, world: World, behaviour: Behaviour) -> None:
        self._world = world
        self._first_behaviour = behaviour
        self.reset()

    def reset(self) -> None:
        """Forget all traffic and everything that was added or changed since the start."""
        self.behaviour = self._first_behaviour
        self.numbers = {number.phone_number_id: number for number in self._world.numbers}
        self.templates: dict[tuple[str, str, str], Template] = {}
        self.accounts: dict[str, Account] = {}
        self.in_maintenance: dict[str, float] = {}
        self.people = People()
        self.groups = {group.group_id: group for group in self._world.groups}
        self.windows = policy.Windows()
        self._seconds: dict[str, policy.SlidingSecond] = {}
        self._pairs = policy.PairLimit()
        self._begun = policy.MessagingLimit()
        for template in self._world.templates:
            self.put_template(template)
        for customer in self._world.customers:
            self.people.put(customer)

    def put_template(self, template: Template) -> None:
        """Add a template or replace the one of the same name and language."""
        self.templates[(template.waba_id, template.name, template.language)] = template

    def account(self, waba_id: str) -> Account:
        """An account as it is; one that nobody has changed is in order."""
        return self.accounts.get(waba_id) or Account(waba_id=waba_id)

    def heard(
        self, number: Number, customer: Customer, *, spoke_at: float, monotonic: float, opens: bool, group_id: str | None = None
    ) -> None:
        """A customer wrote: it counts against the number's throughput and opens the window, in a group that of the group."""
        self._second(number).count(monotonic)
        if opens:
            self.windows.spoke((number.phone_number_id, group_id or customer.key), spoke_at)

    def decide(self, number: Number, body: JsonObject, at: Moment) -> Acceptance | Refusal:
        """Take a well-formed message or say no: by account and number, its rate, recipient, content, pair's rate."""
        stopped = self._stopped(number, body, at)
        if stopped is not None:
            return stopped
        if self.behaviour.throughput_limit and not self._second(number).admits(at.monotonic, number.messages_per_second):
            return Refusal(code=THROUGHPUT, details="Message failed to send because there were too many messages sent.")
        entered = str(body.get("to") or body.get("recipient"))
        group = self.groups.get(entered) if body.get("recipient_type") == "group" else None
        refusal, people = self._addressed(number, group, body, entered)
        if refusal is not None:
            return refusal
        pair = (number.phone_number_id, people[0].key if group is None else group.group_id)
        judged = self._judge_content(number, pair, body, at)
        if isinstance(judged, Refusal):
            return judged
        if self.behaviour.pair_limit and not self._pairs.admits(pair, at.monotonic, self._pair_policy()):
            details = "Too many messages sent from this phone number to the same recipient in a short time."
            return Refusal(code=PAIR_RATE, details=details)
        category, is_window_closed = judged
        over_limit = _OVER_LIMIT if group is None and self._is_over_limit(number, people[0], category, at) else None
        return Acceptance(
            people=people,
            entered=entered,
            category=category,
            is_window_closed=is_window_closed,
            fails_with=accounts.fail(self.account(number.waba_id)) or over_limit,
            group_id=None if group is None else group.group_id,
        )

    def _is_over_limit(self, number: Number, customer: Customer, category: str, at: Moment) -> bool:
        limit, now = self.behaviour.messaging_limit, at.epoch_ms / 1000.0
        if limit is None or category == "service" or self.windows.is_open((number.phone_number_id, customer.key), now):
            return False
        return not self._begun.admits(customer.key, now, limit)

    def _addressed(
        self, number: Number, group: Group | None, body: JsonObject, entered: str
    ) -> tuple[Refusal | None, tuple[Customer, ...]]:
        """Whom it goes to, or why it goes to nobody."""
        if body.get("recipient_type") != "group":
            customer = self.people.find(entered)
            if customer.wa_id is not None and customer.wa_id == _digits(number.display_phone_number):
                return Refusal(code=SENDER_IS_RECIPIENT, details="Recipient phone number is the sender."), ()
            return None, (customer,)
        if group is None:
            return Refusal(code=GROUP_UNKNOWN, details="Group is unknown."), ()
        if body.get("type") not in _GROUP_TYPES:
            return Refusal(code=TYPE_UNSUPPORTED, details="Message type is not supported in groups."), ()
        return None, tuple(self.people.find(name) for name in group.participants)

    def _judge_content(self, number: Number, pair: tuple[str, str], body: JsonObject, at: Moment) -> tuple[str, bool] | Refusal:
        """(price category, fails later on the window), or why the content may not go out."""
        content = body.get("template")
        if body.get("type") == "template" and isinstance(content, dict):
            language = content.get("language")
            code = str(language.get("code")) if isinstance(language, dict) else ""
            template = self.templates.get((number.waba_id, str(content.get("name")), code))
            if template is None:
                details = f"template name ({content.get('name')}) does not exist in {code}"
                return Refusal(code=TEMPLATE_UNKNOWN, details=details)
            return policy.refuse_template(template, content) or (template.category.lower(), False)
        if body.get("category") in _DIRECT:
            return str(body["category"]), False
        if self.behaviour.window == "off" or self.windows.is_open(pair, at.epoch_ms / 1000.0):
            return "service", False
        if self.behaviour.window == "async":
            return "service", True
        details = "Message failed to send because more than 24 hours have passed since the customer last replied."
        return Refusal(code=WINDOW_CLOSED, details=details)

    def _stopped(self, number: Number, body: JsonObject, at: Moment) -> Refusal | None:
        """Why nothing of this kind leaves the number now, if so."""
        if at.monotonic < self.in_maintenance.get(number.phone_number_id, 0.0):
            return Refusal(code=MAINTENANCE, details="The number is being upgraded.")
        return accounts.refuse(
            self.account(number.waba_id),
            is_template=body.get("type") == "template",
            category=self._category(number, body),
            now=at.epoch_ms / 1000.0,
        )

    def _category(self, number: Number, body: JsonObject) -> str | None:
        content = body.get("template")
        name = content.get("name") if isinstance(content, dict) else None
        found = (one for key, one in self.templates.items() if key[:2] == (number.waba_id, str(name)))
        return next((one.category for one in found), None)

    def _second(self, number: Number) -> policy.SlidingSecond:
        return self._seconds.setdefault(number.phone_number_id, policy.SlidingSecond())

    def _pair_policy(self) -> policy.PairPolicy:
        return policy.PairPolicy(interval_seconds=self.behaviour.pair_interval_seconds, burst=self.behaviour.pair_burst)


def _digits(name: str) -> str:
    return "".join(character for character in name if character.isdigit())
