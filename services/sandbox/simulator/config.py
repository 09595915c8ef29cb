"""What does the simulated Meta know, and how does it behave: numbers, templates, customers, behaviour?"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

StatusesWhen = Literal["after_answer", "before_answer", "never"]


class Described(BaseModel):
    """A value people write in a file or a control request: unknown keys are mistakes, not extensions."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Number(Described):
    """A business phone number. Without a token any bearer token is accepted.

    `throughput` is what Meta advertises. What it really lets pass is `hidden_throughput`, where that is given.
    """

    phone_number_id: str = Field(min_length=1)
    waba_id: str = Field(min_length=1)
    display_phone_number: str = Field(min_length=1)
    throughput: int = Field(default=80, ge=1)
    hidden_throughput: int | None = Field(default=None, ge=1)
    token: str | None = Field(default=None, repr=False)

    @property
    def messages_per_second(self) -> int:
        """How many messages of both directions pass in any second."""
        return self.throughput if self.hidden_throughput is None else self.hidden_throughput

    def changed(self, changes: dict[str, object]) -> Number:
        """This number with some fields replaced, validated as a whole."""
        return Number.model_validate({**self.model_dump(), **changes, "phone_number_id": self.phone_number_id})


class Restricted(Described):
    """Something an account may not do, until `expiration` in seconds since the epoch; Meta's words."""

    restriction_type: str = Field(min_length=1)
    expiration: int | None = None


class Account(Described):
    """A business account in trouble: `refuses` is the code that every message is answered with; a disabled one answers 131031.

    With `refuses_later` messages are accepted, and fail with that code.
    """

    waba_id: str = Field(min_length=1)
    refuses: int | None = None
    refuses_later: bool = False
    disabled: bool = False
    restrictions: tuple[Restricted, ...] = ()


class Template(Described):
    """A template in one language: with the number of parameters each part expects, or with components as Graph lists them."""

    waba_id: str = Field(min_length=1)
    name: str = Field(min_length=1)
    language: str = Field(min_length=2)
    category: Literal["MARKETING", "UTILITY", "AUTHENTICATION"] = "UTILITY"
    status: str = "APPROVED"
    header_parameters: int = Field(default=0, ge=0)
    body_parameters: int = Field(default=0, ge=0)
    button_parameters: int = Field(default=0, ge=0)
    body_parameter_names: tuple[str, ...] = ()
    components: tuple[dict[str, Any], ...] | None = None
    parameter_format: Literal["POSITIONAL", "NAMED"] = "POSITIONAL"
    quality_score: str = "UNKNOWN"


class Customer(Described):
    """A person on WhatsApp. `aliases` are other numbers that lead to this wa_id (as in Brazil)."""

    wa_id: str | None = None
    bsuid: str | None = None
    name: str = "Customer"
    aliases: tuple[str, ...] = ()
    hides_phone: bool = False
    reachable: bool = True
    sends_read_receipts: bool = True
    accepts_marketing: bool = True

    @property
    def key(self) -> str:
        """What pair limit and window are kept by."""
        return self.wa_id or self.bsuid or ""


class Group(Described):
    """A group of one business number, with the people in it as they may be called."""

    group_id: str = Field(min_length=1)
    participants: tuple[str, ...] = Field(min_length=1, max_length=8)


class World(Described):
    """The configuration file: everything that exists before anyone speaks."""

    numbers: tuple[Number, ...] = ()
    templates: tuple[Template, ...] = ()
    customers: tuple[Customer, ...] = ()
    groups: tuple[Group, ...] = ()


class Behaviour(Described):
    """How Meta treats messages and webhooks. Strict and free of chance unless told otherwise."""

    window: Literal["sync", "async", "off"] = "sync"
    throughput_limit: bool = True
    pair_limit: bool = True
    pair_interval_seconds: float = Field(default=6.0, gt=0.0)
    pair_burst: int = Field(default=45, ge=1)
    messaging_limit: int | None = Field(default=None, ge=0)
    """People a day who may be written to first, by all numbers together; what is more is accepted and fails."""

    statuses: StatusesWhen = "after_answer"
    statuses_late_seconds: float = Field(default=0.0, ge=0.0)
    sent_after_seconds: float = Field(default=0.02, ge=0.0)
    delivered_after_seconds: float = Field(default=0.1, ge=0.0)
    read_after_seconds: float = Field(default=0.3, ge=0.0)
    delay_spread: float = Field(default=0.0, ge=0.0, le=1.0)
    failed_probability: float = Field(default=0.0, ge=0.0, le=1.0)
    delivered_probability: float = Field(default=1.0, ge=0.0, le=1.0)
    read_probability: float = Field(default=1.0, ge=0.0, le=1.0)
    duplicate_probability: float = Field(default=0.0, ge=0.0, le=1.0)
    reorder_probability: float = Field(default=0.0, ge=0.0, le=1.0)

    batch_max: int = Field(default=1, ge=1, le=1000)
    batch_seconds: float = Field(default=0.02, ge=0.0)

    retry_gap_seconds: float = Field(default=1.0, ge=0.0)
    retry_growth: float = Field(default=2.0, ge=1.0)
    retry_max_gap_seconds: float = Field(default=3600.0, ge=0.0)
    retry_horizon_seconds: float = Field(default=7 * 86400.0, ge=0.0)
    answer_timeout_seconds: float = Field(default=20.0, gt=0.0)

    def changed(self, changes: dict[str, object]) -> Behaviour:
        """This behaviour with some fields replaced, validated as a whole."""
        return Behaviour.model_validate({**self.model_dump(), **changes})


def read_world(path: Path | None) -> World:
    """The world described by a file, or an empty one."""
    return World() if path is None else World.model_validate_json(path.read_bytes())
