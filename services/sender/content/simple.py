"""Is this a text, location, set of contacts or reaction that can be sent?

Sources: messages/{text,location,contacts,reaction}-messages.
"""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, StrictBool, StrictStr, model_validator

from services.common.domain.reasons import Reason
from services.sender.content.fields import WORDED, Number, Part, Said, within, wrong

_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_WAMID: Final = re.compile(r"wamid\.[A-Za-z0-9+/=_-]{4,512}")


def _wamid(value: str) -> str:
    if not is_wamid(value):
        raise wrong(Reason.CONTEXT, "not the id of a message")
    return value


def is_wamid(value: str) -> bool:
    """Whether Meta may have given this as the id of a message."""
    return _WAMID.fullmatch(value) is not None


Wamid = Annotated[StrictStr, AfterValidator(_wamid)]


class Text(Part):
    """Words; the first link in them may be shown with a preview."""

    body: Annotated[StrictStr, within("text.body"), WORDED]
    preview_url: StrictBool = False


class Location(Part):
    """A place."""

    latitude: Annotated[Number, within("location.latitude")]
    longitude: Annotated[Number, within("location.longitude")]
    name: StrictStr | None = None
    address: StrictStr | None = None


class Reaction(Part):
    """An emoji on a message; an empty one takes it back."""

    message_id: Wamid
    emoji: StrictStr


class _Typing(Part):
    type: Literal["text"]


class Read(Part):
    """A message of a customer that is marked as read, with those before it; it may show that somebody is typing.

    Source: messages/mark-message-as-read, typing-indicators.
    """

    message_id: Wamid
    typing_indicator: _Typing | None = None


class _Name(Part):
    formatted_name: Said
    first_name: StrictStr | None = None
    last_name: StrictStr | None = None
    middle_name: StrictStr | None = None
    suffix: StrictStr | None = None
    prefix: StrictStr | None = None

    @model_validator(mode="after")
    def _one_more(self) -> Self:
        if not any((self.first_name, self.last_name, self.middle_name, self.suffix, self.prefix)):
            raise wrong(Reason.SHAPE, "needs one more part than formatted_name")
        return self


def _day(value: str) -> str:
    if not _DAY.fullmatch(value):
        raise wrong(Reason.SHAPE, "not a day as YYYY-MM-DD")
    return value


class Card(Part):
    """Somebody's card."""

    name: _Name
    birthday: Annotated[StrictStr, AfterValidator(_day)] | None = None
    phones: tuple[Part, ...] = ()
    emails: tuple[Part, ...] = ()
    urls: tuple[Part, ...] = ()
    addresses: tuple[Part, ...] = ()
    org: Part | None = None
