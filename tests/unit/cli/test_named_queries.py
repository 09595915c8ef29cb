"""Does every named query say what it answers and which parameters it takes?"""

from __future__ import annotations

import re

import pytest

from services.cli.named_queries import NamedQuery, UnknownParameterError
from services.cli.sql import CATALOGUE


@pytest.mark.parametrize("query", CATALOGUE, ids=lambda query: query.name)
def test_a_query_asks_a_question_and_declares_what_it_takes(query: NamedQuery) -> None:
    assert query.question.endswith("?")
    assert {one.name for one in query.parameters} == set(re.findall(r"%\((\w+)\)s", query.statement))
    comments = [line for line in query.statement.splitlines() if line.startswith("--")]
    assert len(comments) == 1 + len(query.parameters)


@pytest.mark.parametrize("query", CATALOGUE, ids=lambda query: query.name)
def test_a_query_reads_views_of_analysts_and_names_its_columns(query: NamedQuery) -> None:
    schemas = set(re.findall(r"(?:FROM|JOIN) (\w+)\.", query.statement))
    assert schemas == {"analytics"}
    assert "*" not in query.statement.replace("count(*)", "").replace("100.0 *", "")


def test_defaults_are_taken_where_nothing_is_given_and_what_there_is_not_is_refused() -> None:
    funnel = next(one for one in CATALOGUE if one.name == "delivery_funnel")
    assert funnel.values({"days": "1"}) == {"days": "1", "number": ""}
    with pytest.raises(UnknownParameterError, match="has days, number, not weeks"):
        funnel.values({"weeks": "1"})
    windows = next(one for one in CATALOGUE if one.name == "windows")
    with pytest.raises(UnknownParameterError, match="has no parameters"):
        windows.values({"days": "1"})
