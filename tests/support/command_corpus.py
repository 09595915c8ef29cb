"""Which commands does a producer get wrong, and what is the answer to each? The categories of bad input, variants of each.

A case is published as its producer would; instants are given as a distance from now in milliseconds (`At`). Each case has a
person of its own, so that no case waits for another. Who gets something, and what is said, are canaries: a test finds them
wherever they should not be.
"""

from __future__ import annotations

import dataclasses
import gzip
import json
import struct
import uuid
import zlib
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from services.common.domain import topics
from services.common.domain.lanes import Lane
from services.common.domain.records import RecordConsent, SendMessage
from services.common.platform.avro import Codec, schema_text
from services.common.platform.kafka import NewRecord, partition_of
from tests.support.canaries import NAME, PHONE, TEXT
from tests.support.contents import PICTURE, WAMID, button, interactive, row, template

NUMBER: Final = "106540352242922"
OWN_PHONE: Final = "15550100001"
PAUSED, WITHOUT_TOKEN, DISABLED = "106540352242923", "106540352242924", "106540352242925"
FOREIGN_MEDIA, OLD_MEDIA = "90000001", "90000002"
"""Ids that Meta gave out for another number, and more than 30 days ago."""
JSON_HEADERS: Final = [("content-type", b"application/json")]
CODEC: Final = Codec()
KEEP_MS: Final = 12_000
"""How long a command waits during which something happens that forbids it."""
DAY: Final = 86_400_000
PEOPLE: Final = "491700000"
"""How the numbers of all people begin that a case has of its own."""


class At(int):
    """So many milliseconds from now."""


@dataclass(frozen=True, slots=True)
class Told:
    """An outcome. `reason` may be several words where the type of the message has one of its own."""

    kind: str
    reason: str | tuple[str, ...] | None = None

    @property
    def reasons(self) -> tuple[str | None, ...]:
        return self.reason if isinstance(self.reason, tuple) else (self.reason,)


@dataclass(frozen=True, slots=True)
class Dead:
    """A dead letter of the service that reads the topic."""

    reason: str


ACCEPTED: Final = Told("accepted")
EXPIRED: Final = Told("expired", "expired")
PARKED: Final = "parked"
IGNORED: Final = "ignored"
WAITING: Final = "waiting"

DEVIATIONS: Final[Mapping[int, str]] = {
    1: "A record of another type is named for what it is, and a schema id that nobody gives out for that.",
    5: "Producers may put any key on send-commands; on the lanes, which only the router writes, key and partition are checked.",
    13: "131026 has many causes at Meta and tells none of them, so nothing is remembered of it: the answer is Meta's, each time.",
    14: "Of templates for codes it is known that they need a number; of others Meta alone knows: the answer is Meta's.",
    16: "Where the type of a message has a word of its own for what is missing, that one is told.",
    38: "A command keeps its lane: what does not belong there is refused, not moved to another.",
    42: "There is no batch call: commands are records, and a batch of any size is many of them.",
    45: "There is no quota of a tenant, nor an edge that could answer with it.",
    48: "Payloads are not encrypted for each person: a value that nobody can read is no command.",
    52: "As 5.",
}
"""Where the answer is not the one that the number would have elsewhere."""


def refused(*reasons: str) -> Told:
    return Told("refused", reasons[0] if len(reasons) == 1 else reasons)


@dataclass(frozen=True, kw_only=True)
class Case:
    """`says`: fields of the command. `values`: records in place of it. `window`: since when the person's is open, or None.

    `consents`: evidence of the person from before; `later`: such as comes while the command waits. `error`: Meta's answer.
    """

    row: int
    name: str
    expects: Told | Dead | str
    says: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    again: Sequence[Mapping[str, Any]] = ()
    values: Sequence[bytes | None] = ()
    form: str = "json"
    lane_topic: bool = False
    key: bytes | None = b"any key"
    partition: int | None = None
    window: int | None = -60_000
    consents: Sequence[tuple[str, str]] = ()
    later: Sequence[tuple[str, str]] = ()
    error: int | None = None
    also: Sequence[Told] = ()


@dataclass(frozen=True, kw_only=True)
class Published:
    """A case with its person, its command's id, and what is written where."""

    case: Case
    person: str
    command_id: str
    records: Sequence[tuple[NewRecord, int | None]]


def published(case: Case, number: int, now: int) -> Published:
    person = f"{PEOPLE}{number:03d}"
    command_id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{case.row}/{case.name}"))
    values = case.values or [_value(case, {**case.says, **more}, command_id, person, now) for more in ({}, *case.again)]
    topic = topics.SENDS[Lane.TRANSACTIONAL] if case.lane_topic else topics.SEND_COMMANDS
    headers = JSON_HEADERS if case.form == "json" else []
    return Published(
        case=case,
        person=person,
        command_id=command_id,
        records=[(NewRecord(topic, case.key, value, headers), case.partition) for value in values],
    )


