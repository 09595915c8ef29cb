"""What is wrong, odd or hostile in what Meta's app signed, and what becomes of it? Numbers 37 to 88 of our list.

Each case is one body with its exact result: events, dead letters with reason and place. Names begin with their number. What is
wrong with a request, whatever its body, stands in `request_corpus`. Whoever writes in them, and what they say, are canaries: a
test finds them wherever they should not be.
"""

from __future__ import annotations

import gzip
import json
import time
import zlib
from collections.abc import Iterable
from typing import Any, NamedTuple

from services.common.domain import topics
from services.common.platform.avro import Codec
from services.common.platform.envelope import dead_letter_origin
from services.common.platform.kafka import LogRecord
from tests.support import canaries

CODEC = Codec()
PHONE = "106540352242922"
METADATA = {"display_phone_number": "15550783881", "phone_number_id": PHONE}
AT = "1763812345"
HERE = "/entry/0/changes/0/value"


def message(n: int = 0, /, **changes: Any) -> dict[str, Any]:
    base = {"from": canaries.PHONE, "id": f"wamid.{n}", "timestamp": AT, "type": "text", "text": {"body": canaries.TEXT}}
    return {key: found for key, found in {**base, **changes}.items() if found is not ...}


def status(n: int = 0, /, **changes: Any) -> dict[str, Any]:
    base = {"id": f"wamid.s{n}", "status": "sent", "timestamp": AT, "recipient_id": canaries.PHONE}
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


def damaged(bad: bytes) -> bytes:
    """The same with an object that says what a person said, in a key that nobody knows, before whatever is wrong with it."""
    return spliced(bad.replace(b"{", b'{"said":%b,' % json.dumps(canaries.TEXT).encode(), 1))


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
    """A body, with the encoding it says it has, and what the router makes of it.

    `rows`: of messages and of statuses, where several records are about the same; a status alone makes a message, too.
    `refused`: what the projector cannot use.
    """

    body: bytes
    expected: list[str]
    encoding: str = ""
    rows: tuple[int, int] | None = None
    refused: tuple[str, ...] = ()


def headers_of(case: Case) -> list[tuple[str, bytes]]:
    """As ingest keeps them."""
    return [("content-encoding", case.encoding.encode())] if case.encoding else []


def told(topic: str, value: bytes | None, headers: Iterable[tuple[str, bytes]]) -> str:
    """What the router wrote, in the words of `Case.expected`."""
    if topic in topics.DEAD_LETTERS:
        origin = dead_letter_origin(LogRecord(topic, 0, 0, 0, None, value, list(headers)))
        return f"{origin['reason']} {origin['pointer']}".strip()
    event: Any = CODEC.decode(value or b"")
    return f"{type(event).__name__} {getattr(event, 'flags', None) or ''}".strip()


def deep(levels: int) -> bytes:
    return b'{"id":"wamid.9","a":' + b"[" * levels + b"]" * levels + b"}"


