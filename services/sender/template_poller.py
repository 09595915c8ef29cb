"""When is Graph's list of templates read? Each account's now and then, and sooner when a command waits for it.

Meta counts these calls by the hour and account, 200 at least. So one process at a time reads an account (a lease in Postgres,
which ends by itself when the process dies), a full list is wanted every ten minutes, and one that somebody waits for at most each
minute. Nothing of it can stop sending: what goes wrong is told, and tried again later.

Crash thinking: the list is kept in one transaction together with the end of its lease. Before it the old list holds, and another
process reads it when the lease is over.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from services.common.platform import logging, metrics, postgres
from services.common.platform.lifecycle import sleep_unless
from services.sender.template_list import ListedTemplate, ListUnread, TemplateList
from services.sender.template_store import TemplateStore

log = logging.get(__name__)

LEASE_SECONDS: Final = 60.0
"""Longer than a list takes that is read at all."""
_LIST_SECONDS: Final = 50.0
_LOOK_SECONDS: Final = 5.0
_WANTED_LOOK_SECONDS: Final = 0.5
_WANTED_SECONDS: Final = 120.0
"""Nobody waits longer for a list."""
_THROTTLED_SECONDS: Final = 900.0


class TemplatePoller:
    """Reads the lists of `accounts`: account -> access tokens of its numbers, any of which may do."""

    def __init__(
        self,
        store: TemplateStore,
        template_list: TemplateList,
        *,
        accounts: Callable[[], Mapping[str, Sequence[str]]],
        every_seconds: float,
        demand_seconds: float,
    ) -> None:
        self._store, self._list, self._accounts = store, template_list, accounts
        self._every_seconds, self._demand_seconds = every_seconds, demand_seconds
        self._wanted: dict[str, float] = {}
        self._some = asyncio.Event()

    def want(self, waba_id: str) -> None:
        """A command waits for this account's list."""
        self._wanted[waba_id] = time.monotonic()
        self._some.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Read what is due, until asked to stop."""
        while not stopping.is_set():
            await postgres.retrying(self._look, service="sender", stopping=stopping)
            self._some.clear()
            if self._wanted:
                await sleep_unless(stopping, _WANTED_LOOK_SECONDS)
            else:
                await _set_or(self._some, _LOOK_SECONDS)

    async def _look(self) -> None:
        now = time.monotonic()
        self._wanted = {waba_id: at for waba_id, at in self._wanted.items() if now - at < _WANTED_SECONDS}
        accounts = self._accounts()
        if not accounts:
            return
        for waba_id in await self._store.due({one: one in self._wanted for one in accounts}, self._demand_seconds):
            try:
                await self.poll(waba_id, accounts[waba_id])
            except ListUnread as unread:
                log.warning("templates.unread", waba_id=waba_id, error=unread.told, code=unread.error_code)

    async def poll(self, waba_id: str, tokens: Sequence[str]) -> int | None:
        """Read one account's list now; how many templates it has, None while another process reads it or took over.

        Raises ListUnread, once that is recorded.
        """
        if not tokens:
            return None
        lease = await self._store.lease(waba_id, LEASE_SECONDS)
        if lease is None:
            return None
        try:
            found = await self._read(waba_id, tokens)
        except ListUnread as unread:
            outcome, seconds = ("throttled", _THROTTLED_SECONDS) if unread.is_throttled else ("failed", self._demand_seconds)
            metrics.TEMPLATE_POLLS.labels(outcome).inc()
            await self._store.failed(waba_id, lease, unread.error_code, next_seconds=seconds)
            raise
        if not await self._store.keep(waba_id, lease, found, next_seconds=self._every_seconds):
            return None
        self._wanted.pop(waba_id, None)
        metrics.TEMPLATE_POLLS.labels("complete").inc()
        return len(found)

    async def _read(self, waba_id: str, tokens: Sequence[str]) -> list[ListedTemplate]:
        """By the first token that may."""
        refused: ListUnread | None = None
        for token in dict.fromkeys(tokens):
            try:
                async with asyncio.timeout(_LIST_SECONDS):
                    return await self._list.read(waba_id, token=token)
            except ListUnread as unread:
                if not unread.is_about_token:
                    raise
                refused = unread
            except TimeoutError:
                raise ListUnread(f"It took longer than {_LIST_SECONDS:g} s.") from None
        raise refused or ListUnread("There is no access token for it.")


async def _set_or(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
