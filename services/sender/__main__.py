"""`python -m services.sender`: call Meta."""

from __future__ import annotations

from services.common.platform import faults, lifecycle, logging
from services.common.platform.config import load
from services.sender.app import SenderApp
from services.sender.config import SenderSettings


def main() -> None:
    """Read the settings, run, exit with a code that tells the truth."""
    settings = load(SenderSettings)
    logging.configure(service="sender", instance=settings.instance, log_format=settings.log_format, level=settings.log_level)
    faults.arm(settings.fault)
    lifecycle.run(lambda stopping: SenderApp(settings).run(stopping))


if __name__ == "__main__":
    main()