def filled(element: bytes, size: int) -> bytes:
    """As many of these messages as fit."""
    return post(value(messages=["@"])).replace(b'"@"', b",".join([element] * (size // (len(element) + 1))))


def packed(body: bytes) -> bytes:
    """As gzip, the same each time."""
    return gzip.compress(body, mtime=0)


LARGEST = 4 * 1024 * 1024
LONGER_WRITTEN_AGAIN = b',"a":[' + b",".join([b"1e15"] * 200_000) + b'],"b":"' + b"x" * 2_000_000 + b'"'
LATER = str(int(time.time()) + 3 * 86_400)

CASES: dict[str, Case] = {
    "37 empty body": Case(b"", whole("empty_body")),
    "38 gzip": Case(packed(TEXT), ["MessageReceived"], "gzip"),
    "38 deflate": Case(zlib.compress(TEXT), ["MessageReceived"], "deflate"),
    "38 br": Case(TEXT, whole("json_encoding"), "br"),
    "38 zstd": Case(TEXT, whole("json_encoding"), "zstd"),
    "38 gzip, and it is none": Case(TEXT, whole("json_encoding"), "gzip"),
    "38 gzip of gzip": Case(packed(packed(TEXT)), whole("json_encoding"), "gzip"),
    "38 gzip, cut off": Case(packed(TEXT)[:-30], whole("json_syntax"), "gzip"),
    "38 gzip, and it says nothing": Case(packed(TEXT), whole("json_encoding")),
    "39 bomb of zeros": Case(packed(bytes(50_000_000)), whole("decompress_limit"), "gzip"),
    "39 bomb of brackets": Case(packed(b"[" * 50_000_000), whole("decompress_limit"), "gzip"),
    "39 bomb as deflate": Case(zlib.compress(b" " * 50_000_000), whole("decompress_limit"), "deflate"),
    "39 8 MiB of blanks, and a webhook": Case(packed(b" " * (2 * LARGEST - len(TEXT)) + TEXT), ["MessageReceived"], "gzip"),
    "39 8 MiB of one damaged message": Case(
        packed(damaged(b'{"id":"\xff' + b"x" * (2 * LARGEST - 1_000) + b'"}')), between("json_encoding"), "gzip"
    ),
    "41 3 MB of a thousand messages": Case(
        post(value(messages=[message(n, text={"body": canaries.TEXT.ljust(2_900, "x")}) for n in range(1_000)])),
        ["MessageReceived"] * 1_000,
    ),
    "41 one text of 2 MB": Case(around(message(9, text={"body": canaries.TEXT.ljust(2_000_000, "x")})), GOOD),
    "41 one text of 3 MB": Case(around(message(9, text={"body": canaries.TEXT.ljust(3_000_000, "x")})), between("too_large")),
    "41 numbers and a text of 3 MB that are 6 MB when written again": Case(
        damaged(json.dumps(message(9)).encode()[:-1] + LONGER_WRITTEN_AGAIN + b"}"), between("too_large")
    ),
    "41 the same in a message that is none": Case(
        damaged(b'{"id":"wamid.9"' + LONGER_WRITTEN_AGAIN + b"}"), between("sender_missing")
    ),
    "42 4 MiB": Case(post(value(messages=[message()])).ljust(LARGEST), ["MessageReceived"]),
    "48 no JSON": Case(b"hello", whole("json_syntax")),
    "48 trailing garbage": Case(TEXT + b" x", whole("json_syntax")),
    "48 two documents": Case(TEXT + TEXT, whole("json_syntax")),
    "48 comment": Case(b"/* hi */" + TEXT, whole("json_syntax")),
    "48 single quotes": Case(b"{'object':'whatsapp_business_account'}", whole("json_syntax")),
    "48 trailing comma": Case(b'{"object":"whatsapp_business_account","entry":[],}', whole("json_syntax")),
    "48 cut": Case(TEXT[:-5], whole("json_syntax")),
    "48 bad word in one element": Case(damaged(b'{"id":tru}'), between("json_syntax")),
    "48 control character in one element": Case(damaged(b'{"id":"a\x01b"}'), between("json_syntax")),
    "48 nothing but damage beside an empty entry": Case(
        b'{"object":"whatsapp_business_account","entry":[],"e-ntry":[{"id":tru}]}', whole("json_syntax")
    ),
    "49 BOM": Case(b"\xef\xbb\xbf" + TEXT, whole("json_encoding")),
    "49 UTF-16": Case(TEXT.decode().encode("utf-16"), whole("json_encoding")),
    "49 Latin-1 in one element": Case(damaged(b'{"id":"wamid.9","text":{"body":"Gr\xfc\xdfe"}}'), between("json_encoding")),
    "49 overlong UTF-8 in one element": Case(damaged(b'{"id":"\xc0\xaf"}'), between("json_encoding")),
    "49 raw surrogate in one element": Case(damaged(b'{"id":"\xed\xa0\x80"}'), between("json_encoding")),
    "50 lone surrogate in one element": Case(damaged(b'{"id":"wamid.9","a":"\\ud800"}'), between("json_encoding")),
    "51 depth 63": Case(around(message(9, more=NESTED[0][0][0][0][0][0][0][0])), GOOD),
    "51 depth 65": Case(around(message(9, more=NESTED)), between("json_depth")),
    "51 depth 1,023": Case(damaged(deep(1_023)), between("json_depth")),
    "51 depth 1,025": Case(damaged(deep(1_025)), between("json_depth")),
    "51 depth 100,000": Case(damaged(deep(100_000)), between("json_depth")),
    "51 depth 100,000, never closed": Case(b"[" * 100_000, whole("json_depth")),
    "52 NaN": Case(damaged(b'{"id":"wamid.9","a":NaN}'), between("json_number")),
    "52 Infinity": Case(damaged(b'{"id":"wamid.9","a":-Infinity}'), between("json_number")),
    "52 1e400": Case(damaged(b'{"id":"wamid.9","a":1e400}'), between("json_number")),
    "53 5,000 digits": Case(damaged(b'{"id":"wamid.9","a":' + b"9" * 5_000 + b"}"), between("json_number")),
    "53 beyond 64 bits": Case(damaged(b'{"id":"wamid.9","a":18446744073709551616}'), between("json_number")),
    "53 largest of 64 bits": Case(around(message(9, a=2**64 - 1)), GOOD),
    "53 id as float": Case(around(message(id=1.5e18)), between("message_id", "/id")),
    "53 template id as float": Case(
        post({"event": "APPROVED", "message_template_id": 1.689e15}, field="message_template_status_update"),
        whole("id_type", f"{HERE}/message_template_id"),
    ),
    "54 a key that cannot be read": Case(damaged(b'{"id":"wamid.9","\xff":1}'), between("json_encoding")),
    "54 a key that cannot be read, beside the messages": Case(
        TEXT.replace(b'"messages": [', b'"\\ud800":1,"messages": ['), [f"json_encoding {HERE}/\ufffd", "MessageReceived"]
    ),
    "54 id twice": Case(damaged(b'{"id":"wamid.9","id":"wamid.8","from":"1"}'), between("json_dup_key")),
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
    "55 a key of 1 MB beside the messages": Case(
        TEXT.replace(b'"messages": [', b'"%b":[1,2],"messages": [' % (b"k" * 1_000_000)),
        ["UnrecognizedChange", "UnrecognizedChange", "MessageReceived"],
    ),
    "55 a key of 1 MB, and a thousand elements under it": Case(
        post({"metadata": METADATA, "k" * 1_000_000: [7] * 1_000}), ["UnrecognizedChange"] * 1_000
    ),
    "55 thirty thousand elements and one": Case(post(value(messages=[0] * 30_001)), whole("too_many")),
    "55 two million elements": Case(filled(b"0", 4_000_000), whole("too_many")),
    "55 a million entries": Case(
        b'{"object":"whatsapp_business_account","entry":[' + b",".join([b"0"] * 1_000_000) + b"]}", whole("too_many")
    ),
    "55 half a million objects in one message": Case(
        damaged(b'{"id":"wamid.9","a":[' + b",".join([b'{"a":0}'] * 500_000) + b"]}"), whole("too_many")
    ),
    "55 two million lists in lists": Case(filled(b"[" * 500 + b"]" * 500, 4_000_000), whole("too_many")),
    "55 three hundred thousand empty lists behind a damaged message": Case(
        damaged(b'{"id":"\xff"},{"id":"wamid.9","a":[' + b",".join([b"[]"] * 300_000) + b"]}"), whole("too_many")
    ),
    "55 a text of 1 MB of commas, brackets and quotes": Case(around(message(9, text={"body": ',[{"\\' * 200_000})), GOOD),
    "55 an account id of 2 MB, and a hundred messages": Case(
        post(value(messages=[message(n) for n in range(100)])).replace(b'"id": "1"', b'"id":"%b"' % (b"1" * 2_000_000)),
        whole("too_large"),
    ),
    "55 100,000 keys": Case(around(message(9, more={str(n): n for n in range(100_000)})), GOOD),
    "56 array": Case(b"[]", whole("not_object")),
    "56 string": Case(b'"x"', whole("not_object")),
    "56 number": Case(b"1", whole("not_object")),
    "56 null": Case(b"null", whole("not_object")),
    "56 true": Case(b"true", whole("not_object")),
    "57 NUL in text": Case(
        around(message(9, text={"body": f"{canaries.TEXT}\0b"})),
        ["MessageReceived", "MessageReceived text_nul", "MessageReceived"],
    ),
    "57 NUL in a name": Case(
        post(value(contacts=[{"wa_id": canaries.PHONE, "profile": {"name": f"{canaries.NAME}\0"}}], messages=[message()])),
        ["MessageReceived"],
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
    "60 changes null": Case(
        b'{"object":"whatsapp_business_account","entry":[{"id":"1","changes":null}]}', whole("changes_shape", "/entry/0")
    ),
    "60 changes wrong": Case(
        b'{"object":"whatsapp_business_account","entry":[{"id":"1","changes":{}}]}', whole("changes_shape", "/entry/0")
    ),
    "60 entry no object": Case(b'{"object":"whatsapp_business_account","entry":[7]}', whole("changes_shape", "/entry/0")),
    "60 change no object": Case(
        b'{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[7]}]}', whole("changes_shape", "/entry/0/changes/0")
    ),
    "61 unknown field": Case(post({"a": 1}, field="tomorrow"), ["UnrecognizedChange"]),
    "61 unknown field with a value of a known one": Case(
        post(value(messages=[message()]), field="messages_v2"), ["UnrecognizedChange"]
    ),
    "61 field no text": Case(post(value(messages=[message()]), field=7), whole("changes_shape", "/entry/0/changes/0")),
    "62 value missing": Case(
        b'{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages"}]}]}',
        whole("value_shape", HERE),
    ),
    "62 value null": Case(post(None), whole("value_shape", HERE)),
    "62 value wrong": Case(post([1]), whole("value_shape", HERE)),
    "62 one bad value of two": Case(post("x", value(messages=[message()])), ["value_shape " + HERE, "MessageReceived"]),
    "63 metadata missing": Case(
        post({"messages": [message()], "statuses": [status()]}),
        [f"phone_missing {HERE}/messages/0", f"phone_missing {HERE}/statuses/0"],
    ),
    "63 number missing": Case(post(value(metadata={}, messages=[message()])), whole("phone_missing", f"{HERE}/messages/0")),
    "63 number empty": Case(
        post(value(metadata={"phone_number_id": ""}, messages=[message()])), whole("id_type", f"{HERE}/messages/0")
    ),
    "63 number as number": Case(
        post(value(metadata={"phone_number_id": 1}, messages=[message()])), whole("id_type", f"{HERE}/messages/0")
    ),
    "63 number that nobody knows": Case(
        post(value(metadata={"phone_number_id": "9"}, messages=[message()])), ["MessageReceived"]
    ),
    "64 number of one account under another": Case(
        json.dumps(
            {
                "object": "whatsapp_business_account",
                "entry": [
                    {"id": waba, "changes": [{"field": "messages", "value": value(messages=[message(n)])}]}
                    for n, waba in enumerate(("1", "2"))
                ],
            }
        ).encode(),
        ["MessageReceived"] * 2,
    ),
    "65 same change twice": Case(
        post(value(messages=[message()]), value(messages=[message()])), ["MessageReceived"] * 2, rows=(1, 0)
    ),
    "66 10,000 messages": Case(
        post(value(messages=[message(n) for n in range(10_000)])), ["MessageReceived"] * 10_000, rows=(10_000, 0)
    ),
    "67 one bad among 99": Case(
        post(value(messages=[*[message(n) for n in range(50)], "bad", *[message(n) for n in range(50, 99)]])),
        [*["MessageReceived"] * 50, f"element_shape {HERE}/messages/50", *["MessageReceived"] * 49],
    ),
    "68 id missing": Case(around(message(id=...)), between("message_id", "/id")),
    "68 id empty": Case(around(message(id="")), between("message_id", "/id")),
    "68 id of 10 KB": Case(around(message(id="w" * 10_240)), between("message_id", "/id")),
    "68 id as list": Case(around(message(id=["wamid"])), between("message_id", "/id")),
    "69 same id, other content": Case(
        post(
            value(messages=[message(text={"body": f"first {canaries.TEXT}"}), message(text={"body": f"second {canaries.TEXT}"})])
        ),
        ["MessageReceived"] * 2,
        rows=(1, 0),
    ),
    "70 sender by user id": Case(around(message(9, **NOBODY, from_user_id="US.1")), GOOD),
    "70 sender null, user id": Case(around(message(9, **{"from": None, "from_user_id": "US.1"})), GOOD),
    "71 nobody": Case(around(message(**NOBODY)), between("sender_missing")),
    "71 nobody, by an empty name": Case(around(message(**{"from": "", "from_user_id": None})), between("sender_missing")),
    "71 sender of 10 KB": Case(around(message(9, **{"from": "1" * 10_240})), GOOD, refused=("value_range /contact",)),
    "71 sender as number": Case(around(message(**{"from": int(canaries.PHONE)})), between("id_type", "/from")),
    "72 timestamp missing": Case(around(message(timestamp=...)), between("timestamp", "/timestamp")),
    "72 timestamp in words": Case(around(message(timestamp="soon")), between("timestamp", "/timestamp")),
    "72 timestamp negative": Case(around(message(timestamp="-5")), between("timestamp", "/timestamp")),
    "72 timestamp 0": Case(around(message(timestamp="0")), between("timestamp", "/timestamp")),
    "72 timestamp in milliseconds": Case(
        around(message(9, timestamp=f"{AT}000")), ["MessageReceived", "MessageReceived timestamp_milliseconds", "MessageReceived"]
    ),
    "72 timestamp of the year 10000": Case(around(message(timestamp="253402300800")), between("timestamp", "/timestamp")),
    "72 timestamp three days ahead": Case(around(message(timestamp=LATER)), between("timestamp", "/timestamp")),
    "72 timestamp as float": Case(around(message(timestamp=1763812345.0)), between("timestamp", "/timestamp")),
    "72 timestamp as true": Case(around(message(timestamp=True)), between("timestamp", "/timestamp")),
    "72 timestamp as number": Case(around(message(9, timestamp=int(AT))), GOOD),
    "73 unknown type": Case(around(message(9, type="hologram")), GOOD),
    "73 type without its object": Case(around(message(9, text=...)), GOOD),
    "73 two objects": Case(around(message(9, image={"id": "1"})), GOOD),
    "73 type no text": Case(around(message(9, type=7)), GOOD),
    "74 text of 0 bytes": Case(around(message(9, text={"body": ""})), GOOD),
    "74 text of 4,097 characters": Case(around(message(9, text={"body": canaries.TEXT.ljust(4_097, "x")})), GOOD),
    "74 text of 1 MB": Case(around(message(9, text={"body": canaries.TEXT.ljust(524_288, "é")})), GOOD),
    "74 combining marks, RTL and ZWJ": Case(around(message(9, text={"body": "\u0301" * 99 + "\u202e\u200d👨\u200d👩"})), GOOD),
    "75 broken response_json": Case(
        around(message(9, type="interactive", interactive={"type": "nfm_reply", "nfm_reply": {"response_json": "{"}})),
        ["MessageReceived", "MessageReceived response_json", "MessageReceived"],
    ),
    "75 response_json that is no object": Case(
        around(message(9, type="interactive", interactive={"type": "nfm_reply", "nfm_reply": {"response_json": "[]"}})),
        ["MessageReceived", "MessageReceived response_json", "MessageReceived"],
    ),
    "75 response_json missing": Case(
        around(message(9, type="interactive", interactive={"type": "nfm_reply", "nfm_reply": {}})),
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
    "78 reply to an unknown message": Case(around(message(9, context={"id": "wamid.nobody", "from": "1"})), GOOD),
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
        rows=(1, 3),
    ),
    "83 failed after delivered, delivered before sent": Case(
        post(value(statuses=[status(status="delivered"), status(status="failed"), status(status="sent")])),
        ["MessageStatusChanged"] * 3,
        rows=(1, 3),
    ),
    "84 same status five times": Case(post(value(statuses=[status()] * 5)), ["MessageStatusChanged"] * 5, rows=(1, 1)),
    "84 same status at five times": Case(
        post(value(statuses=[status(timestamp=str(int(AT) + n)) for n in range(5)])), ["MessageStatusChanged"] * 5, rows=(1, 5)
    ),
    "85 callback data missing": Case(post(value(statuses=[status()])), ["MessageStatusChanged"], rows=(1, 1)),
    "85 callback data of somebody else": Case(
        post(value(statuses=[status(biz_opaque_callback_data="order 8841")])), ["MessageStatusChanged"], rows=(1, 1)
    ),
    "85 callback data of 10 KB": Case(
        post(value(statuses=[status(biz_opaque_callback_data="".join(map(str, range(2_700))))])),
        ["MessageStatusChanged"],
        rows=(1, 1),
    ),
    "85 callback data no text": Case(post(value(statuses=[status(biz_opaque_callback_data={"a": 1})])), ["MessageStatusChanged"]),
    "86 two messages for one attempt": Case(
        post(value(statuses=[status(n, biz_opaque_callback_data="0b3d4f5e-8f6a-5c3b-9d2e-1a2b3c4d5e6f") for n in range(2)])),
        ["MessageStatusChanged"] * 2,
        rows=(2, 2),
    ),
    "87 pricing of a new shape": Case(
        post(value(statuses=[status(pricing=[1], conversation="x"), status(1, pricing={"category": 7})])),
        ["MessageStatusChanged"] * 2,
    ),
    "87 status no text": Case(
        post(value(statuses=[status(status=7), status(1)])), [f"element_shape {HERE}/statuses/0/status", "MessageStatusChanged"]
    ),
    "88 both": Case(
        post(value(statuses=[status()], messages=[message()])), ["MessageStatusChanged", "MessageReceived"], rows=(2, 1)
    ),
}
