"""Which send-command do the options of `parley send` mean? Pure: what is wrong with them is a UsageError."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import orjson

from services.common.domain import recipients
from services.common.domain.failure import Unprocessable
from services.common.domain.lanes import Lane
from services.common.domain.records import SendMessage
from services.common.domain.send_policy import READ
from services.common.platform.avro import Codec
from services.router import body, commands
from services.sender import options, terms
from services.sender.content import check
from services.sender.content.json import parsed
from services.sender.media.references import PLAIN_TYPES

_DURATION = re.compile(r"(\d+)(s|m|h|d)")
_PARAMETER = re.compile(r"[a-z0-9_]+")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class UsageError(Exception):
    """The options make no sense together; the text says which and never quotes a recipient or a message."""


def compose(
    *,
    command_id: str,
    phone_number_id: str,
    to: str | None,
    recipient: str | None,
    text: str | None,
    template: str | None,
    other: tuple[str, object] | None,
    language: str,
    params: Sequence[str],
    buttons: Sequence[str],
    lane: Lane,
    policy: str,
    now: int,
    expires: str | None,
) -> SendMessage:
    """The command; everything that can be known to be wrong before it is sent is a UsageError."""
    is_call = other is not None and other[0] == READ
    if is_call and (to is not None or recipient is not None):
        raise UsageError("a message is marked as read for the number it came to: leave --to and --recipient out")
    if not is_call and recipients.parse(to=to, bsuid=recipient) is None:
        raise UsageError("name whom it goes to: --to with a phone number in international form, or --recipient with a user id")
    if sum(given is not None for given in (text, template, other)) != 1:
        raise UsageError("give one of --text, --template, and --type with --content")
    if template is None and (params or buttons):
        raise UsageError("--param and --button belong to --template")
    kind: str
    content: object
    if template is not None:
        kind, content = "template", template_content(template, language, params, buttons)
    else:
        kind, content = other or ("text", {"body": text})
    wrong = check.problem(kind, content)
    if wrong is not None:
        raise UsageError(wrong.detail)
    return SendMessage(
        command_id=command_id,
        phone_number_id=phone_number_id,
        type=kind,
        content=orjson.dumps(content).decode(),
        to=to,
        recipient=recipient,
        lane=str(lane),
        policy=policy,
        created_at=now,
        expires_at=None if expires is None else now + duration_seconds(expires) * 1000,
    )


def whole(document: bytes, *, command_id: str, phone_number_id: str | None, now: int) -> SendMessage:
    """A command as producers write it in JSON, with any field; its id, number and time are filled in where it names none."""
    try:
        fields = body.whole(document)
    except Unprocessable as problem:
        raise UsageError(f"--command is not a JSON document that can be read: {problem.reason}") from None
    if not isinstance(fields, dict):
        raise UsageError("--command is not a JSON object")
    usual = {"command_id": command_id, "created_at": now}
    if phone_number_id is not None:
        usual["phone_number_id"] = phone_number_id
    try:
        command = commands.decode(orjson.dumps({**usual, **fields}), commands.JSON, Codec())
    except Unprocessable as problem:
        raise UsageError(f"--command: {problem.reason}{f', {problem.detail}' if problem.detail else ''}") from None
    content = parsed(command.content)
    wrong = check.problem(command.type, content) or terms.problem(
        command.type, content, options.of(command), to=command.to, bsuid=command.recipient
    )
    if wrong is not None:
        raise UsageError(wrong.detail)
    return command


def other_content(
    kind: str | None, document: bytes | None, *, media: str | None = None, caption: str | None = None
) -> tuple[str, object] | None:
    """A type of Meta's with its content: as JSON, or as media with a caption; None when none of them is given."""
    if kind is None and document is None and media is None and caption is None:
        return None
    if media is not None and document is not None:
        raise UsageError("give one of --content and --media")
    if kind is None or (document is None and media is None):
        raise UsageError("--type and --content belong together, or --type and --media")
    if kind not in check.TYPES:
        raise UsageError(f"--type is one of {', '.join(sorted(check.TYPES))}")
    if media is not None:
        return kind, _media(kind, media, caption)
    if caption is not None:
        raise UsageError("--caption belongs to --media")
    try:
        return kind, orjson.loads(document or b"")
    except orjson.JSONDecodeError:
        raise UsageError("--content is not a JSON document") from None


def _media(kind: str, media: str, caption: str | None) -> dict[str, object]:
    """What the sender uploads: a link, or a path below its directory of media files."""
    if kind not in PLAIN_TYPES:
        raise UsageError(f"--media is for --type {', '.join(sorted(PLAIN_TYPES))}")
    source: dict[str, object] = {"link": media, "upload": True} if "://" in media else {"file": media}
    return source if caption is None else {**source, "caption": caption}


def template_content(name: str, language: str, params: Sequence[str], buttons: Sequence[str]) -> dict[str, object]:
    """What Meta wants under `template`. `params` are values in order, or 1=…, or name=…; `buttons` are INDEX=…"""
    components = [*_body(_pairs("--param", params)), *_buttons(buttons)]
    content: dict[str, object] = {"name": name, "language": {"code": language}}
    return {**content, "components": components} if components else content


def duration_seconds(text: str) -> int:
    """Of 90s, 10m, 2h, 1d, 1h30m."""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise UsageError("--expires is a time such as 90s, 10m, 2h or 1d")
    return sum(int(number) * _SECONDS[unit] for number, unit in parts)


def _pairs(option: str, given: Iterable[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for position, one in enumerate(given, 1):
        name, sign, value = one.partition("=")
        if not sign or not _PARAMETER.fullmatch(name):
            name, value = str(position), one
        if name in pairs:
            raise UsageError(f"{option} {name} is given twice")
        pairs[name] = value
    return pairs


def _body(params: dict[str, str]) -> list[dict[str, object]]:
    if not params:
        return []
    if all(name.isdecimal() for name in params):
        ordered = sorted(params, key=int)
        if [int(name) for name in ordered] != list(range(1, len(ordered) + 1)):
            raise UsageError("--param counts from 1 without a gap")
        return [{"type": "body", "parameters": [_text(params[name]) for name in ordered]}]
    if any(name.isdecimal() for name in params):
        raise UsageError("--param is either numbered or named, not both")
    return [{"type": "body", "parameters": [{**_text(value), "parameter_name": name} for name, value in params.items()]}]


def _buttons(buttons: Sequence[str]) -> list[dict[str, object]]:
    if not all(one.partition("=")[0].isdecimal() and "=" in one for one in buttons):
        raise UsageError("--button is written INDEX=VALUE, counted from 0")
    return [
        {"type": "button", "sub_type": "url", "index": index, "parameters": [_text(value)]}
        for index, value in _pairs("--button", buttons).items()
    ]


def _text(value: str) -> dict[str, object]:
    return {"type": "text", "text": value}
