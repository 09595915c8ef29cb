"""How do tests and the demo talk to the simulated Meta?"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, TypeVar

import aiohttp
from pydantic import TypeAdapter

from services.sandbox.simulator.records import Arrival, JsonObject, Signature, Summary, Upload, WebhookView
from services.sandbox.simulator.rules import Action, Endpoint, Match, RuleSpec

_T = TypeVar("_T")
_ARRIVALS = TypeAdapter(list[Arrival])
_UPLOADS = TypeAdapter(list[Upload])
_WEBHOOKS = TypeAdapter(list[WebhookView])
_WEBHOOK = TypeAdapter(WebhookView)
_SUMMARY = TypeAdapter(Summary)
_PAGE = 1000


class SimulatorRefusedError(Exception):
    """The simulator did not do what it was asked; carries its status and explanation."""

    def __init__(self, status: int, explanation: str) -> None:
        super().__init__(f"simulator answered {status}: {explanation}")
        self.status = status


class SimulatorClient:
    """The control interface, typed. The session stays its owner's."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url.rstrip("/")
        self._session = session

    async def inbound(
        self,
        phone_number_id: str,
        sender: str,
        text: str | None = None,
        *,
        message_type: str = "text",
        content: object = None,
        name: str | None = None,
        bsuid: str | None = None,
        context_wamid: str | None = None,
        timestamp: int | None = None,
        wamid: str | None = None,
        group_id: str | None = None,
        wait: bool = False,
        timeout_seconds: float = 30.0,
    ) -> str:
        """A customer says something; returns its wamid, with `wait` after the webhook was settled."""
        said = {
            "phone_number_id": phone_number_id,
            "from": sender,
            "text": text,
            "type": message_type,
            "object": content,
            "name": name,
            "bsuid": bsuid,
            "context_wamid": context_wamid,
            "timestamp": timestamp,
            "wamid": wamid,
            "group_id": group_id,
        }
        told = await self._call("POST", f"/inbound{_waiting(wait, timeout_seconds)}", said)
        return str(told["wamid"])

    async def rules(
        self,
        action: Action,
        *,
        times: int | None = None,
        seconds: float | None = None,
        always: bool = False,
        share: float = 1.0,
        phone_number_id: str | None = None,
        to: str | None = None,
        endpoint: Endpoint = "messages",
        on_next_page: bool | None = None,
    ) -> int:
        """Misbehave, such as `rules(DropAfter(), times=2)`; the default is once. Returns the rule's id."""
        match = Match(endpoint=endpoint, phone_number_id=phone_number_id, to=to, on_next_page=on_next_page)
        rule = RuleSpec(match=match, next=times, seconds=seconds, always=always, share=share, action=action)
        return int((await self._call("POST", "/rules", rule.model_dump()))["id"])

    async def clear_rules(self) -> None:
        """Behave again."""
        await self._call("DELETE", "/rules")

    async def add_number(
        self,
        phone_number_id: str,
        *,
        waba_id: str,
        display_phone_number: str,
        throughput: int = 80,
        token: str | None = None,
    ) -> None:
        """Add a number or change one."""
        number = {
            "phone_number_id": phone_number_id,
            "waba_id": waba_id,
            "display_phone_number": display_phone_number,
            "throughput": throughput,
            "token": token,
        }
        await self._call("POST", "/numbers", number)

    async def change_number(self, phone_number_id: str, **changes: object) -> None:
        """Change fields of `config.Number` from now on, such as `hidden_throughput=40` or `token="a new one"`."""
        await self._call("PATCH", f"/numbers/{phone_number_id}", changes)

    async def upgrade_number(self, phone_number_id: str, *, seconds: float = 1.0) -> None:
        """The throughput of a number is upgraded; it is in maintenance for some seconds."""
        await self._call("POST", f"/numbers/{phone_number_id}/upgrade", {"seconds": seconds})

    async def change_account(
        self,
        waba_id: str,
        *,
        refuses: int | None = None,
        refuses_later: bool = False,
        disabled: bool = False,
        restrictions: Mapping[str, int | None] | None = None,
        quiet: bool = False,
    ) -> None:
        """An account is in this trouble and no other; `restrictions`: Meta's types, with their ends in epoch seconds."""
        listed = [{"restriction_type": word, "expiration": ends} for word, ends in (restrictions or {}).items()]
        account = {
            "waba_id": waba_id,
            "refuses": refuses,
            "refuses_later": refuses_later,
            "disabled": disabled,
            "restrictions": listed,
        }
        await self._call("POST", f"/accounts{'?quiet=1' if quiet else ''}", account)

    async def add_template(self, waba_id: str, name: str, language: str, **details: object) -> None:
        """Add a template or change one; `details` are the fields of `config.Template`."""
        await self._call("POST", "/templates", {"waba_id": waba_id, "name": name, "language": language, **details})

    async def change_template(
        self,
        waba_id: str,
        name: str,
        language: str,
        *,
        event: str | None = None,
        category: str | None = None,
        title: str | None = None,
        tell: bool = True,
    ) -> None:
        """Another state (`event` as in Meta's webhook) or category; with `tell` the webhook is sent, too."""
        named = {"waba_id": waba_id, "name": name, "language": language}
        await self._call("PATCH", "/templates", {**named, "event": event, "category": category, "title": title, "tell": tell})

    async def remove_template(self, waba_id: str, name: str, language: str) -> None:
        """Delete a template; no webhook tells it."""
        await self._call("DELETE", "/templates", {"waba_id": waba_id, "name": name, "language": language})

    async def add_customer(self, **details: object) -> None:
        """Add a person or change one; `details` are the fields of `config.Customer`."""
        await self._call("POST", "/customers", details)

    async def add_group(self, group_id: str, *participants: str) -> None:
        """Add a group or change who is in it."""
        await self._call("POST", "/groups", {"group_id": group_id, "participants": participants})

    async def behave(self, **changes: object) -> None:
        """Change fields of `config.Behaviour` from now on."""
        await self._call("PATCH", "/behaviour", changes)

    async def requests(self, after: int = 0) -> list[Arrival]:
        """The whole arrival log from after a sequence number."""
        return [arrival async for page in self._pages("requests", after, _ARRIVALS) for arrival in page]

    async def media(self) -> list[Upload]:
        """Everything that was uploaded, oldest first."""
        return _UPLOADS.validate_python((await self._call("GET", "/media"))["media"])

    async def delete_media(self, media_id: str) -> None:
        """Let an upload go, as Meta does after thirty days."""
        await self._call("DELETE", f"/media/{media_id}")

    async def webhooks(self, after: int = 0) -> list[WebhookView]:
        """Every webhook from after an id."""
        return [webhook async for page in self._pages("webhooks", after, _WEBHOOKS) for webhook in page]

    async def post_webhook(
        self,
        body: object = None,
        *,
        raw: str | None = None,
        signature: Signature = "good",
        repeat: int = 1,
        retry: bool | None = None,
        timeout_seconds: float = 30.0,
    ) -> WebhookView:
        """Send any webhook and wait until it was delivered or given up."""
        made = {"body": body, "raw": raw, "signature": signature, "repeat": repeat, "retry": retry}
        told = await self._call("POST", f"/webhooks{_waiting(True, timeout_seconds)}", made)
        return _WEBHOOK.validate_python(told["webhook"])

    async def begin_webhook(self, raw: str) -> int:
        """Put a webhook of exactly this text on its way, repeated as Meta does until it is taken; returns its id at once."""
        return int((await self._call("POST", "/webhooks", {"raw": raw}))["id"])

    async def repeat_webhook(self, webhook_id: int, times: int = 1, timeout_seconds: float = 30.0) -> WebhookView:
        """Post an earlier webhook again, byte for byte, and wait for its answers."""
        path = f"/webhooks/{webhook_id}/repeat{_waiting(True, timeout_seconds)}"
        return _WEBHOOK.validate_python((await self._call("POST", path, {"times": times}))["webhook"])

    async def summary(self) -> Summary:
        """Totals, double accepts and worst seconds of the whole run."""
        return _SUMMARY.validate_python(await self._call("GET", "/summary"))

    async def wait_idle(self, timeout_seconds: float = 30.0) -> bool:
        """True when nothing is on its way any more; False when that did not happen in time."""
        return bool((await self._call("GET", f"/idle?timeout={timeout_seconds}"))["idle"])

    async def reset(self) -> None:
        """Back to the configured start."""
        await self._call("DELETE", "")

    async def health(self) -> bool:
        """True when the simulator answers; False when nobody does."""
        try:
            await self._call("GET", "/health")
        except (aiohttp.ClientError, TimeoutError):
            return False
        return True

    async def _pages(self, what: str, after: int, pages: TypeAdapter[_T]) -> AsyncIterator[_T]:
        key = "seq" if what == "requests" else "id"
        while True:
            found = (await self._call("GET", f"/{what}?after={after}&limit={_PAGE}"))[what]
            if not found:
                return
            yield pages.validate_python(found)
            after = found[-1][key]

    async def _call(self, method: str, path: str, body: Mapping[str, object] | None = None) -> dict[str, Any]:
        async with self._session.request(method, f"{self.url}/_sim{path}", json=body) as response:
            if response.status >= 400:
                raise SimulatorRefusedError(response.status, await response.text())
            answer: JsonObject = await response.json()
            return answer


def _waiting(wait: bool, timeout_seconds: float) -> str:
    return f"?wait=1&timeout={timeout_seconds}" if wait else ""
