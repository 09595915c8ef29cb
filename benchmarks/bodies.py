"""What does Meta post? Signed webhooks of three kinds, built as the simulator builds them, each different from every other."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, get_args

from services.sandbox.simulator.config import Customer, Number
from services.sandbox.simulator.payloads import encode, envelope, inbound_value, sign, status_value

Kind = Literal["statuses", "messages", "mix"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
SECRET: Final = "benchmark-app-secret"  # noqa: S105 - of this run only
WABA_ID: Final = "102290129340398"
CONTACTS: Final = 2_000

NUMBERS: Final = tuple(
    Number(phone_number_id=f"10654035224292{n}", waba_id=WABA_ID, display_phone_number=f"1555078388{n}", throughput=1_000)
    for n in range(4)
)
"""At Meta's highest limit, so that what is measured is not the waiting."""
_TEXT: Final = "Does it come in another color? I would need it by Friday, if there is a way to have it by then."
_STATUSES: Final = ("sent", "delivered", "read")


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """The bytes of one webhook and the message it is about; None when it is about no message."""

    data: bytes
    wamid: str | None


def customer(n: int) -> Customer:
    """One of the people who write."""
    return Customer(wa_id=f"1650555{n % CONTACTS:04d}", bsuid=f"US.1349120865530274{n % CONTACTS:04d}", name="Sheena Nelson")


def number_of(n: int) -> Number:
    """The business number that a customer writes to, always the same one."""
    return NUMBERS[n % CONTACTS % len(NUMBERS)]


def bodies(kind: Kind, count: int, *, tag: str) -> Iterator[Body]:
    """This many webhooks with one element each. `tag` makes their message ids different from those of other calls.

    `mix` has 70 % statuses, 25 % inbound messages and 5 % of another field, evenly mixed.
    """
    at = int(time.time())
    for n in range(count):
        sort = n * 37 % 100  # 37 and 100 have no common factor: every hundred has every value once
        if kind == "statuses" or (kind == "mix" and sort < 70):
            yield _status(n, tag, at)
        elif kind == "messages" or sort < 95:
            yield _message(n, tag, at)
        else:
            yield _other(n, tag, at)


def on_the_wire(body: bytes, *, path: str = "/webhooks", secret: str = SECRET) -> bytes:
    """The signed request."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: facebookexternalua\r\nAccept: */*\r\n"
        f"Content-Type: application/json\r\nX-Hub-Signature-256: {sign(body, secret)}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _message(n: int, tag: str, at: int) -> Body:
    wamid = f"wamid.HBgLMTY1MDM4Nzk0MzkVAgASGBQ{tag}{n:08d}"
    value = inbound_value(
        number=number_of(n), customer=customer(n), wamid=wamid, timestamp=at, message_type="text", content={"body": _TEXT}
    )
    return Body(data=encode(envelope(WABA_ID, [value])), wamid=wamid)


def _status(n: int, tag: str, at: int) -> Body:
    """Every message gets three of them, as a message that is read does."""
    message, step = divmod(n, len(_STATUSES))
    wamid = f"wamid.HBgLMTY1MDM4Nzk0MzkVAgARGBI{tag}{message:08d}"
    value = status_value(
        number=number_of(message),
        customer=customer(message),
        wamid=wamid,
        status=_STATUSES[step],
        timestamp=at + step,
        opaque=None,
        category="utility",
    )
    return Body(data=encode(envelope(WABA_ID, [value])), wamid=wamid)


def _other(n: int, tag: str, at: int) -> Body:
    value = {
        "event": "APPROVED",
        "message_template_id": int(f"{at % 1_000_000}{n:08d}"),
        "message_template_name": f"order_update_{tag}_{n}",
        "message_template_language": "en_US",
        "reason": "NONE",
    }
    changes = [{"value": value, "field": "message_template_status_update"}]
    return Body(
        data=encode({"object": "whatsapp_business_account", "entry": [{"id": WABA_ID, "time": at, "changes": changes}]}),
        wamid=None,
    )
