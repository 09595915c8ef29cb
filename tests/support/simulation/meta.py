"""What is Meta in a run? It takes messages or not, answers or not, and tells of both in webhooks, late, twice and in any order.

Ingest stands in it as its promise: a webhook that was not answered with 200 comes again, one that was is in the log.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from services.common.domain import topics
from services.common.platform.kafka import NewRecord
from services.sender import response
from services.sender.graph_client import GraphClient
from services.sender.headway import Turn
from services.sender.request import MESSAGES
from services.sender.response import Result
from tests.support.simulation.log import Log
from tests.support.simulation.machine import Process, World
from tests.support.simulation.plan import TAKEN, Delivery, Fate, Say
from tests.support.simulation.virtual_time import since_start

WABA: Final = "102290129340398"
ANSWER_SECONDS: Final = 4.0
JITTER_SECONDS: Final = 0.015
_WAY_SECONDS: Final = 0.04
_REFUSALS: Final[Mapping[Fate, tuple[int, bytes]]] = {
    Fate.LIE: (400, b'{"error": {"code": 131026}}'),
    Fate.AMBIGUOUS: (500, b'{"error": {"code": 131000}}'),
    Fate.NOT_TAKEN: (500, b'{"error": {"code": 131000}}'),
    Fate.GATEWAY: (502, b"<html>Bad Gateway</html>"),
    Fate.NO_ID: (200, b"{}"),
    Fate.REJECTED: (400, b'{"error": {"code": 131026}}'),
    Fate.THROTTLED: (429, b'{"error": {"code": 130429}}'),
    Fate.PAIR: (400, b'{"error": {"code": 131056}}'),
    Fate.UNAVAILABLE: (503, b'{"error": {"code": 2}}'),
}
_UNDELIVERABLE: Final = 131026


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A request as Meta saw it."""

    at: float
    number: str
    person: str
    attempt_id: str
    wamid: str | None


@dataclass(slots=True)
class Meta:
    """One Meta for all numbers. `is_recorded`: whether an attempt has a row."""

    world: World
    log: Log
    is_recorded: Callable[[str], bool]
    arrivals: list[Arrival] = field(default_factory=list)
    taken: dict[str, str] = field(default_factory=dict)
    """Attempt id -> wamid."""
    lied_about: set[str] = field(default_factory=set)
    """Attempts that were taken and answered with a refusal."""
    told: set[tuple[str, str]] = field(default_factory=set)
    """(wamid, status) of the webhooks that were answered with 200."""
    said: set[str] = field(default_factory=set)
    """wamids of people's messages, the same."""
    odd: int = 0
    broken: int = 0
    on_their_way: int = 0
    """Webhooks that have not been answered with 200, and requests that have not arrived."""
    _requests: int = 0
    _webhooks: int = 0
    _wamids: int = 0

    def request(self, number: str, body: bytes) -> asyncio.Future[tuple[int, bytes]]:
        """The bytes are out. What becomes of them does not depend on whether anybody waits for the answer."""
        message = orjson.loads(body)
        attempt_id = message["biz_opaque_callback_data"]
        if not self.is_recorded(attempt_id):
            self.world.violated("written without a record of the attempt")
        nth, self._requests = self._requests, self._requests + 1
        ills = [one.fate for one in self.world.plan.ills if one.nth == nth]
        fate = ills[0] if ills and fate_counts(ills[0]) else Fate.ACCEPTED
        self.world.saw(f"meta: {fate}")
        self.world.note(f"Meta is sent {attempt_id[:8]}: {fate}")
        answer: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()
        self.world.spawn(self._exchange(number, message.get("to", ""), attempt_id, fate, answer))
        return answer

    @property
    def next_is_unreachable(self) -> bool:
        """Whether the next request finds no connection; it is used up by that."""
        nth = self._requests
        if any(one.nth == nth and one.fate is Fate.UNREACHABLE for one in self.world.plan.ills):
            self._requests += 1
            self.world.saw(f"meta: {Fate.UNREACHABLE}")
            return True
        return False

    async def _exchange(
        self, number: str, person: str, attempt_id: str, fate: Fate, answer: asyncio.Future[tuple[int, bytes]]
    ) -> None:
        self.on_their_way += 1
        rng = self.world.rng
        await asyncio.sleep(_WAY_SECONDS + rng.uniform(0.0, JITTER_SECONDS))
        self.on_their_way -= 1
        if fate is Fate.REQUEST_LOST:
            return
        wamid = self._take(number, person.removeprefix("+"), attempt_id) if fate in TAKEN else None
        self.arrivals.append(Arrival(at=since_start(), number=number, person=person, attempt_id=attempt_id, wamid=wamid))
        if fate is Fate.LIE:
            self.lied_about.add(attempt_id)
        if fate is Fate.ANSWER_LOST:
            return
        await asyncio.sleep(_WAY_SECONDS + rng.uniform(0.0, 0.05) + (2 * ANSWER_SECONDS if fate is Fate.SLOW else 0.0))
        if answer.done():
            return
        if fate is Fate.RESET:
            answer.set_exception(ConnectionResetError())
            answer.exception()
        else:
            taken = orjson.dumps({"messages": [{"id": wamid}], "contacts": [{"wa_id": person.removeprefix("+")}]})
            answer.set_result(_REFUSALS.get(fate, (200, taken)))

    def _take(self, number: str, person: str, attempt_id: str) -> str:
        """It is accepted, and its statuses will be told: some of them, but never none of those that prove it."""
        self._wamids += 1
        wamid = self.taken[attempt_id] = f"wamid.out.{self._wamids}"
        rng = self.world.rng
        words = [word for word in ("sent", "delivered", "read") if rng.random() < 0.7] or ["delivered"]
        if rng.random() < 0.1:
            words = [*words[:1], "failed"]
        for place, word in enumerate(words):
            self.world.spawn(self._tell(number, person, attempt_id, wamid, word, after=0.1 + place * rng.uniform(0.0, 3.0)))
        return wamid

    async def _tell(self, number: str, person: str, attempt_id: str, wamid: str, word: str, *, after: float) -> None:
        status: dict[str, Any] = {
            "id": wamid,
            "status": word,
            "timestamp": str(int(time.time() + after)),
            "recipient_id": person,
            "biz_opaque_callback_data": attempt_id,
        }
        if word == "failed":
            status["errors"] = [{"code": _UNDELIVERABLE, "title": "Message undeliverable"}]
        self.on_their_way += 1
        await asyncio.sleep(after)
        await self._post(number, person, {"statuses": [status]})
        self.told.add((wamid, word))
        self.on_their_way -= 1

    async def say(self, one: Say) -> None:
        """A person's message, or something else that Meta may post."""
        self.on_their_way += 1
        await asyncio.sleep(one.at)
        self._wamids += 1
        wamid = f"wamid.in.{self._wamids}"
        message = {"from": one.person, "id": wamid, "timestamp": str(int(time.time())), "type": "text", "text": {"body": "Hi"}}
        if one.broken:
            await self._post(one.number, one.person, b"{not json")
            self.broken += 1
        elif one.odd:
            await self._post(one.number, one.person, {"odd": [{"id": wamid}]}, field_name="something_new")
            self.odd += 1
        else:
            await self._post(one.number, one.person, {"messages": [message]})
            self.said.add(wamid)
        self.on_their_way -= 1

    async def _post(self, number: str, person: str, value: Mapping[str, Any] | bytes, *, field_name: str = "messages") -> None:
        """Until ingest says 200: it may have had the webhook before."""
        nth, self._webhooks = self._webhooks, self._webhooks + 1
        delivery = next((one for one in self.world.plan.deliveries if one.nth == nth), Delivery(nth=nth))
        body = value if isinstance(value, bytes) else _body(number, value, field_name)
        if delivery.late_seconds:
            self.world.saw("webhook: late")
            await asyncio.sleep(delivery.late_seconds)
        for copy in range(delivery.copies + 1):
            await asyncio.sleep(self.world.rng.uniform(0.005, 0.1) + copy * self.world.rng.uniform(0.0, 4.0))
            while self.world.is_away("kafka"):
                self.world.saw("webhook: answered with 503")
                await asyncio.sleep(self.world.rng.uniform(0.5, 2.0))
            received_at = str(int(time.time() * 1000)).encode()
            key = f"{number}/{person}".encode()
            self.log.append(NewRecord(topics.WEBHOOKS, key, body, [("parley-received-at", received_at)]))
            self.world.note(f"webhook {nth} of {number} is in the log{' again' if copy else ''}")
            if copy:
                self.world.saw("webhook: delivered again")


