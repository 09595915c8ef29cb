"""Is every signed webhook in the log before its 200, and nothing else ever?"""

from __future__ import annotations

import gzip
import json
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import quote

import pytest

from services.common.domain.topics import WEBHOOKS
from services.sandbox.ports import free_port
from services.sandbox.providers import Kafka
from tests.support.clean_broker import fresh_topics
from tests.support.http import Reply, Wire, exchange, post, signature
from tests.support.log import end_offsets, read
from tests.support.processes import ServiceProcess
from tests.support.waiting import wait_for
from tests.support.webhooks import body, message

SECRET, PREVIOUS, SHOP, TOKEN = "default-app-secret", "default-app-secret-old", "shop-app-secret", "default-verify-token"
LIMIT = 4 * 1024 * 1024
HEADER_SECONDS, BODY_SECONDS = 0.6, 1.2
PER_SOURCE = 30
SIGNED = body(messages=[message("wamid.signed")])


def environment(bootstrap_servers: str, **more: str) -> dict[str, str]:
    shop = {"shop": {"app_secret": SHOP, "verify_token": "shop-verify-token"}}
    return {
        "PARLEY_KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers,
        "PARLEY_APP_SECRET": SECRET,
        "PARLEY_APP_SECRET_PREVIOUS": PREVIOUS,
        "PARLEY_VERIFY_TOKEN": TOKEN,
        "PARLEY_INGEST_APPS": json.dumps(shop),
        "PARLEY_INGEST_PORT": "0",
        **more,
    }


GUARDS = {
    "PARLEY_INGEST_HEADER_SECONDS": str(HEADER_SECONDS),
    "PARLEY_INGEST_BODY_SECONDS": str(BODY_SECONDS),
    "PARLEY_INGEST_BODY_GRACE_SECONDS": "0.5",
    "PARLEY_INGEST_CONNECTIONS_PER_SOURCE": str(PER_SOURCE),
}


def port_of(process: ServiceProcess) -> int:
    return int(process.wait_for_event("ingest.listening")["port"])


@pytest.fixture(scope="module")
def broker(kafka: Kafka) -> Kafka:
    kafka.start()
    fresh_topics(kafka.bootstrap_servers)
    return kafka


@pytest.fixture(scope="module")
def ingest(broker: Kafka) -> Iterator[ServiceProcess]:
    with ServiceProcess("ingest", environment(broker.bootstrap_servers, **GUARDS)) as process:
        port = port_of(process.wait_ready())
        # Topics just made may have no leader yet: until then 503 is the right answer, and Meta comes again.
        wait_for(lambda: exchange(port, post(b"{}", secret=SECRET)).status == 200, 30, "a log that takes webhooks")
        yield process


@pytest.fixture
def port(ingest: ServiceProcess) -> int:
    return port_of(ingest)


@pytest.fixture
def stored(broker: Kafka) -> int:
    """How many webhooks are in the log when the test begins."""
    return end_offsets(broker.bootstrap_servers, WEBHOOKS)


def appended(broker: Kafka, before: int) -> int:
    return end_offsets(broker.bootstrap_servers, WEBHOOKS) - before


def assert_silent(reply: Reply) -> None:
    """An error says nothing but its status."""
    assert reply.body == b""
    assert "server" not in reply.headers
    assert set(reply.headers) <= {"content-length", "date", "connection", "retry-after", "allow"}


def test_a_signed_webhook_is_in_the_log_as_it_was_sent(broker: Kafka, port: int) -> None:
    fresh = body(messages=[message("wamid.as-sent", "5511999990007")])
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    before = int(time.time() * 1000)
    reply = exchange(port, post(fresh, "Content-Type: application/json", f"traceparent: {trace}", secret=SECRET))
    assert (reply.status, reply.body) == (200, b"")
    (record,) = [record for record in read(broker.bootstrap_servers, WEBHOOKS) if record.value == fresh]
    headers = dict(record.headers)
    assert record.key == b"106540352242922/5511999990007"
    assert before <= int(headers["parley-received-at"]) <= int(time.time() * 1000)
    assert headers["parley-app"] == b"default"
    assert (headers["ce_type"], headers["ce_source"], headers["ce_specversion"]) == (b"parley.webhook", b"/webhooks", b"1.0")
    assert (headers["content-type"], headers["traceparent"]) == (b"application/json", trace.encode())
    assert len(headers["ce_id"]) > 36