def _value(case: Case, says: Mapping[str, Any], command_id: str, person: str, now: int) -> bytes:
    fields: dict[str, Any] = {
        "command_id": command_id,
        "phone_number_id": NUMBER,
        "to": f"+{person}",
        "type": "text",
        "content": {"body": TEXT},
        **says,
    }
    fields = {name: now + value if isinstance(value, At) else value for name, value in fields.items() if value is not ...}
    if isinstance(fields.get("to"), str):
        fields["to"] = fields["to"].replace("PERSON", person)
    if case.form == "json":
        return json.dumps(fields).encode()
    if not isinstance(fields["content"], str):
        fields["content"] = json.dumps(fields["content"])
    return CODEC.encode(SendMessage(**fields))


def cases() -> list[Case]:
    """All of them, in the order of the categories."""
    return [case for category in _CATEGORIES for case in category()]


def _each(row_: int, expects: Told | Dead | str, variants: Mapping[str, Mapping[str, Any]], **more: Any) -> Iterator[Case]:
    for name, says in variants.items():
        yield Case(row=row_, name=name, expects=expects, says=says, **more)


def _values(row_: int, expects: Dead | str, variants: Mapping[str, bytes | None], **more: Any) -> Iterator[Case]:
    for name, value in variants.items():
        yield Case(row=row_, name=name, expects=expects, values=[value], **more)


def _command(name: str, **fields: Any) -> dict[str, Any]:
    """A command that stands in a record of its own."""
    command_id = str(uuid.uuid5(uuid.NAMESPACE_URL, name))
    return {"command_id": command_id, "phone_number_id": NUMBER, "to": f"+{PHONE}", "type": "text", **fields}


def _json(name: str, **fields: Any) -> bytes:
    return json.dumps(_command(name, **{"content": {"body": f"{TEXT} {name}"}, **fields})).encode()


def _avro(name: str) -> bytes:
    return CODEC.encode(SendMessage(**_command(name, content=json.dumps({"body": f"{TEXT} {name}"}))))


def _text(body: Any) -> dict[str, Any]:
    return {"content": {"body": body}}


def _of(message_type: str, content: Any, **more: Any) -> dict[str, Any]:
    return {"type": message_type, "content": content, **more}


def _named(name: str, language: str = "en_US", **components: Any) -> dict[str, Any]:
    return _of("template", {"name": name, "language": {"code": language}, **components})


def _body(*texts: str, **more: Any) -> dict[str, Any]:
    return {"components": [{"type": "body", "parameters": [{"type": "text", "text": text, **more} for text in texts]}]}


STOPPED: Final = ("PAUSED", "DISABLED", "REJECTED", "PENDING", "ARCHIVED", "DELETED", "LIMIT_EXCEEDED")
TEMPLATES: Final[Sequence[Mapping[str, Any]]] = (
    {"name": "order_update"},
    {"name": "promo_update", "category": "MARKETING"},
    {"name": "login_code", "category": "AUTHENTICATION"},
    {"name": "greeting", "body_parameters": 1},
    {"name": "farewell", "body_parameter_names": ("first_name",), "parameter_format": "NAMED"},
    *({"name": f"is_{status.lower()}", "status": status} for status in STOPPED),
)
"""What the account has at Meta, each in en_US."""
_TEMPLATE: Final = _named("order_update")
_BUTTONS: Final = _of("interactive", interactive("button", {"buttons": [button(1)]}))
_FREE_FORM: Final = {
    "text": _text(TEXT),
    "image": _of("image", PICTURE),
    "interactive": _BUTTONS,
    "location": _of("location", {"latitude": 1, "longitude": 2}),
    "reaction": _of("reaction", {"message_id": WAMID, "emoji": "👍"}),
}


def no_command() -> Iterator[Case]:
    consent = RecordConsent(
        consent_id="1", occurred_at=1, phone_number_id=NUMBER, contact="1", category="all", decision="granted", source="w"
    )
    variants = {
        "words": f"send {TEXT} to {NAME} +{PHONE}".encode(),
        "xml": b"<message/>",
        "not UTF-8": b"\xff\xfe{}",
        "nothing": b"",
        "a list": json.dumps([TEXT, PHONE]).encode(),
        "a text": json.dumps(TEXT).encode(),
        "cut off": _json("cut off")[:-9],
        "two documents": _json("two") + _json("documents"),
        "a comma too many": _json("comma")[:-1] + b",}",
    }
    yield from _values(1, Dead("command_syntax"), variants)
    framed = {
        "another framing": b"\x01" + _avro("another framing")[1:],
        "Avro cut off": _avro("Avro cut off")[:-3],
        "bytes behind the Avro": _avro("bytes behind") + b"\0",
        "a frame without a body": b"\0\0\0",
    }
    yield from _values(1, Dead("command_syntax"), framed, form="avro")
    yield from _values(1, Dead("record_type"), {"another record": CODEC.encode(consent)}, form="avro")
    yield from _values(1, Dead("unknown_schema"), {"no id of ours": b"\0\xff\xff\xff\xff\0\0"}, form="avro")


