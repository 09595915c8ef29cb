"""How do tests and people play Meta: customers who speak, misbehaviour, and what happened?"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Callable
from typing import Any, Literal, TypeVar

import orjson
from aiohttp import web
from pydantic import BaseModel, Field, ValidationError, model_validator

from services.sandbox.simulator import accounts
from services.sandbox.simulator.arrival import Handler, read_moment
from services.sandbox.simulator.config import Account, Customer, Described, Group, Number, Template
from services.sandbox.simulator.exchange import Exchange
from services.sandbox.simulator.graph import new_wamid
from services.sandbox.simulator.ledger import Ledger
from services.sandbox.simulator.media import MediaStore
from services.sandbox.simulator.payloads import encode, inbound_value
from services.sandbox.simulator.records import JsonObject, Moment, Signature, Update, What
from services.sandbox.simulator.rules import Rules, RuleSpec
from services.sandbox.simulator.templates import category_webhook, status_webhook
from services.sandbox.simulator.webhooks import Postbox, Settled

_OPENS_NO_WINDOW = ("system",)
_STATUS_OF = {"REINSTATED": "APPROVED", "UNARCHIVED": "APPROVED", "FLAGGED": "APPROVED"}
"""In which state a template is after an event of another name."""
_M = TypeVar("_M", bound=BaseModel)


class Inbound(Described):
    """What a customer says. `from` is a phone number or a BSUID; `timestamp` is in seconds (default: now)."""

    phone_number_id: str
    sender: str = Field(alias="from", min_length=3)
    text: str | None = None
    type: str = "text"
    object: Any = None
    name: str | None = None
    bsuid: str | None = None
    context_wamid: str | None = None
    timestamp: int | None = None
    wamid: str | None = None
    group_id: str | None = None
    extra: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _says_one_thing(self) -> Inbound:
        if (self.text is None) == (self.object is None):
            raise ValueError("give either text, or type and object")
        return self


class HandMade(Described):
    """A webhook of any content: `body` is written as Meta would, `raw` is sent as it stands."""

    body: Any = None
    raw: str | None = None
    signature: Signature = "good"
    repeat: int = Field(default=1, ge=1, le=10_000)
    retry: bool | None = None


class TemplateState(Described):
    """A template comes into another state (`event` in Meta's word) or gets another category; `tell` sends the webhook."""

    waba_id: str
    name: str
    language: str
    event: str | None = None
    title: str | None = None
    category: Literal["MARKETING", "UTILITY", "AUTHENTICATION"] | None = None
    tell: bool = True


class Again(Described):
    """How often a webhook is posted again."""

    times: int = Field(default=1, ge=1, le=10_000)


class Upgrade(Described):
    """How long a number that is upgraded answers that it is in maintenance."""

    seconds: float = Field(default=1.0, ge=0.0, le=60.0)


class Control:
    """The `/_sim` interface. It changes what Meta does, never what Meta recorded."""

    def __init__(self, *, exchange: Exchange, rules: Rules, ledger: Ledger, postbox: Postbox, media: MediaStore) -> None:
        self._exchange = exchange
        self._rules = rules
        self._ledger = ledger
        self._postbox = postbox
        self._media = media
        self._resets: list[Callable[[], None]] = [exchange.reset, rules.clear, postbox.reset, ledger.reset, media.reset]

    def routes(self) -> list[web.RouteDef]:
        """Every control call."""
        return [
            web.get("/_sim/health", self.health),
            web.delete("/_sim", self.reset),
            web.post("/_sim/inbound", self.inbound),
            web.get("/_sim/rules", self.list_rules),
            web.post("/_sim/rules", self.add_rule),
            web.delete("/_sim/rules", self.clear_rules),
            web.get("/_sim/numbers", self.list_numbers),
            web.post("/_sim/numbers", self.add_number),
            web.patch("/_sim/numbers/{phone_number_id}", self.change_number),
            web.post(r"/_sim/numbers/{phone_number_id:[^/]+}/upgrade", self.upgrade_number),
            web.post("/_sim/accounts", self.change_account),
            web.get("/_sim/templates", self.list_templates),
            web.post("/_sim/templates", self.add_template),
            web.patch("/_sim/templates", self.change_template),
            web.delete("/_sim/templates", self.remove_template),
            web.post("/_sim/customers", self.add_customer),
            web.post("/_sim/groups", self.add_group),
            web.get("/_sim/behaviour", self.show_behaviour),
            web.patch("/_sim/behaviour", self.change_behaviour),
            web.get("/_sim/requests", self.requests),
            web.get("/_sim/media", self.media),
            web.delete("/_sim/media/{id}", self.delete_media),
            web.get("/_sim/webhooks", self.webhooks),
            web.post("/_sim/webhooks", self.post_webhook),
            web.post(r"/_sim/webhooks/{id:\d+}/repeat", self.repeat_webhook),
            web.get("/_sim/summary", self.summary),
            web.get("/_sim/idle", self.idle),
            web.post("/_sim/quiesce", self.idle),
        ]

    async def health(self, _request: web.Request) -> web.Response:
        """Alive, and how much is on its way."""
        return _answer({"status": "ok", "open": self._postbox.open})

    async def reset(self, _request: web.Request) -> web.Response:
        """Back to the configured start: no traffic, no rules, no additions."""
        for forget in self._resets:
            forget()
        return _answer({})

    async def inbound(self, request: web.Request) -> web.Response:
        """A customer says something; with `?wait=1` the answer comes after the webhook was answered 200."""
        at = read_moment(request)
        said = await _read(request, Inbound)
        number = self._exchange.numbers.get(said.phone_number_id)
        if number is None:
            return _answer({"error": "unknown phone_number_id"}, 404)
        update = self._speak(number, said, at)
        settled = self._postbox.watch(update.id) if _flag(request, "wait") else None
        self._postbox.schedule(update, 0.0)
        return await self._told({"wamid": update.wamid}, settled, request)

    def _speak(self, number: Number, said: Inbound, at: Moment) -> Update:
        customer = self._exchange.people.speaking(said.sender, said.name, said.bsuid)
        wamid = said.wamid or new_wamid()
        timestamp = said.timestamp if said.timestamp is not None else int(at.epoch_ms / 1000.0)
        opens = said.type not in _OPENS_NO_WINDOW
        self._ledger.heard(
            {"customer": customer.model_dump(), "spoke_at": timestamp, "opens": opens, "group_id": said.group_id},
            phone_number_id=number.phone_number_id,
            monotonic=at.monotonic,
            wamid=wamid,
        )
        self._exchange.heard(number, customer, spoke_at=timestamp, monotonic=at.monotonic, opens=opens, group_id=said.group_id)
        value = inbound_value(
            number=number,
            customer=customer,
            wamid=wamid,
            timestamp=timestamp,
            message_type=said.type,
            content={"body": said.text} if said.text is not None else said.object,
            context_wamid=said.context_wamid,
            extra=said.extra if said.group_id is None else {"group_id": said.group_id, **said.extra},
        )
        update = Update(
            id=self._ledger.last_update + 1,
            waba_id=number.waba_id,
            kind="message",
            wamid=wamid,
            status=None,
            due_at=at.epoch_ms,
            value=value,
        )
        self._ledger.planned(update)
        return update

    async def list_rules(self, _request: web.Request) -> web.Response:
        """The rules in force."""
        return _answer({"rules": [rule.model_dump() for rule in self._rules.active(time.monotonic())]})

    async def add_rule(self, request: web.Request) -> web.Response:
        """Misbehave from now on."""
        spec = await _read(request, RuleSpec)
        return _answer(self._rules.add(spec, time.monotonic()).model_dump(), 201)

    async def clear_rules(self, _request: web.Request) -> web.Response:
        """Behave again."""
        self._rules.clear()
        return _answer({})

    async def list_numbers(self, _request: web.Request) -> web.Response:
        """The numbers, without their tokens."""
        numbers = self._exchange.numbers.values()
        return _answer({"numbers": [number.model_dump(exclude={"token"}) for number in numbers]})

    async def add_number(self, request: web.Request) -> web.Response:
        """Add a number or change one."""
        number = await _read(request, Number)
        self._exchange.numbers[number.phone_number_id] = number
        return _answer(number.model_dump(exclude={"token"}), 201)

    async def change_number(self, request: web.Request) -> web.Response:
        """Change some fields of a number from now on, such as its hidden throughput or its token; the rest stays."""
        number = self._exchange.numbers.get(request.match_info["phone_number_id"])
        if number is None:
            return _answer({"error": "unknown phone_number_id"}, 404)
        changed = number.changed(orjson.loads(await request.read()))
        self._exchange.numbers[number.phone_number_id] = changed
        return _answer(changed.model_dump(exclude={"token"}))

    async def upgrade_number(self, request: web.Request) -> web.Response:
        """Meta upgrades the throughput of a number: first it is in maintenance, and when it is done there is a webhook."""
        number = self._exchange.numbers.get(request.match_info["phone_number_id"])
        upgrade = await _read(request, Upgrade)
        if number is None:
            return _answer({"error": "unknown phone_number_id"}, 404)
        self._exchange.in_maintenance[number.phone_number_id] = time.monotonic() + upgrade.seconds
        number = number.model_copy(update={"throughput": accounts.UPGRADED})
        self._exchange.numbers[number.phone_number_id] = number
        self._tell(number.waba_id, "phone_number_quality_update", accounts.upgraded(number))
        return _answer(number.model_dump(exclude={"token"}), 202)

    async def change_account(self, request: web.Request) -> web.Response:
        """An account comes into trouble or out of it; what Meta tells of that is told, except with `?quiet=1`."""
        account = await _read(request, Account)
        before = self._exchange.account(account.waba_id)
        self._exchange.accounts[account.waba_id] = account
        for value in () if _flag(request, "quiet") else accounts.updates(before, account):
            self._tell(account.waba_id, "account_update", value)
        return _answer(account.model_dump(), 201)

    def _tell(self, waba_id: str, field: str, value: JsonObject) -> None:
        body = accounts.webhook(waba_id, field, value, at=int(time.time()))
        webhook = self._postbox.compose(encode(body), what=[What(kind="raw")], signature="good", retries=True, posts=1)
        self._postbox.post(webhook)

    async def list_templates(self, _request: web.Request) -> web.Response:
        """The templates of all accounts."""
        return _answer({"templates": [one.model_dump() for one in self._exchange.templates.values()]})

    async def add_template(self, request: web.Request) -> web.Response:
        """Add a template or change one."""
        template = await _read(request, Template)
        self._exchange.put_template(template)
        return _answer(template.model_dump(), 201)

    async def change_template(self, request: web.Request) -> web.Response:
        """Meta pauses, stops or resumes a template, or puts it into another category."""
        change = await _read(request, TemplateState)
        before = self._exchange.templates.get((change.waba_id, change.name, change.language))
        if before is None:
            return _answer({"error": "unknown template"}, 404)
        status = before.status if change.event is None else _STATUS_OF.get(change.event, change.event)
        after = before.model_copy(update={"status": status, "category": change.category or before.category})
        self._exchange.put_template(after)
        at = int(time.time())
        told = [] if change.event is None else [status_webhook(after, change.event, title=change.title, at=at)]
        if after.category != before.category:
            told.append(category_webhook(after, before.category, at=at))
        for body in told if change.tell else ():
            webhook = self._postbox.compose(encode(body), what=[What(kind="raw")], signature="good", retries=True, posts=1)
            self._postbox.post(webhook)
        return _answer(after.model_dump())

    async def remove_template(self, request: web.Request) -> web.Response:
        """Delete a template; tells nobody."""
        named = await _read(request, TemplateState)
        found = self._exchange.templates.pop((named.waba_id, named.name, named.language), None)
        return _answer({}) if found is not None else _answer({"error": "unknown template"}, 404)

    async def add_customer(self, request: web.Request) -> web.Response:
        """Add a person or change one."""
        customer = await _read(request, Customer)
        if not customer.key:
            return _answer({"error": "a customer needs a wa_id or a bsuid"}, 400)
        self._exchange.people.put(customer)
        return _answer(customer.model_dump(), 201)

    async def add_group(self, request: web.Request) -> web.Response:
        """Add a group or change who is in it."""
        group = await _read(request, Group)
        self._exchange.groups[group.group_id] = group
        return _answer(group.model_dump(), 201)

    async def show_behaviour(self, _request: web.Request) -> web.Response:
        """How Meta behaves now."""
        return _answer(self._exchange.behaviour.model_dump())

    async def change_behaviour(self, request: web.Request) -> web.Response:
        """Change some fields of the behaviour from now on."""
        changes = orjson.loads(await request.read())
        self._exchange.behaviour = self._exchange.behaviour.changed(changes)
        return await self.show_behaviour(request)

    async def requests(self, request: web.Request) -> web.Response:
        """The arrival log, oldest first, from after a sequence number."""
        after, limit = _number(request, "after", 0), _number(request, "limit", 1000)
        arrivals = [dataclasses.asdict(one) for one in self._ledger.requests(after, limit)]
        return _answer({"requests": arrivals, "last": self._ledger.last_seq})

    async def media(self, _request: web.Request) -> web.Response:
        """Every upload, oldest first."""
        return _answer({"media": [dataclasses.asdict(one) for one in self._media.all()]})

    async def delete_media(self, request: web.Request) -> web.Response:
        """Let an upload go."""
        if not self._media.delete(request.match_info["id"]):
            return _answer({"error": "unknown media id"}, 404)
        return _answer({})

    async def webhooks(self, request: web.Request) -> web.Response:
        """Every webhook with its answers, oldest first, from after an id."""
        after, limit = _number(request, "after", 0), _number(request, "limit", 1000)
        views = [dataclasses.asdict(one.view()) for one in self._ledger.webhooks(after, limit)]
        return _answer({"webhooks": views, "last": self._ledger.last_webhook})

    async def post_webhook(self, request: web.Request) -> web.Response:
        """Send anything, signed or not; badly signed ones are not retried unless asked for."""
        made = await _read(request, HandMade)
        webhook = self._postbox.compose(
            encode(made.body) if made.raw is None else made.raw.encode(),
            what=[What(kind="raw")],
            signature=made.signature,
            retries=made.signature == "good" if made.retry is None else made.retry,
            posts=made.repeat,
        )
        settled = self._postbox.post(webhook)
        return await self._told({"id": webhook.id}, settled if _flag(request, "wait") else None, request)

    async def repeat_webhook(self, request: web.Request) -> web.Response:
        """Post an earlier webhook again, byte for byte."""
        again = await _read(request, Again)
        webhook = self._ledger.webhook(int(request.match_info["id"]))
        if webhook is None or webhook.body is None or webhook.state == "pending":
            return _answer({"error": "no finished webhook of this id, or its bytes were let go"}, 404)
        self._ledger.reopened(webhook, again.times)
        settled = self._postbox.post(webhook)
        return await self._told({"id": webhook.id}, settled if _flag(request, "wait") else None, request)

    async def summary(self, _request: web.Request) -> web.Response:
        """Totals, double accepts and worst seconds of the whole run."""
        return _answer(dataclasses.asdict(self._ledger.summary()))

    async def idle(self, request: web.Request) -> web.Response:
        """Wait until nothing is on its way; `idle` is false when that took longer than `timeout` seconds."""
        timeout_seconds = _seconds(request, "timeout", 30.0)
        return _answer({"idle": await self._postbox.wait_idle(timeout_seconds), "open": self._postbox.open})

    async def _told(self, told: JsonObject, settled: Settled | None, request: web.Request) -> web.Response:
        """The answer, with the webhook's fate when someone waits for it."""
        if settled is None:
            return _answer(told, 202)
        done, _ = await asyncio.wait([settled], timeout=_seconds(request, "timeout", 30.0))
        if not done or settled.cancelled():
            return _answer({**told, "error": "not settled in time"}, 504)
        webhook = settled.result()
        return _answer({**told, "webhook": dataclasses.asdict(webhook.view())})


@web.middleware
async def explain_mistakes(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A control request that makes no sense is told every mistake, by field, without its values."""
    try:
        return await handler(request)
    except ValidationError as invalid:
        mistakes = [{"field": ".".join(map(str, one["loc"])), "mistake": one["msg"]} for one in invalid.errors()]
        return _answer({"error": "invalid request", "mistakes": mistakes}, 400)
    except orjson.JSONDecodeError:
        return _answer({"error": "the body is no JSON"}, 400)


async def _read(request: web.Request, model: type[_M]) -> _M:
    return model.model_validate_json(await request.read() or b"{}")


def _answer(body: JsonObject, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")


def _flag(request: web.Request, name: str) -> bool:
    return request.query.get(name, "") not in ("", "0", "false")


def _number(request: web.Request, name: str, default: int) -> int:
    return int(_seconds(request, name, default))


def _seconds(request: web.Request, name: str, default: float) -> float:
    """A number from the query; a mistake there is the caller's, told as such."""
    given = request.query.get(name)
    try:
        number = default if given is None else float(given)
    except ValueError:
        number = -1.0
    if not 0.0 <= number < float("inf"):
        raise web.HTTPBadRequest(text=f'{{"error": "{name} must be a number of at least 0"}}')
    return number
