"""Is the media of a command ready, and what is to be said or done when it is not? Pure: decides by what the tables say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from services.common.domain.reasons import Reason
from services.common.domain.send_policy import Refused
from services.sender.media import formats, references
from services.sender.media.formats import File, Misfit
from services.sender.media.references import Given, Reference, Source

FRESH_SECONDS: Final = {"file": 10.0, "link": 600.0}
"""How long what was found behind a name is taken to be there still. Meta itself keeps what it fetched for ten minutes."""
PARK_SECONDS: Final = 30.0
"""How long a command waits that nobody wakes: the process that was to wake it is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was last found behind a source, how long ago, and the id that this content has with the number."""

    file: File
    age_seconds: float
    media_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """An id that Parley got from Meta."""

    phone_number_id: str
    is_over: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the tables say of everything that a number's commands name."""

    seen: Mapping[Source, Seen] = field(default_factory=lambda: MappingProxyType({}))
    uploads: Mapping[str, Upload] = field(default_factory=lambda: MappingProxyType({}))


NONE: Final = Facts()
Key = tuple[str, str, bytes]
"""Number, media type and source: what is the same work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """Media that a command of a number waits for."""

    phone_number_id: str
    media_type: str
    source: Source

    @property
    def key(self) -> Key:
        """What it is known by."""
        return self.phone_number_id, self.media_type, self.source.digest()


class NotPrepared(Exception):  # noqa: N818 - what happened
    """Why media could not be made ready; the text quotes nothing of the command. `is_final`: the same will happen again."""

    def __init__(self, text: str, *, is_final: bool, is_too_big: bool = False, wait_seconds: float = 0.0) -> None:
        super().__init__(text)
        self.text, self.is_final, self.is_too_big, self.wait_seconds = text, is_final, is_too_big, wait_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why media could not be made ready: for good, or until an instant (milliseconds). After it, it is tried once more."""

    text: str
    is_final: bool
    until: int
    is_too_big: bool = False
    tries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """What to send, the ids of ours in it, and what should be looked at again although it is good still."""

    message_type: str
    content: object
    media_ids: tuple[str, ...] = ()
    stale: tuple[Want, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NotReady:
    """Ask again in so many seconds, or when the media that is wanted is there."""

    seconds: float
    wants: tuple[Want, ...]


def judge(
    message_type: str,
    content: object,
    *,
    phone_number_id: str,
    facts: Facts,
    failures: Mapping[Key, Failure],
    oversize: str,
    now: int,
) -> Ready | NotReady | Refused:
    """What becomes of a command whose content may name media. `oversize` is the command's word for a link that is too big."""
    for given in references.given_in(message_type, content):
        refused = _refused_id(given, phone_number_id, facts)
        if refused is not None:
            return refused
    ids: dict[Source, str] = {}
    stale: list[Want] = []
    wants: list[Want] = []
    waits: list[float] = []
    for reference in references.of(message_type, content):
        want = Want(phone_number_id=phone_number_id, media_type=reference.media_type, source=reference.source)
        failure = failures.get(want.key)
        failure = failure if failure is not None and now < failure.until else None
        standing = _standing(want, facts.seen.get(reference.source), failure)
        if isinstance(standing, Misfit):
            instead = _as_text(message_type, content) if standing.is_too_big and oversize == "link" else None
            return instead or Refused(reason=_reason(reference), detail=f"{reference.path}: {standing.text}")
        if isinstance(standing, Seen) and standing.media_id is not None:
            ids[reference.source] = standing.media_id
            stale += [want] if standing.age_seconds > _fresh(want) / 2 and failure is None else []
        elif isinstance(standing, Failure):
            waits.append((standing.until - now) / 1000)
        else:
            wants.append(want)
    if wants or waits:
        return NotReady(seconds=min([PARK_SECONDS, *waits]), wants=tuple(wants))
    sent = references.substituted(message_type, content, ids) if ids else content
    return Ready(message_type=message_type, content=sent, media_ids=tuple(ids.values()), stale=tuple(stale))


def _standing(want: Want, seen: Seen | None, failure: Failure | None) -> Seen | Misfit | Failure | None:
    """How it is with one of them: there, never to be, not for now, or not begun."""
    if seen is not None and seen.age_seconds <= _fresh(want):
        misfit = formats.problem(want.media_type, seen.file)
        if misfit is not None or seen.media_id is not None:
            return misfit or seen
    if failure is not None and failure.is_final:
        return Misfit(text=failure.text, is_too_big=failure.is_too_big)
    return failure


def _fresh(want: Want) -> float:
    return FRESH_SECONDS[want.source.kind]


def _reason(reference: Reference) -> Reason:
    return Reason.MEDIA_LINK if reference.source.kind == "link" else Reason.MEDIA


def _refused_id(given: Given, phone_number_id: str, facts: Facts) -> Refused | None:
    """An id that Parley uploaded is known to be another number's, or to be over; of others Meta is the judge."""
    upload = facts.uploads.get(given.media_id)
    if upload is None:
        return None
    if upload.phone_number_id != phone_number_id:
        return Refused(reason=Reason.MEDIA, detail=f"{given.path}: uploaded for another number")
    return Refused(reason=Reason.MEDIA, detail=f"{given.path}: uploaded more than 30 days ago") if upload.is_over else None


def _as_text(message_type: str, content: object) -> Ready | None:
    """The link with the caption before it, as a text; None for what is more than media with a link."""
    if message_type not in references.PLAIN_TYPES or not isinstance(content, dict):
        return None
    media: dict[str, Any] = content
    link, caption = media.get("link"), media.get("caption")
    if not isinstance(link, str):
        return None
    body = f"{caption}\n{link}" if isinstance(caption, str) and caption.strip() else link
    return Ready(message_type="text", content={"body": body, "preview_url": True})