def no_id() -> Iterator[Case]:
    wrong = {"missing": ..., "null": None, "empty": "", "a word": "order-8841", "a number": 7, "without dashes": "0" * 32}
    values = {
        name: json.dumps({k: v for k, v in _command(name, content={}, command_id=value).items() if v is not ...}).encode()
        for name, value in wrong.items()
    }
    yield from _values(2, Dead("command_id"), values)


def the_same_again() -> Iterator[Case]:
    yield Case(row=3, name="JSON twice", expects=ACCEPTED, again=[{}])
    yield Case(row=3, name="three times", expects=ACCEPTED, again=[{}, {}])
    yield Case(row=3, name="Avro twice", expects=ACCEPTED, again=[{}], form="avro")
    yield Case(row=3, name="with a default written out", expects=ACCEPTED, again=[{"policy": "hold", "lane": "transactional"}])
    yield Case(row=3, name="with a field that nobody knows", expects=ACCEPTED, again=[{"campaign": "spring"}])
    yield Case(row=3, name="a refusal", expects=refused("text_empty"), says=_text(" "), again=[{}])


def another_under_the_same_id() -> Iterator[Case]:
    others: dict[str, Mapping[str, Any]] = {
        "another text": _text(f"something else than {TEXT}"),
        "another recipient": {"to": f"+{PHONE}"},
        "another type": _of("image", PICTURE),
        "another answer": {"context_wamid": WAMID},
        "another end": {"expires_at": At(3_600_000)},
        "an option more": {"biz_opaque_callback_data": "mine"},
    }
    for name, other in others.items():
        yield Case(row=4, name=name, expects=ACCEPTED, again=[other], also=[refused("idempotency_conflict")])


def foreign_keys() -> Iterator[Case]:
    good = partition_of(NUMBER.encode(), 24)
    keys = {"another number": b"106", "the conversation": f"{NUMBER}/4917".encode(), "a blank behind": f"{NUMBER} ".encode()}
    for name, key in keys.items():
        yield Case(row=5, name=name, expects=Dead("key_mismatch"), values=[_avro(name)], form="avro", lane_topic=True, key=key)
    for shift in (1, 7):
        yield Case(
            row=5,
            name=f"{shift} partitions further",
            expects=Dead("key_mismatch"),
            values=[_avro(f"shift {shift}")],
            form="avro",
            lane_topic=True,
            key=NUMBER.encode(),
            partition=(good + shift) % 24,
        )
    for partition in range(5):
        yield Case(
            row=52,
            name=f"no key, partition {partition}",
            expects=Dead("key_mismatch"),
            values=[_avro(f"no key {partition}")],
            form="avro",
            lane_topic=True,
            key=None,
            partition=partition,
        )
    for name, any_key in {"no key": None, "its own": NUMBER.encode(), "another": b"106", "long": b"k" * 500}.items():
        yield Case(row=52, name=f"send-commands take any: {name}", expects=ACCEPTED, key=any_key)


def unknown_number() -> Iterator[Case]:
    numbers = ["999", NUMBER + "0", NUMBER[:-1], f" {NUMBER}", "abc", OWN_PHONE]
    yield from _each(6, refused("phone_unknown"), {number: {"phone_number_id": number} for number in numbers})


def another_tenant() -> Iterator[Case]:
    names = ("somebody", "Default", "", " default", "default2")
    yield from _each(7, refused("tenant_mismatch"), {repr(name): {"tenant_id": name} for name in names})
    yield from _each(7, ACCEPTED, {"its own": {"tenant_id": "default"}})


def held_number() -> Iterator[Case]:
    variants = {**_FREE_FORM, "template": _TEMPLATE, "read": _of("read", {"message_id": WAMID}, to=None)}
    for state, number in (("paused", PAUSED), ("disabled", DISABLED)):
        held = {"phone_number_id": number, "expires_at": At(KEEP_MS)}
        yield from _each(8, EXPIRED, {f"{state}, {name}": {**says, **held} for name, says in variants.items()})


def no_recipient() -> Iterator[Case]:
    variants: dict[str, Mapping[str, Any]] = {
        "missing": {"to": ...},
        "null": {"to": None},
        "all null": {"to": None, "recipient": None, "group_id": None},
        "empty": {"to": ""},
        "blank": {"to": " "},
        "missing for a template": {**_TEMPLATE, "to": ...},
        "empty user id": {"to": None, "recipient": ""},
        "empty group": {"to": None, "group_id": ""},
    }
    yield from _each(9, refused("recipient"), variants)


