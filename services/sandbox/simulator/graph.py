"""How does the Graph API answer sends by `messages` and `marketing_messages`, uploads, and reads of numbers and templates?"""

from __future__ import annotations

import asyncio
import base64
import random
import secrets
from typing import NamedTuple

from aiohttp import web

from services.sandbox.simulator import accounts
from services.sandbox.simulator.answers import json_answer, no, odd, reset
from services.sandbox.simulator.arrival import read_moment
from services.sandbox.simulator.config import Customer, Number
from services.sandbox.simulator.errors import (
    AUTH_MISSING,
    CURSOR_EXPIRED,
    INVALID_PARAMETER,
    NO_PERMISSION,
    TOKEN_INVALID,
    UNKNOWN_PATH,
    VALUE_NOT_VALID,
    Refusal,
    http_status,
)
from services.sandbox.simulator.exchange import Acceptance, Exchange
from services.sandbox.simulator.journey import Step, journey
from services.sandbox.simulator.ledger import Ledger
from services.sandbox.simulator.media import MediaStore, read_upload
from services.sandbox.simulator.message import Draft, read_draft, refuse_shape
from services.sandbox.simulator.misbehaviour import accepted_as, spoiled, takes_nothing
from services.sandbox.simulator.payloads import error, status_value, success
from services.sandbox.simulator.records import Decision, JsonObject, Moment, Update
from services.sandbox.simulator.rules import DropBefore, Error, Hang, OddAnswer, Rule, Rules, Statuses
from services.sandbox.simulator.templates import UnknownCursorError, page
from services.sandbox.simulator.webhooks import Postbox, Settled


def new_wamid() -> str:
    """An opaque message id in Meta's form, never the same twice."""
    return "wamid." + base64.b64encode(secrets.token_bytes(36)).decode("ascii")


