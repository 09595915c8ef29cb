"""What type of file is this, and does Meta take it for this type of message? Pure: first bytes and a size in, words out.

The types are those that Meta's upload takes, each for the message types that can show it. Source:
https://developers.facebook.com/documentation/business-messaging/whatsapp/business-phone-numbers/media (supported media types).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from services.sender.content.limits import MEDIA_LIMITS

HEAD_BYTES: Final = 1024
"""How much of a file's beginning tells its type."""

_CONTROLS: Final = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_ANIMATED: Final = 0x02


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """What the limits depend on; `size` in bytes."""

    mime_type: str
    size: int
    is_animated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfit:
    """Why Meta does not take a file for a message type."""

    text: str
    is_too_big: bool = False


def problem(media_type: str, file: File) -> Misfit | None:
    """Why Meta does not take the file for an `image`, `video`, `audio`, `document`, `sticker` or `gif`; None when it does."""
    if file.mime_type not in MIME_TYPES[media_type]:
        return Misfit(text=f"{file.mime_type}: not a type that can be sent as {media_type}")
    most = most_bytes(media_type, is_animated=file.is_animated)
    if file.size > most:
        return Misfit(text=f"{file.size} bytes, at most {most}", is_too_big=True)
    return Misfit(text="empty") if file.size == 0 else None


def most_bytes(media_type: str, *, is_animated: bool = True) -> int:
    """The largest file of a message type. An animated sticker may be larger than one that stands still."""
    if media_type == "sticker":
        return MEDIA_LIMITS["sticker[animated]" if is_animated else "sticker"].at_most
    return MEDIA_LIMITS["video" if media_type == "gif" else media_type].at_most


def looks_like(mime_type: str, head: bytes) -> bool:
    """Whether a file that begins so may be of this type."""
    looks = _LOOKS.get(mime_type)
    return looks is not None and looks(head[:HEAD_BYTES])


def is_animated(mime_type: str, head: bytes) -> bool:
    """Whether a sticker moves: the flag of WebP's extended header."""
    return mime_type == "image/webp" and head[12:16] == b"VP8X" and len(head) > 20 and bool(head[20] & _ANIMATED)


def mime_type_of_name(name: str) -> str | None:
    """The type that a file's name says; None for one that Meta does not take."""
    return _SUFFIXES.get(name.rpartition(".")[2].lower()) if "." in name else None


def mime_type_of_header(content_type: str | None) -> str | None:
    """The type that a Content-Type says, without its parameters; None for one that Meta does not take."""
    mime_type = (content_type or "").partition(";")[0].strip().lower()
    return mime_type if mime_type in _LOOKS else None


def _begins(*marks: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(marks)


def _brand(head: bytes) -> bytes:
    """The major brand of an ISO base media file; nothing of anything else."""
    return head[8:12] if head[4:8] == b"ftyp" else b""


def _is_mp4(head: bytes) -> bool:
    brand = _brand(head)
    return brand != b"" and not brand.startswith((b"3g", b"M4A", b"M4B", b"qt", b"heic", b"avif", b"mif1"))


def _is_text(head: bytes) -> bool:
    return _CONTROLS.search(head) is None and not head.startswith((b"%PDF-", b"{\\rtf"))


_OLE: Final = _begins(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
_ZIP: Final = _begins(b"PK\x03\x04")
_OFFICE: Final = "application/vnd.openxmlformats-officedocument"

_LOOKS: Final[Mapping[str, Callable[[bytes], bool]]] = {
    "image/jpeg": _begins(b"\xff\xd8\xff"),
    "image/png": _begins(b"\x89PNG\r\n\x1a\n"),
    "image/webp": lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP",
    "video/mp4": _is_mp4,
    "video/3gpp": lambda head: _brand(head).startswith(b"3g"),
    # ADTS has layer 0, MPEG audio any other.
    "audio/aac": lambda head: len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0,
    "audio/mpeg": lambda head: (
        head[:3] == b"ID3" or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[1] & 0x06 != 0)
    ),
    "audio/mp4": lambda head: _brand(head).startswith((b"M4A", b"M4B")) or _is_mp4(head),
    "audio/amr": _begins(b"#!AMR"),
    "audio/ogg": lambda head: head[:4] == b"OggS" and b"OpusHead" in head[:128],
    "application/pdf": lambda head: b"%PDF-" in head,
    "text/plain": _is_text,
    "application/msword": _OLE,
    "application/vnd.ms-excel": _OLE,
    "application/vnd.ms-powerpoint": _OLE,
    f"{_OFFICE}.wordprocessingml.document": _ZIP,
    f"{_OFFICE}.spreadsheetml.sheet": _ZIP,
    f"{_OFFICE}.presentationml.presentation": _ZIP,
}

MIME_TYPES: Final[Mapping[str, frozenset[str]]] = {
    "image": frozenset({"image/jpeg", "image/png"}),
    "video": frozenset({"video/mp4", "video/3gpp"}),
    "audio": frozenset({"audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg"}),
    "sticker": frozenset({"image/webp"}),
    "gif": frozenset({"video/mp4"}),
    "document": frozenset(_LOOKS),
}
"""What each message type can show."""

_SUFFIXES: Final[Mapping[str, str]] = {
    "jpg": "image/jpeg", "jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp",
    "mp4": "video/mp4", "3gp": "video/3gpp",
    "aac": "audio/aac", "amr": "audio/amr", "mp3": "audio/mpeg", "m4a": "audio/mp4", "ogg": "audio/ogg", "opus": "audio/ogg",
    "pdf": "application/pdf", "txt": "text/plain",
    "doc": "application/msword", "xls": "application/vnd.ms-excel", "ppt": "application/vnd.ms-powerpoint",
    "docx": f"{_OFFICE}.wordprocessingml.document", "xlsx": f"{_OFFICE}.spreadsheetml.sheet",
    "pptx": f"{_OFFICE}.presentationml.presentation",
}  # fmt: skip