def wrong_recipient() -> Iterator[Case]:
    wrong = ["+49170ABC1234", "ana@example.org", "123456", f"{PHONE}1234", f"00{PHONE}", f"0{PHONE}", f"++{PHONE}",
             "+٤٩١٧٠١٢٣٤٥٦٧", "+49170+1234567", "👍👍👍👍👍👍👍", f"+{PHONE};+{PHONE}"]  # fmt: skip
    yield from _each(10, refused("recipient"), {to: {"to": to} for to in wrong})
    yield from _each(
        10, refused("recipient"), {f"user id {one}": {"to": None, "recipient": one} for one in ("DE", "de.12", "DE.1 2")}
    )
    yield from _each(10, refused("recipient"), {f"beside a good number: {one}": {"recipient": one} for one in ("x", "DE.")})
    group = "Y2FwaV9ncm91cDox"
    both: dict[str, Mapping[str, Any]] = {
        "a group and a number": {"group_id": group},
        "a group and a user id": {"group_id": group, "to": None, "recipient": "DE.1"},
    }
    yield from _each(10, refused("recipient"), both)


def spelled_recipient() -> Iterator[Case]:
    spelled = ["+PERSON", "PERSON", " +PERSON ", "+PERSON\u00a0", "(+PERSON)", "+.PERSON.", "+PERSON-"]
    yield from _each(11, ACCEPTED, {f"{number} {to!r}": {"to": to} for number, to in enumerate(spelled)})


def own_number() -> Iterator[Case]:
    spelled = [f"+{OWN_PHONE}", OWN_PHONE, "+1 555 010-0001", "+1 (555) 010 0001", "1.555.010.0001"]
    yield from _each(12, refused("recipient"), {to: {"to": to} for to in spelled})


def not_on_whatsapp() -> Iterator[Case]:
    variants = {**_FREE_FORM, "template": _TEMPLATE}
    yield from _each(13, Told("rejected", "undeliverable"), variants, error=131026)


def user_id_where_a_number_is_needed() -> Iterator[Case]:
    by_id = {f"template {n}": {**_TEMPLATE, "to": None, "recipient": f"DE.{n}"} for n in range(5)}
    yield from _each(14, Told("rejected", "recipient"), by_id, error=131062)
    code = {**_named("login_code"), "lane": "otp", "to": None}
    yield from _each(14, refused("recipient"), {f"code {n}": {**code, "recipient": f"DE.code{n}"} for n in range(5)})


def no_type() -> Iterator[Case]:
    wrong: dict[str, Any] = {
        "missing": ...,
        "null": None,
        "empty": "",
        "poll": "poll",
        "capitals": "TEXT",
        "blank": " text",
        "sms": "sms",
    }
    yield from _each(15, refused("type_unsupported"), {name: {"type": value} for name, value in wrong.items()})
    group = {"to": None, "group_id": "Y2FwaV9ncm91cDox"}
    kinds = {kind: says for kind, says in _FREE_FORM.items() if kind not in ("text", "image")}
    yield from _each(15, refused("type_unsupported"), {f"to a group: {kind}": {**says, **group} for kind, says in kinds.items()})


def another_content() -> Iterator[Case]:
    variants: dict[str, tuple[Mapping[str, Any], Told]] = {
        "text with a picture": (_of("text", PICTURE), refused("shape")),
        "picture with a text": (_of("image", {"body": TEXT}), refused("media")),
        "template with buttons": (_of("template", _BUTTONS["content"]), refused("template")),
        "buttons with a text": (_of("interactive", {"body": TEXT}), refused("interactive")),
        "contacts with an object": (_of("contacts", {"name": NAME}), refused("shape")),
        "location with a reaction": (_of("location", {"message_id": WAMID, "emoji": "x"}), refused("shape")),
        "missing": ({"content": ...}, refused("shape")),
        "null": ({"content": None}, refused("shape")),
        "a number": ({"content": 7}, refused("shape")),
        "a list": ({"content": [{"body": TEXT}]}, refused("shape")),
        "words": ({"content": TEXT}, refused("shape")),
        "the type once more": (_of("text", {"text": {"body": TEXT}}), refused("shape")),
        "marketing_messages beside a text": ({"marketing_messages": {}}, refused("shape")),
        "marketing_messages with a recipient": ({**_TEMPLATE, "marketing_messages": {"to": "1"}}, refused("shape")),
    }
    for name, (says, expects) in variants.items():
        yield Case(row=16, name=name, expects=expects, says=says)


