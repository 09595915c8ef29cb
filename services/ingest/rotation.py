"""How does a running ingest get new secrets? From the files that hold them, as soon as these are others.

To rotate an app secret without refusing anything: put the old one into the file of PARLEY_APP_SECRET_PREVIOUS_FILE, then the new
one into that of PARLEY_APP_SECRET_FILE, and have Meta use it. Either state in between takes what the old one signed. What cannot
be read, or is no secret, changes nothing: the last good ones stay, and an operator is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from services.common.platform import logging, metrics
from services.common.platform.config import BadSettings
from services.common.platform.lifecycle import sleep_unless
from services.ingest.config import App

log = logging.get(__name__)

EVERY_SECONDS: Final = 1.0

_State = tuple[tuple[int, int, int] | None, ...]


class Rotation:
    """Looks at the files once a second. `take` gets every app when they have changed and all is well with them.

    `served` are the apps that the process began with: a file may have changed between that and the first look.
    """

    def __init__(
        self,
        files: Sequence[Path],
        *,
        served: Sequence[App],
        read: Callable[[], Sequence[App]],
        take: Callable[[Sequence[App]], None],
    ) -> None:
        self._files, self._served, self._read, self._take = files, served, read, take
        self._seen: _State | None = None

    async def run(self, stopping: asyncio.Event) -> None:
        """Until asked to stop; at once when there are no files."""
        if not self._files:
            return
        metrics.SECRETS_UNREADABLE.set(0)
        while not await sleep_unless(stopping, EVERY_SECONDS):
            self.look()

    def look(self) -> None:
        """Take over what is new."""
        state = self._state()
        if state == self._seen:
            return
        is_first, self._seen = self._seen is None, state
        try:
            apps = self._read()
        except BadSettings as bad:
            metrics.SECRETS_UNREADABLE.set(1)
            log.warning("secrets.unreadable", problems=bad.lines, hint="the last good ones stay in use: mend the files")
        else:
            metrics.SECRETS_UNREADABLE.set(0)
            if is_first and apps == self._served:
                return
            self._take(apps)
            log.info("secrets.taken_over", apps=len(apps))

    def _state(self) -> _State:
        return tuple(_stamp(path) for path in self._files)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """Another one for another content: a mounted secret changes by another file in its place."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