@pytest.mark.parametrize(
    "content",
    [b"", b"not json", b"\xff\xfe\x00", b"[" * 100_000, gzip.compress(b"0" * 1_000_000), SIGNED + b" "],
    ids=["empty", "text", "binary", "deep", "bomb", "space"],
)
@pytest.mark.parametrize("kind", ["application/json", "text/plain; charset=utf-16", "multipart/form-data", ""])
def test_whatever_is_signed_is_stored_byte_for_byte(broker: Kafka, port: int, content: bytes, kind: str) -> None:
    unique = content + kind.encode() if content else content
    reply = exchange(port, post(unique, *([f"Content-Type: {kind}"] if kind else []), secret=SECRET))
    assert reply.status == 200
    assert unique in [record.value for record in read(broker.bootstrap_servers, WEBHOOKS)]


def test_compressed_bytes_are_stored_compressed_with_their_encoding(broker: Kafka, port: int) -> None:
    packed = gzip.compress(body(messages=[message("wamid.gzip")]))
    assert exchange(port, post(packed, "Content-Encoding: gzip", secret=SECRET)).status == 200
    (record,) = [record for record in read(broker.bootstrap_servers, WEBHOOKS) if record.value == packed]
    assert dict(record.headers)["content-encoding"] == b"gzip"


def test_compressed_bytes_signed_before_compression_are_refused(broker: Kafka, port: int, stored: int) -> None:
    packed = gzip.compress(SIGNED)
    reply = exchange(port, post(packed, "Content-Encoding: gzip", f"X-Hub-Signature-256: {signature(SIGNED, SECRET)}"))
    assert reply.status == 415
    assert_silent(reply)
    assert appended(broker, stored) == 0


GOOD = signature(SIGNED, SECRET)
HEX = GOOD.removeprefix("sha256=")
UNSIGNED = {
    "missing": ([], "signature_missing"),
    "sha-1 only": (["X-Hub-Signature: sha1=" + "0" * 40], "signature_missing"),
    "twice": ([f"X-Hub-Signature-256: {GOOD}", "X-Hub-Signature-256: sha256=" + "0" * 64], "signature_malformed"),
    "twice the same": ([f"X-Hub-Signature-256: {GOOD}"] * 2, "signature_malformed"),
    "wrong secret": ([f"X-Hub-Signature-256: {signature(SIGNED, 'someone-else')}"], "signature_mismatch"),
    "another app": ([f"X-Hub-Signature-256: {signature(SIGNED, SHOP)}"], "signature_mismatch"),
    "another body": ([f"X-Hub-Signature-256: {signature(SIGNED + b' ', SECRET)}"], "signature_mismatch"),
    "upper case": ([f"X-Hub-Signature-256: sha256={HEX.upper()}"], "signature_malformed"),
    "upper prefix": ([f"X-Hub-Signature-256: SHA256={HEX}"], "signature_malformed"),
    "no prefix": ([f"X-Hub-Signature-256: {HEX}"], "signature_malformed"),
    "colon": ([f"X-Hub-Signature-256: sha256:{HEX}"], "signature_malformed"),
    "short": ([f"X-Hub-Signature-256: {GOOD[:-1]}"], "signature_malformed"),
    "long": ([f"X-Hub-Signature-256: {GOOD}0"], "signature_malformed"),
    "not hex": (["X-Hub-Signature-256: sha256=" + "z" * 64], "signature_malformed"),
    "blanks": ([f"X-Hub-Signature-256: sha256={HEX[:30]}  {HEX[32:]}"], "signature_malformed"),
    "not ascii": (["X-Hub-Signature-256: sha256=" + "é" * 32], "signature_malformed"),
    "not utf-8": (["X-Hub-Signature-256: sha256=\udcff\udcfe" + HEX[2:]], "signature_malformed"),
}


