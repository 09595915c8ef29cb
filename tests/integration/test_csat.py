"""Are scores read from Meta's own webhooks of buttons, lists and flows, and nothing else of what people answer?"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, cast

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row

from services.common.platform.avro import Codec
from services.projector.fold import Event
from services.sandbox.simulator.payloads import encode
from services.sender.content import check
from tests.support import samples
from tests.support.command_line import parley
from tests.support.read_models import project

_CODEC = Codec()
_PAGE = Path(__file__).parents[2] / "docs" / "csat.md"


def tapped(name: str, sample: str, at: int = 0, **changes: Any) -> Event:
    """A sample of Meta's webhook with another id, and what its answer says changed; `at`: seconds later."""
    document = samples.document(sample)
    message = document["entry"][0]["changes"][0]["value"]["messages"][0]
    kind = message["type"]
    answer = message[kind] if kind == "button" else message[kind][message[kind]["type"]]
    answer.update(changes)
    message |= {"id": f"wamid.{name}", "timestamp": str(int(message["timestamp"]) + at)}
    [routed] = samples.routed(samples.record(encode(document)))
    return cast("Event", _CODEC.decode(routed.value or b""))


def flow(name: str, answers: dict[str, Any] | str, at: int = 0) -> Event:
    text = answers if isinstance(answers, str) else json.dumps(answers)
    return tapped(name, "message_interactive_nfm_reply_flow", at, response_json=text)


def scores(dsn: str) -> list[dict[str, Any]]:
    """As an analyst."""
    with psycopg.connect(dsn, options="-c role=parley_analytics -c timezone=UTC", row_factory=dict_row) as connection:
        return connection.execute("SELECT * FROM analytics.fct_csat ORDER BY occurred_at").fetchall()


def test_buttons_rows_quick_replies_and_flows_give_scores(postgres: str) -> None:
    project(
        postgres,
        [
            tapped("1", "message_interactive_button_reply", id="parley.csat.delivery.5", title="secret words"),
            tapped("2", "message_interactive_list_reply", id="parley.csat.delivery-2.1", description="secret words"),
            tapped("3", "message_button_template_quick_reply", payload="parley.csat.Support_desk.3"),
            flow("4", {"flow_token": "t", "csat_score": 4, "csat_survey": "app", "comment": "secret words"}, at=600),
            flow("5", {"csat_score": "2", "comment": "secret words"}, at=700),
        ],
    )
    found = scores(postgres)
    assert sorted((row["survey"] or "", row["score"]) for row in found) == [
        ("", 2),
        ("Support_desk", 3),
        ("app", 4),
        ("delivery", 5),
        ("delivery-2", 1),
    ]
    assert "secret" not in repr(found)
    with psycopg.connect(postgres, options="-c role=parley_analytics", row_factory=dict_row) as connection:
        messages = {row["message_key"]: row for row in connection.execute("SELECT * FROM analytics.fct_message").fetchall()}
    for row in found:
        told = messages[row["message_key"]]
        shared = ("contact_key", "country", "phone_number_id", "waba_id", "occurred_at", "reply_to_message_key")
        assert {name: row[name] for name in shared} == {name: told[name] for name in shared}
        assert row["reply_to_message_key"] is not None


@pytest.mark.parametrize(
    "answer",
    [
        *(
            "parley.csat.delivery.0",
            "parley.csat.delivery.6",
            "parley.csat.delivery.55",
            "parley.csat.delivery.5 ",
            "parley.csat..5",
        ),
        *("parley.csat.delivery", "parley.csat.two words.5", "PARLEY.CSAT.delivery.5", "x parley.csat.delivery.5", "csat_score"),
        "parley.csat.5511999990000.5",
        f"parley.csat.{'x' * 65}.5",
    ],
)
def test_an_id_that_is_not_exactly_so_is_no_score(postgres: str, answer: str) -> None:
    project(postgres, [tapped("1", "message_interactive_button_reply", id=answer)])
    assert scores(postgres) == []


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({"csat_score": 6}, None),
        ({"csat_score": 4.5}, None),
        ({"csat_score": "4 stars"}, None),
        ({"csat_score": None}, None),
        ({"comment": '"csat_score": 5, ', "other": 1}, None),
        ({"comment": 'csat_score":5}'}, None),
        ({"comment": '\\"csat_score": 5,'}, None),
        ({"comment": "\0 \n", "csat_score": 5}, (None, 5)),
        ({"deep": {"csat_score": "3"}, "csat_survey": "5511999990000"}, (None, 3)),
        ({"csat_survey": "app", "csat_score": 1}, ("app", 1)),
        ('\n{"csat_score"\n:\t"2" }', (None, 2)),
        ('{"csat_score": 1, "csat_score": 2}', (None, 2)),
    ],
)
def test_only_the_field_of_a_flow_is_a_score_whatever_else_it_returns(
    postgres: str, answers: dict[str, Any] | str, expected: tuple[str | None, int] | None
) -> None:
    project(postgres, [flow("1", answers)])
    assert [(row["survey"], row["score"]) for row in scores(postgres)] == ([expected] if expected else [])


def test_the_last_answer_to_a_question_counts(postgres: str, tmp_path: Path) -> None:
    project(
        postgres,
        [
            tapped("1", "message_interactive_list_reply", id="parley.csat.delivery.1"),
            tapped("2", "message_interactive_list_reply", at=60, id="parley.csat.delivery.4"),
            tapped("3", "message_interactive_button_reply", id="parley.csat.delivery.5"),
            flow("4", {"csat_score": 2, "csat_survey": "app"}),
        ],
    )
    dsn = make_conninfo(postgres, options="-c role=parley_analytics")
    done = parley(tmp_path, "sql", "csat", "-p", "days=10000", "--format", "json", PARLEY_ANALYTICS_DSN=dsn)
    assert (done.returncode, done.stderr) == (0, "")
    none = {f"score_{score}": 0 for score in range(1, 6)}
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {"survey": "delivery", "answers": 2, "people": 1, "mean": "4.50", "satisfied_percent": "100.0"}
        | none
        | {"score_4": 1, "score_5": 1},
        {"survey": "app", "answers": 1, "people": 1, "mean": "2.00", "satisfied_percent": "0.0"} | none | {"score_2": 1},
    ]


def test_what_the_page_shows_can_be_sent() -> None:
    shown = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", _PAGE.read_text("utf-8"), re.DOTALL)]
    assert len(shown) == 3
    for content in shown[:2]:
        assert check.problem("interactive", content) is None
