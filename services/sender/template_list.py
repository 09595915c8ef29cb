"""What does Graph list as an account's templates? `GET /{waba_id}/message_templates`, page by page, and nothing else.

Source: reference/whatsapp-business-account/message_templates; 131059: support/error-codes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import orjson

from services.common.domain import graph_codes
from services.common.domain.graph_codes import Scope, Verdict
from services.sender.response import document_of

PAGE: Final = 200
FIELDS: Final = "id,name,language,status,category,parameter_format,components,quality_score"
CURSOR_EXPIRED: Final = 131059
MANAGEMENT_LIMIT: Final = 80008
"""The account's calls of an hour are used up. No message is answered so."""
_MOST_PAGES: Final = 100
_MOST_RESTARTS: Final = 2
_PAGE_SECONDS: Final = 15.0
_BETWEEN_SECONDS: Final = 0.2
"""Meta counts management calls by the hour, and nobody waits for a single page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedTemplate:
    """One element of the list; `components` is JSON as Graph gave it."""

    name: str
    language: str
    template_id: str
    status: str | None
    category: str | None
    parameter_format: str | None
    components: str
    quality_score: str | None


class ListUnread(Exception):  # noqa: N818 - what happened
    """The list could not be read as a whole. `told` is for people; `error_code` is Graph's, where it gave one."""

    def __init__(self, told: str, error_code: int | None = None) -> None:
        super().__init__(told)
        self.told, self.error_code = told, error_code

    @property
    def is_about_token(self) -> bool:
        """Another number's token may be allowed to."""
        return self.error_code is not None and graph_codes.row_of(self.error_code).scope is Scope.TOKEN

    @property
    def is_throttled(self) -> bool:
        """Too many management calls: later, and seldomer."""
        if self.error_code is None or self.error_code == MANAGEMENT_LIMIT:
            return self.error_code is not None
        row = graph_codes.row_of(self.error_code)
        return row.verdict is Verdict.RETRY and row.scope in (Scope.NUMBER, Scope.WABA, Scope.APP)


class TemplateList:
    """Reads lists. The session is for management calls: that of messages writes nothing without a STARTED row."""

    def __init__(self, session: aiohttp.ClientSession, *, base_url: str, version: str) -> None:
        self._session, self._url = session, f"{base_url}/{version}"

    async def read(self, waba_id: str, *, token: str) -> list[ListedTemplate]:
        """Every template of the account, each once; ListUnread when that is not possible now."""
        for _ in range(_MOST_RESTARTS + 1):
            try:
                return await self._read_through(waba_id, token)
            except ListUnread as unread:
                if unread.error_code != CURSOR_EXPIRED:
                    raise
        raise ListUnread("Its pages expired faster than they could be read.", CURSOR_EXPIRED)

    async def _read_through(self, waba_id: str, token: str) -> list[ListedTemplate]:
        found: dict[tuple[str, str], ListedTemplate] = {}
        after: str | None = None
        for _ in range(_MOST_PAGES):
            page = await self._page(waba_id, token, after)
            data = page.get("data")
            if not isinstance(data, list):
                raise ListUnread("Graph's answer is no list.")
            found |= {(one.name, one.language): one for one in map(_listed, data) if one is not None}
            after = _next(page)
            if after is None:
                return list(found.values())
            await asyncio.sleep(_BETWEEN_SECONDS)
        raise ListUnread(f"It has more than {_MOST_PAGES} pages.")

    async def _page(self, waba_id: str, token: str, after: str | None) -> Mapping[str, Any]:
        query = {"fields": FIELDS, "limit": str(PAGE), **({} if after is None else {"after": after})}
        asking = self._session.get(
            f"{self._url}/{waba_id}/message_templates",
            params=query,
            headers={"Authorization": f"Bearer {token}"},
            allow_redirects=False,
        )
        try:
            async with asyncio.timeout(_PAGE_SECONDS), asking as answer:
                payload, status = await answer.read(), answer.status
        except (aiohttp.ClientError, OSError, ValueError) as problem:
            # The type alone is told: texts may quote addresses.
            raise ListUnread(f"Graph does not answer ({type(problem).__name__}).") from None
        document = document_of(payload)
        error = document.get("error")
        if status != 200 or isinstance(error, dict):
            code = graph_codes.code_of(error)
            if code is None:
                raise ListUnread(f"HTTP {status} without an error of Graph.")
            raise ListUnread(graph_codes.row_of(code).told if code in graph_codes.CODES else f"Error {code}.", code)
        return document


def _next(page: Mapping[str, Any]) -> str | None:
    """The cursor of the next page. `next` says that there is one; its address is not followed."""
    paging = page.get("paging")
    if not isinstance(paging, dict) or not paging.get("next"):
        return None
    cursors = paging.get("cursors")
    after = cursors.get("after") if isinstance(cursors, dict) else None
    return after if isinstance(after, str) and after else None


def _listed(element: object) -> ListedTemplate | None:
    """None for what has no name or language: nobody can send it."""
    if not isinstance(element, dict):
        return None
    name, language = _text(element.get("name")), _text(element.get("language"))
    if name is None or language is None:
        return None
    quality = element.get("quality_score")
    return ListedTemplate(
        name=name,
        language=language,
        template_id=str(element.get("id") or ""),
        status=_word(element.get("status")),
        category=_word(element.get("category")),
        parameter_format=_word(element.get("parameter_format")),
        components=orjson.dumps(element.get("components") or []).decode(),
        quality_score=_word(quality.get("score") if isinstance(quality, dict) else None),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value and "\0" not in value else None


def _word(value: object) -> str | None:
    text = _text(value)
    return None if text is None else text.upper()