def empty_text() -> Iterator[Case]:
    bodies = ["", " ", "\n\t", "\u00a0", "\u2003\u2003", "\r\n"]
    yield from _each(17, refused("text_empty"), {repr(body): _text(body) for body in bodies})


def long_text() -> Iterator[Case]:
    long = {
        "letters": TEXT.ljust(4097, "x"),
        "emoji": TEXT.ljust(4097, "👍"),
        "combining": "e\u0301" * 2049,
        "lines": "a\n" * 2049,
        "much more": TEXT.ljust(20_000, "x"),
    }
    yield from _each(18, refused("text_long"), {name: _text(body) for name, body in long.items()})
    yield from _each(18, ACCEPTED, {f"at the limit: {one}": _text(TEXT.ljust(4096, one)) for one in "x👍"})


def unreadable_text() -> Iterator[Case]:
    said: dict[str, Mapping[str, Any]] = {
        "NUL": _text(f"{TEXT}\0b"),
        "NUL first": _text("\0"),
        "first half": _text(f"{TEXT}\ud800"),
        "second half": _text(f"\udc00{TEXT}"),
        "halves the wrong way round": _text("\udc00\ud800"),
        "in a caption": _of("image", {**PICTURE, "caption": f"{TEXT}\ud800"}),
        "in a title": _of(
            "interactive", interactive("button", {"buttons": [{"type": "reply", "reply": {"id": "1", "title": "\0"}}]})
        ),
        "in a key": _of("text", {"body": TEXT, "\ud800": 1}),
    }
    yield from _each(19, refused("encoding"), said)
    yield from _each(19, refused("encoding"), {f"Avro, {name}": says for name, says in said.items()}, form="avro")


def over_a_limit() -> Iterator[Case]:
    def buttons(**changes: Any) -> dict[str, Any]:
        reply = {"id": "1", "title": "One", **changes}
        return _of("interactive", interactive("button", {"buttons": [{"type": "reply", "reply": reply}]}))

    variants = {
        "caption of a picture": _of("image", {**PICTURE, "caption": TEXT.ljust(1025, "x")}),
        "caption of a document": _of("document", {**PICTURE, "caption": TEXT.ljust(1025, "x")}),
        "header": _of("interactive", {**_BUTTONS["content"], "header": {"type": "text", "text": TEXT.ljust(61, "x")}}),
        "footer": _of("interactive", {**_BUTTONS["content"], "footer": {"text": TEXT.ljust(61, "x")}}),
        "title of a button": buttons(title="x" * 21),
        "id of a button": buttons(id="x" * 257),
        "258 contacts": _of("contacts", [{"name": {"formatted_name": NAME, "first_name": NAME}}] * 258),
        "latitude": _of("location", {"latitude": 90.5, "longitude": 0}),
    }
    yield from _each(20, refused("limit"), variants)


def wrong_interactive() -> Iterator[Case]:
    def listed(*rows: Any) -> dict[str, Any]:
        return _of("interactive", interactive("list", {"button": "Choose", "sections": [{"title": "One", "rows": list(rows)}]}))

    def buttons(*given: Any) -> dict[str, Any]:
        return _of("interactive", interactive("button", {"buttons": list(given)}))

    variants = {
        "4 buttons": buttons(*(button(n) for n in range(4))),
        "no button": buttons(),
        "an id twice": buttons(button(1), {"type": "reply", "reply": {"id": "b1", "title": "Another"}}),
        "a title twice": buttons(button(1), {"type": "reply", "reply": {"id": "b2", "title": "Button 1"}}),
        "11 rows": listed(*(row(n) for n in range(11))),
        "no row": listed(),
        "a row twice": listed(row(1), row(1)),
        "an unknown kind": _of("interactive", {"type": "poll", "body": {"text": "a"}, "action": {}}),
    }
    yield from _each(21, refused("interactive"), variants)


def closed_window() -> Iterator[Case]:
    yield from _each(
        22, refused("window_closed"), {f"never written, {name}": says for name, says in _FREE_FORM.items()}, window=None
    )
    yield from _each(22, refused("window_closed"), {f"a day ago, {name}": says for name, says in _FREE_FORM.items()}, window=-DAY)
    yield from _each(22, ACCEPTED, {"a template needs none": _TEMPLATE}, window=None)


def closing_window() -> Iterator[Case]:
    """Open when the command is taken in, and closed when its time has come."""
    later = {name: {**says, "send_at": At(KEEP_MS)} for name, says in _FREE_FORM.items()}
    yield from _each(23, refused("window_closed"), later, window=-DAY + 60_000 + KEEP_MS - 1_000)


