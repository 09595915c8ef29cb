"""Are types known by their bytes, and sizes judged at Meta's limits and one byte past them?"""

from __future__ import annotations

import pytest

from services.sender.content.limits import MEDIA_LIMITS
from services.sender.media import formats
from services.sender.media.formats import MIME_TYPES, File
from tests.support.media_files import MOVING_STICKER, SAMPLES

ONE_OF = {media_type: min(mime_types) for media_type, mime_types in MIME_TYPES.items()}
SHARED = [
    {"audio/mp4", "video/mp4"},
    {one for one in SAMPLES if "office" in one},
    {one for one in SAMPLES if one.startswith("application/ms") or "vnd.ms-" in one},
]
"""Types that begin alike."""


@pytest.mark.parametrize("mime_type", SAMPLES)
@pytest.mark.parametrize("claimed", SAMPLES)
def test_a_file_is_only_what_its_first_bytes_are(mime_type: str, claimed: str) -> None:
    looks = formats.looks_like(claimed, SAMPLES[mime_type])
    if claimed == mime_type:
        assert looks
    elif (mime_type, claimed) == ("audio/mp4", "video/mp4"):
        assert not looks, "a sound is no film"
    else:
        assert looks == any({mime_type, claimed} <= group for group in SHARED)


@pytest.mark.parametrize(
    "beginning", [b"<html><script>", b"#!/bin/sh\n", b"MZ\x90\x00", b"\x7fELF", b"GIF89a", b"", b"\x00" * 64]
)
def test_what_is_none_of_the_types_looks_like_none(beginning: bytes) -> None:
    assert not [one for one in SAMPLES if one != "text/plain" and formats.looks_like(one, beginning)]


def test_every_type_has_a_sample_and_a_name() -> None:
    assert set(SAMPLES) == MIME_TYPES["document"]
    assert {
        formats.mime_type_of_name(f"a.{suffix}")
        for suffix in (
            "jpg",
            "png",
            "webp",
            "mp4",
            "3gp",
            "aac",
            "amr",
            "mp3",
            "m4a",
            "ogg",
            "pdf",
            "txt",
            "doc",
            "xls",
            "ppt",
            "docx",
            "xlsx",
            "pptx",
        )
    } == set(SAMPLES)
    assert formats.mime_type_of_name("A.JPEG") == "image/jpeg"
    assert [formats.mime_type_of_name(name) for name in ("jpg", "a.exe", "a.pdf.exe", "a.")] == [None] * 4


def test_a_content_type_counts_without_its_parameters() -> None:
    assert formats.mime_type_of_header("Audio/OGG; codecs=opus") == "audio/ogg"
    assert [formats.mime_type_of_header(one) for one in (None, "", "text/html", "image/svg+xml", "application/octet-stream")] == [
        None
    ] * 5


@pytest.mark.parametrize("limit", MEDIA_LIMITS)
def test_at_the_limit_and_one_byte_past_it(limit: str) -> None:
    media_type = limit.partition("[")[0]
    most, moving = MEDIA_LIMITS[limit].at_most, limit.endswith("[animated]")
    mime_type = ONE_OF[media_type]
    assert formats.problem(media_type, File(mime_type=mime_type, size=most, is_animated=moving)) is None
    past = formats.problem(media_type, File(mime_type=mime_type, size=most + 1, is_animated=moving))
    assert past is not None
    assert (past.text, past.is_too_big) == (f"{most + 1} bytes, at most {most}", True)
    assert MEDIA_LIMITS[limit].source.startswith("messages/")


@pytest.mark.parametrize("media_type", MIME_TYPES)
def test_a_type_that_cannot_be_shown_so_is_not_taken(media_type: str) -> None:
    for mime_type in SAMPLES:
        fits = formats.problem(media_type, File(mime_type=mime_type, size=1)) is None
        assert fits == (mime_type in MIME_TYPES[media_type])
    empty = formats.problem(media_type, File(mime_type=ONE_OF[media_type], size=0))
    assert empty is not None
    assert empty.text == "empty"


def test_a_sticker_that_moves_is_told_from_one_that_stands_still() -> None:
    assert formats.is_animated("image/webp", MOVING_STICKER)
    assert not formats.is_animated("image/webp", SAMPLES["image/webp"])
    assert not formats.is_animated("image/png", MOVING_STICKER)
