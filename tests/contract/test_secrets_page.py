"""Does docs/secrets.md name every setting of a service that holds a secret, and no other?"""

from __future__ import annotations

import re
from typing import Final

import pytest

from services.common.platform.config import ServiceSettings, secret_files
from services.common.platform.secret_file import FILE
from services.ingest.config import IngestSettings
from services.projector.config import ProjectorSettings
from services.router.config import RouterSettings
from services.sender.config import SenderSettings
from tools.contract import ROOT

SETTINGS: Final[dict[str, type[ServiceSettings]]] = {
    "ingest": IngestSettings,
    "router": RouterSettings,
    "projector": ProjectorSettings,
    "sender": SenderSettings,
}


def told() -> dict[str, set[str]]:
    """The table: who, and the settings."""
    rows = re.findall(r"^\| (.+?) \| (`PARLEY_.+?) \|$", (ROOT / "docs" / "secrets.md").read_text("utf-8"), re.MULTILINE)
    return {who: set(re.findall(r"`(\w+)`", settings)) for who, settings in rows}


@pytest.mark.parametrize("service", SETTINGS)
def test_the_page_has_every_secret_of_a_service_and_no_other(service: str) -> None:
    every = {f"PARLEY_{field.upper()}" for field in SETTINGS[service].model_fields}
    asked = secret_files(SETTINGS[service], {f"{name}{FILE}": name for name in every})
    assert {str(path) for path in asked} == told()["every service, `parley`"] | told().get(service, set())
