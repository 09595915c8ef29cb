"""What happens in the demo, and when? A script of customers, producers and troubles; the same seed gives the same script."""

from __future__ import annotations

import base64
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal
from uuid import UUID

import orjson

from services.common.domain.lanes import Lane
from services.common.domain.records import SendMessage
from services.sandbox.demo import people as words
from services.sandbox.demo.business import HELP, NUMBERS, OFFERS, SHOP, WABA_ID, BusinessNumber
from services.sandbox.demo.people import Person
from services.sandbox.simulator.records import Signature
from services.sandbox.simulator.rules import DropAfter, Error

Form = Literal["json", "avro"]
FULL_SECONDS: Final = 60.0
DAY_SECONDS: Final = 86_400.0
PEOPLE: Final = 260
FICKLE: Final = 16
"""So many of them change their mind about marketing; nothing else is written to them, so every refusal has its cause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A send-command as a producer will publish it, and what our gate has to say to it if it has to say no."""

    command: SendMessage
    form: Form
    key: bytes | None
    must_refuse: str | None = None
    expires_in_seconds: float | None = None
    copies: int = 1
    raw: bytes | None = None
    """Bytes that are no command, instead of one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """A customer writes. `reply` is published by a bot that reads the message from Kafka.

    `afterwards` is published by somebody else when Postgres shows the message as evidence of consent: a STOP counts from then on.
    `then` is said at its own time, but not before `afterwards` has its outcome.
    """

    at: float
    person: Person
    phone_number_id: str
    wamid: str
    text: str | None = None
    button: str | None = None
    payload: str | None = None
    context_wamid: str | None = None
    age_seconds: float = 0.0
    reply: Planned | None = None
    afterwards: Planned | None = None
    then: Say | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish:
    """Producers publish."""

    at: float
    planned: tuple[Planned, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """A service is killed with SIGKILL."""

    at: float
    service: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Misbehave:
    """Meta behaves badly towards one number for a while or for some requests."""

    at: float
    action: Error | DropAfter
    label: str
    phone_number_id: str
    times: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatWebhooks:
    """Meta posts the last finished webhooks again, byte for byte."""

    at: float
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """Somebody posts a webhook that is no ordinary one."""

    at: float
    label: str
    body: str
    signature: Signature = "good"


Step = Say | Publish | Kill | Misbehave | RepeatWebhooks | Post


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """A customer agreed to marketing somewhere else, before the demo."""

    consent_id: str
    person: Person
    phone_number_id: str
    form: Form


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """All of it. `answers`: what a customer says when the message of a command has reached them."""

    seconds: float
    people: tuple[Person, ...]
    consents: tuple[Consent, ...]
    steps: tuple[Step, ...]
    answers: dict[str, Say] = field(default_factory=dict)


def write(*, seed: int, seconds: float) -> Script:
    """The script of a run of `seconds`; everything in it shrinks and grows with the time."""
    return _Writer(seed, seconds).script()


class _Writer:
    """One pass over one source of chance, in one order."""

    def __init__(self, seed: int, seconds: float) -> None:
        self._rng = random.Random(seed)
        self._seconds = seconds
        self._people = words.people(PEOPLE, self._rng)
        self._steps: list[Step] = []
        self._answers: dict[str, Say] = {}

    def script(self) -> Script:
        known, strangers = self._people[:-20], self._people[-20:]
        fickle, steady = known[:FICKLE], known[FICKLE:]
        consents = [self._consent(person, number.phone_number_id) for person in known for number in NUMBERS]
        self._conversations(steady)
        self._notices(steady)
        self._codes(steady)
        self._campaign(known, SHOP, start=0.16, count=240, at_once=60)
        self._campaign(known, OFFERS, start=0.30, count=400, at_once=400)
        self._stops_and_starts(fickle)
        self._refusals(strangers)
        self._oddities(steady)
        self._troubles()
        return Script(
            seconds=self._seconds,
            people=tuple(self._people),
            consents=tuple(consents),
            steps=tuple(sorted(self._steps, key=lambda step: step.at)),
            answers=self._answers,
        )

    def _scaled(self, count: int, least: int = 2) -> int:
        return max(least, math.ceil(count * self._seconds / FULL_SECONDS))

    def _at(self, first: float, last: float) -> float:
        """An instant between two shares of the whole time."""
        return round(self._seconds * self._rng.uniform(first, last), 3)

    def _id(self) -> str:
        return str(UUID(int=self._rng.getrandbits(128), version=4))

    def _wamid(self) -> str:
        return "wamid." + base64.b64encode(self._rng.randbytes(36)).decode()

    def _consent(self, person: Person, phone_number_id: str) -> Consent:
        return Consent(consent_id=self._id(), person=person, phone_number_id=phone_number_id, form=self._form())

    def _form(self) -> Form:
        return "json" if self._rng.random() < 0.4 else "avro"

    def _planned(
        self, person: Person, number: BusinessNumber, kind: str, content: object, lane: Lane, *, must_refuse: str | None = None
    ) -> Planned:
        """A command under any key: producers of different languages choose different ones, or none."""
        to = person.wa_id
        if person.alias is not None and kind == "template" and lane is not Lane.BULK and self._rng.random() < 0.5:
            to = person.alias
        command = SendMessage(
            command_id=self._id(),
            phone_number_id=number.phone_number_id,
            type=kind,
            content=orjson.dumps(content).decode(),
            to=None if to is None else f"+{to}",
            recipient=person.bsuid if to is None else None,
            lane=lane.value,
        )
        key = self._rng.choice((None, command.command_id.encode(), person.key.encode()))
        return Planned(command=command, form=self._form(), key=key, must_refuse=must_refuse)

    def _text(self, person: Person, number: BusinessNumber, body: str, *, must_refuse: str | None = None) -> Planned:
        return self._planned(person, number, "text", {"body": body}, Lane.TRANSACTIONAL, must_refuse=must_refuse)

    def _offer(self, person: Person, number: BusinessNumber, *, must_refuse: str | None = None) -> Planned:
        return self._template(person, number, "spring_offer", [person.name.split()[0]], Lane.BULK, must_refuse=must_refuse)

    def _template(
        self,
        person: Person,
        number: BusinessNumber,
        name: str,
        texts: Sequence[str],
        lane: Lane,
        *,
        must_refuse: str | None = None,
    ) -> Planned:
        components: list[object] = [{"type": "body", "parameters": [{"type": "text", "text": text} for text in texts]}]
        if name == "login_code":
            button = {"type": "button", "sub_type": "url", "index": "0", "parameters": [{"type": "text", "text": texts[0]}]}
            components.append(button)
        content = {"name": name, "language": {"code": person.language}, "components": components}
        return self._planned(person, number, "template", content, lane, must_refuse=must_refuse)

    def _conversations(self, known: Sequence[Person]) -> None:
        """Customers write; a bot answers three of four while the window is open."""
        for _ in range(self._scaled(220)):
            person, number = self._rng.choice(known), self._rng.choices(NUMBERS, (5, 4, 1))[0]
            language = person.language
            reply = self._text(person, number, self._rng.choice(words.REPLIES[language])) if self._rng.random() < 0.75 else None
            text = self._rng.choice(words.QUESTIONS[language])
            self._say(self._at(0.01, 0.9), person, number, text=text, reply=reply)

    def _say(self, at: float, person: Person, number: BusinessNumber, *, text: str, reply: Planned | None = None) -> None:
        self._steps.append(self._said(at, person, number, text=text, reply=reply))

    def _said(self, at: float, person: Person, number: BusinessNumber, *, text: str, reply: Planned | None = None) -> Say:
        wamid = self._wamid()
        return Say(at=round(at, 3), person=person, phone_number_id=number.phone_number_id, wamid=wamid, text=text, reply=reply)

    def _notices(self, known: Sequence[Person]) -> None:
        """Order updates outside the window; some customers answer them, some tap the button."""
        for _ in range(self._scaled(130)):
            person, number = self._rng.choice(known), self._rng.choice((SHOP, HELP))
            order = f"#{self._rng.randrange(10_000, 99_999)}"
            planned = self._template(person, number, "order_update", [person.name.split()[0], order], Lane.TRANSACTIONAL)
            self._publish(self._at(0.02, 0.85), planned)
            if self._rng.random() < 0.3:
                self._answers[planned.command.command_id] = self._answer(person, number)

    def _answer(self, person: Person, number: BusinessNumber) -> Say:
        """In words, or by a quick reply that says how content they are."""
        is_tap = self._rng.random() < 0.5
        ratings = words.RATINGS[person.language]
        score = self._rng.choices(list(ratings), (6, 3, 1))[0]
        return Say(
            at=round(self._rng.uniform(0.5, 3.0), 3),
            person=person,
            phone_number_id=number.phone_number_id,
            wamid=self._wamid(),
            text=None if is_tap else self._rng.choice(words.THANKS[person.language]),
            button=ratings[score] if is_tap else None,
            payload=f"parley.csat.delivery.{score}" if is_tap else None,
        )

    def _codes(self, known: Sequence[Person]) -> None:
        """One-time codes, which nothing may hold up."""
        for _ in range(self._scaled(40)):
            # Meta takes codes for phone numbers alone.
            person = self._rng.choice([one for one in known if one.wa_id is not None])
            code = f"{self._rng.randrange(10**6):06}"
            self._publish(
                self._at(0.02, 0.85), self._template(person, self._rng.choice((SHOP, HELP)), "login_code", [code], Lane.OTP)
            )

    def _campaign(self, known: Sequence[Person], number: BusinessNumber, *, start: float, count: int, at_once: int) -> None:
        """Marketing to people who agreed, published far above the number's limit."""
        chosen = [known[nth % len(known)] for nth in range(self._scaled(count))]
        offers = [self._offer(person, number) for person in chosen]
        for first in range(0, len(offers), at_once):
            at = round(self._seconds * start + first / at_once * 0.25, 3)
            self._steps.append(Publish(at=at, planned=tuple(offers[first : first + at_once])))

    def _stops_and_starts(self, fickle: Sequence[Person]) -> None:
        """People say STOP: marketing is refused, until they say START."""
        for person in fickle[: self._scaled(14, 3)]:
            at, language = self._at(0.12, 0.35), person.language
            start = self._said(
                at + self._seconds * 0.35, person, HELP, text=words.START[language], reply=self._offer(person, HELP)
            )
            stop = self._said(at, person, HELP, text=words.STOP[language])
            self._steps.append(replace(stop, afterwards=self._offer(person, HELP, must_refuse="opted_out"), then=start))

    def _refusals(self, strangers: Sequence[Person]) -> None:
        """What the gate has to stop: no window, an old window, no consent, too late."""
        for nth in range(self._scaled(8, 2)):
            person = strangers[nth % 5]
            self._publish(self._at(0.1, 0.8), self._text(person, SHOP, "Hello?", must_refuse="window_closed"))
        for nth in range(self._scaled(6, 2)):
            person = strangers[5 + nth % 5]
            late = self._text(person, HELP, "Sorry for the delay!", must_refuse="window_closed")
            question = words.QUESTIONS[person.language][0]
            said = self._said(self._at(0.1, 0.8), person, HELP, text=question, reply=late)
            self._steps.append(replace(said, age_seconds=DAY_SECONDS + 3600))
        for nth in range(self._scaled(8, 2)):
            person = strangers[10 + nth % 5]
            self._publish(self._at(0.1, 0.8), self._offer(person, SHOP, must_refuse="no_consent"))
        for nth in range(self._scaled(6, 2)):
            person = strangers[15 + nth % 5]
            planned = self._template(person, HELP, "order_update", ["x", "#1"], Lane.TRANSACTIONAL, must_refuse="expired")
            self._publish(self._at(0.1, 0.8), replace(planned, expires_in_seconds=-5.0))

    def _oddities(self, known: Sequence[Person]) -> None:
        """Repeated commands, one id with two contents, a template Meta does not know, and bytes that are no command."""
        for person in self._rng.sample(known, self._scaled(10, 3)):
            planned = self._template(person, SHOP, "order_update", ["x", "#2"], Lane.TRANSACTIONAL)
            self._publish(self._at(0.1, 0.8), replace(planned, copies=3))
        person = self._rng.choice(known)
        first = self._template(person, SHOP, "order_update", ["x", "#3"], Lane.TRANSACTIONAL)
        other = replace(first, command=replace(first.command, content=first.command.content.replace("#3", "#4")))
        self._publish(self._seconds * 0.3, first)
        self._publish(self._seconds * 0.5, other)
        for _ in range(2):
            person = self._rng.choice(known)
            unknown = self._template(person, SHOP, "no_such_template", ["x"], Lane.TRANSACTIONAL, must_refuse="template")
            self._publish(self._at(0.2, 0.7), unknown)
            broken = self._text(self._rng.choice(known), SHOP, "x")
            self._publish(self._at(0.2, 0.7), replace(broken, form="json", raw=b'{"command_id": "not one",'))

    def _publish(self, at: float, planned: Planned) -> None:
        self._steps.append(Publish(at=at, planned=(planned,)))

    def _troubles(self) -> None:
        """What goes wrong around us. The sender dies twice in the middle of the burst above a number's limit."""
        share = self._seconds
        throttled, broken = Error(code=130429), Error(code=131000, http_status=500)
        self._steps += [
            Misbehave(at=share * 0.18, action=throttled, label="429 for 2 s", phone_number_id=SHOP.phone_number_id, seconds=2.0),
            Misbehave(at=share * 0.25, action=DropAfter(), label="3 answers lost", phone_number_id=HELP.phone_number_id, times=3),
            Misbehave(at=share * 0.28, action=broken, label="2 × HTTP 500", phone_number_id=SHOP.phone_number_id, times=2),
            Kill(at=share * 0.38, service="sender"),
            Kill(at=share * 0.50, service="sender"),
            Kill(at=share * 0.60, service="router"),
            Kill(at=share * 0.68, service="projector"),
            RepeatWebhooks(at=share * 0.78, count=self._scaled(120, 20)),
            Post(at=share * 0.40, label="template paused", body=_template_paused(WABA_ID)),
            Post(at=share * 0.45, label="broken webhook", body='{"object": "whatsapp_business_account", "entry": 1}'),
            Post(at=share * 0.47, label="forged webhook", body=_template_paused(WABA_ID + "0"), signature="bad"),
        ]


def _template_paused(waba_id: str) -> str:
    value = {"event": "PAUSED", "message_template_id": 1, "message_template_name": "old_offer", "message_template_language": "es"}
    change = {"field": "message_template_status_update", "value": value}
    entry = {"id": waba_id, "time": 1_790_000_000, "changes": [change]}
    return orjson.dumps({"object": "whatsapp_business_account", "entry": [entry]}).decode()