def no_consent() -> Iterator[Case]:
    bulk = {**_named("promo_update"), "lane": "bulk"}
    granted = {
        "nothing": (),
        "utility only": (("utility", "granted"),),
        "authentication only": (("authentication", "granted"),),
        "both others": (("utility", "granted"), ("authentication", "granted")),
    }
    for name, consents in granted.items():
        yield Case(row=24, name=name, expects=refused("no_consent"), says=bulk, consents=consents)
    yield Case(row=24, name="withdrawn", expects=refused("opted_out"), says=bulk, consents=[("marketing", "withdrawn")])
    yield Case(row=24, name="granted", expects=ACCEPTED, says=_TEMPLATE, consents=[("utility", "granted")])


def opt_out_while_waiting() -> Iterator[Case]:
    waits: dict[str, tuple[Mapping[str, Any], Sequence[tuple[str, str]]]] = {
        "text": ({}, [("all", "withdrawn")]),
        "image": (_of("image", PICTURE), [("all", "withdrawn")]),
        "template": (_TEMPLATE, [("all", "withdrawn")]),
        "template of its category": (_TEMPLATE, [("utility", "withdrawn")]),
        "template in otp": ({**_named("login_code"), "lane": "otp"}, [("authentication", "withdrawn")]),
    }
    for name, (says, later) in waits.items():
        yield Case(row=25, name=name, expects=refused("opted_out"), says={**says, "send_at": At(KEEP_MS)}, later=later)


def unknown_template() -> Iterator[Case]:
    names = ("nobody_made_it", "of_another_account", "order_updates", "order", "n")
    yield from _each(26, refused("template"), {name: _named(name) for name in names})
    yield from _each(26, refused("template_lang"), {f"in {code}": _named("order_update", code) for code in ("de", "en", "en_GB")})


def stopped_template() -> Iterator[Case]:
    yield from _each(27, refused("template_state"), {status: _named(f"is_{status.lower()}") for status in STOPPED})


def no_language() -> Iterator[Case]:
    wrong: dict[str, Any] = {
        "missing": {},
        "no code": {"language": {}},
        "null": {"language": None},
        "empty": {"language": {"code": ""}},
        "words": {"language": {"code": "english please"}},
        "a text": {"language": "en_US"},
    }
    yield from _each(28, refused("template_lang"), {name: _of("template", {"name": "n", **part}) for name, part in wrong.items()})


def wrong_parameters() -> Iterator[Case]:
    texts = {"empty": "", "blank": " ", "newline": f"a\n{TEXT}", "tab": f"a\t{TEXT}", "5 blanks": f"a     {TEXT}",
             "too long": TEXT.ljust(1025, "x")}  # fmt: skip
    yield from _each(
        29,
        refused("template_params"),
        {n: _of("template", template({"type": "body", "parameters": [{"type": "text", "text": t}]})) for n, t in texts.items()},
    )

    counts = {
        "none of one": _named("greeting"),
        "two of one": _named("greeting", **_body(TEXT, NAME)),
        "one of none": _named("order_update", **_body(NAME)),
        "another name": _named("farewell", **_body(NAME, parameter_name="last_name")),
        "no name": _named("farewell", **_body(NAME)),
    }
    yield from _each(29, refused("template_params"), counts)
    right = {"one": _named("greeting", **_body(NAME)), "named": _named("farewell", **_body(NAME, parameter_name="first_name"))}
    yield from _each(29, ACCEPTED, right)


def another_category() -> Iterator[Case]:
    marketing = {lane: {**_named("promo_update"), "lane": lane} for lane in ("otp", "transactional")}
    yield from _each(30, refused("lane_mismatch"), marketing, consents=[("marketing", "granted")])
    yield from _each(30, refused("lane_mismatch"), {"utility in otp": {**_TEMPLATE, "lane": "otp"}})
    right = {"a code in otp": {**_named("login_code"), "lane": "otp"}, "a code in bulk": {**_named("login_code"), "lane": "bulk"}}
    yield from _each(30, ACCEPTED, right)


def wrong_media_id() -> Iterator[Case]:
    kinds = ("image", "video", "audio", "document", "sticker")
    for name, media_id in (("of another number", FOREIGN_MEDIA), ("too old", OLD_MEDIA)):
        yield from _each(31, refused("media"), {f"{name}, {kind}": _of(kind, {"id": media_id}) for kind in kinds})


def wrong_link() -> Iterator[Case]:
    links = ["http://cdn.example.com/a.png", "https://10.0.0.1/a.png", "https://127.0.0.1/a", "https://169.254.169.254/latest",
             "https://[::1]/a", "https://localhost/a", "https://kafka/a", "file:///etc/passwd",
             "https://u:p@cdn.example.com/a"]  # fmt: skip
    yield from _each(32, refused("media_link"), {link: _of("image", {"link": link}) for link in links})


