"""Which numbers and templates does a stack start with? Those of `account.yaml`, with tokens of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field

from services.sandbox.simulator.config import Number, Template, World

ACCOUNT_FILE = Path(__file__).with_name("account.yaml")


class AccountNumber(BaseModel):
    """A business number before it has a token."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    phone_number_id: str = Field(min_length=1)
    display_phone_number: str = Field(min_length=1)
    throughput: int = Field(ge=1, le=1000)


class Account(BaseModel):
    """One business account."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    waba_id: str = Field(min_length=1)
    numbers: tuple[AccountNumber, ...] = Field(min_length=1)
    templates: tuple[dict[str, Any], ...] = ()

    def world(self, tokens: Mapping[str, str]) -> World:
        """What the simulated Meta knows; `tokens` by phone number id."""
        numbers = (
            Number(waba_id=self.waba_id, token=tokens[number.phone_number_id], **number.model_dump()) for number in self.numbers
        )
        templates = (Template.model_validate({"waba_id": self.waba_id, **template}) for template in self.templates)
        return World(numbers=tuple(numbers), templates=tuple(templates))


def read_account(path: Path = ACCOUNT_FILE) -> Account:
    """The account of a file."""
    return Account.model_validate(yaml.safe_load(path.read_text()))
