"""How is Meta asked to misbehave: which requests, how often, in which way?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field

from services.sandbox.simulator.config import Described, StatusesWhen

Endpoint = Literal["messages", "media", "message_templates"]
"""Messages, uploads, or the list of an account's templates."""


class Match(Described):
    """Which requests a rule is for; what is not named matches everything."""

    endpoint: Endpoint = "messages"
    phone_number_id: str | None = None
    to: str | None = None
    on_next_page: bool | None = None
    """Of a list: only its first page, or only the others."""


class Delay(Described):
    """Decide at once, answer late: the client's time-out meets an accepted message.

    A long tail comes on top of `seconds`: exponential, with a mean of `tail_seconds`.
    """

    kind: Literal["delay"] = "delay"
    seconds: float = Field(ge=0.0)
    tail_seconds: float = Field(default=0.0, ge=0.0)


class Error(Described):
    """Answer with an error of Meta's; nothing is accepted."""

    kind: Literal["error"] = "error"
    code: int
    http_status: int | None = Field(default=None, ge=200, le=599)
    details: str = "Asked for by a rule."


class DropBefore(Described):
    """Reset the connection; nothing is accepted."""

    kind: Literal["drop_before"] = "drop_before"


class DropAfter(Described):
    """Accept, then reset the connection instead of answering."""

    kind: Literal["drop_after"] = "drop_after"


class Hang(Described):
    """Hold the connection open without accepting, then reset it."""

    kind: Literal["hang"] = "hang"
    seconds: float = Field(ge=0.0)


class Garbage(Described):
    """Accept, then answer 200 with something that is no JSON."""

    kind: Literal["garbage"] = "garbage"


OddBody = Literal["html", "empty", "no_messages", "empty_list", "no_id"]


class OddAnswer(Described):
    """Answer with what no answer of Graph's looks like: a proxy's HTML 502, a 200 without an id. Accept before that, or not."""

    kind: Literal["odd_answer"] = "odd_answer"
    http_status: int = Field(default=502, ge=200, le=599)
    body: OddBody = "html"
    accepts: bool = True


class Statuses(Described):
    """Accept and answer as ever, but tell the message's statuses at another time, or not at all."""

    kind: Literal["statuses"] = "statuses"
    when: StatusesWhen = "after_answer"
    late_seconds: float = Field(default=0.0, ge=0.0)


class FalseError(Described):
    """Accept, then answer with an error of Meta's as if nothing had been taken."""

    kind: Literal["false_error"] = "false_error"
    code: int
    http_status: int | None = Field(default=None, ge=400, le=599)


Action = Annotated[
    Delay | Error | DropBefore | DropAfter | Hang | Garbage | OddAnswer | Statuses | FalseError, Field(discriminator="kind")
]


class RuleSpec(Described):
    """A rule as asked for: for the next N matching requests, for some seconds, or both; `always` until the rules are cleared.

    Without any of these it is for one request. With a `share` chance takes only so many of the requests it is for.
    """

    match: Match = Match()
    next: int | None = Field(default=None, ge=1)
    seconds: float | None = Field(default=None, gt=0.0)
    always: bool = False
    share: float = Field(default=1.0, gt=0.0, le=1.0)
    action: Action


class Rule(Described):
    """A rule in force."""

    id: int
    match: Match
    left: int | None
    until: float | None
    share: float
    action: Action
    applied: int = 0


class Rules:
    """The rules in force, oldest first. A request uses up at most one. `draw` gives numbers in [0, 1)."""

    def __init__(self, draw: Callable[[], float]) -> None:
        self._draw = draw
        self._rules: dict[int, Rule] = {}
        self._last_id = 0

    def add(self, spec: RuleSpec, now: float) -> Rule:
        """Put a rule into force from `now` (monotonic seconds)."""
        self._last_id += 1
        left = 1 if spec.next is None and spec.seconds is None and not spec.always else spec.next
        until = None if spec.seconds is None else now + spec.seconds
        rule = Rule(id=self._last_id, match=spec.match, left=left, until=until, share=spec.share, action=spec.action)
        self._rules[rule.id] = rule
        return rule

    def take(self, phone_number_id: str, recipient: str | None, now: float, *, endpoint: Endpoint = "messages") -> Rule | None:
        """The first rule for this request, used up by one; rules that are over are forgotten."""
        return self._first(now, lambda match: match.endpoint == endpoint and _is_for(match, phone_number_id, recipient))

    def take_for_list(self, now: float, *, is_next_page: bool) -> Rule | None:
        """The first rule for this page of a list of templates, used up by one."""
        return self._first(
            now, lambda match: match.endpoint == "message_templates" and match.on_next_page in (None, is_next_page)
        )

    def _first(self, now: float, is_for: Callable[[Match], bool]) -> Rule | None:
        for rule in self.active(now):
            if is_for(rule.match) and (rule.share == 1.0 or self._draw() < rule.share):
                left = None if rule.left is None else rule.left - 1
                used = rule.model_copy(update={"left": left, "applied": rule.applied + 1})
                self._rules[rule.id] = used
                return used
        return None

    def active(self, now: float) -> list[Rule]:
        """What is still in force at `now`."""
        over = [rule.id for rule in self._rules.values() if rule.left == 0 or (rule.until is not None and now >= rule.until)]
        for rule_id in over:
            del self._rules[rule_id]
        return list(self._rules.values())

    def clear(self) -> None:
        """Behave again."""
        self._rules.clear()


def _is_for(match: Match, phone_number_id: str, recipient: str | None) -> bool:
    if match.phone_number_id is not None and match.phone_number_id != phone_number_id:
        return False
    return match.to is None or (recipient is not None and match.to.lstrip("+") == recipient.lstrip("+"))