@pytest.mark.parametrize("case", UNSIGNED)
def test_an_unsigned_webhook_leaves_no_trace_but_a_metric(
    broker: Kafka, ingest: ServiceProcess, port: int, stored: int, case: str
) -> None:
    headers, outcome = UNSIGNED[case]
    counted = ingest.metric("parley_webhook_requests_total", app="default", outcome=outcome)
    reply = exchange(port, post(SIGNED, *headers))
    assert reply.status == 401
    assert_silent(reply)
    assert ingest.metric("parley_webhook_requests_total", app="default", outcome=outcome) == counted + 1
    assert appended(broker, stored) == 0


@pytest.mark.parametrize(
    "headers",
    [
        ["X-Hub-Signature: sha1=" + "0" * 40, f"X-Hub-Signature-256: {GOOD}"],
        [f"X-Hub-Signature-256: {GOOD}", "X-Hub-Signature: rubbish"],
        [f"x-hub-signature-256: {GOOD}"],
        [f"X-HUB-SIGNATURE-256:{GOOD}"],
        [f"X-Hub-Signature-256:   {GOOD}  "],
    ],
    ids=["with SHA-1 before", "with rubbish as SHA-1 after", "lower case", "upper case, no blank", "blanks around"],
)
def test_what_stands_around_the_right_signature_does_not_matter(port: int, headers: list[str]) -> None:
    """Meta sends the SHA-1 beside it, and proxies rewrite names and blanks."""
    assert exchange(port, post(SIGNED, *headers)).status == 200


def test_the_previous_secret_is_taken_during_a_rotation_and_refused_after_it(broker: Kafka, port: int) -> None:
    assert exchange(port, post(SIGNED, secret=PREVIOUS)).status == 200
    after = environment(broker.bootstrap_servers, PARLEY_APP_SECRET_PREVIOUS=SECRET, PARLEY_APP_SECRET="the-newest-secret")
    with ServiceProcess("ingest", after) as rotated:
        rotated.wait_ready()
        assert exchange(port_of(rotated), post(SIGNED, secret=SECRET)).status == 200
        assert exchange(port_of(rotated), post(SIGNED, secret="the-newest-secret")).status == 200
        assert exchange(port_of(rotated), post(SIGNED, secret=PREVIOUS)).status == 401


def test_each_app_has_its_own_path_secret_and_name_in_the_log(broker: Kafka, port: int) -> None:
    fresh = body(messages=[message("wamid.shop")])
    assert exchange(port, post(fresh, path="/webhooks/shop", secret=SECRET)).status == 401
    assert exchange(port, post(fresh, path="/webhooks/shop", secret=SHOP)).status == 200
    (record,) = [record for record in read(broker.bootstrap_servers, WEBHOOKS) if record.value == fresh]
    assert dict(record.headers)["parley-app"] == b"shop"
    assert dict(record.headers)["ce_source"] == b"/webhooks/shop"


@pytest.mark.parametrize(("size", "status"), [(3_000_000, 200), (LIMIT, 200), (LIMIT + 1, 413)])
def test_a_body_passes_up_to_the_limit(broker: Kafka, port: int, stored: int, size: int, status: int) -> None:
    large = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    reply = exchange(port, post(large, secret=SECRET))
    assert reply.status == status
    assert_silent(reply)
    assert appended(broker, stored) == (status == 200)
    if status == 200:
        assert large in [record.value for record in read(broker.bootstrap_servers, WEBHOOKS)]


