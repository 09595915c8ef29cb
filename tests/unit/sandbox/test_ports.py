"""May two that pick ports at once meet?"""

from __future__ import annotations

import pytest

from services.sandbox import ports


@pytest.mark.parametrize("nth", range(3))
def test_who_keeps_to_its_part_takes_nothing_of_the_others(nth: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "_PARTS", {"nth": 0, "of": 1})
    ports.keep_to_part(nth, of=3)
    assert {(ports.free_port() - ports.PORTS.start) % 3 for _ in range(20)} == {nth}
