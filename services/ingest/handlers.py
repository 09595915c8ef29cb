"""What happens to a request? Signature first, then the log, then 200."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Iterable
from http import HTTPStatus
from time import perf_counter
from typing import Final
from uuid import uuid4

from aiohttp import HttpVersion10, HttpVersion11, web
from aiohttp.http_exceptions import BadHttpMessage
from prometheus_client import Counter

from services.common.domain.reasons import Reason
from services.common.platform import metrics
from services.common.platform.clock import now_ms
from services.common.platform.faults import fault
from services.ingest import answers
from services.ingest.answers import Answer, Answers
from services.ingest.appender import Appender
from services.ingest.budget import Budget
from services.ingest.config import App
from services.ingest.keys import record_key
from services.ingest.patience import Patience
from services.ingest.request import body_of, declared_length, expectation_of, is_encoded, kept_headers, signatures_of
from services.ingest.signature import same_token, shape_refusal, signed

_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
_REFUSALS: Final[dict[Reason, Answers]] = {
    Reason.BAD_REQUEST: answers.BAD_REQUEST,
    Reason.EXPECTATION: answers.EXPECTATION_FAILED,
    Reason.SIGNATURE_MISSING: answers.UNSIGNED,
    Reason.SIGNATURE_MALFORMED: answers.UNSIGNED,
    Reason.SIGNATURE_MISMATCH: answers.UNSIGNED,
    Reason.SIGNATURE_ENCODED: answers.ENCODING_CHANGED,
    Reason.BODY_TOO_LARGE: answers.TOO_LARGE,
    Reason.LOG_UNAVAILABLE: answers.UNAVAILABLE,
    Reason.OVERLOADED: answers.UNAVAILABLE,
    Reason.DRAINING: answers.UNAVAILABLE,
}
_SPOKEN: Final = (HttpVersion11, HttpVersion10)
"""The parser takes others, and a request line without any; then nobody can say where the request ends."""
_UNSIGNED: Final = frozenset({Reason.SIGNATURE_MISSING, Reason.SIGNATURE_MALFORMED, Reason.SIGNATURE_MISMATCH})
_ENDING: Final = frozenset({Reason.BODY_TOO_LARGE, Reason.BAD_REQUEST})


class _Route:
    """One app with what its requests need and would otherwise be made again each time."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.headers: list[tuple[str, bytes]] = [
            ("ce_specversion", b"1.0"),
            ("ce_type", b"parley.webhook"),
            ("ce_source", app.path.encode()),
            ("parley-app", app.name.encode()),
        ]
        self.accepted = metrics.WEBHOOK_REQUESTS.labels(app.name, "accepted")
        self._refused: dict[str, Counter] = {}

    def count(self, outcome: str) -> None:
        self._refused.setdefault(outcome, metrics.WEBHOOK_REQUESTS.labels(self.app.name, outcome)).inc()