def test_a_declared_length_above_the_limit_is_refused_before_anything_is_read(port: int) -> None:
    with Wire(port) as wire:
        began = time.monotonic()
        head = f"POST /webhooks HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\nX-Hub-Signature-256: {GOOD}\r\n\r\n"
        reply = wire.send(head.encode() + b"{").reply()
        assert time.monotonic() - began < 0.3
        assert reply.status == 413
        assert_silent(reply)
        assert wire.seconds_until_closed() < 2.0


def chunked(*chunks: bytes, headers: str = "") -> bytes:
    head = f"POST /webhooks HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n{headers}\r\n".encode()
    return head + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


def test_a_chunked_body_is_put_together(broker: Kafka, port: int) -> None:
    fresh = body(messages=[message("wamid.chunked")])
    pieces = [fresh[at : at + 7] for at in range(0, len(fresh), 7)]
    data = chunked(*pieces, headers=f"X-Hub-Signature-256: {signature(fresh, SECRET)}\r\n")
    assert exchange(port, data).status == 200
    assert fresh in [record.value for record in read(broker.bootstrap_servers, WEBHOOKS)]


def test_a_hundred_thousand_chunks_of_one_byte_are_one_body(broker: Kafka, port: int, stored: int) -> None:
    content = b"7" * 100_000
    data = chunked(*[b"7"] * 100_000, headers=f"X-Hub-Signature-256: {signature(content, SECRET)}\r\n")
    assert exchange(port, data).status == 200
    assert appended(broker, stored) == 1


def test_a_chunked_body_that_grows_past_the_limit_is_refused(broker: Kafka, port: int, stored: int) -> None:
    with Wire(port) as wire:
        reply = wire.send(chunked(*[b"x" * 65536] * 70, headers=f"X-Hub-Signature-256: {GOOD}\r\n")).reply()
        assert reply.status == 413
        assert_silent(reply)
        assert wire.seconds_until_closed() < 2.0
    assert appended(broker, stored) == 0


