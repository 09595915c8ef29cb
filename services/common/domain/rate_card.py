"""What does Meta's rate card say? A CSV of `country,category,valid_from,price,currency`, checked line by line.

A rate is the price of one delivered message to people of a country from a day on, until a later one of the same country and
category. Meta publishes rates by market; who loads them writes a line a country.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Final

COLUMNS: Final = ("country", "category", "valid_from", "price", "currency")
_COUNTRY: Final = re.compile(r"[A-Z]{2}")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_CATEGORY: Final = re.compile(r"[a-z]+(-[a-z]+)*")


class RateCardError(Exception):
    """The card is not taken. `problems`: a sentence each, with the line it is about."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """One line. `category` is Meta's word in lower case with hyphens; `price` in units of `currency` (ISO 4217)."""

    country: str
    category: str
    valid_from: date
    price: Decimal
    currency: str

    @property
    def key(self) -> tuple[str, str, date]:
        """What there is one rate for."""
        return self.country, self.category, self.valid_from


def category_of(word: str) -> str:
    """Meta writes one category with a hyphen in prices and an underscore in conversations."""
    return word.strip().lower().replace("_", "-")


def parse(text: str) -> tuple[Rate, ...]:
    """All lines, or RateCardError with everything that is wrong: half a card would be taken for a whole one."""
    reader = csv.DictReader(text.lstrip("\ufeff").splitlines(), strict=True)
    problems: list[str] = []
    rates: dict[tuple[str, str, date], Rate] = {}
    try:
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise RateCardError((f"line 1: the columns have to be {','.join(COLUMNS)}",))
        for row in reader:
            found, wrong = _rate(row)
            problems += (f"line {reader.line_num}: {one}" for one in wrong)
            if found is None:
                continue
            if rates.setdefault(found.key, found) != found:
                problems.append(f"line {reader.line_num}: another price for {found.country} {found.category} {found.valid_from}")
    except csv.Error as problem:
        problems.append(f"line {reader.line_num + 1}: {problem}")
    if not problems and not rates:
        problems.append("line 2: there is no rate")
    if problems:
        raise RateCardError(tuple(problems))
    return tuple(rates.values())


def _rate(row: Mapping[str | None, str | None]) -> tuple[Rate | None, list[str]]:
    cells = [row.get(name) for name in COLUMNS]
    if None in row or None in cells:
        return None, [f"{len(COLUMNS)} cells are needed"]
    country, category, valid_from, price, currency = (str(cell).strip() for cell in cells)
    country, category, currency = country.upper(), category_of(category), currency.upper()
    wrong = []
    if not _COUNTRY.fullmatch(country):
        wrong.append("country: two letters (ISO 3166-1), as BR")
    if not _CATEGORY.fullmatch(category):
        wrong.append("category: a word of Meta's, as marketing")
    if not _CURRENCY.fullmatch(currency):
        wrong.append("currency: three letters (ISO 4217), as USD")
    day, amount = _day(valid_from), _amount(price)
    if day is None:
        wrong.append("valid_from: a day, as 2026-07-01")
    if amount is None:
        wrong.append("price: a number that is not negative, with a point, as 0.0625")
    if wrong or day is None or amount is None:
        return None, wrong
    return Rate(country=country, category=category, valid_from=day, price=amount, currency=currency), []


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if len(text) == len("2026-07-01") else None
    except ValueError:
        return None


def _amount(text: str) -> Decimal | None:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and amount >= 0 else None
