"""Is a file opened only where it may be, and taken whole, once, and no longer than allowed?"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from services.sender.media import spool
from services.sender.media.facts import NotPrepared
from services.sender.media.spool import NotThere, Spool, TooBig
from tests.support.media_files import JPEG, MOVING_STICKER


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory with a file, beside a secret."""
    made = tmp_path / "media"
    (made / "bills").mkdir(parents=True)
    (made / "bills" / "1.jpg").write_bytes(JPEG)
    (tmp_path / "secret.jpg").write_bytes(JPEG)
    return made


def test_a_file_below_the_directory_is_opened(directory: Path) -> None:
    with spool.open_below(directory, "bills/1.jpg") as file:
        assert file.read() == JPEG


@pytest.mark.parametrize(
    "name",
    ["none.jpg", "bills", "bills/1.jpg/x", "out.jpg", "inside.jpg", "away/secret.jpg",
     "again/1.jpg", "pipe.jpg", "x" * 300],
)  # fmt: skip
def test_what_is_no_file_or_is_reached_by_a_link_is_not(directory: Path, name: str) -> None:
    (directory / "out.jpg").symlink_to(directory.parent / "secret.jpg")
    (directory / "inside.jpg").symlink_to(directory / "bills" / "1.jpg")
    (directory / "away").symlink_to(directory.parent)
    (directory / "again").symlink_to(directory / "bills")
    os.mkfifo(directory / "pipe.jpg")
    with pytest.raises(NotThere):
        spool.open_below(directory, name)


def test_no_handle_is_left_behind(directory: Path) -> None:
    before = len(os.listdir("/dev/fd"))  # noqa: PTH208 - no path is of interest
    for name in ("bills/1.jpg", "bills", "none/1.jpg", "bills/none.jpg"):
        try:
            spool.open_below(directory, name).close()
        except NotThere:
            continue
    assert len(os.listdir("/dev/fd")) == before  # noqa: PTH208


def test_what_is_taken_is_hashed_and_stays_to_be_read(tmp_path: Path) -> None:
    with Spool(tmp_path, most=100) as room:
        for byte in MOVING_STICKER:
            room.write(bytes([byte]))
        content = room.content("image/webp")
        assert content.sha256 == hashlib.sha256(MOVING_STICKER).digest()
        assert (content.file.size, content.file.is_animated) == (len(MOVING_STICKER), True)
        room.file.seek(0)
        assert room.file.read() == MOVING_STICKER
        assert list(tmp_path.iterdir()) == [], "it has no name"
        with pytest.raises(NotPrepared, match="its bytes are not image/png"):
            room.content("image/png")


def test_one_byte_past_the_limit_is_too_big(tmp_path: Path) -> None:
    with Spool(tmp_path, most=3) as room:
        room.expect(3)
        room.write(b"abc")
        with pytest.raises(TooBig, match="more than 3 bytes"):
            room.write(b"d")
        with pytest.raises(TooBig, match="4 bytes, at most 3"):
            room.expect(4)


def test_a_file_that_was_written_again_has_another_tag(directory: Path) -> None:
    def tag() -> str:
        with spool.open_below(directory, "bills/1.jpg") as file:
            return spool.etag_of(file)

    before = tag()
    assert tag() == before
    os.utime(directory / "bills" / "1.jpg", ns=(1, 1))
    assert tag() != before