MALFORMED = {
    "length and chunked": b"POST /webhooks HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
    "length twice the same": b"POST /webhooks HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "length twice": b"POST /webhooks HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "length +2": b"POST /webhooks HTTP/1.1\r\nHost: x\r\nContent-Length: +2\r\n\r\n{}",
    "length -1": b"POST /webhooks HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n{}",
    "length 0x2": b"POST /webhooks HTTP/1.1\r\nHost: x\r\nContent-Length: 0x2\r\n\r\n{}",
    "length 1e3": b"POST /webhooks HTTP/1.1\r\nHost: x\r\nContent-Length: 1e3\r\n\r\n{}",
    "xchunked": b"POST /webhooks HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked, identity": b"POST /webhooks HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "bare line feeds": b"POST /webhooks HTTP/1.1\nHost: x\nContent-Length: 2\n\n{}",
    "blank before colon": b"POST /webhooks HTTP/1.1\r\nHost : x\r\nContent-Length: 2\r\n\r\n{}",
    "folded header": b"POST /webhooks HTTP/1.1\r\nHost: x\r\nX-A: b\r\n  c\r\nContent-Length: 2\r\n\r\n{}",
    "nul in header": b"POST /webhooks HTTP/1.1\r\nHost: x\r\nX-A: b\x00c\r\nContent-Length: 2\r\n\r\n{}",
    "two hosts": b"POST /webhooks HTTP/1.1\r\nHost: x\r\nHost: y\r\nContent-Length: 2\r\n\r\n{}",
    "http 9.9": b"POST /webhooks HTTP/9.9\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
    "http 2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 50 + b"\r\n\r\n",
    "long request line": b"GET /webhooks?" + b"x" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "long header": b"POST /webhooks HTTP/1.1\r\nHost: x\r\nX-A: " + b"x" * 9000 + b"\r\n\r\n",
    "many headers": b"POST /webhooks HTTP/1.1\r\nHost: x\r\n" + b"X-A: b\r\n" * 200 + b"\r\n",
    "script": b"<script>alert(1)</script>\r\n\r\n",
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_request_gets_an_empty_400_and_the_connection_closed(
    broker: Kafka, port: int, stored: int, case: str
) -> None:
    with Wire(port) as wire:
        reply = wire.send(MALFORMED[case]).reply()
        assert reply.status == 400
        assert_silent(reply)
        assert wire.seconds_until_closed() < 2.0
    assert appended(broker, stored) == 0


def test_a_broken_chunk_gets_400_or_a_closed_connection(broker: Kafka, port: int, stored: int) -> None:
    head = b"POST /webhooks HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nX-Hub-Signature-256: %b\r\n\r\n"
    reply = exchange(port, head % GOOD.encode() + b"zz\r\n{}\r\n0\r\n\r\n")
    assert reply.status in (0, 400)
    assert_silent(reply)
    assert appended(broker, stored) == 0


def test_a_missing_last_chunk_or_a_short_body_is_never_stored(broker: Kafka, port: int, stored: int) -> None:
    for data in (chunked(SIGNED, headers=f"X-Hub-Signature-256: {GOOD}\r\n")[:-5], post(SIGNED, secret=SECRET)[:-1]):
        with Wire(port) as wire:
            assert wire.send(data).end().reply().status in (0, 400)
    assert appended(broker, stored) == 0


def test_http_1_0_is_served_and_closed(port: int) -> None:
    with Wire(port) as wire:
        reply = wire.send(post(SIGNED, secret=SECRET).replace(b"HTTP/1.1", b"HTTP/1.0")).reply()
        assert (reply.status, reply.headers["connection"]) == (200, "close")
        assert wire.seconds_until_closed() < 1.0


def test_an_absolute_target_is_understood(port: int) -> None:
    assert exchange(port, post(SIGNED, path="http://example.org/webhooks", secret=SECRET)).status == 200


def test_two_pipelined_webhooks_are_answered_in_order_and_both_stored(broker: Kafka, port: int, stored: int) -> None:
    with Wire(port) as wire:
        wire.send(post(SIGNED, secret=SECRET) + post(SIGNED, secret="nobody") + post(SIGNED, secret=SECRET))
        assert [wire.reply().status for _ in range(3)] == [200, 401, 200]
    assert appended(broker, stored) == 2


def test_a_client_that_expects_100_gets_it_unless_the_body_would_be_refused(port: int) -> None:
    with Wire(port) as wire:
        request = post(SIGNED, "Expect: 100-continue", secret=SECRET)
        assert wire.send(request[: -len(SIGNED)]).reply().status == 100
        assert wire.send(SIGNED).reply().status == 200
    large = post(b"", "Expect: 100-continue", secret=SECRET).replace(b"Content-Length: 0", b"Content-Length: 5000000")
    assert exchange(port, large).status == 413
    assert exchange(port, post(SIGNED, "Expect: 100-continue")[: -len(SIGNED)]).status == 401
    assert exchange(port, post(SIGNED, "Expect: a-miracle", secret=SECRET)).status == 417


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "HEAD"])
def test_other_methods_are_not_allowed(port: int, method: str) -> None:
    reply = exchange(port, f"{method} /webhooks HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert (reply.status, reply.headers["allow"]) == (405, "GET, POST")
    assert_silent(reply)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/webhook",
        "/webhooks/",
        "//webhooks",
        "/webhooks/other",
        "/x/../webhooks",
        "/webhooks%2Fshop",
        "/%77ebhooks",
        "/metrics",
    ],
)
def test_unknown_paths_are_not_found(broker: Kafka, port: int, stored: int, path: str) -> None:
    reply = exchange(port, post(SIGNED, path=path, secret=SECRET))
    assert reply.status == 404
    assert_silent(reply)
    assert appended(broker, stored) == 0


