"""Are our identifiers version-5 UUIDs of our namespace, as every reader may compute them?"""

from __future__ import annotations

from uuid import uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.domain.ids import NAMESPACE, attempt_id, event_id_of_element, outcome_event_id

pytestmark = pytest.mark.unit

_TEXTS = st.text(st.characters(codec="utf-8"), max_size=80)


@given(_TEXTS, st.integers(0, 1000), st.integers(0, 2**63), _TEXTS)
def test_an_elements_id_is_the_uuid5_of_its_place(topic: str, partition: int, offset: int, pointer: str) -> None:
    expected = uuid5(NAMESPACE, f"{topic}/{partition}/{offset}#{pointer}")
    assert event_id_of_element(topic, partition, offset, pointer) == str(expected)


@given(_TEXTS, st.integers(1, 100), _TEXTS)
def test_attempts_and_outcomes_have_the_uuid5_of_their_command(command_id: str, attempt_no: int, kind: str) -> None:
    assert attempt_id(command_id, attempt_no) == str(uuid5(NAMESPACE, f"{command_id}/{attempt_no}"))
    assert outcome_event_id(command_id, attempt_no, kind) == str(uuid5(NAMESPACE, f"{command_id}/{attempt_no}/{kind}"))
