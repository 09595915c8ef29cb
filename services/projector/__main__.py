"""`python -m services.projector`: keep the read models."""

from __future__ import annotations

from services.common.platform import faults, lifecycle, logging
from services.common.platform.config import load
from services.projector.app import ProjectorApp
from services.projector.config import ProjectorSettings


def main() -> None:
    """Read the settings, run, exit with a code that tells the truth."""
    settings = load(ProjectorSettings)
    logging.configure(service="projector", instance=settings.instance, log_format=settings.log_format, level=settings.log_level)
    faults.arm(settings.fault)
    lifecycle.run(lambda stopping: ProjectorApp(settings).run(stopping))


if __name__ == "__main__":
    main()
