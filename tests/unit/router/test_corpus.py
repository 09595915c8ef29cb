"""What becomes of content that is wrong, odd or hostile? Each category with its exact result: events, dead letters, reasons.

The numbers are those of our list of bad input; what concerns framing, signatures and size is answered by ingest and tested there.
"""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any, NamedTuple

import pytest

from services.common.domain import topics
from services.common.platform.avro import Codec
from services.common.platform.envelope import dead_letter_origin
from services.projector.decode import Decoder
from services.projector.fold import fold
from tests.support import samples

CODEC = Codec()
PHONE = "106540352242922"
METADATA = {"display_phone_number": "15550783881", "phone_number_id": PHONE}
AT = "1763812345"
HERE = "/entry/0/changes/0/value"


def message(n: int = 0, /, **changes: Any) -> dict[str, Any]:
    base = {"from": "16505551234", "id": f"wamid.{n}", "timestamp": AT, "type": "text", "text": {"body": "hi"}}
    return {key: found for key, found in {**base, **changes}.items() if found is not ...}


def status(n: int = 0, /, **changes: Any) -> dict[str, Any]:
    base = {"id": f"wamid.s{n}", "status": "sent", "timestamp": AT, "recipient_id": "16505551234"}
    return {key: found for key, found in {**base, **changes}.items() if found is not ...}


def value(**changes: Any) -> dict[str, Any]:
    return {"messaging_product": "whatsapp", "metadata": METADATA, **changes}