class SimulatedGraph(GraphClient):
    """The client with Meta behind it, and no sockets between: the pacer is asked and told as the client does it."""

    def __init__(self, process: Process, meta: Meta) -> None:
        self._process, self._meta = process, meta

    async def post(
        self,
        phone_number_id: str,
        *,
        token: str,
        body: bytes,
        attempt_no: int,
        pacer: Turn,
        started: float,
        edge: str = MESSAGES,
        is_message: bool = True,
    ) -> tuple[Result, float | None]:
        """As the client's."""
        del token, edge
        if self._meta.next_is_unreachable:
            await self._process.sleep(0.01)
            return response.not_sent("ClientConnectorError", attempt_no=attempt_no), None
        if not await pacer.admit(started):
            return response.late(), None
        written: list[asyncio.Future[tuple[int, bytes]]] = []

        def write() -> None:
            written.append(self._meta.request(phone_number_id, body))

        try:
            await self._process.call("graph", "writes to Meta", write, at_once=True)
        finally:
            if not written:
                pacer.not_written()
        written_at, charged_at = time.monotonic(), pacer.written()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                status, payload = await written[0]
        except TimeoutError:
            return self.without_answer("TimeoutError"), written_at
        except ConnectionResetError:
            return self.without_answer("ServerDisconnectedError"), written_at
        finally:
            pacer.answered(charged_at)
        await self._process.call("graph", "hears of it", lambda: None, at_once=True)
        return response.classify(status, payload, attempt_no=attempt_no, is_message=is_message), written_at

    def without_answer(self, detail: str) -> Result:
        """What it proves that none came."""
        return response.no_answer(detail)


def fate_counts(fate: Fate) -> bool:
    """A request that found no connection is none."""
    return fate is not Fate.UNREACHABLE


def accepted_by_command(meta: Meta, command_of: Mapping[str, str]) -> Counter[str]:
    """How many attempts of each command Meta has; `command_of`: attempt id -> command id."""
    return Counter(command_of[attempt_id] for attempt_id in meta.taken if attempt_id in command_of)


def _body(number: str, value: Mapping[str, Any], field_name: str) -> bytes:
    whole = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550783881", "phone_number_id": number},
        **value,
    }
    change = {"field": field_name, "value": whole}
    return orjson.dumps({"object": "whatsapp_business_account", "entry": [{"id": WABA, "changes": [change]}]})
