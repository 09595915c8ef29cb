"""What do small files of the types that Meta takes look like?"""

from __future__ import annotations

from typing import Final

JPEG: Final = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00"
PNG: Final = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
STICKER: Final = b"RIFF\x24\x00\x00\x00WEBPVP8 \x18\x00\x00\x00"
MOVING_STICKER: Final = b"RIFF\x24\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x02\x00\x00\x00"
MP4: Final = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00"
PDF: Final = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"
_OFFICE: Final = "application/vnd.openxmlformats-officedocument"

SAMPLES: Final[dict[str, bytes]] = {
    "image/jpeg": JPEG,
    "image/png": PNG,
    "image/webp": STICKER,
    "video/mp4": MP4,
    "video/3gpp": b"\x00\x00\x00\x14ftyp3gp4\x00\x00\x00\x00",
    "audio/aac": b"\xff\xf1\x50\x80\x00\x1f\xfc",
    "audio/mpeg": b"ID3\x04\x00\x00\x00\x00\x00\x00",
    "audio/mp4": b"\x00\x00\x00\x18ftypM4A \x00\x00\x00\x00",
    "audio/amr": b"#!AMR\n\x3c\x04",
    "audio/ogg": b"OggS\x00\x02" + bytes(22) + b"OpusHead\x01\x01",
    "application/pdf": PDF,
    "text/plain": "Grüße\n".encode(),
    "application/msword": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\x00",
    "application/vnd.ms-excel": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\x00",
    "application/vnd.ms-powerpoint": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\x00",
    f"{_OFFICE}.wordprocessingml.document": b"PK\x03\x04\x14\x00\x06\x00",
    f"{_OFFICE}.spreadsheetml.sheet": b"PK\x03\x04\x14\x00\x06\x00",
    f"{_OFFICE}.presentationml.presentation": b"PK\x03\x04\x14\x00\x06\x00",
}


def of_size(beginning: bytes, size: int) -> bytes:
    """A file that begins so and is so long."""
    return beginning + bytes(size - len(beginning))
