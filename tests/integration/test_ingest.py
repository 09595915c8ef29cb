"""Is every signed webhook in the log before its 200, and nothing else ever? Bad requests: see `test_webhook_corpus`."""

from __future__ import annotations

import gzip
import json
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack

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


def test_compressed_bytes_are_stored_compressed_with_their_encoding(broker: Kafka, port: int) -> None:
    packed = gzip.compress(body(messages=[message("wamid.gzip")]))
    assert exchange(port, post(packed, "Content-Encoding: gzip", secret=SECRET)).status == 200
    (record,) = [record for record in read(broker.bootstrap_servers, WEBHOOKS) if record.value == packed]
    assert dict(record.headers)["content-encoding"] == b"gzip"


GOOD = signature(SIGNED, SECRET)


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


@pytest.mark.failure("I12")
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


@pytest.mark.failure("I7")
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


def test_an_absolute_target_is_understood(port: int) -> None:
    assert exchange(port, post(SIGNED, path="http://example.org/webhooks", secret=SECRET)).status == 200


def test_a_client_that_expects_100_gets_it_unless_the_body_would_be_refused(port: int) -> None:
    with Wire(port) as wire:
        request = post(SIGNED, "Expect: 100-continue", secret=SECRET)
        assert wire.send(request[: -len(SIGNED)]).reply().status == 100
        assert wire.send(SIGNED).reply().status == 200
    large = post(b"", "Expect: 100-continue", secret=SECRET).replace(b"Content-Length: 0", b"Content-Length: 5000000")
    assert exchange(port, large).status == 413
    assert exchange(port, post(SIGNED, "Expect: 100-continue")[: -len(SIGNED)]).status == 401
    assert exchange(port, post(SIGNED, "Expect: a-miracle", secret=SECRET)).status == 417


def ask(port: int, query: str, path: str = "/webhooks") -> Reply:
    return exchange(port, f"GET {path}{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())


RIGHT = f"hub.mode=subscribe&hub.challenge=1&hub.verify_token={TOKEN}"


@pytest.mark.failure("I8")
def test_a_half_sent_second_request_is_dropped_and_an_idle_connection_is_kept(port: int) -> None:
    with Wire(port) as slow, Wire(port) as idle:
        assert idle.send(post(SIGNED, secret=SECRET)).reply().status == 200
        assert slow.send(post(SIGNED, secret=SECRET)).reply().status == 200
        assert slow.send(b"POST /webhooks HT").seconds_until_closed() < HEADER_SECONDS + 1.0
        assert idle.send(post(SIGNED, secret=SECRET)).reply().status == 200


@pytest.mark.failure("I8")
def test_a_body_that_crawls_is_dropped_although_it_never_pauses(port: int) -> None:
    began = time.monotonic()
    with Wire(port) as wire:
        wire.send(post(b"x" * 100_000, secret=SECRET)[:500])
        wait_for(lambda: not wire.takes(b"x" * 10), BODY_SECONDS + 1.0, "the server to give up")
    assert time.monotonic() - began >= 0.4


@pytest.mark.failure("I8")
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


@pytest.mark.failure("I8")
def test_a_flood_of_unsigned_requests_waits_its_turn_while_a_signed_one_does_not(port: int) -> None:
    count = 160
    with Wire(port) as flood:
        began = time.monotonic()
        flood.send(post(SIGNED, secret="nobody's") * count)
        assert flood.reply().status == 401
        assert exchange(port, post(SIGNED, secret=SECRET)).status == 200
        assert {flood.reply().status for _ in range(count - 1)} == {401}
        assert 0.25 < time.monotonic() - began < 5.0  # 100 at once, then 200 a second


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
@pytest.mark.failure("I1", "I2")
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


@pytest.mark.failure("I11")
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


@pytest.mark.failure("I4", "I6")
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
        answers: list[int] = []

        def is_taken() -> bool:
            answers.append(exchange(port, post(SIGNED, secret=SECRET)).status)
            return answers[-1] == 200

        wait_for(is_taken, 20.0, "a 200 after Kafka's return")
        assert process.metric("parley_breaker_open") == 0
        assert process.get("/ready")[0] == 200
        assert process.metric("parley_webhook_inflight_bytes") == 0
        assert set(answers) <= {200, 503}
        wait_for(lambda: appended(broker, before) > answers.count(200), 10.0, "an append whose request had been refused")


def _seconds_refused(wire: Wire) -> float:
    began = time.monotonic()
    assert wire.send(post(SIGNED, secret=SECRET)).reply().status == 503
    return time.monotonic() - began


@pytest.mark.failure("I4", "I10")
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


@pytest.mark.failure("I11")
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


@pytest.mark.failure("I11")
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
