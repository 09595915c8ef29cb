"""Does the simulated Meta write bytes as the real one does?"""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.sandbox.simulator.config import Behaviour, Customer, Number
from services.sandbox.simulator.errors import Refusal, http_status
from services.sandbox.simulator.journey import journey
from services.sandbox.simulator.message import read_draft, refuse_shape
from services.sandbox.simulator.payloads import (
    encode,
    envelope,
    error,
    inbound_value,
    merged,
    sign,
    signature_headers,
    status_value,
    success,
)
from services.sandbox.simulator.records import JsonObject
from services.sandbox.simulator.rules import DropAfter, Match, Rules, RuleSpec
from services.sandbox.simulator.webhooks import retry_gap

pytestmark = pytest.mark.unit

SECRET = "test_app_secret"
NUMBER = Number(phone_number_id="1", waba_id="9", display_phone_number="15550001111")
PERSON = Customer(wa_id="491700000001", bsuid="DE.abc", name="Jörg")


@pytest.mark.parametrize(
    ("body", "digest"),
    [
        (
            b'{"object":"whatsapp_business_account","entry":[]}',
            "dec6a680679a968e7e0319355b23599cbfc54502c0784668e9618baa0c633756",
        ),
        (
            b'{"object": "whatsapp_business_account", "entry": []}',
            "56cbbaf4961c6cfdae48b7f116c047e5eb513d2c931baae63a2bc1afd26f803a",
        ),
        (
            rb'{"name":"J\u00f6rg","u":"https:\/\/x"}',
            "e85cc05f75da876e22dca9904e1db8f8480fb5a6a960920f026820a7f941c0c6",
        ),
        (
            '{"name":"Jörg","u":"https://x"}'.encode(),
            "5da4c7c8c94f03575add356111b395ad85771618038fdc002aa0ca4b0a22259b",
        ),
    ],
)
def test_the_signature_is_metas_for_the_exact_bytes(body: bytes, digest: str) -> None:
    assert sign(body, SECRET) == f"sha256={digest}"


def test_json_is_escaped_as_meta_escapes_it() -> None:
    assert encode({"name": "Jörg", "u": "https://x"}) == rb'{"name":"J\u00f6rg","u":"https:\/\/x"}'
    assert encode("😀") == rb'"\ud83d\ude00"'


@given(st.recursive(st.text() | st.integers() | st.booleans() | st.none(), st.lists))
def test_escaping_never_changes_what_is_said(value: object) -> None:
    written = encode(value)
    assert written.isascii()
    assert json.loads(written) == value


def test_only_a_good_signature_is_good() -> None:
    good = signature_headers(b"x", SECRET, "good")
    bad = signature_headers(b"x", SECRET, "bad")
    assert good == {"X-Hub-Signature-256": sign(b"x", SECRET)}
    assert bad.keys() == good.keys()
    assert bad != good
    assert signature_headers(b"x", SECRET, "none") == {}
    assert signature_headers(b"x", SECRET, "sha1").keys() == {"X-Hub-Signature"}


def test_the_answer_to_a_message_names_the_person_and_has_a_status_only_for_templates() -> None:
    assert success(entered="+49 170", customer=PERSON, wamid="wamid.A", is_template=False) == {
        "messaging_product": "whatsapp",
        "contacts": [{"input": "+49 170", "wa_id": "491700000001", "user_id": "DE.abc"}],
        "messages": [{"id": "wamid.A"}],
    }
    assert success(entered="1", customer=PERSON, wamid="w", is_template=True)["messages"] == [
        {"id": "w", "message_status": "accepted"}
    ]


def test_an_error_has_metas_shape() -> None:
    assert error(Refusal(code=100, details="why", subcode=33), "Atrace") == {
        "error": {
            "message": "(#100) Invalid parameter",
            "type": "OAuthException",
            "code": 100,
            "error_data": {"messaging_product": "whatsapp", "details": "why"},
            "error_subcode": 33,
            "fbtrace_id": "Atrace",
        }
    }


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (0, 401),
        (190, 401),
        (200, 403),
        (368, 403),
        (131031, 403),
        (130429, 400),
        (131056, 400),
        (131047, 400),
        (132001, 404),
        (131000, 500),
        (2, 503),
        (133004, 503),
        (999999, 400),
    ],
)
def test_each_code_has_metas_http_status(code: int, status: int) -> None:
    assert http_status(code) == status


