"""Does what the fuzzer once kept, because it reached code that nothing else did, still break nothing?"""

from __future__ import annotations

import pytest

from tests.fuzz.oracle import CORPUS, TARGETS

KEPT = [(target, path) for target in TARGETS for path in sorted((CORPUS / target).iterdir())]


@pytest.mark.parametrize(("target", "name"), [(target, path.name) for target, path in KEPT])
def test_what_was_kept_breaks_nothing(target: str, name: str) -> None:
    TARGETS[target]((CORPUS / target / name).read_bytes())


def test_something_is_kept_of_each() -> None:
    assert {target for target, _ in KEPT} == set(TARGETS)
