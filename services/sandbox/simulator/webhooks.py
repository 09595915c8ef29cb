"""How do updates reach the subscriber: batched, signed, retried with the same bytes, many at once?"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from functools import partial

import aiohttp

from services.sandbox.simulator.config import Behaviour
from services.sandbox.simulator.ledger import Ledger
from services.sandbox.simulator.payloads import encode, envelope, merged, signature_headers
from services.sandbox.simulator.records import Answer, Signature, Update, Webhook, What

Settled = asyncio.Future[Webhook]


def retry_gap(failures: int, behaviour: Behaviour) -> float:
    """Seconds until the next POST after so many failures in a row: at once, then with growing gaps."""
    if failures <= 1:
        return 0.0
    exponent = min(failures - 2, 64)
    gap = behaviour.retry_gap_seconds * behaviour.retry_growth**exponent
    return min(gap, behaviour.retry_max_gap_seconds)


class Postbox:
    """Delivers each webhook until 200 or the retry horizon; all its POSTs carry the very same bytes.

    Everything runs on one event loop; `run` holds as many POSTs in flight as it has connections.
    """

    def __init__(
        self,
        *,
        session: aiohttp.ClientSession,
        url: str,
        app_secret: str,
        ledger: Ledger,
        behaviour: Callable[[], Behaviour],
        chance: random.Random,
        connections: int,
    ) -> None:
        self._session = session
        self._url = url
        self._app_secret = app_secret
        self._ledger = ledger
        self._behaviour = behaviour
        self._chance = chance
        self._connections = connections
        self._due: asyncio.Queue[Webhook] = asyncio.Queue()
        self._timers: set[asyncio.TimerHandle] = set()
        self._batches: dict[str, list[Update]] = {}
        self._live: dict[int, Webhook] = {}
        self._waiting: dict[int, Settled] = {}
        self._waiting_updates: dict[int, Settled] = {}
        self._open = 0
        self._is_idle = asyncio.Event()
        self._is_idle.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        async with asyncio.TaskGroup() as workers:
            for _ in range(self._connections):
                workers.create_task(self._work())

    def schedule(self, update: Update, after_seconds: float) -> None:
        """Put an update into a webhook in `after_seconds`."""
        self._opened()
        self._later(after_seconds, lambda: self._ripe(update))

    def watch(self, update_id: int) -> Settled:
        """A future of the webhook that carries an update, done when it was delivered or given up."""
        future: Settled = asyncio.get_running_loop().create_future()
        self._waiting_updates[update_id] = future
        return future

    def post(self, webhook: Webhook) -> Settled:
        """Deliver a composed webhook from now on; the future is done when it was delivered or given up."""
        self._opened()
        self._live[webhook.id] = webhook
        future: Settled = asyncio.get_running_loop().create_future()
        self._waiting[webhook.id] = future
        self._due.put_nowait(webhook)
        return future

    def compose(self, body: bytes, *, what: Sequence[What], signature: Signature, retries: bool, posts: int) -> Webhook:
        """Record a webhook with any bytes and any signature."""
        return self._ledger.composed(body, what, created_at=_now_ms(), signature=signature, retries=retries, posts=posts)

    async def wait_idle(self, timeout_seconds: float) -> bool:
        """True when no update and no webhook is on its way; False when that did not happen in time."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._is_idle.wait()
        except TimeoutError:
            return False
        return True

    @property
    def open(self) -> int:
        """How many updates and webhooks are on their way."""
        return self._open

    def reset(self) -> None:
        """Forget everything that is on its way; answers of POSTs in flight go unrecorded."""
        for timer in self._timers:
            timer.cancel()
        for future in (*self._waiting.values(), *self._waiting_updates.values()):
            future.cancel()
        self._timers.clear()
        self._batches.clear()
        self._live.clear()
        self._waiting.clear()
        self._waiting_updates.clear()
        while not self._due.empty():
            self._due.get_nowait()
        self._open = 0
        self._is_idle.set()

    def _ripe(self, update: Update) -> None:
        behaviour = self._behaviour()
        batch = self._batches.setdefault(update.waba_id, [])
        batch.append(update)
        if len(batch) >= behaviour.batch_max:
            self._flush(update.waba_id)
        elif len(batch) == 1:
            self._later(behaviour.batch_seconds, lambda: self._flush(update.waba_id, batch))

    def _flush(self, waba_id: str, only: list[Update] | None = None) -> None:
        """Put the open batch of an account on its way (a late timer must not touch the next batch)."""
        batch = self._batches.get(waba_id)
        if batch is None or (only is not None and batch is not only):
            return
        del self._batches[waba_id]
        values = [update.value for update in batch]
        if len(batch) > 1 and self._chance.random() < 0.5:
            values = merged(values)
        is_repeated = self._chance.random() < self._behaviour().duplicate_probability
        webhook = self._ledger.composed(
            encode(envelope(waba_id, values)),
            [What(kind=update.kind, wamid=update.wamid, status=update.status) for update in batch],
            created_at=_now_ms(),
            updates=[update.id for update in batch],
            posts=2 if is_repeated else 1,
        )
        future = self.post(webhook)
        for update in batch:
            watcher = self._waiting_updates.pop(update.id, None)
            if watcher is not None:
                future.add_done_callback(partial(_pass_on, watcher))
            self._closed()

    async def _work(self) -> None:
        while True:
            webhook = await self._due.get()
            if self._live.get(webhook.id) is webhook:
                answer = await self._attempt(webhook)
                if self._live.get(webhook.id) is webhook:
                    self._ledger.answered(webhook, answer)
                    self._go_on(webhook)

    async def _attempt(self, webhook: Webhook) -> Answer:
        """One POST; any trouble on the way is an answer without a status."""
        body = webhook.body or b""
        headers = signature_headers(body, self._app_secret, webhook.signature)
        started = time.monotonic()
        status: int | None = None
        limit = aiohttp.ClientTimeout(total=self._behaviour().answer_timeout_seconds)
        try:
            async with self._session.post(self._url, data=body, headers=headers, timeout=limit) as response:
                await response.read()
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError):
            status = None
        return Answer(status=status, at=_now_ms(), after_seconds=time.monotonic() - started)

    def _go_on(self, webhook: Webhook) -> None:
        """After an answer: done, once more on purpose, once more because it failed, or never again."""
        behaviour = self._behaviour()
        if webhook.failures == 0:
            if webhook.posts_left <= 0:
                self._settle(webhook, delivered=True)
            else:
                self._later(behaviour.sent_after_seconds, lambda: self._due.put_nowait(webhook))
            return
        age_seconds = (_now_ms() - webhook.created_at) / 1000.0
        gap = retry_gap(webhook.failures, behaviour)
        if not webhook.retries or age_seconds + gap > behaviour.retry_horizon_seconds:
            self._settle(webhook, delivered=False)
        else:
            self._later(gap, lambda: self._due.put_nowait(webhook))

    def _settle(self, webhook: Webhook, *, delivered: bool) -> None:
        self._ledger.settled(webhook, "delivered" if delivered else "given_up")
        del self._live[webhook.id]
        future = self._waiting.pop(webhook.id)
        if not future.done():
            future.set_result(webhook)
        self._closed()

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        def fire() -> None:
            self._timers.discard(timer)
            action()

        timer = asyncio.get_running_loop().call_later(seconds, fire)
        self._timers.add(timer)

    def _opened(self) -> None:
        self._open += 1
        self._is_idle.clear()

    def _closed(self) -> None:
        self._open -= 1
        if self._open == 0:
            self._is_idle.set()


def _pass_on(watcher: Settled, done: Settled) -> None:
    if done.cancelled():
        watcher.cancel()
    elif not watcher.done():
        watcher.set_result(done.result())


def _now_ms() -> float:
    return time.time_ns() / 1e6
