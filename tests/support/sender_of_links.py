"""`python -m tests.support.sender_of_links`: the sender, for which every name in a link is the test's own server.

The service itself has no setting for that: it is given other surroundings here.
"""

from __future__ import annotations

import os
from pathlib import Path

from services.common.platform import faults, lifecycle, logging
from services.common.platform.config import load
from services.sender.app import SenderApp
from services.sender.config import SenderSettings
from services.sender.media.fetch import Surroundings
from tests.support.link_server import Pretend, trust


def main() -> None:
    """As `services.sender`."""
    settings = load(SenderSettings)
    logging.configure(service="sender", instance=settings.instance, log_format=settings.log_format, level=settings.log_level)
    faults.arm(settings.fault)
    surroundings = Surroundings(
        resolver=lambda: Pretend(int(os.environ["LINK_SERVER_PORT"])),
        is_public=lambda address: address == "127.0.0.1",
        trust=lambda: trust(Path(os.environ["LINK_SERVER_CERTIFICATE"])),
    )
    lifecycle.run(lambda stopping: SenderApp(settings, surroundings=surroundings).run(stopping))


if __name__ == "__main__":
    main()
