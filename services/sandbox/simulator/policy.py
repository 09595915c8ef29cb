"""May this message pass: throughput, pair limit, window, template? Pure rules; time is an argument."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from services.sandbox.simulator.config import Template
from services.sandbox.simulator.errors import (
    PARAMETER_COUNT,
    TEMPLATE_DISABLED,
    TEMPLATE_PARAMETER,
    TEMPLATE_PAUSED,
    TEMPLATE_UNKNOWN,
    Refusal,
)
from services.sandbox.simulator.templates import expected

WINDOW_SECONDS = 24 * 3600.0
_OPTIONAL = ("payload", "action")
"""What a button may get and need not."""
_STAMPS_TRIMMED = 4096


@dataclass(slots=True)
class SlidingSecond:
    """What passed lately, in order. Two messages exactly one second apart do not share a second."""

    _stamps: list[float] = field(default_factory=list)

    def count(self, at: float) -> None:
        """Take something into account that cannot be refused: an inbound message."""
        insort(self._stamps, at)
        if len(self._stamps) > _STAMPS_TRIMMED and self._stamps[_STAMPS_TRIMMED // 2] <= at - 2.0:
            del self._stamps[: _STAMPS_TRIMMED // 2]

    def admits(self, at: float, limit: int) -> bool:
        """True, and counted, if no sliding second then holds more than `limit`; a refused one costs nothing.

        Stamps may come slightly out of order, so every second that contains `at` is checked.
        """
        first = bisect_left(self._stamps, at - 1.0)
        while first < len(self._stamps) and at - self._stamps[first] >= 1.0:
            first += 1
        while first > 0 and at - self._stamps[first - 1] < 1.0:
            first -= 1
        is_newest = not self._stamps or self._stamps[-1] <= at
        if is_newest:
            is_full = len(self._stamps) - first >= limit
        else:
            near = self._stamps[first : bisect_right(self._stamps, at + 1.0)]
            is_full = worst_second([*near, at]) > limit
        if is_full:
            return False
        self.count(at)
        return True


def worst_second(stamps: Iterable[float]) -> int:
    """The largest number of stamps in any half-open second."""
    ordered = sorted(stamps)
    worst = first = 0
    for last, stamp in enumerate(ordered):
        while stamp - ordered[first] >= 1.0:
            first += 1
        worst = max(worst, last - first + 1)
    return worst


@dataclass(frozen=True, slots=True, kw_only=True)
class PairPolicy:
    """One message each `interval_seconds` to one person, with `burst` borrowed from the future."""

    interval_seconds: float
    burst: int


@dataclass(slots=True)
class PairLimit:
    """The generic cell rate algorithm over (number, person): when each pair's debt is paid back."""

    _paid_at: dict[tuple[str, str], float] = field(default_factory=dict)

    def admits(self, pair: tuple[str, str], at: float, policy: PairPolicy) -> bool:
        """True, and counted, unless the pair has borrowed its whole burst; a refused one costs nothing."""
        paid_at = max(self._paid_at.get(pair, at), at)
        if paid_at - at > (policy.burst - 1) * policy.interval_seconds + 1e-9:
            return False
        self._paid_at[pair] = paid_at + policy.interval_seconds
        if len(self._paid_at) > 10_000:
            self._forget(at)
        return True

    def _forget(self, at: float) -> None:
        """Pairs without debt are as good as unknown."""
        for pair in [pair for pair, paid_at in self._paid_at.items() if paid_at <= at]:
            del self._paid_at[pair]


@dataclass(slots=True)
class Windows:
    """Until when each person may be answered freely, from the simulator's own record of what they wrote."""

    _spoke_at: dict[tuple[str, str], float] = field(default_factory=dict)

    def spoke(self, pair: tuple[str, str], at: float) -> None:
        """The person wrote at `at` (epoch seconds, the message's timestamp); late news shortens nothing."""
        self._spoke_at[pair] = max(self._spoke_at.get(pair, at), at)

    def is_open(self, pair: tuple[str, str], now: float) -> bool:
        """True until 24 hours after the last message; the end itself is outside."""
        spoke_at = self._spoke_at.get(pair)
        return spoke_at is not None and now < spoke_at + WINDOW_SECONDS


@dataclass(slots=True)
class MessagingLimit:
    """Whom the business wrote to first in the last 24 hours."""

    _wrote_at: dict[str, float] = field(default_factory=dict)

    def admits(self, person: str, now: float, limit: int) -> bool:
        """True, and counted, unless that many other people count already; `now` in epoch seconds."""
        self._wrote_at = {one: at for one, at in self._wrote_at.items() if now < at + WINDOW_SECONDS}
        if person not in self._wrote_at and len(self._wrote_at) >= limit:
            return False
        self._wrote_at[person] = now
        return True


def refuse_template(template: Template, content: Mapping[str, object]) -> Refusal | None:
    """Why a template message cannot go out, if so: not usable, or other parameters than it expects."""
    if template.status == "PAUSED":
        return Refusal(code=TEMPLATE_PAUSED, details="Template is paused")
    if template.status == "DISABLED":
        return Refusal(code=TEMPLATE_DISABLED, details="Template is disabled")
    if template.status != "APPROVED":
        return Refusal(code=TEMPLATE_UNKNOWN, details=f"template ({template.name}) is not approved")
    return _refuse_parameters(template, _components(content))


def _components(content: Mapping[str, object]) -> list[tuple[str, list[Mapping[str, object]]]]:
    """The components as (type in lower case, parameters); what has another shape counts as nothing."""
    given = content.get("components")
    found: list[tuple[str, list[Mapping[str, object]]]] = []
    for component in given if isinstance(given, list) else []:
        if isinstance(component, dict):
            parameters = component.get("parameters")
            listed = parameters if isinstance(parameters, list) else []
            found.append((str(component.get("type")).lower(), [one for one in listed if isinstance(one, dict)]))
    return found


def _refuse_parameters(template: Template, components: list[tuple[str, list[Mapping[str, object]]]]) -> Refusal | None:
    for part, wanted in expected(template).items():
        given = [one for kind, parameters in components if kind == part for one in parameters if one.get("type") not in _OPTIONAL]
        if len(given) != wanted:
            details = f"{part}: number of localizable_params ({len(given)})"
            return Refusal(
                code=PARAMETER_COUNT,
                details=f"{details} does not match the expected number of params ({wanted})",
            )
        names = {one.get("parameter_name") for one in given}
        if part == "body" and template.body_parameter_names and names != set(template.body_parameter_names):
            return Refusal(code=PARAMETER_COUNT, details="body: parameter names do not match the template")
        if not all(_is_text_allowed(one.get("text")) for one in given if one.get("type") == "text"):
            details = f"{part}: param text is empty or has new-line, tab or more than 4 consecutive spaces"
            return Refusal(code=TEMPLATE_PARAMETER, details=details)
    return None


def _is_text_allowed(text: object) -> bool:
    return isinstance(text, str) and text != "" and not any(bad in text for bad in ("\n", "\t", "     "))
