"""Does docs/analytics.md show each named question as it is asked?"""

from __future__ import annotations

import re

from services.cli.sql import CATALOGUE
from tools.analytics_page import PATH, heading
from tools.contract import ROOT


def test_the_page_has_every_question_with_its_statement() -> None:
    page = (ROOT / PATH).read_text("utf-8")
    assert re.findall(r"^## (.*)$", page, re.MULTILINE) == [query.name for query in CATALOGUE]
    old = [query.name for query in CATALOGUE if "\n".join(heading(query)) not in page]
    assert old == [], "play a demo for it: make analytics"
