"""`python -m services.router`"""

from __future__ import annotations

from services.common.platform import faults, lifecycle, logging
from services.common.platform.config import load
from services.router.app import RouterApp
from services.router.config import RouterSettings


def main() -> None:
    """Read the settings, run, exit with a code that tells the truth."""
    settings = load(RouterSettings)
    logging.configure(service="router", instance=settings.instance, log_format=settings.log_format, level=settings.log_level)
    faults.arm(settings.fault)
    lifecycle.run(lambda stopping: RouterApp(settings).run(stopping))


if __name__ == "__main__":
    main()
