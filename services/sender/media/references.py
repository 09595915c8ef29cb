"""Where does a content name media that Parley uploads, and how does it look with Meta's ids in their place? Pure.

A media object is the content of a message that is one, and whatever else stands under the name of its holder's `type`: headers of
interactive messages and of their cards, parameters of templates and of theirs.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import unquote, urlsplit

MEDIA_TYPES: Final = frozenset({"image", "video", "audio", "document", "sticker", "gif"})
"""`gif` only as a parameter of a template's header."""
PLAIN_TYPES: Final = MEDIA_TYPES - {"gif"}
"""Messages that are media and nothing else."""
HOLDERS: Final = frozenset({*PLAIN_TYPES, "interactive", "template"})
"""Message types whose content can have media in it."""
_DEEPEST: Final = 64
_KEY: Final = re.compile(r"[a-z][a-z0-9_]*")
"""A word such as Meta's keys are: nothing else of a content is ever told."""
_MAX_NAME_CHARACTERS: Final = 1024


@dataclass(frozen=True, slots=True)
class Source:
    """Where the bytes are: a path below the directory of media files, or a link."""

    kind: Literal["file", "link"]
    value: str

    def digest(self) -> bytes:
        """What it is known by: a link may carry secrets, and is kept nowhere but in its command."""
        return hashlib.sha256(f"{self.kind}:{self.value}".encode()).digest()


@dataclass(frozen=True, slots=True)
class Reference:
    """Media that is to be uploaded, and the field that names it."""

    path: str
    media_type: str
    source: Source


@dataclass(frozen=True, slots=True)
class Given:
    """An id of Meta's that the producer brought, and the field it stands in."""

    path: str
    media_id: str


def is_file_name(value: str) -> bool:
    """Whether this is a relative path that goes nowhere but down."""
    parts = value.split("/")
    return len(value) <= _MAX_NAME_CHARACTERS and "\\" not in value and "\0" not in value and not {"", ".", ".."} & set(parts)


def of(message_type: str, content: object) -> list[Reference]:
    """What is to be uploaded, in the order of the content."""
    return [
        Reference(f"{path}.{source.kind}", media_type, source)
        for path, media_type, media in _media(message_type, content)
        if (source := _source(media)) is not None
    ]


def given_in(message_type: str, content: object) -> list[Given]:
    """The ids that the producer brought."""
    found = ((path, media.get("id")) for path, _, media in _media(message_type, content))
    return [Given(f"{path}.id", media_id) for path, media_id in found if isinstance(media_id, str)]


def substituted(message_type: str, content: object, ids: Mapping[Source, str]) -> object:
    """The content as Meta takes it: each reference whose source is in `ids` has become an id."""

    def changed(media_type: str, media: Mapping[str, Any]) -> dict[str, Any]:
        source = _source(media)
        if source is None or source not in ids:
            return dict(media)
        told = {"id": ids[source], **{name: value for name, value in media.items() if name not in ("file", "link", "upload")}}
        name = _last_part(source) if media_type == "document" else None
        return {"filename": name, **told} if name is not None else told

    if message_type in PLAIN_TYPES:
        return changed(message_type, content) if isinstance(content, dict) else content
    return _mapped(content, changed, _DEEPEST)


def _last_part(source: Source) -> str | None:
    """What a document is called to which its command gives no name: Meta takes it from a link, but not from an id."""
    path = source.value if source.kind == "file" else urlsplit(source.value).path
    name = unquote(path.rpartition("/")[2])
    return name if "." in name and name.isprintable() else None


def _source(media: Mapping[str, Any]) -> Source | None:
    file, link = media.get("file"), media.get("link")
    if isinstance(file, str):
        return Source("file", file)
    return Source("link", link) if isinstance(link, str) and media.get("upload") is True else None


def _media(message_type: str, content: object) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """(path, media type, object) of every media object."""
    if message_type in PLAIN_TYPES:
        if isinstance(content, dict):
            yield message_type, message_type, content
        return
    if message_type not in HOLDERS:
        return
    level: list[tuple[str, object]] = [(message_type, content)]
    for _ in range(_DEEPEST):
        below: list[tuple[str, object]] = []
        for path, value in level:
            media_type = _held(value)
            if media_type is not None and isinstance(value, dict):
                yield f"{path}.{media_type}", media_type, value[media_type]
            below += _parts(path, value)
        level = below


def _held(value: object) -> str | None:
    """The type of the media object that this holds."""
    kind = value.get("type") if isinstance(value, dict) else None
    is_one = isinstance(kind, str) and kind in MEDIA_TYPES and isinstance(value, dict) and isinstance(value.get(kind), dict)
    return kind if is_one else None


def _parts(path: str, value: object) -> Iterable[tuple[str, object]]:
    if isinstance(value, dict):
        parts = [(name, part) for name, part in value.items() if isinstance(part, dict | list)]
        return [(f"{path}.{name}" if _KEY.fullmatch(name) else path, part) for name, part in parts]
    if isinstance(value, list):
        return [(f"{path}[{place}]", part) for place, part in enumerate(value) if isinstance(part, dict | list)]
    return ()


def _mapped(value: object, changed: Callable[[str, Mapping[str, Any]], dict[str, Any]], levels: int) -> object:
    if levels == 0:
        return value
    if isinstance(value, list):
        return [_mapped(part, changed, levels - 1) for part in value]
    if not isinstance(value, dict):
        return value
    held = _held(value)
    return {name: changed(name, part) if name == held else _mapped(part, changed, levels - 1) for name, part in value.items()}