def id_and_link() -> Iterator[Case]:
    kinds = ("image", "video", "audio", "document", "sticker")
    yield from _each(33, refused("media"), {f"both, {kind}": _of(kind, {"id": "1", **PICTURE}) for kind in kinds})
    yield from _each(33, refused("media"), {f"neither, {kind}": _of(kind, {}) for kind in kinds})


def wrong_context() -> Iterator[Case]:
    wrong = ["", "abc", "wamid.", "wamid.a b", "wamid.<b>", WAMID.upper(), WAMID + "\n"]
    yield from _each(34, refused("context"), {repr(one): {"context_wamid": one} for one in wrong})
    yield from _each(34, refused("context"), {"a reaction to": _of("reaction", {"message_id": "abc", "emoji": "x"})})


def own_callback_data() -> Iterator[Case]:
    said = {
        "words": "order 8841",
        "JSON": '{"a":1}',
        "long": "x" * 2_000,
        "empty": "",
        "emoji": "👍",
        "like an attempt": str(uuid.UUID(int=7)),
    }
    yield from _each(35, ACCEPTED, {name: {"biz_opaque_callback_data": text} for name, text in said.items()})


def wrong_end() -> Iterator[Case]:
    over: dict[str, Any] = {
        "a second ago": At(-1_000),
        "0": 0,
        "negative": -5,
        "in seconds": 1_795_450_000,
        "far before": -(2**62),
    }
    yield from _each(36, EXPIRED, {name: {"expires_at": value} for name, value in over.items()})
    beyond: dict[str, Any] = {
        "31 days": At(31 * DAY),
        "microseconds": 1_795_450_000_000_000,
        "far ahead": 2**62,
        "10 years": At(3_650 * DAY),
    }
    yield from _each(36, refused("expires_at"), {name: {"expires_at": value} for name, value in beyond.items()})


def wrong_schedule() -> Iterator[Case]:
    wrong: dict[str, Any] = {
        "an hour ago": At(-3_600_000),
        "0": 0,
        "negative": -5,
        "in seconds": 1_795_450_000,
        "31 days": At(31 * DAY),
        "10 years": At(3_650 * DAY),
        "microseconds": 1_795_450_000_000_000,
        "far ahead": 2**62,
    }
    yield from _each(37, refused("schedule"), {name: {"send_at": value} for name, value in wrong.items()})
    yield from _each(37, refused("schedule"), {"after its end": {"send_at": At(60_000), "expires_at": At(30_000)}})
    yield from _each(37, ACCEPTED, {"a minute ago": {"send_at": At(-60_000)}, "in a second": {"send_at": At(1_000)}})


def one_time_codes() -> Iterator[Case]:
    yield from _each(38, refused("lane_mismatch"), {name: {**says, "lane": "otp"} for name, says in _FREE_FORM.items()})


def resending_without_leave() -> Iterator[Case]:
    bulk = {**_named("promo_update"), "lane": "bulk"}
    allowed = {**_FREE_FORM, "template": _TEMPLATE}
    yield from _each(39, ACCEPTED, {name: {**says, "policy": "resend_once"} for name, says in allowed.items()})
    yield from _each(39, ACCEPTED, {"marketing": {**bulk, "policy": "resend_once"}}, consents=[("marketing", "granted")])
    yield from _each(39, refused("policy"), {word: {"policy": word} for word in ("resend", "HOLD", "never", "resend_twice", "")})


def unknown_fields() -> Iterator[Case]:
    more: dict[str, Any] = {"a text": "spring", "an object": {"a": {"b": [1]}}, "null": None, "a number": 7, "a list": [1, 2]}
    yield from _each(40, ACCEPTED, {name: {"campaign": value} for name, value in more.items()})
    yield from _each(40, ACCEPTED, {"in the content": _text(TEXT) | {"content": {"body": TEXT, "key_of_tomorrow": 1}}})


def large() -> Iterator[Case]:
    values = {
        "content": _json("large content", content={"body": TEXT.ljust(65_536, "x")}),
        "another field": _json("large field", campaign="x" * 65_536),
        "blanks": _json("blanks")[:-1] + b" " * 65_536 + b"}",
        "a byte too many": b"{" + b" " * (65_536 - 1) + b"}",
        "no JSON at all": b"x" * 70_000,
    }
    yield from _values(41, Dead("command_size"), values)
    yield Case(row=41, name="Avro", expects=Dead("command_size"), values=[b"\0" + b"x" * 65_536], form="avro")


def one_bad_of_many() -> Iterator[Case]:
    """In one partition, in one batch."""
    for n in range(9):
        yield Case(row=43, name=f"good {n}", expects=ACCEPTED, key=b"a batch")
        if n == 4:
            yield Case(row=43, name="bad", expects=Dead("command_syntax"), values=[b"the bad one of a batch"], key=b"a batch")


