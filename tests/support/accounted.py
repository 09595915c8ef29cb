"""Is every element of a webhook accounted for? By the router's output and the judge's own reading of the same bytes."""

from __future__ import annotations

from services.common.domain import topics
from services.common.domain.ids import event_id_of_element
from services.common.platform.envelope import dead_letter_origin
from services.common.platform.kafka import LogRecord, NewRecord
from services.sandbox.webhook_elements import elements
from tests.support import samples


def assert_accounted_for(raw: LogRecord, body: bytes) -> list[NewRecord]:
    """Each element of `body` is one event or in one dead letter, and no event is of anything else; what came out.

    `body` is what the record's value says, inflated. A dead letter of what is around an element accounts for all that is in it.
    """
    told, out = elements(body), samples.routed(raw)
    if [(one.pointer, one.identity[0]) for one in told] == [("", "odd")]:
        assert out, body  # the judge reads no bytes that are no JSON; the router reads what is left of them
        return out
    ids = {event_id_of_element(f"{raw.topic}/{raw.partition}/{raw.offset}", one.pointer): one.pointer for one in told}
    events = [dict(one.headers)["ce_id"].decode() for one in out if one.topic != topics.ROUTER_DEAD_LETTERS]
    assert len(set(events)) == len(events), body
    assert set(events) <= ids.keys(), body
    set_aside = [pointer(one) for one in out if one.topic == topics.ROUTER_DEAD_LETTERS]
    for event_id, place in ids.items():
        assert event_id in events or any(is_about(found, place) for found in set_aside), body
    return out


def pointer(letter: NewRecord) -> str:
    """Where a dead letter says that it stood."""
    return dead_letter_origin(samples.record(letter.value)._replace(headers=letter.headers))["pointer"]


def is_about(found: str, place: str) -> bool:
    """At the element, within it, or around it; a key that no text can hold has a name of its own."""
    return found.startswith(place) or place.startswith(found) or "\ufffd" in found
