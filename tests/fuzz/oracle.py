"""What must hold for any bytes at all? Asked of the router's reading of a webhook, and of all that reads a send-command."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Final

from services.common.domain import topics
from services.common.domain.failure import Unprocessable
from services.common.domain.lanes import Lane
from services.common.domain.records import SendMessage
from services.common.platform.avro import Codec
from services.common.platform.kafka import MAX_RECORD_BYTES, LogRecord, partition_of
from services.projector.decode import Decoder
from services.projector.fold import fold
from services.router.body import inflated
from services.router.routing import Router
from services.sender import commands
from services.sender.content import check
from services.sender.content.json import parsed
from tests.support import samples
from tests.support.accounted import assert_accounted_for

CORPUS: Final = Path(__file__).parent / "corpus"
_CODEC: Final = Codec()
_DECODER: Final = Decoder(_CODEC)
_GZIP: Final = b"\x1f\x8b"
_PARTITIONS: Final = 24
_NOW: Final = samples.RECEIVED
_HEADERS_BYTES: Final = 16 * 1024
_LIFETIMES: Final = dict.fromkeys(Lane, 3_600.0)


def webhook(data: bytes) -> None:
    """Raises when these bytes break the router: nothing but named refusals, all accounted for, the same again, fit for Kafka.

    Bytes that begin as gzip are said to be gzip. What comes out is what the projector can read and fold, or names.
    """
    raw = samples.record(data, headers=[("content-encoding", b"gzip")] if data[:2] == _GZIP else [])
    try:
        body = inflated(data, b"gzip" if data[:2] == _GZIP else None)
    except Unprocessable:
        body = b""
    out = assert_accounted_for(raw, body)
    assert samples.routed(raw) == out
    events = []
    for one in out:
        assert len(one.value or b"") + len(one.key or b"") < MAX_RECORD_BYTES - _HEADERS_BYTES
        record = LogRecord(one.topic, 0, 0, _NOW, one.key, one.value, one.headers)
        with contextlib.suppress(Unprocessable):
            events.append(_DECODER.decode(record))
    fold(events)


def command(data: bytes) -> None:
    """Raises when these bytes break a reader of commands, written as JSON or as Avro.

    What the router takes, the sender takes, as the same command; what is wrong with its content has a name that quotes nothing.
    """
    for content_type in (None, b"application/json"):
        headers = [("content-type", content_type)] if content_type else []
        raw = LogRecord(topics.SEND_COMMANDS, 0, 0, _NOW, None, data, headers)
        out = _router().route(raw)
        assert len(out) == 1
        assert _router().route(raw) == out
        (one,) = out
        if one.topic in topics.SENDS.values():
            partition = partition_of(one.key, _PARTITIONS)
            lane_record = LogRecord(one.topic, partition, 0, _NOW, one.key, one.value, one.headers)
            taken = commands.read(lane_record, _CODEC, partitions=_PARTITIONS, sublanes={}, now=_NOW, lifetimes=_LIFETIMES)
            assert taken is not None
            assert _CODEC.decode(_CODEC.encode(taken.message)) == taken.message
            _content(taken.message)


def _content(message: SendMessage) -> None:
    wrong = check.problem(message.type, parsed(message.content))
    if wrong is not None:
        wrong.detail.encode()


def _router() -> Router:
    return Router(_CODEC, on_dead_letter=lambda _: None, on_unrecognized=lambda _: None)


TARGETS: Final = {"webhook": webhook, "command": command}
