"""Is every record applied once and none skipped, whatever the stream hands over?"""

from __future__ import annotations

import pytest

from services.common.domain.topics import CONSENT_RECORDS, MESSAGE_STATUSES
from services.common.platform.kafka import LogRecord
from services.projector.batch import HoleError, Read, advance, first_offsets
from services.projector.projections.dead_letters import DeadLetterRow

_EVENT = DeadLetterRow("t", 0, 0, "", 0, "g", "r", "", None, None, "[]")


@pytest.mark.failure("R8")
def test_what_the_tables_have_is_dropped_even_twice_in_one_batch() -> None:
    progress = advance(_batch(MESSAGE_STATUSES, 3, 4, 5, 4, 5, 6), {(MESSAGE_STATUSES, 0): 5})
    assert [read.record.offset for read in progress.fresh] == [5, 6]
    assert progress.reached == {(MESSAGE_STATUSES, 0): 7}


@pytest.mark.failure("R7")
def test_a_hole_in_a_topic_of_ours_stops_everything() -> None:
    with pytest.raises(HoleError, match="expected offset 5, got 6"):
        advance(_batch(MESSAGE_STATUSES, 6), {(MESSAGE_STATUSES, 0): 5})


def test_markers_of_transactional_producers_are_no_hole() -> None:
    progress = advance(_batch(CONSENT_RECORDS, 6, 9), {(CONSENT_RECORDS, 0): 5})
    assert progress.reached == {(CONSENT_RECORDS, 0): 10}


def test_a_partition_begins_at_the_first_offset_seen() -> None:
    assert first_offsets(_batch(MESSAGE_STATUSES, 7, 5, 6)) == {(MESSAGE_STATUSES, 0): 5}


def _batch(topic: str, *offsets: int) -> list[Read]:
    return [Read(LogRecord(topic, 0, offset, 0, None, b"", ()), _EVENT) for offset in offsets]