class Webhooks:
    """Meta's two requests, for each app's path."""

    def __init__(self, *, apps: Iterable[App], appender: Appender, body_bytes: int, reading: Budget, patience: Patience) -> None:
        self._routes: dict[str, _Route] = {}
        self.serve(apps)
        self._appender = appender
        self._body_bytes = body_bytes
        self._reading, self._patience = reading, patience
        # The log's own position identifies a record; a CloudEvent only wants an id that is never used twice.
        self._id_prefix = f"{uuid4()}/".encode()
        self._received = 0
        self._active = 0
        self._idle: asyncio.Event | None = None

    def serve(self, apps: Iterable[App]) -> None:
        """These from now on. A request in progress is judged by the secrets it began with."""
        self._routes = {app.path: _Route(app) for app in apps}

    @property
    def draining(self) -> bool:
        """From the start of the drain: POSTs are refused."""
        return self._idle is not None

    async def drain(self, seconds: float) -> None:
        """Refuse POSTs from now on, and return when those in progress are answered, or after the time."""
        self._idle = asyncio.Event()
        if self._active:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._idle.wait()

    def handle(self, request: web.BaseRequest) -> Awaitable[Answer]:
        """The one handler of the server."""
        if request.version not in _SPOKEN:
            return self._unreadable()
        route = self._routes.get(request.raw_path) or self._routes.get(_target(request).partition("?")[0])
        if route is not None and request.method == "POST":
            return self._post(request, route)
        return self._other(request, route)

    async def _unreadable(self) -> Answer:
        metrics.WEBHOOK_REQUESTS.labels("none", Reason.BAD_REQUEST).inc()
        return answers.BAD_REQUEST.closing

    async def _post(self, request: web.BaseRequest, route: _Route) -> Answer:
        self._active += 1
        try:
            refusal = await self._take(request, route)
        except (BadHttpMessage, web.RequestPayloadError) as problem:
            _let_go(problem)
            refusal = Reason.BAD_REQUEST
        except ConnectionError as problem:
            _let_go(problem)
            route.count("client_gone")
            return answers.BAD_REQUEST.closing
        finally:
            self._active -= 1
            if self._idle is not None and not self._active:
                self._idle.set()
        if refusal is None:
            route.accepted.inc()
            return answers.ACCEPTED.to(request)
        route.count(refusal)
        answer = _REFUSALS[refusal]
        ends = self.draining or refusal in _ENDING or not request.content.is_eof()
        if ends:
            return answer.closing
        if refusal in _UNSIGNED:
            await self._wait_turn()
        return answer.to(request)

    async def _wait_turn(self) -> None:
        """Of a request that is none of Meta's; it is not in progress any more."""
        seconds = self._patience.seconds(asyncio.get_running_loop().time())
        if seconds > 0.0:
            await asyncio.sleep(seconds)

    async def _take(self, request: web.BaseRequest, route: _Route) -> Reason | None:
        """None once the bytes are in the log."""
        signatures = signatures_of(request)
        refusal = self._unwanted(request, signatures)
        if refusal is not None:
            return refusal
        content = request.content
        if content.is_eof():
            body: bytes | Reason = content.read_nowait()
        else:
            body = await body_of(request, limit=self._body_bytes, budget=self._reading)
        fault("ingest.after_read")
        if isinstance(body, Reason):
            return body
        if not signed(signatures[0], body, route.app.secrets):
            return Reason.SIGNATURE_ENCODED if is_encoded(request) else Reason.SIGNATURE_MISMATCH
        fault("ingest.after_hmac")
        at = now_ms()
        headers = self._headers(request, route, at)
        fault("ingest.before_produce")
        began = perf_counter()
        appending = self._appender.append(record_key(body), body, headers, at=at)
        del body  # a batch has its own copy soon
        refusal = await appending
        if refusal is None:
            metrics.WEBHOOK_APPEND_SECONDS.observe(perf_counter() - began)
            fault("ingest.after_ack_before_200")
        return refusal

    def _unwanted(self, request: web.BaseRequest, signatures: list[bytes]) -> Reason | None:
        """Why not to read the body at all. What a client expects before it sends it is granted here."""
        if self.draining:
            return Reason.DRAINING
        if declared_length(request) > self._body_bytes:
            return Reason.BODY_TOO_LARGE
        expected = expectation_of(request)
        if expected and expected != "100-continue":
            return Reason.EXPECTATION
        refusal = shape_refusal(signatures)
        if refusal is None and expected:
            _continue(request)
        return refusal

    def _headers(self, request: web.BaseRequest, route: _Route, at: int) -> list[tuple[str, bytes]]:
        self._received += 1
        own = (("ce_id", b"%s%d" % (self._id_prefix, self._received)), ("parley-received-at", b"%d" % at))
        return [*route.headers, *own, *kept_headers(request)]

    async def _other(self, request: web.BaseRequest, route: _Route | None) -> Answer:
        if route is None:
            metrics.WEBHOOK_REQUESTS.labels("none", "not_found").inc()
            await self._wait_turn()
            return answers.NOT_FOUND.to(request)
        if request.method == "GET":
            answer = self._get(request, route)
            if answer.status != HTTPStatus.OK:
                await self._wait_turn()
            return answer
        route.count("method_not_allowed")
        await self._wait_turn()
        return answers.METHOD_NOT_ALLOWED.to(request)

    def _get(self, request: web.BaseRequest, route: _Route) -> Answer:
        query = request.rel_url.query
        if any(len(query.getall(name)) > 1 for name in set(query)):
            route.count("challenge_ambiguous")
            return answers.BAD_REQUEST.to(request)
        text = query.get("hub.challenge", "")
        known = same_token(query.get("hub.verify_token", ""), route.app.verify_token)
        if not (known and query.get("hub.mode") == "subscribe" and _CHALLENGE.fullmatch(text)):
            route.count("challenge_refused")
            return answers.FORBIDDEN.to(request)
        route.count("challenge")
        return answers.challenge(text).to(request)


def _let_go(problem: Exception) -> None:
    """Of the frames that it came through. The request's body has it, and they have the request: together they would stay until
    the collector comes, and to collect thousands of dropped connections stops everything for some hundred milliseconds.
    """
    problem.with_traceback(None)


def _target(request: web.BaseRequest) -> str:
    """Path and query as sent; of an absolute target, which a proxy may send, the part behind the host."""
    target = request.raw_path
    return target if target.startswith("/") else request.rel_url.raw_path_qs


def _continue(request: web.BaseRequest) -> None:
    if request.transport is not None and request.version == HttpVersion11:
        request.transport.write(answers.CONTINUE)