class GraphEndpoint:
    """Decides each message and records the decision before it answers."""

    def __init__(
        self,
        *,
        exchange: Exchange,
        rules: Rules,
        ledger: Ledger,
        postbox: Postbox,
        media: MediaStore,
        chance: random.Random,
    ) -> None:
        self._exchange = exchange
        self._rules = rules
        self._ledger = ledger
        self._postbox = postbox
        self._media = media
        self._chance = chance

    def routes(self) -> list[web.RouteDef]:
        """The calls Meta has for sending, for media, about a number and about templates, in every version."""
        edge = "{edge:messages|marketing_messages}"
        return [
            web.post(r"/v{version:\d+\.\d+}/{phone_number_id:[^/]+}/" + edge, self.messages),
            web.post(r"/v{version:\d+\.\d+}/{phone_number_id:[^/]+}/media", self.media),
            web.get(r"/v{version:\d+\.\d+}/{phone_number_id:\d+}", self.number),
            web.get(r"/v{version:\d+\.\d+}/{waba_id:[^/]+}/message_templates", self.message_templates),
        ]

    async def media(self, request: web.Request) -> web.StreamResponse:
        """One upload. It is no message: it counts against no limit, and the ledger of messages does not have it."""
        phone_number_id = request.match_info["phone_number_id"]
        rule = self._rules.take(phone_number_id, None, read_moment(request).monotonic, endpoint="media")
        refusal = _refuse_caller(request, phone_number_id, self._exchange.numbers.get(phone_number_id))
        found = refusal or await read_upload(request)
        if rule is not None and isinstance(rule.action, Error):
            code = rule.action.code
            return no(Refusal(code=code, details=rule.action.details), rule.action.http_status or http_status(code))
        if rule is not None and isinstance(rule.action, DropBefore):
            return reset(request)
        if isinstance(found, Refusal):
            return await spoiled(request, no(found, http_status(found.code)), rule, self._chance)
        upload = self._media.put(phone_number_id, found.mime_type, found.size, found.sha256)
        return await spoiled(request, json_answer({"id": upload.id}, 200), rule, self._chance)

    async def number(self, request: web.Request) -> web.Response:
        """What Meta says of a number: its state, its throughput, whether it may send."""
        phone_number_id = request.match_info["phone_number_id"]
        number = self._exchange.numbers.get(phone_number_id)
        refusal = _refuse_caller(request, phone_number_id, number)
        if refusal is not None or number is None:
            asked = refusal or Refusal(code=INVALID_PARAMETER, details="Unsupported get request.", subcode=33)
            return no(asked, http_status(asked.code))
        fields = frozenset(request.query.get("fields", "display_phone_number").split(","))
        return json_answer({**accounts.described(number, self._exchange.account(number.waba_id), fields)}, 200)

    async def message_templates(self, request: web.Request) -> web.StreamResponse:
        """One page of an account's templates. A rule may spoil it; it counts against no limit of messages."""
        waba_id = request.match_info["waba_id"]
        numbers = [number for number in self._exchange.numbers.values() if number.waba_id == waba_id]
        rule = self._rules.take_for_list(read_moment(request).monotonic, is_next_page="after" in request.query)
        if rule is not None and takes_nothing(rule):
            return await _unlisted(request, rule)
        refusal = _refuse_caller(request, waba_id, numbers[0] if numbers else None)
        if refusal is not None and not any(_refuse_caller(request, waba_id, number) is None for number in numbers):
            return no(refusal, http_status(refusal.code))
        templates = [one for one in self._exchange.templates.values() if one.waba_id == waba_id]
        try:
            return await spoiled(request, json_answer(page(templates, request.query), 200), rule, self._chance)
        except UnknownCursorError:
            return no(Refusal(code=CURSOR_EXPIRED, details="The cursor has expired."), http_status(CURSOR_EXPIRED))

    async def messages(self, request: web.Request) -> web.StreamResponse:
        """One message, or one mark-as-read."""
        at = read_moment(request)
        draft = read_draft(await request.read(), request.match_info["edge"])
        phone_number_id = request.match_info["phone_number_id"]
        rule = self._rules.take(phone_number_id, draft.recipient, at.monotonic)
        visit = _Visit(self._ledger, at, phone_number_id, draft, None if rule is None else rule.id)
        if rule is not None and takes_nothing(rule):
            return await self._misbehave_before(request, visit, rule)
        number = self._exchange.numbers.get(phone_number_id)
        refusal = _refuse_caller(request, phone_number_id, number) or refuse_shape(draft)
        if refusal is not None or number is None or draft.body is None:
            refused = visit.refused(refusal or Refusal(code=INVALID_PARAMETER, details="Unsupported post request."))
            return await spoiled(request, refused, rule, self._chance)
        if draft.is_read_receipt:
            return self._mark_read(visit, draft.body)
        judged = self._media.refuse(phone_number_id, draft.body) or self._exchange.decide(number, draft.body, at)
        if isinstance(judged, Refusal):
            return await spoiled(request, visit.refused(judged), rule, self._chance)
        answer, told = self._accept(visit, number, draft, judged, rule)
        if told is not None:
            await asyncio.wait([told])
        return await spoiled(request, answer, rule, self._chance)

    def _accept(
        self, visit: _Visit, number: Number, draft: Draft, acceptance: Acceptance, rule: Rule | None
    ) -> tuple[web.Response, Settled | None]:
        """Record the acceptance, plan its statuses, make the answer: to be given once the webhook, if any, is settled."""
        wamid = new_wamid()
        visit.accepted(wamid, *accepted_as(rule))
        told: Settled | None = None
        for customer in acceptance.people:
            steps = journey(
                customer=customer,
                category=acceptance.category,
                is_window_closed=acceptance.is_window_closed,
                fails_with=acceptance.fails_with,
                behaviour=self._exchange.behaviour,
                draw=self._chance.random,
            )
            told = self._tell(_Sent(visit.at, number, draft, acceptance, wamid, customer), steps, rule)
        body = success(
            entered=acceptance.entered,
            customer=acceptance.people[0],
            wamid=wamid,
            is_template=draft.type == "template",
            group_id=acceptance.group_id,
        )
        return json_answer(body, 200), told

    def _tell(self, sent: _Sent, steps: list[Step], rule: Rule | None) -> Settled | None:
        """Plan the statuses; the webhook of the first, where the answer has to wait for it."""
        behaviour = self._exchange.behaviour
        asked = rule.action if rule is not None and isinstance(rule.action, Statuses) else None
        when = behaviour.statuses if asked is None else asked.when
        late_seconds = behaviour.statuses_late_seconds if asked is None else asked.late_seconds
        if when == "never":
            return None
        planned = [self._plan(sent, step, late_seconds) for step in steps]
        told = self._postbox.watch(planned[0].id) if when == "before_answer" else None
        for update, step in zip(planned, steps, strict=True):
            self._postbox.schedule(update, step.leaves_after + late_seconds)
        return told

    def _plan(self, sent: _Sent, step: Step, late_seconds: float) -> Update:
        value = status_value(
            number=sent.number,
            customer=sent.customer,
            wamid=sent.wamid,
            status=step.status,
            timestamp=int(sent.at.epoch_ms / 1000.0 + step.happens_after),
            opaque=sent.draft.opaque,
            category=sent.acceptance.category,
            refusal=step.refusal,
            group_id=sent.acceptance.group_id,
        )
        update = Update(
            id=self._ledger.last_update + 1,
            waba_id=sent.number.waba_id,
            kind="status",
            wamid=sent.wamid,
            status=step.status,
            due_at=sent.at.epoch_ms + (step.leaves_after + late_seconds) * 1000.0,
            value=value,
        )
        self._ledger.planned(update)
        return update

    def _mark_read(self, visit: _Visit, body: JsonObject) -> web.Response:
        """A read receipt is a call, not a message: it counts against no limit and has no status."""
        if not self._ledger.is_inbound(str(body.get("message_id"))):
            return visit.refused(Refusal(code=VALUE_NOT_VALID, details="Param message_id is not a known message."))
        visit.read_receipt()
        return json_answer({"success": True}, 200)

    async def _misbehave_before(self, request: web.Request, visit: _Visit, rule: Rule) -> web.StreamResponse:
        """Misbehaviour that takes nothing."""
        if isinstance(rule.action, Error):
            refusal = Refusal(code=rule.action.code, details=rule.action.details)
            return visit.refused(refusal, rule.action.http_status)
        if isinstance(rule.action, OddAnswer):
            visit.lost("odd_before", rule.action.http_status)
            return odd(rule.action)
        if isinstance(rule.action, Hang):
            visit.lost("hung")
            await asyncio.sleep(rule.action.seconds)
        else:
            visit.lost("dropped_before")
        return reset(request)


