"""Which requests are wrong, odd or hostile, whatever their body says, and what is the answer? Numbers 1 to 47 of our list.

Each case is the bytes of one connection, the status of each answer to them, and what is in the log afterwards. A status of 0 is
a connection that was closed without an answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple
from urllib.parse import quote

from tests.support.http import Reply, Wire, post, signature
from tests.support.webhook_corpus import LARGEST, TEXT, Case, headers_of

SECRET, PREVIOUS, RETIRED, SHOP = "the-app-secret", "the-one-before", "one-before-that", "shop-app-secret"
TOKEN, SHOP_TOKEN = "the-verify-token", "shop-verify-token"
HEADER_SECONDS, BODY_SECONDS, GRACE_SECONDS = 1.5, 3.0, 1.5
"""What ingest is told to bear while the corpus is played, so that slow clients are gone soon."""
LIMITS: Final = {
    "PARLEY_INGEST_HEADER_SECONDS": str(HEADER_SECONDS),
    "PARLEY_INGEST_BODY_SECONDS": str(BODY_SECONDS),
    "PARLEY_INGEST_BODY_GRACE_SECONDS": str(GRACE_SECONDS),
}
SECRETS: Final = {
    "PARLEY_APP_SECRET": SECRET,
    "PARLEY_APP_SECRET_PREVIOUS": PREVIOUS,
    "PARLEY_VERIFY_TOKEN": TOKEN,
    "PARLEY_INGEST_APPS": json.dumps({"shop": {"app_secret": SHOP, "verify_token": SHOP_TOKEN}}),
}
"""Of its apps."""
AT_ONCE: Final = 8
"""How many connections the corpus is played over."""
ANSWER_SECONDS, CLOSING_SECONDS = 10.0, 3.0
ONE: Final = ("MessageReceived",)
GOOD: Final = signature(TEXT, SECRET)
HEX: Final = GOOD.removeprefix("sha256=")


class Request(NamedTuple):
    """`data` takes a header line by which what is kept can be told apart.

    `reason`: by which a 401 or a closed connection is counted; other answers are counted by `OUTCOMES`.
    `kept`: what becomes of what is in the log, in the words of `webhook_corpus.Case.expected`; None when nothing may be there.
    `body`: of the only answer that has one. `ends`: the client says that it has sent everything. `seconds`: how long a slow
    client is borne.
    """

    data: Callable[[str], bytes]
    answers: tuple[int, ...]
    kept: tuple[str, ...] | None = None
    reason: str = ""
    closes: bool = False
    body: bytes = b""
    ends: bool = False
    seconds: float = 0.0


OUTCOMES: Final = {
    200: "accepted",
    400: "bad_request",
    403: "challenge_refused",
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "signature_encoded",
    417: "expectation",
}
"""The word by which ingest counts an answer."""


@dataclass(frozen=True, kw_only=True)
class Got:
    """What a client saw."""

    replies: Sequence[Reply]
    is_closed: bool
    seconds: float

    @property
    def statuses(self) -> tuple[int, ...]:
        return tuple(reply.status for reply in self.replies)


def play(port: int, request: Request, line: str) -> Got:
    """One connection, with this header line; what it was answered, and whether and when the server closed it."""
    replies: list[Reply] = []
    seconds = 0.0
    with Wire(port, seconds=ANSWER_SECONDS) as wire:
        wire.send(request.data(line))
        if request.ends:
            wire.end()
        try:
            if request.seconds:
                seconds = wire.seconds_until_closed()
            replies += (wire.reply() for _ in request.answers)
            is_closed = bool(request.closes and wire.seconds_until_closed() < CLOSING_SECONDS)
        except TimeoutError:
            is_closed = False
    return Got(replies=replies, is_closed=is_closed or bool(seconds), seconds=seconds)


def carrying(case: Case) -> Request:
    """Content with the right signature: a 200, whatever it says."""
    coding = [f"{key}: {text.decode()}" for key, text in headers_of(case)]
    return Request(lambda line: post(case.body, line, *coding, secret=SECRET), (200,), tuple(case.expected))


def _signed(*headers: str, body: bytes = TEXT, secret: str = SECRET, path: str = "/webhooks") -> Callable[[str], bytes]:
    return lambda mark: post(body, mark, *headers, secret=secret, path=path)


def _with(*headers: str, body: bytes = TEXT) -> Callable[[str], bytes]:
    return lambda mark: post(body, mark, *headers)


def _bytes(data: bytes) -> Callable[[str], bytes]:
    return lambda _mark: data


def _head(*lines: str, first: str = "POST /webhooks HTTP/1.1", end: str = "\r\n", body: bytes = TEXT) -> Callable[[str], bytes]:
    """Lines as they are given, with the right signature: whatever is refused here is not refused for that."""
    signed = f"X-Hub-Signature-256: {signature(body, SECRET)}"
    return lambda mark: end.join([first, mark, signed, *lines, "", ""]).encode("utf-8", "surrogateescape") + body


def _chunked(*chunks: bytes, last: bytes = b"0\r\n\r\n", whole: bytes | None = None) -> Callable[[str], bytes]:
    body = b"".join(chunks) if whole is None else whole
    framed = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return _raw_chunks(framed + last, body)


def _raw_chunks(framed: bytes, body: bytes) -> Callable[[str], bytes]:
    lines = ("Host: x", "Transfer-Encoding: chunked", f"X-Hub-Signature-256: {signature(body, SECRET)}", "", "")
    return lambda mark: "\r\n".join(["POST /webhooks HTTP/1.1", mark, *lines]).encode() + framed


def _then(*parts: Callable[[str], bytes]) -> Callable[[str], bytes]:
    return lambda mark: b"".join(part(mark) for part in parts)


def _cut(data: Callable[[str], bytes], behind: int) -> Callable[[str], bytes]:
    return lambda mark: data(mark)[:-behind]


def _ask(query: str, path: str = "/webhooks") -> Callable[[str], bytes]:
    return _bytes(f"GET {path}{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())


def _refused(data: Callable[[str], bytes]) -> Request:
    return Request(data, (400,), closes=True)


def _unsigned(*headers: str, reason: str = "signature_malformed") -> Request:
    return Request(_with(*headers), (401,), reason=reason)


def _foreign(data: Callable[[str], bytes]) -> Request:
    """Well signed, by somebody else or for something else."""
    return Request(data, (401,), reason="signature_mismatch")


def _slow(data: Callable[[str], bytes], reason: str, seconds: float) -> Request:
    return Request(data, (0,), reason=reason, seconds=seconds)


LENGTH: Final = f"Content-Length: {len(TEXT)}"
HOST: Final = "Host: x"
RIGHT: Final = f"hub.mode=subscribe&hub.challenge=1&hub.verify_token={TOKEN}"
BIT: Final = TEXT.replace(b"sings", b"sinks")
ANEW: Final = TEXT.replace(b": ", b":")
UNESCAPED: Final = json.dumps(json.loads(TEXT), ensure_ascii=False).encode()
LARGE: Final = _head(HOST, "Content-Length: 5000000", body=b"")

REQUESTS: Final[dict[str, Request]] = {
    "01 length and chunks": _refused(_head(HOST, LENGTH, "Transfer-Encoding: chunked")),
    "01 chunks and length": _refused(_head(HOST, "Transfer-Encoding: chunked", LENGTH)),
    "02 the same length twice": _refused(_head(HOST, LENGTH, LENGTH)),
    "02 the same length twice in one line": _refused(_head(HOST, f"{LENGTH}, {len(TEXT)}")),
    "03 two lengths": _refused(_head(HOST, LENGTH, f"Content-Length: {len(TEXT) + 1}")),
    "03 two lengths, the wrong one first": _refused(_head(HOST, "Content-Length: 1", LENGTH)),
    **{f"04 length {n}": _refused(_head(HOST, f"Content-Length: {n}")) for n in ("+2", "-1", "0x2", "1e3", "2 2", "٢", "")},
    **{
        f"05 transfer encoding {n}": _refused(_head(HOST, f"Transfer-Encoding: {n}", body=b"0\r\n\r\n"))
        for n in ("xchunked", "chunked, identity", "chunked, chunked", "identity")
    },
    "05 transfer encoding in two lines": _refused(
        _head(HOST, "Transfer-Encoding: chunked", "Transfer-Encoding: chunked", body=b"0\r\n\r\n")
    ),
    "06 a chunk's size in letters": _refused(_raw_chunks(b"zz\r\n" + TEXT + b"\r\n0\r\n\r\n", TEXT)),
    "06 a chunk's size below zero": _refused(_raw_chunks(b"-1\r\n" + TEXT + b"\r\n0\r\n\r\n", TEXT)),
    "06 a chunk's size with a sign": _refused(_raw_chunks(b"+%x\r\n%b\r\n0\r\n\r\n" % (len(TEXT), TEXT), TEXT)),
    "06 a chunk longer than it says": _refused(_raw_chunks(b"5\r\n" + TEXT + b"\r\n0\r\n\r\n", TEXT)),
    "06 an extension of 50 KB": Request(
        _raw_chunks(b"%x;%b\r\n%b\r\n0\r\n\r\n" % (len(TEXT), b"e" * 50_000, TEXT), TEXT), (200,), ONE
    ),
    "06 the last chunk is missing": Request(_chunked(TEXT, last=b""), (0,), reason="client_gone", ends=True),
    "07 100,000 chunks of a byte": Request(_chunked(*[b" "] * 100_000, TEXT), (200,), ONE),
    "08 bare line feeds": _refused(_head(HOST, LENGTH, end="\n")),
    "08 a bare carriage return": _refused(_head(HOST, "X-A: b\rX-C: d", LENGTH)),
    "09 a blank before the colon": _refused(_head(HOST, "Content-Length : 2")),
    "09 a tab before the colon": _refused(_head(HOST, LENGTH, "X-A\t: b")),
    "09 a blank before the name": _refused(_head(HOST, " X-A: b", LENGTH)),
    "10 a folded header": _refused(_head(HOST, "X-A: b", "  c", LENGTH)),
    "10 a header folded by a tab": _refused(_head(HOST, "X-A: b", "\tc", LENGTH)),
    **{f"11 {n:#04x} in a header": _refused(_head(HOST, f"X-A: b{chr(n)}c", LENGTH)) for n in (0x00, 0x01, 0x0B, 0x1B, 0x7F)},
    "11 0x00 in a name": _refused(_head(HOST, "X-A\0: b", LENGTH)),
    "12 no host": _refused(_head(LENGTH)),
    "12 two hosts": _refused(_head(HOST, "Host: y", LENGTH)),
    "13 HTTP/1.0": Request(_head(HOST, LENGTH, first="POST /webhooks HTTP/1.0"), (200,), ONE, closes=True),
    "14 HTTP/9.9": _refused(_head(HOST, LENGTH, first="POST /webhooks HTTP/9.9")),
    "14 HTTP/2.0": _refused(_head(HOST, LENGTH, first="POST /webhooks HTTP/2.0")),
    "14 no version": _refused(_head(HOST, LENGTH, first="POST /webhooks")),
    "14 the preface of HTTP/2": _refused(_bytes(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")),
    "14 TLS": _refused(_bytes(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 50 + b"\r\n\r\n")),
    "14 a page": _refused(_bytes(b"<script>alert(1)</script>\r\n\r\n")),
    "15 a request line of 9,000 bytes": _refused(_head(HOST, LENGTH, first=f"POST /webhooks?{'x' * 9_000} HTTP/1.1")),
    "15 a request line of 1 MB": _refused(_bytes(b"GET /" + b"x" * 1_000_000)),
    "16 a header of 9,000 bytes": _refused(_head(HOST, LENGTH, "X-A: " + "x" * 9_000)),
    "16 a name of 9,000 bytes": _refused(_head(HOST, LENGTH, "X" * 9_000 + ": a")),
    "16 200 headers": _refused(_head(HOST, *["X-A: b"] * 200, LENGTH)),
    "17 expects 100": Request(_signed("Expect: 100-continue"), (100, 200), ONE),
    "17 expects 100 for too large a body": Request(
        _head(HOST, "Expect: 100-continue", "Content-Length: 5000000", body=b""), (413,)
    ),
    "17 expects 100 without a signature": Request(
        _cut(_with("Expect: 100-continue"), len(TEXT)), (401,), reason="signature_missing"
    ),
    "18 expects something else": Request(_signed("Expect: a-miracle"), (417,)),
    "18 expects 200-ok": Request(_signed("Expect: 200-ok"), (417,)),
    "19 5 MB declared, nothing sent": Request(LARGE, (413,), closes=True),
    "19 5 MB declared, a little sent": Request(_then(LARGE, _bytes(b"{")), (413,), closes=True),
    "19 more declared than a number holds": _refused(_head(HOST, "Content-Length: 99999999999999999999")),
    "20 closes before the body is there": Request(_cut(_signed(), 1), (0,), reason="client_gone", ends=True),
    "20 closes before any of it is": Request(_cut(_signed(), len(TEXT)), (0,), reason="client_gone", ends=True),
    "21 silent": _slow(_bytes(b""), "headers_too_slow", HEADER_SECONDS),
    "21 half a line": _slow(_bytes(b"POST /webho"), "headers_too_slow", HEADER_SECONDS),
    "21 half a header": Request(
        _bytes(b"POST /webhooks HTTP/1.1\r\nHost: x\r\nContent-Le"), (0,), reason="headers_too_slow", seconds=HEADER_SECONDS
    ),
    "21 half a body": _slow(_cut(_signed(), 20), "body_too_slow", GRACE_SECONDS),
    "21 half a chunk": _slow(_chunked(TEXT, last=b"5\r\nab"), "body_too_slow", GRACE_SECONDS),
    "21 an extension without an end": _slow(_raw_chunks(b"2;" + b"e" * 50_000, TEXT), "body_too_slow", GRACE_SECONDS),
    "22 two in a row": Request(_then(_signed(), _signed()), (200, 200), ONE * 2),
    "22 three in a row, one of them unsigned": Request(
        _then(_signed(), _with(), _signed()), (200, 401, 200), ONE * 2, "signature_missing"
    ),
    "22 a webhook within a webhook's body": Request(_signed(body=_signed()("X-A: b")), (200,), ("json_syntax",)),
    **{
        f"23 {method}": Request(_head(HOST, LENGTH, first=f"{method} /webhooks HTTP/1.1"), (405,))
        for method in ("PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "HEAD", "PURGE")
    },
    **{f"23 {method}": _refused(_head(HOST, LENGTH, first=f"{method} /webhooks HTTP/1.1")) for method in ("post", "P0ST", "")},
    **{
        f"24 {path}": Request(_signed(path=path), (404,))
        for path in (
            "/",
            "/webhook",
            "/webhooks/",
            "//webhooks",
            "/webhooks/other",
            "/x/../webhooks",
            "/webhooks/..",
            "/webhooks%2Fshop",
            "/%77ebhooks",
            "/metrics",
            "/WEBHOOKS",
            "/webhooks;a=b",
        )
    },
    "25 no signature": _unsigned(reason="signature_missing"),
    "25 an empty one": _unsigned("X-Hub-Signature-256:"),
    "26 only SHA-1": _unsigned("X-Hub-Signature: sha1=" + "0" * 40, reason="signature_missing"),
    "26 the right one as SHA-1's": _unsigned(f"X-Hub-Signature: {GOOD}", reason="signature_missing"),
    "27 the right one and a wrong one": _unsigned(f"X-Hub-Signature-256: {GOOD}", "X-Hub-Signature-256: sha256=" + "0" * 64),
    "27 a wrong one and the right one": _unsigned("X-Hub-Signature-256: sha256=" + "0" * 64, f"X-Hub-Signature-256: {GOOD}"),
    "27 the right one twice": _unsigned(f"X-Hub-Signature-256: {GOOD}", f"X-Hub-Signature-256: {GOOD}"),
    "27 both in one line": _unsigned(f"X-Hub-Signature-256: {GOOD}, {GOOD}"),
    "28 a secret that nobody has": _foreign(_signed(secret="nobody's")),
    "28 the verify token": _foreign(_signed(secret=TOKEN)),
    "28 an empty secret": _foreign(_with(f"X-Hub-Signature-256: {signature(TEXT, '')}")),
    "29 a bit of the body changed": _foreign(_with(f"X-Hub-Signature-256: {GOOD}", body=BIT)),
    "29 a blank behind the body": Request(
        _with(f"X-Hub-Signature-256: {GOOD}", body=TEXT + b" "), (401,), reason="signature_mismatch"
    ),
    "29 a byte less": _foreign(_with(f"X-Hub-Signature-256: {GOOD}", body=TEXT[:-1])),
    "30 SHA256=": _unsigned(f"X-Hub-Signature-256: SHA256={HEX}"),
    "30 no prefix": _unsigned(f"X-Hub-Signature-256: {HEX}"),
    "30 sha256:": _unsigned(f"X-Hub-Signature-256: sha256:{HEX}"),
    "30 upper case": _unsigned(f"X-Hub-Signature-256: sha256={HEX.upper()}"),
    "31 63 digits": _unsigned(f"X-Hub-Signature-256: {GOOD[:-1]}"),
    "31 65 digits": _unsigned(f"X-Hub-Signature-256: {GOOD}0"),
    "31 blanks within": _unsigned(f"X-Hub-Signature-256: sha256={HEX[:30]}  {HEX[32:]}"),
    "31 no digits": _unsigned("X-Hub-Signature-256: sha256=" + "z" * 64),
    "32 letters with accents": _unsigned("X-Hub-Signature-256: sha256=" + "é" * 32),
    "32 digits of another script": _unsigned("X-Hub-Signature-256: sha256=" + "١" * 64),
    "32 no UTF-8": _unsigned("X-Hub-Signature-256: sha256=\udcff\udcfe" + HEX[2:]),
    "33 of the JSON written anew": _foreign(_with(f"X-Hub-Signature-256: {signature(ANEW, SECRET)}")),
    "33 of the text without escapes": _foreign(_with(f"X-Hub-Signature-256: {signature(UNESCAPED, SECRET)}")),
    "34 the secret before": Request(_signed(secret=PREVIOUS), (200,), ONE),
    "35 one that is no longer taken": _foreign(_signed(secret=RETIRED)),
    "36 of another app": _foreign(_signed(secret=SHOP)),
    "36 of this app to another's path": _foreign(_signed(path="/webhooks/shop")),
    "36 of another app to its own path": Request(_signed(path="/webhooks/shop", secret=SHOP), (200,), ONE),
    "37 no body, and no length": Request(_head(HOST, body=b""), (200,), ("empty_body",)),
    **{
        f"38 {coding}, signed before it was packed": Request(
            _with(f"Content-Encoding: {coding}", f"X-Hub-Signature-256: {GOOD}", body=b"\x1f\x8b packed"), (415,)
        )
        for coding in ("gzip", "deflate", "br", "zstd")
    },
    **{
        f"40 {ascii(kind)[1:-1] or 'no type'}": Request(_signed(*([f"Content-Type: {kind}"] if kind else [])), (200,), ONE)
        for kind in (
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "text/plain",
            "application/json; charset=utf-16",
            "application/json, text/xml",
            "\udcff",
            "",
        )
    },
    "42 a byte more than 4 MiB": Request(_signed(body=b" " * (LARGEST + 1)), (413,), closes=True),
    "43 chunks of more than 4 MiB": Request(_chunked(*[b"x" * 65_536] * 70), (413,), closes=True),
    "43 one chunk of 5 MB": Request(_raw_chunks(b"4c4b40\r\n" + b"x" * 5_000_000, b""), (413,), closes=True),
    "44 nothing asked": Request(_ask(""), (403,)),
    **{
        f"44 token {token[:12] or 'empty'}": Request(
            _ask(f"?hub.mode=subscribe&hub.challenge=1&hub.verify_token={token}"), (403,)
        )
        for token in ("wrong", "", "%ED%A0%80", TOKEN.upper(), f"{TOKEN}%00", SHOP_TOKEN)
    },
    "44 no token": Request(_ask("?hub.mode=subscribe&hub.challenge=1"), (403,)),
    "44 no mode": Request(_ask(f"?hub.challenge=1&hub.verify_token={TOKEN}"), (403,)),
    "44 mode unsubscribe": Request(_ask(f"?hub.mode=unsubscribe&hub.challenge=1&hub.verify_token={TOKEN}"), (403,)),
    "45 no challenge": Request(_ask(f"?hub.mode=subscribe&hub.verify_token={TOKEN}"), (403,)),
    **{
        f"45 challenge {text[:9] or 'empty'}": Request(
            _ask(f"?hub.mode=subscribe&hub.challenge={text}&hub.verify_token={TOKEN}"), (403,)
        )
        for text in (
            "",
            "1" * 129,
            quote("<script>alert(1)</script>"),
            "1%0d%0aSet-Cookie:a",
            "1%0a",
            "%D9%A1",
            "1 1".replace(" ", "%20"),
        )
    },
    "45 challenge of 10 KB": _refused(_ask(f"?hub.mode=subscribe&hub.challenge={'1' * 10_240}&hub.verify_token={TOKEN}")),
    "46 challenge twice": Request(_ask(f"?{RIGHT}&hub.challenge=2"), (400,), reason="challenge_ambiguous"),
    "46 token twice": Request(_ask(f"?{RIGHT}&hub.verify_token=wrong"), (400,), reason="challenge_ambiguous"),
    "46 mode twice": Request(_ask(f"?{RIGHT}&hub.mode=subscribe"), (400,), reason="challenge_ambiguous"),
    "46 anything twice": Request(_ask(f"?{RIGHT}&a=1&a=2"), (400,), reason="challenge_ambiguous"),
    "47 right": Request(_ask(f"?{RIGHT}"), (200,), reason="challenge", body=b"1"),
    "47 right, of another app": Request(
        _ask(f"?hub.mode=subscribe&hub.challenge=a_B-9&hub.verify_token={SHOP_TOKEN}", "/webhooks/shop"),
        (200,),
        reason="challenge",
        body=b"a_B-9",
    ),
}