def ask(port: int, query: str, path: str = "/webhooks") -> Reply:
    return exchange(port, f"GET {path}{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())


def test_metas_challenge_is_given_back_as_plain_text(port: int) -> None:
    reply = ask(port, f"?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token={TOKEN}")
    assert (reply.status, reply.body) == (200, b"1158201444")
    assert reply.headers["content-type"].startswith("text/plain")
    assert reply.headers["x-content-type-options"] == "nosniff"
    shop = ask(port, "?hub.mode=subscribe&hub.challenge=a_B-9&hub.verify_token=shop-verify-token", "/webhooks/shop")
    assert (shop.status, shop.body) == (200, b"a_B-9")


RIGHT = f"hub.mode=subscribe&hub.challenge=1&hub.verify_token={TOKEN}"


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 403),
        ("?hub.mode=subscribe&hub.challenge=1&hub.verify_token=wrong", 403),
        ("?hub.mode=subscribe&hub.challenge=1&hub.verify_token=", 403),
        ("?hub.mode=subscribe&hub.challenge=1&hub.verify_token=%ED%A0%80", 403),
        ("?hub.mode=subscribe&hub.challenge=1&hub.verify_token=shop-verify-token", 403),
        (f"?hub.challenge=1&hub.verify_token={TOKEN}", 403),
        (f"?hub.mode=unsubscribe&hub.challenge=1&hub.verify_token={TOKEN}", 403),
        (f"?hub.mode=subscribe&hub.verify_token={TOKEN}", 403),
        (f"?hub.mode=subscribe&hub.challenge=&hub.verify_token={TOKEN}", 403),
        (f"?hub.mode=subscribe&hub.challenge={'1' * 129}&hub.verify_token={TOKEN}", 403),
        (f"?hub.mode=subscribe&hub.challenge={quote('<script>')}&hub.verify_token={TOKEN}", 403),
        (f"?hub.mode=subscribe&hub.challenge=1%0d%0aSet-Cookie:a&hub.verify_token={TOKEN}", 403),
        (f"?hub.mode=subscribe&hub.challenge=1%0a&hub.verify_token={TOKEN}", 403),
        (f"?hub.mode=subscribe&hub.challenge=%D9%A1&hub.verify_token={TOKEN}", 403),
        (f"?{RIGHT}&hub.challenge=2", 400),
        (f"?{RIGHT}&hub.verify_token=wrong", 400),
        (f"?{RIGHT}&hub.mode=subscribe", 400),
    ],
)
def test_any_other_challenge_is_refused_without_an_echo(port: int, query: str, status: int) -> None:
    reply = ask(port, query)
    assert reply.status == status
    assert_silent(reply)


SLOW = {
    "silent": (b"", HEADER_SECONDS),
    "half a line": (b"POST /webho", HEADER_SECONDS),
    "half the headers": (b"POST /webhooks HTTP/1.1\r\nHost: x\r\nContent-Le", HEADER_SECONDS),
    "half a body": (post(SIGNED, secret=SECRET)[:-20], 0.5),
    "endless chunk extension": (chunked(headers=f"X-Hub-Signature-256: {GOOD}\r\n")[:-5] + b"2;" + b"e" * 50_000, 0.5),
}


@pytest.mark.parametrize("case", SLOW)
def test_a_slow_client_is_dropped(port: int, case: str) -> None:
    data, seconds = SLOW[case]
    with Wire(port) as wire:
        kept = wire.send(data).seconds_until_closed()
    assert seconds * 0.9 <= kept < seconds + 1.0


def test_a_half_sent_second_request_is_dropped_and_an_idle_connection_is_kept(port: int) -> None:
    with Wire(port) as slow, Wire(port) as idle:
        assert idle.send(post(SIGNED, secret=SECRET)).reply().status == 200
        assert slow.send(post(SIGNED, secret=SECRET)).reply().status == 200
        assert slow.send(b"POST /webhooks HT").seconds_until_closed() < HEADER_SECONDS + 1.0
        assert idle.send(post(SIGNED, secret=SECRET)).reply().status == 200


