"""How much of a number's limit may be sent from one shard? Asked whenever a number is served, and when its limit changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from services.common.domain import sublanes
from services.common.platform.kafka import partition_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """`counts`: phone_number_id -> its sub-lanes, of the numbers that have any. `partitions`: of each lane's topic."""

    counts: Mapping[str, int]
    partitions: int

    def share(self, phone_number_id: str, shard: int, limit: int) -> int:
        """Messages a second, the parts of all the number's sub-lanes on this shard. All shards together have exactly `limit`.

        0 for a shard without any, where commands can stand that came while the number had other sub-lanes, and for one whose
        sub-lanes get nothing because they are more than the limit.
        """
        count = self.counts.get(phone_number_id, 1)
        return sum(
            sublanes.part(limit, sublane, count=count)
            for sublane, key in enumerate(sublanes.keys(phone_number_id, count))
            if partition_of(key, self.partitions) == shard
        )