async def _unlisted(request: web.Request, rule: Rule) -> web.Response:
    """Misbehaviour in place of a page."""
    if isinstance(rule.action, Error):
        refusal = Refusal(code=rule.action.code, details=rule.action.details)
        return no(refusal, rule.action.http_status or http_status(refusal.code))
    if isinstance(rule.action, OddAnswer):
        return odd(rule.action)
    if isinstance(rule.action, Hang):
        await asyncio.sleep(rule.action.seconds)
    return reset(request)


class _Sent(NamedTuple):
    """An accepted message, as far as its statuses speak of it: those of one person."""

    at: Moment
    number: Number
    draft: Draft
    acceptance: Acceptance
    wamid: str
    customer: Customer


class _Visit:
    """One request on its way through the endpoint: everything its ledger entry needs."""

    def __init__(self, ledger: Ledger, at: Moment, phone_number_id: str, draft: Draft, rule: int | None) -> None:
        self.at = at
        self._ledger = ledger
        self._phone_number_id = phone_number_id
        self._draft = draft
        self._rule = rule

    def refused(self, refusal: Refusal, status: int | None = None) -> web.Response:
        """Record a no and make its answer."""
        answered = status or http_status(refusal.code)
        self._record("refused", code=refusal.code, status=answered)
        return no(refusal, answered)

    def accepted(self, wamid: str, decision: Decision, status: int | None) -> None:
        """Record a yes, whatever becomes of its answer."""
        self._record(decision, wamid=wamid, status=status)

    def read_receipt(self) -> None:
        """Record a mark-as-read."""
        self._record("read_receipt", status=200)

    def lost(self, decision: Decision, status: int | None = None) -> None:
        """Record a request that was not accepted and gets no answer, or one that says nothing."""
        self._record(decision, status=status)

    def _record(
        self,
        decision: Decision,
        *,
        wamid: str | None = None,
        code: int | None = None,
        status: int | None = None,
    ) -> None:
        self._ledger.arrived(
            self.at,
            phone_number_id=self._phone_number_id,
            recipient=self._draft.recipient,
            opaque=self._draft.opaque,
            message_type=self._draft.type,
            decision=decision,
            wamid=wamid,
            code=code,
            http_status=status,
            rule=self._rule,
            edge=self._draft.edge,
        )


async def unknown_path(_request: web.Request) -> web.Response:
    """Graph's answer to everything it does not know."""
    return json_answer(error(Refusal(code=UNKNOWN_PATH, details="Unknown path components."), "A"), 400)


def _refuse_caller(request: web.Request, phone_number_id: str, number: Number | None) -> Refusal | None:
    """Why this caller may not send from this number, if so: no token, a wrong one, or no such number."""
    given = request.headers.get("Authorization")
    if given is None:
        return Refusal(code=NO_PERMISSION, details="No access token was sent.")
    scheme, _, token = given.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        return Refusal(code=AUTH_MISSING, details="The authorization header has no bearer token.")
    if number is None:
        details = f"Object with ID '{phone_number_id}' does not exist or cannot be loaded."
        return Refusal(code=INVALID_PARAMETER, details=details, subcode=33)
    if number.token is not None and not secrets.compare_digest(token.strip().encode(), number.token.encode()):
        return Refusal(code=TOKEN_INVALID, details="The access token could not be decrypted.", subcode=463)
    return None
