"""Is Graph's list of templates read whole, by one process at a time, and kept only by the one that may?"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from services.common.platform import postgres as platform
from services.sandbox.simulator.app import running
from services.sandbox.simulator.client import SimulatorClient
from services.sandbox.simulator.config import Behaviour
from services.sandbox.simulator.rules import Action, Delay, DropBefore, Error
from services.sandbox.simulator.settings import SimulatorSettings
from services.sender.template_list import ListedTemplate, ListUnread, TemplateList
from services.sender.template_poller import LEASE_SECONDS, TemplatePoller
from services.sender.template_store import TemplateStore

NOBODY: Final = "http://127.0.0.1:9/webhooks"
ACCOUNT: Final = "9"
TOKENS: Final = ["revoked", "good"]


class Scene:
    """A simulated Meta with an account of 450 templates, and what reads it."""

    def __init__(self, sim: SimulatorClient, pool: platform.Pool, session: aiohttp.ClientSession) -> None:
        self.sim, self._pool = sim, pool
        self.list = TemplateList(session, base_url=sim.url, version="v25.0")
        self.store = TemplateStore(pool)

    def poller(self) -> TemplatePoller:
        """As each sender has one."""
        return TemplatePoller(self.store, self.list, accounts=lambda: {ACCOUNT: TOKENS}, every_seconds=600.0, demand_seconds=60.0)

    async def misbehave(self, action: Action, *, on_next_page: bool | None = None, times: int = 1) -> None:
        await self.sim.rules(action, times=times, endpoint="message_templates", on_next_page=on_next_page)

    async def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(statement.encode(), values)
            return await cursor.fetchall() if cursor.description is not None else []

    async def kept(self) -> int:
        [(count,)] = await self.sql("SELECT count(*) FROM sender.templates")
        return int(count)


def play(tmp_path: Path, dsn: str, story: Callable[[Scene], Awaitable[None]]) -> None:
    number = {"phone_number_id": "1", "waba_id": ACCOUNT, "display_phone_number": "15550001111", "token": "good"}
    config = tmp_path / "world.json"
    templates = [{"waba_id": ACCOUNT, "name": f"order_{n}", "language": "en"} for n in range(450)]
    config.write_text(json.dumps({"numbers": [number], "templates": templates}))
    settings = SimulatorSettings.model_validate(
        {"ingest_url": NOBODY, "app_secret": "s", "config": config, "behaviour": Behaviour()}
    )

    async def whole() -> None:
        pool = platform.pool(dsn, service="test", size=3)
        await pool.open()
        try:
            async with asyncio.timeout(60), aiohttp.ClientSession() as session, running(settings) as urls:
                await story(Scene(SimulatorClient(urls[0], session), pool, session))
        finally:
            await pool.close()

    asyncio.run(whole())


def test_a_list_is_read_through_all_its_pages_and_from_the_start_when_its_cursor_expires(tmp_path: Path, postgres: str) -> None:
    async def story(stage: Scene) -> None:
        found = await stage.list.read(ACCOUNT, token="good")
        assert {one.name for one in found} == {f"order_{n}" for n in range(450)}
        await stage.misbehave(Error(code=131059), on_next_page=True, times=2)
        assert await stage.list.read(ACCOUNT, token="good") == found
        await stage.misbehave(Error(code=131059), on_next_page=True, times=3)
        with pytest.raises(ListUnread) as unread:
            await stage.list.read(ACCOUNT, token="good")
        assert unread.value.error_code == 131059

    play(tmp_path, postgres, story)


@pytest.mark.parametrize(
    ("action", "code", "is_throttled"),
    [
        (Error(code=80008), 80008, True),
        (Error(code=4), 4, True),
        (Error(code=2, http_status=500), 2, False),
        (DropBefore(), None, False),
    ],
)
def test_what_goes_wrong_is_recorded_and_leaves_the_list_as_it_was(
    tmp_path: Path, postgres: str, action: Action, code: int | None, *, is_throttled: bool
) -> None:
    async def story(stage: Scene) -> None:
        assert await stage.poller().poll(ACCOUNT, TOKENS) == 450
        # A reset of a kept connection is tried once more by the client itself.
        await stage.misbehave(action, on_next_page=True, times=2)
        with pytest.raises(ListUnread) as unread:
            await stage.poller().poll(ACCOUNT, TOKENS)
        assert (unread.value.error_code, unread.value.is_throttled) == (code, is_throttled)
        assert await stage.kept() == 450
        [(failures, error_code, seconds, is_free)] = await stage.sql(
            "SELECT failures, error_code, extract(epoch FROM next_poll_at - now())::float8, leased_until IS NULL"
            " FROM sender.template_polls"
        )
        assert (failures, error_code, is_free) == (1, code, True)
        assert (800 if is_throttled else 50) < seconds <= (900 if is_throttled else 60)
        assert await stage.store.due({ACCOUNT: True}, 0.0) == []

    play(tmp_path, postgres, story)


def test_a_list_that_somebody_reads_is_read_by_nobody_else_until_the_lease_is_over(tmp_path: Path, postgres: str) -> None:
    async def story(stage: Scene) -> None:
        await stage.misbehave(Delay(seconds=0.5))
        both = await asyncio.gather(*(stage.poller().poll(ACCOUNT, TOKENS) for _ in range(2)))
        assert sorted(both, key=str) == [450, None]
        dead = await stage.store.lease(ACCOUNT, LEASE_SECONDS)
        assert dead is not None
        assert await stage.poller().poll(ACCOUNT, TOKENS) is None
        await stage.sql("UPDATE sender.template_polls SET leased_until = now()")
        assert await stage.poller().poll(ACCOUNT, TOKENS) == 450
        one = ListedTemplate(
            name="late", language="en", template_id="1", status=None, category=None, parameter_format=None, components="[]",
            quality_score=None,
        )  # fmt: skip
        assert not await stage.store.keep(ACCOUNT, dead, [one], next_seconds=1.0)
        assert await stage.kept() == 450

    play(tmp_path, postgres, story)


def test_a_list_is_due_by_its_time_and_sooner_when_somebody_waits_but_not_within_a_minute(tmp_path: Path, postgres: str) -> None:
    async def story(stage: Scene) -> None:
        assert await stage.store.due({ACCOUNT: False}, 60.0) == [ACCOUNT]
        await stage.poller().poll(ACCOUNT, TOKENS)
        assert await stage.store.due({ACCOUNT: True}, 60.0) == []
        await stage.sql("UPDATE sender.template_polls SET begun_at = now() - interval '61 seconds'")
        assert await stage.store.due({ACCOUNT: False}, 60.0) == []
        assert await stage.store.due({ACCOUNT: True}, 60.0) == [ACCOUNT]
        await stage.sql("UPDATE sender.template_polls SET next_poll_at = now()")
        assert await stage.store.due({ACCOUNT: False}, 60.0) == [ACCOUNT]

    play(tmp_path, postgres, story)


def test_what_meta_deleted_is_forgotten_with_the_next_list(tmp_path: Path, postgres: str) -> None:
    async def story(stage: Scene) -> None:
        await stage.poller().poll(ACCOUNT, TOKENS)
        await stage.sim.remove_template(ACCOUNT, "order_7", "en")
        assert await stage.poller().poll(ACCOUNT, TOKENS) == 449
        assert await stage.sql("SELECT FROM sender.templates WHERE name = 'order_7'") == []

    play(tmp_path, postgres, story)


def test_without_a_token_that_may_the_list_stays_unread(tmp_path: Path, postgres: str) -> None:
    async def story(stage: Scene) -> None:
        with pytest.raises(ListUnread) as unread:
            await stage.poller().poll(ACCOUNT, ["revoked", "stolen"])
        assert unread.value.error_code == 190
        assert "good" not in unread.value.told
        assert await stage.poller().poll(ACCOUNT, []) is None

    play(tmp_path, postgres, story)