def status(name: str, *, customer: Customer = PERSON, refusal: Refusal | None = None) -> JsonObject:
    return status_value(
        number=NUMBER,
        customer=customer,
        wamid="wamid.A",
        status=name,
        timestamp=1739321024,
        opaque="attempt",
        category="utility",
        refusal=refusal,
    )


def test_a_delivered_status_echoes_opaque_data_and_names_price_and_person() -> None:
    assert status("delivered") == {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550001111", "phone_number_id": "1"},
        "contacts": [{"profile": {"name": "Jörg"}, "wa_id": "491700000001", "user_id": "DE.abc"}],
        "statuses": [
            {
                "id": "wamid.A",
                "status": "delivered",
                "timestamp": "1739321024",
                "recipient_id": "491700000001",
                "recipient_user_id": "DE.abc",
                "biz_opaque_callback_data": "attempt",
                "pricing": {"billable": True, "pricing_model": "PMP", "category": "utility", "type": "regular"},
            }
        ],
    }


def test_a_failed_status_has_errors_but_neither_contacts_nor_a_user_id() -> None:
    value = status("failed", refusal=Refusal(code=131026, details="why"))
    assert "contacts" not in value
    (failed,) = json.loads(encode(value))["statuses"]
    assert "recipient_user_id" not in failed
    assert failed["errors"][0]["code"] == 131026
    assert failed["errors"][0]["error_data"] == {"details": "why"}


def test_a_person_who_hides_their_phone_is_known_by_user_id_only() -> None:
    hidden = PERSON.model_copy(update={"hides_phone": True})
    inbound = inbound_value(number=NUMBER, customer=hidden, wamid="w", timestamp=1, message_type="text", content={"body": "x"})
    assert b"491700000001" not in encode([inbound, status("sent", customer=hidden)])
    assert b"DE.abc" in encode(inbound)


def test_merging_a_batch_loses_no_element() -> None:
    inbound = inbound_value(number=NUMBER, customer=PERSON, wamid="w", timestamp=1, message_type="text", content={"body": "x"})
    values = merged([status("sent"), inbound, status("read")])
    written = json.loads(encode(envelope("9", values)))
    changes = [change["value"] for change in written["entry"][0]["changes"]]
    assert [[one["status"] for one in value.get("statuses", [])] for value in changes] == [["sent", "read"], []]
    assert [len(value["contacts"]) for value in changes] == [1, 1]
    assert changes[1]["messages"][0]["text"] == {"body": "x"}


def steps(behaviour: Behaviour, customer: Customer = PERSON, *, closed: bool = False) -> list[str]:
    planned = journey(
        customer=customer,
        category="marketing",
        is_window_closed=closed,
        behaviour=behaviour,
        draw=random.Random(7).random,
    )
    return [one.status for one in sorted(planned, key=lambda step: step.leaves_after)]


def test_a_message_is_sent_delivered_and_read_unless_told_otherwise() -> None:
    assert steps(Behaviour()) == ["sent", "delivered", "read"]
    assert steps(Behaviour(reorder_probability=1.0)) == ["read", "delivered", "sent"]
    assert steps(Behaviour(read_probability=0.0)) == ["sent", "delivered"]
    assert steps(Behaviour(delivered_probability=0.0)) == ["sent"]
    assert steps(Behaviour(failed_probability=1.0)) == ["failed"]
    assert steps(Behaviour(), closed=True) == ["failed"]
    assert steps(Behaviour(), PERSON.model_copy(update={"reachable": False})) == ["failed"]
    assert steps(Behaviour(), PERSON.model_copy(update={"accepts_marketing": False})) == ["failed"]


