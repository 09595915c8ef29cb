"""How old is the oldest record that a reader of the log has not processed? Pure: what it took, what it finished, what is left."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

Place = tuple[str, int]
"""Topic and partition."""


class Arrears:
    """What a reader is behind with, in time. Instants are milliseconds, and those of records are the log's.

    A record in hand says itself how old it is. Of a partition that has more, none of it in hand, the next record was appended
    after the last that was processed and after there was last nothing left: the age is told from the later of these, so it is
    never less than the truth. Of a partition that has just been given nothing is told until a record of it was in hand.
    """

    def __init__(self) -> None:
        self._in_hand: dict[Place, dict[int, int]] = {}
        self._after: dict[Place, int] = {}

    def took(self, place: Place, *, offset: int, appended_at: int) -> None:
        """These records, of which that is the first, are in hand now. Those of a partition are taken in their order."""
        self._in_hand.setdefault(place, {})[offset] = appended_at

    def finished(self, place: Place, *, offset: int, appended_at: int) -> None:
        """What began with that offset is processed; its last record was appended then."""
        self._in_hand.get(place, {}).pop(offset, None)
        self._note(place, appended_at)

    def forget(self) -> None:
        """Nothing is in hand, and nothing is known: partitions are given anew."""
        self._in_hand.clear()
        self._after.clear()

    def ages(self, topics: Iterable[str], left: Mapping[Place, int | None], *, now: int) -> dict[str, float]:
        """Seconds since the oldest unprocessed record of each topic was appended; 0 where there is none.

        `left`: how many records each of the reader's partitions has that are not processed; None where that is not known.
        """
        found = dict.fromkeys(topics, 0.0)
        for place, count in left.items():
            in_hand = self._in_hand.get(place)
            if in_hand:
                since = next(iter(in_hand.values()))
            elif count:
                since = self._after.get(place, now)
            else:
                if count == 0:
                    self._note(place, now)
                continue
            found[place[0]] = max(found.get(place[0], 0.0), (now - since) / 1000)
        return found

    def _note(self, place: Place, at: int) -> None:
        self._after[place] = max(at, self._after.get(place, at))
