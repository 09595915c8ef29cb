"""Do the shards of a number have its limit together, and never more?"""

from __future__ import annotations

import pytest

from services.common.domain import sublanes
from services.common.platform.kafka import partition_of
from services.sender.sharing import Sharing

NUMBER = "106540352242922"
LIMITS = (1, 2, 3, 7, 15, 16, 17, 20, 79, 80, 200, 997, 1000, 1001)


@pytest.mark.parametrize("partitions", [1, 2, 3, 6, 12, 23, 24, 25, 48, 96])
@pytest.mark.parametrize("count", range(1, sublanes.MOST + 1))
def test_the_shares_of_all_shards_are_the_limit(count: int, partitions: int) -> None:
    sharing = Sharing(counts={NUMBER: count}, partitions=partitions)
    places = [partition_of(key, partitions) for key in sublanes.keys(NUMBER, count)]
    for limit in LIMITS:
        shares = [sharing.share(NUMBER, shard, limit) for shard in range(partitions)]
        assert sum(shares) == limit
        assert all(share >= limit // count * places.count(shard) for shard, share in enumerate(shares))
        assert all(share == 0 for shard, share in enumerate(shares) if shard not in places)


@pytest.mark.parametrize("counts", [{}, {NUMBER: 1}, {"1": 4}])
def test_a_number_without_sublanes_has_its_whole_limit_where_its_commands_are(counts: dict[str, int]) -> None:
    sharing = Sharing(counts=counts, partitions=24)
    own = partition_of(NUMBER.encode(), 24)
    for limit in LIMITS:
        assert [sharing.share(NUMBER, shard, limit) for shard in range(24)] == [limit * (shard == own) for shard in range(24)]