def test_a_body_that_crawls_is_dropped_although_it_never_pauses(port: int) -> None:
    began = time.monotonic()
    with Wire(port) as wire:
        wire.send(post(b"x" * 100_000, secret=SECRET)[:500])
        wait_for(lambda: not wire.takes(b"x" * 10), BODY_SECONDS + 1.0, "the server to give up")
    assert time.monotonic() - began >= 0.4


def test_connections_of_one_source_are_limited(ingest: ServiceProcess, port: int) -> None:
    def open_connections() -> float:
        return ingest.metric("parley_webhook_connections")

    wait_for(lambda: open_connections() == 0, 3.0, "earlier connections to be gone")
    with ExitStack() as stack:
        with Wire(port) as first:
            wires = [first, *(stack.enter_context(Wire(port)) for _ in range(PER_SOURCE - 1))]
            assert [wire.send(post(SIGNED, secret=SECRET)).reply().status for wire in wires] == [200] * PER_SOURCE
            assert exchange(port, post(SIGNED, secret=SECRET)).status == 0
        wait_for(lambda: open_connections() == PER_SOURCE - 1, 3.0, "a place to be free")
        assert exchange(port, post(SIGNED, secret=SECRET)).status == 200


def test_no_secret_token_or_number_is_in_the_log_or_in_a_metric(ingest: ServiceProcess, port: int) -> None:
    exchange(port, post(body(messages=[message("wamid.canary", "5599888877776")]), secret=SECRET))
    ask(port, f"?hub.mode=subscribe&hub.challenge=1&hub.verify_token={TOKEN}")
    seen = ingest.log + ingest.get("/metrics")[1]
    for canary in (SECRET, PREVIOUS, SHOP, TOKEN, "5599888877776", "wamid.canary"):
        assert canary not in seen


@pytest.mark.parametrize(
    ("point", "stored_by_then"),
    [("ingest.after_read", 0), ("ingest.after_hmac", 0), ("ingest.before_produce", 0), ("ingest.after_ack_before_200", 1)],
)
def test_a_killed_process_has_given_no_200_for_what_is_not_in_the_log(
    broker: Kafka, stored: int, point: str, stored_by_then: int
) -> None:
    with ServiceProcess("ingest", environment(broker.bootstrap_servers)) as process:
        process.kill()
        for life in range(1, 4):
            process.start(PARLEY_FAULT=f"{point}:1:kill").wait_ready()
            assert exchange(port_of(process), post(SIGNED, secret=SECRET)).status == 0
            assert process.wait_exit() == -signal.SIGKILL
            assert appended(broker, stored) == stored_by_then * life
        process.start().wait_ready()
        assert exchange(port_of(process), post(SIGNED, secret=SECRET)).status == 200


def test_without_kafka_it_answers_challenges_refuses_webhooks_and_stops_in_time() -> None:
    with ServiceProcess("ingest", environment(f"127.0.0.1:{free_port()}")) as process:
        port = port_of(process)
        assert process.get("/live")[0] == 200
        assert process.get("/ready")[0] == 503
        assert ask(port, f"?{RIGHT}").status == 200
        began = time.monotonic()
        reply = exchange(port, post(SIGNED, secret=SECRET))
        assert time.monotonic() - began < 0.5
        assert (reply.status, reply.headers["retry-after"]) == (503, "1")
        assert_silent(reply)
        assert exchange(port, post(SIGNED)).status == 401
        began = time.monotonic()
        assert process.terminate() == 0
        assert time.monotonic() - began < 10.0


