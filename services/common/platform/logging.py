"""How do we log? One JSON object a line, readable lines on a terminal, and nothing about people or secrets."""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import Iterator
from typing import Any, TextIO

import orjson
import structlog

_SECRETS = re.compile(r"EAA[A-Za-z0-9]{8,}|Bearer\s+\S+|sha256=[0-9a-f]{64}|://[^/\s:@]+:[^@\s]+@")
_NUMBERS = re.compile(r"(?<![\w.-])\+?\d{9,17}(?![\w-])")
_KEEP = frozenset({"offset", "position", "epoch", "next_offset", "phone_number_id", "waba_id"})


def redact(text: str) -> str:
    """Replace what looks like a token, a signature, a DSN's password or a phone number."""
    return _NUMBERS.sub("#", _SECRETS.sub("***", text))


def _redacted(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return {k: redact(v) if isinstance(v, str) and k not in _KEEP else v for k, v in event.items()}


def _without_content(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Say where an exception came from; its message only where it cannot quote a record (Postgres' details quote rows)."""
    problem = event.pop("exc_info", None)
    if problem is True:
        problem = sys.exc_info()[1]
    if isinstance(problem, tuple):
        problem = problem[1]
    if isinstance(problem, BaseException):
        event["exception"] = "\n".join(_told(problem))
    return event


def _told(problem: BaseException) -> Iterator[str]:
    chain: list[BaseException] = []
    link: BaseException | None = problem
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    for each in reversed(chain):
        for frame in traceback.extract_tb(each.__traceback__):
            yield f"{frame.filename}:{frame.lineno} {frame.name}"
        quiet = not (type(each).__module__.startswith(("services.", "aiokafka.")) or isinstance(each, OSError))
        state = getattr(each, "sqlstate", None)
        name = f"{type(each).__qualname__}{f' {state}' if state else ''}"
        yield name if quiet else f"{type(each).__qualname__}: {each}"


def _to_json(value: Any, **_: Any) -> str:
    return orjson.dumps(value, default=str).decode()


def configure(
    *, service: str, instance: str, log_format: str = "auto", level: str = "INFO", stream: TextIO | None = None
) -> None:
    """Send our events and every library's log through one formatter to `stream`, stderr by default."""
    out = sys.stderr if stream is None else stream
    text = log_format == "text" or (log_format == "auto" and out.isatty())
    renderer: Any = structlog.dev.ConsoleRenderer(colors=out.isatty()) if text else structlog.processors.JSONRenderer(_to_json)

    def who(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        return {"service": service, "instance": instance, **event}

    shared: list[Any] = [
        who,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        _without_content,
        _redacted,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # Their lifecycle chatter repeats what we log ourselves; Faust's stall warnings are false under load.
    for name in ("faust", "mode", "aiokafka", "aiohttp.access", "yoyo"):
        logging.getLogger(name).setLevel(logging.ERROR)


def get(name: str) -> structlog.stdlib.BoundLogger:
    """A logger; call as `log.info("webhook.accepted", count=1)`."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger
