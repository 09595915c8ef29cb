"""`python -m services.ingest`: receive Meta's webhooks."""

from __future__ import annotations

from services.common.platform import faults, logging
from services.common.platform.config import load
from services.common.platform.lifecycle import run
from services.ingest.app import serve
from services.ingest.config import IngestSettings


def main() -> None:
    """Read the settings, then serve until a signal."""
    settings = load(IngestSettings)
    logging.configure(service="ingest", instance=settings.instance, log_format=settings.log_format, level=settings.log_level)
    faults.arm(settings.fault)
    run(lambda stopping: serve(settings, stopping))


if __name__ == "__main__":
    main()
