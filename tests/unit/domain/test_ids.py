"""Are our ids the version-5 UUIDs they claim to be, today and in ten years?"""

from __future__ import annotations

from uuid import uuid5

from hypothesis import given
from hypothesis import strategies as st

from services.common.domain.ids import NAMESPACE, attempt_id, event_id_of_element, named, outcome_event_id


@given(st.text())
def test_a_named_id_is_a_uuid_of_our_namespace(name: str) -> None:
    assert named(name) == str(uuid5(NAMESPACE, name))


def test_ids_never_change() -> None:
    assert event_id_of_element("parley.webhooks.v1/7/41", "/entry/0") == "aba8bbc1-5100-5000-9633-fc28c90a433a"
    assert attempt_id("c-1", 2) == "07e850f1-0d88-5d47-88d3-183d268a7195"
    assert outcome_event_id("c-1", 2, "accepted") == "11402de3-4e40-5def-b629-18846c3f8ced"