def message(**changes: object) -> bytes:
    whole = {"messaging_product": "whatsapp", "to": "+491700000001", "type": "text", "text": {"body": "x"}, **changes}
    return json.dumps({key: value for key, value in whole.items() if value is not None}).encode()


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (message(), None),
        (message(to=None, recipient="DE.abc"), None),
        (message(type=None), None),
        (b"{", 100),
        (b"[]", 100),
        (b"\xff", 100),
        (message(messaging_product=None), 100),
        (message(to=None), 131008),
        (message(to="nobody"), 131009),
        (message(to=5), 131009),
        (message(recipient="nobody"), 131009),
        (message(type="telepathy"), 100),
        (message(text=None), 131008),
        (message(text={"body": ""}), 131008),
        (message(text={"body": 5}), 131009),
        (message(text={"body": "x" * 4096}), None),
        (message(text={"body": "x" * 4097}), 100),
        (message(biz_opaque_callback_data="x" * 513), 100),
        (message(type="template"), 131008),
        (message(type="template", template={"name": "a"}), 131008),
        (message(type="template", template={"name": "a", "language": {"code": "en"}}), None),
        (message(type="image", image={}), 131008),
        (message(type="image", image={"id": "1", "link": "https://x"}), 131009),
        (message(type="image", image={"id": "1"}), None),
    ],
)
def test_a_message_that_makes_no_sense_is_refused_with_metas_code(raw: bytes, code: int | None) -> None:
    refusal = refuse_shape(read_draft(raw))
    assert (None if refusal is None else refusal.code) == code


def test_a_rule_is_used_up_by_what_it_matches_only() -> None:
    rules = Rules(random.Random(1).random)
    rules.add(RuleSpec(match=Match(to="+49170"), next=2, action=DropAfter()), now=0.0)
    taken = [rules.take("1", to, 1.0) is not None for to in ("49171", "49170", None, "+49170", "+49170")]
    assert taken == [False, True, False, True, False]


def test_a_rule_with_a_duration_ends_with_it() -> None:
    rules = Rules(random.Random(1).random)
    rules.add(RuleSpec(seconds=5.0, action=DropAfter()), now=10.0)
    assert [rules.take("1", "2", at) is not None for at in (10.0, 14.9, 15.0)] == [True, True, False]


def test_a_rule_with_a_share_takes_so_many_by_chance_and_uses_up_only_those() -> None:
    draws = iter([0.1, 0.5, 0.09, 0.2, 0.0, 0.0])
    rules = Rules(lambda: next(draws))
    rules.add(RuleSpec(next=3, share=0.1, action=DropAfter()), now=0.0)
    assert [rules.take("1", "2", 1.0) is not None for _ in range(5)] == [False, False, True, False, True]
    [rule] = rules.active(1.0)
    assert (rule.left, rule.applied) == (1, 2)


def test_whom_chance_spares_the_next_rule_may_take() -> None:
    rules = Rules(lambda: 0.5)
    rules.add(RuleSpec(always=True, share=0.1, action=DropAfter()), now=0.0)
    second = rules.add(RuleSpec(action=DropAfter()), now=0.0)
    taken = rules.take("1", "2", 1.0)
    assert taken is not None
    assert taken.id == second.id


def test_a_rule_for_always_ends_only_when_the_rules_are_cleared() -> None:
    rules = Rules(random.Random(1).random)
    rules.add(RuleSpec(always=True, action=DropAfter()), now=0.0)
    assert all(rules.take("1", "2", at) is not None for at in (0.0, 1.0, 1e9))
    rules.clear()
    assert rules.take("1", "2", 1e9) is None


def test_a_number_lets_its_hidden_rate_pass_where_it_has_one_and_else_the_advertised_one() -> None:
    number = Number(phone_number_id="1", waba_id="2", display_phone_number="3", throughput=80)
    assert number.messages_per_second == 80
    slower = number.changed({"hidden_throughput": 40, "phone_number_id": "another"})
    assert (slower.messages_per_second, slower.throughput, slower.phone_number_id) == (40, 80, "1")
    assert slower.changed({"hidden_throughput": None}).messages_per_second == 80
    with pytest.raises(ValidationError):
        number.changed({"hidden": 40})


def test_retries_come_at_once_and_then_with_growing_gaps() -> None:
    behaviour = Behaviour(retry_gap_seconds=1.0, retry_growth=2.0, retry_max_gap_seconds=10.0)
    assert [retry_gap(failures, behaviour) for failures in range(1, 8)] == [0.0, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    assert retry_gap(1_000_000, behaviour) == 10.0