def test_while_kafka_hangs_requests_are_refused_in_time_and_then_at_once_and_it_recovers(broker: Kafka) -> None:
    with ServiceProcess("ingest", environment(broker.bootstrap_servers)) as process, ExitStack() as stack:
        process.wait_ready()
        port = port_of(process)
        wait_for(lambda: exchange(port, post(SIGNED, secret=SECRET)).status == 200, 20.0, "a cold broker's first acknowledgement")
        before = end_offsets(broker.bootstrap_servers, WEBHOOKS)
        broker.pause()
        try:
            wires = [stack.enter_context(Wire(port)) for _ in range(4)]
            began = time.monotonic()
            for wire in wires:
                wire.send(post(SIGNED, secret=SECRET))
            assert [wire.reply().status for wire in wires] == [503] * 4
            assert 2.4 < time.monotonic() - began < 2.9
            process.wait_until(lambda: process.get("/ready")[0] == 503, 2.0, "not be ready")
            assert process.metric("parley_breaker_open") == 1
            assert process.metric("parley_webhook_inflight_bytes") > 0
            fastest = min(_seconds_refused(wire) for wire in wires * 5)
            assert fastest < 0.005
            assert ask(port, f"?{RIGHT}").status == 200
        finally:
            broker.resume()
        wait_for(lambda: exchange(port, post(SIGNED, secret=SECRET)).status == 200, 20.0, "a 200 after Kafka's return")
        assert process.metric("parley_breaker_open") == 0
        assert process.get("/ready")[0] == 200
        assert process.metric("parley_webhook_inflight_bytes") == 0
        assert appended(broker, before) >= 1


def _seconds_refused(wire: Wire) -> float:
    began = time.monotonic()
    assert wire.send(post(SIGNED, secret=SECRET)).reply().status == 503
    return time.monotonic() - began


def test_a_used_up_byte_budget_refuses_at_once_until_kafka_is_back(broker: Kafka) -> None:
    small = environment(broker.bootstrap_servers, PARLEY_INGEST_INFLIGHT_BYTES="100000", PARLEY_INGEST_DEADLINE_SECONDS="30")
    with ServiceProcess("ingest", small) as process, ExitStack() as stack:
        process.wait_ready()
        port = port_of(process)
        broker.pause()
        try:
            wires = [stack.enter_context(Wire(port, seconds=40)) for _ in range(3)]
            for wire in wires:
                wire.send(post(b"x" * 30_000, secret=SECRET))
            process.wait_until(lambda: process.metric("parley_webhook_inflight_bytes") > 90_000, 3.0, "hold three bodies")
            reply = exchange(port, post(b"x" * 30_000, secret=SECRET))
            assert (reply.status, reply.headers["retry-after"]) == (503, "1")
            assert process.metric("parley_webhook_requests_total", outcome="overloaded") == 1
        finally:
            broker.resume()
        assert [wire.reply().status for wire in wires] == [200] * 3
        assert exchange(port, post(SIGNED, secret=SECRET)).status == 200


def test_sigterm_lets_requests_finish_refuses_new_ones_and_exits_zero(broker: Kafka, stored: int) -> None:
    with ServiceProcess("ingest", environment(broker.bootstrap_servers)) as process:
        process.wait_ready()
        port = port_of(process)
        request = post(SIGNED, secret=SECRET)
        with Wire(port) as half, Wire(port) as idle:
            half.send(request[:-10])
            assert idle.send(request).reply().status == 200
            process.signal(signal.SIGTERM)
            process.wait_for_event("process.stopping")
            assert process.get("/ready")[0] in (0, 503)
            assert idle.send(request).reply().status == 503
            assert half.send(request[-10:]).reply().status == 200
        assert process.wait_exit(10.0) == 0
        assert appended(broker, stored) == 2


def test_sigterm_while_kafka_hangs_exits_zero_within_ten_seconds(broker: Kafka) -> None:
    with ServiceProcess("ingest", environment(broker.bootstrap_servers)) as process:
        process.wait_ready()
        broker.pause()
        try:
            with Wire(port_of(process)) as wire:
                wire.send(post(SIGNED, secret=SECRET))
                process.wait_until(lambda: process.metric("parley_webhook_inflight_bytes") > 0, 3.0, "hold the body")
                began = time.monotonic()
                process.signal(signal.SIGTERM)
                assert wire.reply().status == 503
                assert process.wait_exit(10.0) == 0
                assert time.monotonic() - began < 10.0
        finally:
            broker.resume()