def post(*values: Any, field: Any = "messages") -> bytes:
    changes = [{"field": field, "value": one} for one in values]
    return json.dumps({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": changes}]}).encode()


def around(bad: Any) -> bytes:
    """A bad message between two good ones."""
    return post(value(messages=[message(1), bad, message(2)]))


def spliced(bad: bytes) -> bytes:
    """The same with bytes that no serialiser writes."""
    return around("@@").replace(b'"@@"', bad)


def whole(reason: str, pointer: str = "") -> list[str]:
    return [f"{reason} {pointer}".strip()]


def between(reason: str, within: str = "") -> list[str]:
    return ["MessageReceived", f"{reason} {HERE}/messages/1{within}", "MessageReceived"]


GOOD = ["MessageReceived"] * 3
TEXT = post(value(messages=[message()]))
NOBODY: dict[str, Any] = {"from": ...}
NESTED: Any = "x"
for _ in range(70):
    NESTED = [NESTED]


class Case(NamedTuple):
    body: bytes
    expected: list[str]
    headers: tuple[tuple[str, bytes], ...] = ()


def deep(levels: int) -> bytes:
    return b'{"id":"wamid.9","a":' + b"[" * levels + b"]" * levels + b"}"


CASES: dict[str, Case] = {
    "37 empty body": Case(b"", whole("empty_body")),
    "38 gzip": Case(gzip.compress(TEXT), ["MessageReceived"], (("content-encoding", b"gzip"),)),
    "38 deflate": Case(zlib.compress(TEXT), ["MessageReceived"], (("content-encoding", b"deflate"),)),
    "38 br": Case(TEXT, whole("json_encoding"), (("content-encoding", b"br"),)),
    "39 bomb": Case(gzip.compress(bytes(50_000_000)), whole("decompress_limit"), (("content-encoding", b"gzip"),)),
    "48 no JSON": Case(b"hello", whole("json_syntax")),
    "48 trailing garbage": Case(TEXT + b" x", whole("json_syntax")),
    "48 two documents": Case(TEXT + TEXT, whole("json_syntax")),
    "48 comment": Case(b"/* hi */" + TEXT, whole("json_syntax")),
    "48 single quotes": Case(b"{'object':'whatsapp_business_account'}", whole("json_syntax")),
    "48 trailing comma": Case(b'{"object":"whatsapp_business_account","entry":[],}', whole("json_syntax")),
    "48 cut": Case(TEXT[:-5], whole("json_syntax")),
    "48 bad word in one element": Case(spliced(b'{"id":tru}'), between("json_syntax")),
    "48 control character in one element": Case(spliced(b'{"id":"a\x01b"}'), between("json_syntax")),
    "49 BOM": Case(b"\xef\xbb\xbf" + TEXT, whole("json_encoding")),
    "49 UTF-16": Case(TEXT.decode().encode("utf-16"), whole("json_encoding")),
    "49 Latin-1 in one element": Case(spliced(b'{"id":"wamid.9","text":{"body":"Gr\xfc\xdfe"}}'), between("json_encoding")),
    "49 overlong UTF-8 in one element": Case(spliced(b'{"id":"\xc0\xaf"}'), between("json_encoding")),
    "49 raw surrogate in one element": Case(spliced(b'{"id":"\xed\xa0\x80"}'), between("json_encoding")),
    "50 lone surrogate in one element": Case(spliced(b'{"id":"wamid.9","a":"\\ud800"}'), between("json_encoding")),
    "51 depth 63": Case(around(message(9, more=NESTED[0][0][0][0][0][0][0][0])), GOOD),
    "51 depth 65": Case(around(message(9, more=NESTED)), between("json_depth")),
    "51 depth 1,023": Case(spliced(deep(1_023)), between("json_depth")),
    "51 depth 1,025": Case(spliced(deep(1_025)), between("json_depth")),
    "51 depth 100,000": Case(spliced(deep(100_000)), between("json_depth")),
    "51 depth 100,000, never closed": Case(b"[" * 100_000, whole("json_depth")),
    "52 NaN": Case(spliced(b'{"id":"wamid.9","a":NaN}'), between("json_number")),
    "52 Infinity": Case(spliced(b'{"id":"wamid.9","a":-Infinity}'), between("json_number")),
    "52 1e400": Case(spliced(b'{"id":"wamid.9","a":1e400}'), between("json_number")),
    "53 5,000 digits": Case(spliced(b'{"id":"wamid.9","a":' + b"9" * 5_000 + b"}"), between("json_number")),
    "53 beyond 64 bits": Case(spliced(b'{"id":"wamid.9","a":18446744073709551616}'), between("json_number")),
    "53 largest of 64 bits": Case(around(message(9, a=2**64 - 1)), GOOD),
    "53 id as float": Case(around(message(id=1.5e18)), between("message_id", "/id")),
    "53 template id as float": Case(
        post({"event": "APPROVED", "message_template_id": 1.689e15}, field="message_template_status_update"),
        whole("id_type", f"{HERE}/message_template_id"),
    ),
    "54 a key that cannot be read": Case(spliced(b'{"id":"wamid.9","\xff":1}'), between("json_encoding")),
    "54 a key that cannot be read, beside the messages": Case(
        TEXT.replace(b'"messages": [', b'"\\ud800":1,"messages": ['), [f"json_encoding {HERE}/\ufffd", "MessageReceived"]
    ),
    "54 id twice": Case(spliced(b'{"id":"wamid.9","id":"wamid.8","from":"1"}'), between("json_dup_key")),
    "54 messages twice": Case(TEXT.replace(b'"messages": [', b'"messages":[],"messages": ['), whole("json_dup_key", f"{HERE}")),
    "54 entry twice": Case(TEXT.replace(b'"entry"', b'"entry":[],"entry"', 1), whole("json_dup_key")),
    "54 metadata twice": Case(
        TEXT.replace(b'"metadata"', b'"metadata":{"phone_number_id":"2"},"metadata"'), whole("json_dup_key", f"{HERE}")
    ),
    "54 phone_number_id twice": Case(
        TEXT.replace(b'"phone_number_id"', b'"phone_number_id":"2","phone_number_id"'),
        whole("phone_missing", f"{HERE}/messages/0"),
    ),
    "55 odd keys": Case(around(message(9, __proto__={"a": 1}, constructor="x", **{"k" * 1_000_000: 1})), GOOD),
    "55 100,000 keys": Case(around(message(9, more={str(n): n for n in range(100_000)})), GOOD),
    "56 array": Case(b"[]", whole("not_object")),
    "56 string": Case(b'"x"', whole("not_object")),
    "56 number": Case(b"1", whole("not_object")),
    "56 null": Case(b"null", whole("not_object")),
    "56 true": Case(b"true", whole("not_object")),
    "57 NUL in text": Case(
        around(message(9, text={"body": "a\0b"})), ["MessageReceived", "MessageReceived text_nul", "MessageReceived"]
    ),
    "57 NUL in id": Case(around(message(id="wamid.\0")), between("text_nul", "/id")),
    "57 NUL in sender": Case(around(message(**{"from": "1\0"})), between("text_nul", "/from")),
    "58 object missing": Case(b'{"entry":[]}', whole("object_unknown", "/object")),
    "58 other product": Case(b'{"object":"page","entry":[]}', whole("object_unknown", "/object")),
    "58 object as number": Case(b'{"object":1,"entry":[]}', whole("object_unknown", "/object")),
    "59 entry missing": Case(b'{"object":"whatsapp_business_account"}', whole("entry_shape", "/entry")),
    "59 entry null": Case(b'{"object":"whatsapp_business_account","entry":null}', whole("entry_shape", "/entry")),
    "59 entry object": Case(b'{"object":"whatsapp_business_account","entry":{}}', whole("entry_shape", "/entry")),
    "59 entry empty": Case(b'{"object":"whatsapp_business_account","entry":[]}', []),
    "60 changes missing": Case(
        b'{"object":"whatsapp_business_account","entry":[{"id":"1"}]}', whole("changes_shape", "/entry/0")
    ),
    "60 changes wrong": Case(
        b'{"object":"whatsapp_business_account","entry":[{"id":"1","changes":{}}]}', whole("changes_shape", "/entry/0")
    ),
    "60 entry no object": Case(b'{"object":"whatsapp_business_account","entry":[7]}', whole("changes_shape", "/entry/0")),
    "60 change no object": Case(
        b'{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[7]}]}', whole("changes_shape", "/entry/0/changes/0")
    ),
    "61 unknown field": Case(post({"a": 1}, field="tomorrow"), ["UnrecognizedChange"]),
    "61 field no text": Case(post(value(messages=[message()]), field=7), whole("changes_shape", "/entry/0/changes/0")),
    "62 value missing": Case(
        b'{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages"}]}]}',
        whole("value_shape", HERE),
    ),
    "62 value wrong": Case(post([1]), whole("value_shape", HERE)),
    "62 one bad value of two": Case(post("x", value(messages=[message()])), ["value_shape " + HERE, "MessageReceived"]),
    "63 metadata missing": Case(
        post({"messages": [message()], "statuses": [status()]}),
        [f"phone_missing {HERE}/messages/0", f"phone_missing {HERE}/statuses/0"],
    ),
    "63 number as number": Case(
        post(value(metadata={"phone_number_id": 1}, messages=[message()])), whole("id_type", f"{HERE}/messages/0")
    ),
    "63 number that nobody knows": Case(
        post(value(metadata={"phone_number_id": "9"}, messages=[message()])), ["MessageReceived"]
    ),
    "65 same change twice": Case(post(value(messages=[message()]), value(messages=[message()])), ["MessageReceived"] * 2),
    "66 10,000 messages": Case(post(value(messages=[message(n) for n in range(10_000)])), ["MessageReceived"] * 10_000),
    "67 one bad among 99": Case(
        post(value(messages=[*[message(n) for n in range(50)], "bad", *[message(n) for n in range(50, 99)]])),
        [*["MessageReceived"] * 50, f"element_shape {HERE}/messages/50", *["MessageReceived"] * 49],
    ),
    "68 id missing": Case(around(message(id=...)), between("message_id", "/id")),
    "68 id empty": Case(around(message(id="")), between("message_id", "/id")),
    "68 id of 10 KB": Case(around(message(id="w" * 10_240)), between("message_id", "/id")),
    "68 id as list": Case(around(message(id=["wamid"])), between("message_id", "/id")),
    "70 sender by user id": Case(around(message(9, **NOBODY, from_user_id="US.1")), GOOD),
    "70 sender null, user id": Case(around(message(9, **{"from": None, "from_user_id": "US.1"})), GOOD),
    "71 nobody": Case(around(message(**NOBODY)), between("sender_missing")),
    "71 sender as number": Case(around(message(**{"from": 16505551234})), between("id_type", "/from")),
    "72 timestamp missing": Case(around(message(timestamp=...)), between("timestamp", "/timestamp")),
    "72 timestamp in words": Case(around(message(timestamp="soon")), between("timestamp", "/timestamp")),
    "72 timestamp negative": Case(around(message(timestamp="-5")), between("timestamp", "/timestamp")),
    "72 timestamp 0": Case(around(message(timestamp="0")), between("timestamp", "/timestamp")),
    "72 timestamp in milliseconds": Case(
        around(message(9, timestamp=f"{AT}000")), ["MessageReceived", "MessageReceived timestamp_milliseconds", "MessageReceived"]
    ),
    "72 timestamp of the year 10000": Case(around(message(timestamp="253402300800")), between("timestamp", "/timestamp")),
    "72 timestamp three days ahead": Case(
        around(message(timestamp=str(samples.RECEIVED // 1000 + 3 * 86_400))), between("timestamp", "/timestamp")
    ),
    "72 timestamp as float": Case(around(message(timestamp=1763812345.0)), between("timestamp", "/timestamp")),
    "72 timestamp as true": Case(around(message(timestamp=True)), between("timestamp", "/timestamp")),
    "72 timestamp as number": Case(around(message(9, timestamp=int(AT))), GOOD),
    "73 unknown type": Case(around(message(9, type="hologram")), GOOD),
    "73 type without its object": Case(around(message(9, text=...)), GOOD),
    "73 two objects": Case(around(message(9, image={"id": "1"})), GOOD),
    "73 type no text": Case(around(message(9, type=7)), GOOD),
    "74 text of 0 bytes": Case(around(message(9, text={"body": ""})), GOOD),
    "74 text of 1 MB": Case(around(message(9, text={"body": "é" * 524_288})), GOOD),
    "74 combining marks, RTL and ZWJ": Case(around(message(9, text={"body": "\u0301" * 99 + "\u202e\u200d👨\u200d👩"})), GOOD),
    "75 broken response_json": Case(
        around(message(9, type="interactive", interactive={"type": "nfm_reply", "nfm_reply": {"response_json": "{"}})),
        ["MessageReceived", "MessageReceived response_json", "MessageReceived"],
    ),
    "76 media without id": Case(around(message(9, type="image", image={"link": "http://169.254.169.254/"})), GOOD),
    "77 latitude out of range": Case(
        around(message(type="location", location={"latitude": 91, "longitude": 0})), between("value_range", "/location/latitude")
    ),
    "77 longitude in words": Case(
        around(message(type="location", location={"latitude": 1, "longitude": "nan"})),
        between("value_range", "/location/longitude"),
    ),
    "77 location as text": Case(around(message(9, type="location", location={"latitude": "1.5", "longitude": "-2"})), GOOD),
    "78 reaction to an unknown message": Case(
        around(message(9, type="reaction", reaction={"message_id": "x", "emoji": "👍"})), GOOD
    ),
    "79 contacts of somebody else": Case(
        post(value(contacts=[{"wa_id": "1"}, 7, None], messages=[message(1), message(2)])), ["MessageReceived"] * 2
    ),
    "79 contacts no list": Case(post(value(contacts="x", messages=[message()])), ["MessageReceived"]),
    "80 errors in a message": Case(around(message(9, type="unsupported", errors=[{"code": 131051}])), GOOD),
    "80 errors no list": Case(around(message(9, errors="x")), GOOD),
    "81 unknown status": Case(post(value(statuses=[status(status="lost")])), ["MessageStatusChanged status_unknown"]),
    "81 deleted, warning, played": Case(
        post(value(statuses=[status(n, status=word) for n, word in enumerate(("deleted", "warning", "played"))])),
        ["MessageStatusChanged"] * 3,
    ),
    "82 status of a message that we do not know": Case(post(value(statuses=[status()])), ["MessageStatusChanged"]),
    "83 read before delivered": Case(
        post(value(statuses=[status(status="read"), status(status="delivered"), status(status="failed")])),
        ["MessageStatusChanged"] * 3,
    ),
    "84 same status five times": Case(post(value(statuses=[status()] * 5)), ["MessageStatusChanged"] * 5),
    "85 callback data of 10 KB": Case(
        post(value(statuses=[status(biz_opaque_callback_data="x" * 10_240)])), ["MessageStatusChanged"]
    ),
    "85 callback data no text": Case(post(value(statuses=[status(biz_opaque_callback_data={"a": 1})])), ["MessageStatusChanged"]),
    "87 pricing of a new shape": Case(
        post(value(statuses=[status(pricing=[1], conversation="x"), status(1, pricing={"category": 7})])),
        ["MessageStatusChanged"] * 2,
    ),
    "87 status no text": Case(
        post(value(statuses=[status(status=7), status(1)])), [f"element_shape {HERE}/statuses/0/status", "MessageStatusChanged"]
    ),
    "88 both": Case(post(value(statuses=[status()], messages=[message()])), ["MessageStatusChanged", "MessageReceived"]),
}


def outcome(case: Case) -> list[str]:
    told = []
    for one in samples.routed(samples.record(case.body, headers=list(case.headers))):
        if one.topic == topics.ROUTER_DEAD_LETTERS:
            origin = dead_letter_origin(samples.record(one.value)._replace(headers=one.headers))
            told.append(f"{origin['reason']} {origin['pointer']}".strip())
        else:
            event: Any = CODEC.decode(one.value or b"")
            told.append(f"{type(event).__name__} {getattr(event, 'flags', None) or ''}".strip())
    return told


@pytest.mark.parametrize("name", CASES)
def test_a_category_has_exactly_this_result(name: str) -> None:
    assert outcome(CASES[name]) == CASES[name].expected


@pytest.mark.parametrize("name", [name for name in CASES if len(CASES[name].body) < 2_000_000 and not name.startswith("66")])
def test_whatever_comes_out_can_be_projected(name: str) -> None:
    decoder = Decoder(CODEC)
    events = [
        decoder.decode(samples.record(one.value)._replace(topic=one.topic, key=one.key, headers=one.headers))
        for one in samples.routed(samples.record(CASES[name].body, headers=list(CASES[name].headers)))
    ]
    fold(events)


def test_a_dead_letter_has_the_bytes_that_came() -> None:
    bad = b'{"id":"wamid.9",  "id":"wamid.8","from":"Gr\xfc\xdfe"}'
    letters = [one for one in samples.routed(samples.record(spliced(bad))) if one.topic == topics.ROUTER_DEAD_LETTERS]
    assert [one.value for one in letters] == [bad]
    (letter,) = samples.routed(samples.record(b"no JSON"))
    assert letter.value == b"no JSON"


def test_a_text_is_kept_to_the_byte() -> None:
    text = "\u0301\u202e\u200d" + "é" * 5_000 + " \t\n🇦🇫"
    (one,) = samples.routed(samples.record(post(value(messages=[message(text={"body": text})]))))
    event: Any = CODEC.decode(one.value or b"")
    assert event.text == text
    assert json.loads(event.raw)["text"]["body"] == text


def test_the_same_id_with_other_content_keeps_the_first() -> None:
    """Category 69: both are in the log, the read model has the one that was recorded first."""
    decoder = Decoder(CODEC)
    first, second = (post(value(messages=[message(text={"body": body})])) for body in ("first", "second"))
    events = []
    for offset, body in enumerate((first, second)):
        raw = samples.record(body, offset, [])._replace(headers=[("parley-received-at", b"%d" % (samples.RECEIVED + offset))])
        routed = samples.routed(raw)
        events += [decoder.decode(samples.record(one.value)._replace(topic=one.topic, headers=one.headers)) for one in routed]
    for order in (events, events[::-1]):
        (row,) = fold(order)["messages"]
        assert "first" in row
