"""Does each table end in the same rows, whatever the order and repetition of its events? Pure, but too long for `make check`."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from services.projector.fold import TABLES, fold
from tests.support.events import touching

EXAMPLES = 1_000
"""Of each table, and each with a row of it."""


@pytest.mark.parametrize("name", [table.name for table in TABLES])
@pytest.mark.failure("R14", "R23")
def test_a_table_does_not_depend_on_the_order_of_its_events(name: str) -> None:
    """How rows are merged in Postgres is tested there (test_projector.py)."""
    made = 0

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
    @given(st.data())
    def check(data: st.DataObject) -> None:
        nonlocal made
        events = data.draw(st.lists(touching(name), min_size=2, max_size=4))
        wanted = fold(events).get(name)
        assume(wanted)
        again = data.draw(st.permutations([*events, events[0]]))
        assert fold(again)[name] == wanted
        made += 1

    check()
    assert made >= EXAMPLES
