"""How does an answer of Graph's look, right or wrong, and how is a connection reset instead?"""

from __future__ import annotations

import base64
import secrets
import socket
import struct

import orjson
from aiohttp import web

from services.sandbox.simulator.errors import Refusal
from services.sandbox.simulator.payloads import error
from services.sandbox.simulator.records import JsonObject
from services.sandbox.simulator.rules import OddAnswer, OddBody

SORRY = b"<html><head><title>Error</title></head><body>Sorry, something went wrong.</body>"
_ODD: dict[OddBody, tuple[bytes, str]] = {
    "html": (SORRY, "text/html"),
    "empty": (b"", "application/octet-stream"),
    "no_messages": (b'{"messaging_product":"whatsapp"}', "application/json"),
    "empty_list": (b'{"messaging_product":"whatsapp","messages":[]}', "application/json"),
    "no_id": (b'{"messaging_product":"whatsapp","messages":[{"message_status":"accepted"}]}', "application/json"),
}
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def odd(action: OddAnswer) -> web.Response:
    """An answer that none of Graph's looks like."""
    body, content_type = _ODD[action.body]
    return web.Response(body=body, status=action.http_status, content_type=content_type)


def no(refusal: Refusal, status: int) -> web.Response:
    """An error as Graph words it."""
    fbtrace_id = base64.urlsafe_b64encode(secrets.token_bytes(17)).decode("ascii").rstrip("=")
    return json_answer(error(refusal, "A" + fbtrace_id), status)


def reset(request: web.Request) -> web.Response:
    """Reset the TCP connection (no lingering: the client sees RST, not an orderly end). What is returned is
    never written, because its connection is gone."""
    transport = request.transport
    if transport is not None:
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        transport.abort()
    return web.Response(status=500)


def json_answer(body: JsonObject, status: int) -> web.Response:
    """What Graph has to say, as JSON."""
    return web.Response(
        body=orjson.dumps(body),
        status=status,
        content_type="application/json",
        charset="UTF-8",
        headers={"facebook-api-version": "v25.0"},
    )
