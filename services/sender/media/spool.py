"""Where do bytes wait between where they come from and Meta? In a temporary file without a name: memory stays flat.

Crash thinking: such a file is gone when its process is, however that ended. There is nothing to clean up.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from pathlib import Path
from typing import IO, Final

from services.sender.media import formats
from services.sender.media.facts import NotPrepared
from services.sender.media.formats import File
from services.sender.media.ledger import Content

_CHUNK: Final = 64 * 1024


class TooBig(Exception):  # noqa: N818 - what it is
    """More bytes than the type may have; the text says how many, as far as that is known."""


class Spool:
    """One file on its way. As a context manager it is gone on exit."""

    def __init__(self, directory: Path | None, *, most: int) -> None:
        """`directory` None: the system's. `most`: bytes taken before it is TooBig."""
        self.file: IO[bytes] = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115 - closed by __exit__
        self._most = most
        self._hash = hashlib.sha256()
        self._head = b""
        self.size = 0

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def expect(self, size: int) -> None:
        """So many bytes are said to come."""
        if size > self._most:
            raise TooBig(f"{size} bytes, at most {self._most}")

    def write(self, chunk: bytes) -> None:
        """Take the next bytes."""
        self.size += len(chunk)
        if self.size > self._most:
            raise TooBig(f"more than {self._most} bytes")
        self._hash.update(chunk)
        if len(self._head) < formats.HEAD_BYTES:
            self._head += chunk[: formats.HEAD_BYTES - len(self._head)]
        self.file.write(chunk)

    def content(self, mime_type: str) -> Content:
        """What was taken. Raises NotPrepared when its first bytes are not those of its type."""
        if self.size > 0 and not formats.looks_like(mime_type, self._head):
            raise NotPrepared(f"its bytes are not {mime_type}", is_final=True)
        file = File(mime_type=mime_type, size=self.size, is_animated=formats.is_animated(mime_type, self._head))
        return Content(sha256=self._hash.digest(), file=file)


class NotThere(Exception):  # noqa: N818 - what happened
    """No regular file is reached by that path without leaving the directory or following a link."""


def open_below(directory: Path, name: str) -> IO[bytes]:
    """A regular file below a directory, by a path without links.

    Every step is opened from the one before it: nothing that is moved or linked meanwhile leads out of the directory.
    """
    *folders, last = name.split("/")
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    here = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for folder in folders:
            below = os.open(folder, flags | os.O_DIRECTORY, dir_fd=here)
            os.close(here)
            here = below
        found = os.open(last, flags | os.O_NONBLOCK, dir_fd=here)
    except (OSError, ValueError):
        raise NotThere from None
    finally:
        os.close(here)
    if not stat.S_ISREG(os.fstat(found).st_mode):
        os.close(found)
        raise NotThere
    return os.fdopen(found, "rb")


def etag_of(file: IO[bytes]) -> str:
    """What changes when the file does."""
    status = os.fstat(file.fileno())
    return f"{status.st_mtime_ns}-{status.st_size}-{status.st_ino}"


def copy(file: IO[bytes], spool: Spool) -> None:
    """All of a file into the spool; it is read once, so that what is hashed is what is sent."""
    spool.expect(os.fstat(file.fileno()).st_size)
    while chunk := file.read(_CHUNK):
        spool.write(chunk)