def odd_json() -> Iterator[Case]:
    def nested(name: str, levels: int) -> bytes:
        return _json(name)[:-1] + b',"a":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"

    yield from _values(44, Dead("json_depth"), {f"{n} levels": nested(f"deep {n}", n) for n in (65, 66, 500, 1_025, 20_000)})
    twice = {
        "a key twice": _json("twice")[:-1] + f',"to":"+{PHONE}"}}'.encode(),
        "the id twice": _json("id twice")[:-1] + b',"command_id":"7"}',
        "the same value twice": _json("same twice")[:-1] + b',"type":"text"}',
        "in the content": _json("content twice", content={})[:-2] + b'"body":"a","body":"b"}}',
        "spelled in another way": _json("escaped twice")[:-1] + f',"t\\u006f":"+{PHONE}"}}'.encode(),
    }
    yield from _values(44, Dead("json_dup_key"), twice)
    numbers = {
        "an end as a float": _json("float", expires_at=1.8e12),
        "half a millisecond": _json("half", send_at=1.5),
        "no number": _json("NaN", content={"body": float("nan")}),
        "infinity": _json("infinity", campaign=float("inf")),
        "beyond 64 bits": _json("long", expires_at=2**64),
        "5,000 digits": _json("digits")[:-1] + b',"a":' + b"1" * 5_000 + b"}",
        "1e400": _json("1e400")[:-1] + b',"a":1e400}',
    }
    yield from _values(44, Dead("json_number"), numbers)


def later_schema() -> Iterator[Case]:
    newest = max(int(number) for number in json.loads(schema_text("ids.lock.json")))
    for ahead in (1, 2, 3, 10, 1_000):
        value = struct.pack(">bI", 0, newest + ahead) + _avro(f"later {ahead}")[5:]
        yield Case(row=47, name=f"{ahead} ahead", expects=PARKED, values=[value], form="avro")


def sealed() -> Iterator[Case]:
    plain = _json("sealed")
    values = {
        "gzip": gzip.compress(plain, mtime=0),
        "deflate": zlib.compress(plain),
        "base64": b64encode(plain),
        "of another key": b"k1:" + bytes(range(1, 200)),
        "JSON Web Encryption": b"eyJhbGciOiJkaXIifQ..iv.text.tag",
    }
    yield from _values(48, Dead("command_syntax"), values)


def injected() -> Iterator[Case]:
    evil = TEXT + '"}],"to":"+15550100009","x":[{"a":"'
    crlf = f"{NAME}\r\nX-Injected: 1\r\n\r\n{{}}"
    variants = {
        "text": _text(evil),
        "lines": _text(crlf),
        "name": _of("contacts", [{"name": {"formatted_name": evil, "first_name": crlf}}]),
        "file name": _of("document", {**PICTURE, "filename": evil}),
        "place": _of("location", {"latitude": 1, "longitude": 2, "name": evil, "address": crlf}),
        "caption": _of("image", {**PICTURE, "caption": crlf + evil}),
        "a key": _of("text", {"body": "a", evil: evil}),
    }
    yield from _each(49, ACCEPTED, variants)
    yield from _each(49, ACCEPTED, {f"Avro, {name}": says for name, says in variants.items()}, form="avro")


def no_token() -> Iterator[Case]:
    yield from _each(50, WAITING, {name: {**says, "phone_number_id": WITHOUT_TOKEN} for name, says in _FREE_FORM.items()})


def tombstones() -> Iterator[Case]:
    for n in range(5):
        yield Case(row=51, name=f"a command {n}", expects=IGNORED, values=[None], key=f"{n}".encode())
        yield Case(row=51, name=f"on its way {n}", expects=IGNORED, values=[None], key=NUMBER.encode(), lane_topic=True)


_CATEGORIES: Final = (
    no_command, no_id, the_same_again, another_under_the_same_id, foreign_keys, unknown_number, another_tenant, held_number,
    no_recipient, wrong_recipient, spelled_recipient, own_number, not_on_whatsapp, user_id_where_a_number_is_needed,
    no_type, another_content, empty_text, long_text, unreadable_text, over_a_limit, wrong_interactive, closed_window,
    closing_window, no_consent, opt_out_while_waiting, unknown_template, stopped_template, no_language, wrong_parameters,
    another_category, wrong_media_id, wrong_link, id_and_link, wrong_context, own_callback_data, wrong_end, wrong_schedule,
    one_time_codes, resending_without_leave, unknown_fields, large, one_bad_of_many, odd_json, later_schema, sealed,
    injected, no_token, tombstones,
)  # fmt: skip


def ids(found: Iterable[Case]) -> list[str]:
    """Names for a test's report."""
    return [f"command-{case.row:02d} {case.name[:40]}" for case in found]
