"""Which questions about messages can be asked by name? The statements of `analytics.sql`, and what is said above each. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import LiteralString

_PARAMETER = re.compile(r"-- (\w+) = ([^:]*): (.+)")


class UnknownParameterError(Exception):
    """The text says which, and which there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """What a question may be narrowed by. The value is text; the statement says of what type."""

    name: str
    default: str
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedQuery:
    """A question, and the statement that answers it as the role of analysts."""

    name: str
    question: str
    parameters: tuple[Parameter, ...]
    statement: LiteralString

    def values(self, given: Mapping[str, str]) -> dict[str, str]:
        """Every parameter, with what was given or its default; UnknownParameterError for one that there is not."""
        known = {one.name: one.default for one in self.parameters}
        unknown = sorted(given.keys() - known.keys())
        if unknown:
            has = f"has {', '.join(known)}" if known else "has no parameters"
            raise UnknownParameterError(f"{self.name} {has}, not {', '.join(unknown)}.")
        return {**known, **given}


def catalogue(statements: Mapping[str, LiteralString]) -> Sequence[NamedQuery]:
    """In the order in which they are written. The first line above a statement is the question, the others its parameters."""
    return [_query(name, statement) for name, statement in statements.items()]


def _query(name: str, statement: LiteralString) -> NamedQuery:
    question, *rest = (line for line in statement.splitlines() if line.startswith("-- "))
    found = [_PARAMETER.fullmatch(line) for line in rest]
    parameters = tuple(Parameter(name=one[1], default=one[2].strip(), meaning=one[3]) for one in found if one is not None)
    return NamedQuery(name=name, question=question.removeprefix("-- "), parameters=parameters, statement=statement)
