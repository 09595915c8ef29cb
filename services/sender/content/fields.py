"""Of what are the contents of all message types made? Texts, lists, numbers and links with their limits and reasons."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StrictStr
from pydantic_core import PydanticCustomError

from services.common.domain.reasons import Reason
from services.sender.content.limits import LIMITS
from services.sender.media import links
from services.sender.media.links import MAX_URL_CHARACTERS


class Part(BaseModel):
    """An object of a content. Keys that are not known here are Meta's to judge: it may be newer than we are."""

    model_config = ConfigDict(extra="allow", hide_input_in_errors=True)


def wrong(reason: Reason, text: str) -> PydanticCustomError:
    """To be raised by a check. `text` is said to the producer and never quotes the content."""
    return PydanticCustomError("refused", "{text}", {"reason": reason.value, "text": text})


def within(path: str) -> Any:
    """What the table allows, as a constraint of a field."""
    limit = LIMITS[path]
    if limit.unit:
        return Field(min_length=limit.at_least, max_length=limit.at_most)
    return Field(ge=limit.at_least, le=limit.at_most)


def _no_truth(value: object) -> object:
    if isinstance(value, bool):
        raise wrong(Reason.SHAPE, "not a number")
    return value


Number = Annotated[float, BeforeValidator(_no_truth)]
"""A number, or a text that is one."""
Whole = Annotated[int, BeforeValidator(_no_truth)]
"""The same without a fraction."""


def _worded(value: str) -> str:
    if not value.strip():
        raise wrong(Reason.LIMIT, "blank")
    return value


WORDED: Final = AfterValidator(_worded)
"""Not blanks alone."""


Said = Annotated[StrictStr, WORDED]
"""A text that says something, without a limit that Meta publishes."""


def _https(value: str) -> str:
    """What Meta can fetch. It looks the name up itself: an address within a private network is a mistake, or an attack on it."""
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise wrong(Reason.MEDIA_LINK, "not a link") from None
    if parts.scheme != "https" or not host or parts.username is not None or len(value) > MAX_URL_CHARACTERS:
        raise wrong(Reason.MEDIA_LINK, f"not an https link of at most {MAX_URL_CHARACTERS} characters, without a user")
    if not _is_public(host):
        raise wrong(Reason.MEDIA_LINK, "not a public host")
    return value


def _is_public(host: str) -> bool:
    try:
        return links.is_public(str(ipaddress.ip_address(host)))
    except ValueError:
        return links.is_public_name(host)


Link = Annotated[StrictStr, AfterValidator(_https)]


def _web(value: str) -> str:
    if not value.startswith(("http://", "https://")) or len(value) > MAX_URL_CHARACTERS:
        raise wrong(Reason.LIMIT, f"not a link of at most {MAX_URL_CHARACTERS} characters")
    return value


Web = Annotated[StrictStr, AfterValidator(_web)]
"""A link that a person opens."""
