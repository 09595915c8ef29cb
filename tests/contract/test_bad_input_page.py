"""Does the page about bad input say what the corpora say, and does every number have a test?"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.support import bad_input, command_corpus, request_corpus, webhook_corpus

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_is_written_from_the_corpora() -> None:
    assert bad_input.PAGE.read_text("utf-8") == bad_input.page(), "run `make samples`"


def test_every_number_has_variants_or_a_test_of_its_own() -> None:
    known = Counter(f"webhook-{bad_input.number_of(name):02d}" for name in (*request_corpus.REQUESTS, *webhook_corpus.CASES))
    known += Counter(f"command-{case.row:02d}" for case in command_corpus.cases())
    wanted = {f"webhook-{n:02d}" for n in range(1, 91)} | {f"command-{n:02d}" for n in range(1, 53)}
    assert {row[0] for row in bad_input.rows()} == wanted
    missing = wanted - known.keys() - bad_input.ELSEWHERE.keys()
    assert missing == {f"command-{n}" for n in (42, 45)}, "and what there is not is told in DEVIATIONS"
    assert {42, 45} <= command_corpus.DEVIATIONS.keys()


def test_a_test_that_is_named_exists() -> None:
    for path, test in bad_input.ELSEWHERE.values():
        assert f"def {test}(" in (ROOT / path).read_text(), test
