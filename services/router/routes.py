"""Which events go to topics of bots and teams too? The rules of a file, read with all of its mistakes at once.

A rule names a topic, the records that it copies there, and conditions: all of them must hold, and of each any one value. Every
value is the text that stands in the file: no `yes` becomes true, and no id loses a zero.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from operator import attrgetter
from typing import Any, Final, NamedTuple

import yaml

from services.common.domain import consent, topics
from services.common.domain.events import WEBHOOK_EVENTS, WebhookEvent

HEADER: Final = "parley-route"
"""Of every copy: the name of the rule that made it."""
FAMILIES: Final[Mapping[str, type[WebhookEvent]]] = {family.__name__: family for family in WEBHOOK_EVENTS}
COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "waba_id": ("waba_id",),
    "phone_number_id": ("phone_number_id",),
    "type": ("type", "event"),
    "status": ("status",),
    "keyword": ("text",),
    "payload": ("payload",),
}
"""Every condition, and the column that it looks at: the first of these that the record has."""

_KEYS: Final = ("name", "topic", "family", *COLUMNS)
_WHOLE_FILE: Final = "the file"
_OWN_PREFIX: Final = "parley."
_NAME: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_MAX_NAME: Final = 64
_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")
_DIGITS: Final = re.compile(r"[0-9]+")
_ANY_END: Final = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One rule, its values as they stand in the file. An empty condition holds for every event."""

    name: str
    topic: str
    family: tuple[str, ...]
    waba_id: tuple[str, ...] = ()
    phone_number_id: tuple[str, ...] = ()
    type: tuple[str, ...] = ()
    status: tuple[str, ...] = ()
    keyword: tuple[str, ...] = ()
    payload: tuple[str, ...] = ()


class Mistake(NamedTuple):
    """What is wrong, and where in the file."""

    place: str
    problem: str

    def __str__(self) -> str:
        return f"{self.place}: {self.problem}"


class RoutesError(Exception):
    """The file has mistakes: all of them, rule by rule."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(map(str, self.mistakes)))

    @classmethod
    def of_file(cls, problem: str) -> RoutesError:
        """About the file as a whole."""
        return cls((Mistake(_WHOLE_FILE, problem),))


_Test = Callable[[Any], bool]


class _Candidate(NamedTuple):
    """A rule for events of one record type. The words come last: what an event says is normalised once for all rules."""

    route: Route
    tests: tuple[_Test, ...]
    words: frozenset[str]


class Routes:
    """All rules, by record type first: an event that no rule names costs one look into a dict."""

    def __init__(self, routes: Iterable[Route] = ()) -> None:
        self.all = tuple(routes)
        self.topics = frozenset(route.topic for route in self.all)
        self._by_type: dict[type[WebhookEvent], list[_Candidate]] = {}
        for route in self.all:
            words = frozenset(map(consent.normalised, route.keyword))
            for name in dict.fromkeys(route.family):
                family = FAMILIES[name]
                self._by_type.setdefault(family, []).append(_Candidate(route, tuple(_tests(route, family)), words))

    def matching(self, event: WebhookEvent) -> Sequence[Route]:
        """The rules that an event fulfils, in the order of the file."""
        candidates = self._by_type.get(type(event))
        return () if candidates is None else _fulfilled(candidates, event)


def _fulfilled(candidates: Iterable[_Candidate], event: Any) -> list[Route]:
    said: str | None = None
    found = []
    for route, tests, words in candidates:
        if not all(test(event) for test in tests):
            continue
        if words:
            if said is None:
                said = consent.normalised(event.text or "")
            if said not in words:
                continue
        found.append(route)
    return found


def _tests(route: Route, family: type[WebhookEvent]) -> Iterator[_Test]:
    for condition, test in (
        ("phone_number_id", _is_one_of),
        ("waba_id", _is_one_of),
        ("type", _is_one_of),
        ("status", _is_one_of),
        ("payload", _is_like_one_of),
    ):
        wanted: tuple[str, ...] = getattr(route, condition)
        if wanted:
            yield test(_column(family, condition) or "", wanted)


def _is_one_of(column: str, wanted: Iterable[str]) -> _Test:
    value, words = attrgetter(column), frozenset(wanted)
    return lambda event: value(event) in words


def _is_like_one_of(column: str, wanted: Sequence[str]) -> _Test:
    value = attrgetter(column)
    whole = frozenset(one for one in wanted if not one.endswith(_ANY_END))
    begins = tuple(one.removesuffix(_ANY_END) for one in wanted if one.endswith(_ANY_END))

    def test(event: Any) -> bool:
        found: str | None = value(event)
        return found is not None and (found in whole or found.startswith(begins))

    return test


def _column(family: type[WebhookEvent], condition: str) -> str | None:
    there = {field.name for field in fields(family)}
    return next((name for name in COLUMNS[condition] if name in there), None)


_Tell = Callable[[str, str], None]
"""Takes a mistake: where, and what."""


def parse(content: bytes) -> Routes:
    """The rules of a file, none when it is empty; RoutesError with every mistake in it."""
    mistakes: list[Mistake] = []

    def tell(place: str, problem: str) -> None:
        mistakes.append(Mistake(place, problem))

    routes = [route for route in _routes(content, tell) if route is not None]
    if mistakes:
        raise RoutesError(mistakes)
    return Routes(routes)


def _routes(content: bytes, tell: _Tell) -> Iterator[Route | None]:
    document = _document(content, tell)
    if document is None or _is_blank(document):
        return
    if not isinstance(document, yaml.MappingNode):
        tell(_WHOLE_FILE, "must have the one key routes, and under it a list")
        return
    listed = _members(document, "", ("routes",), tell).get("routes")
    if listed is None:
        tell("routes", "is missing")
    elif isinstance(listed, yaml.SequenceNode):
        names: dict[str, str] = {}
        for number, node in enumerate(listed.value):
            yield _route(node, f"routes[{number}]", names, tell)
    elif not _is_blank(listed):
        tell("routes", "must be a list")


def _document(content: bytes, tell: _Tell) -> Any:
    """The nodes of the file; None when there are none. Nodes, because a key that stands twice is a mistake and no override."""
    try:
        return yaml.compose(content, Loader=yaml.BaseLoader)
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        tell(_WHOLE_FILE, f"is no YAML{where}: {', '.join(filter(None, (problem.context, problem.problem)))}")
    except yaml.YAMLError:
        tell(_WHOLE_FILE, "is no YAML: it has bytes or characters that cannot be read")
    except RecursionError:
        tell(_WHOLE_FILE, "is no YAML that can be read: it is nested too deeply")
    return None


def _is_blank(node: Any) -> bool:
    return isinstance(node, yaml.ScalarNode) and not node.value.strip()


def _members(node: yaml.MappingNode, place: str, known: Sequence[str], tell: _Tell) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            tell(place or _WHOLE_FILE, "a key must be a word")
        elif key.value not in known:
            tell(_within(place, key.value), f"unknown key{_perhaps(key.value, known)}")
        elif key.value in found:
            tell(_within(place, key.value), "stands twice")
        else:
            found[key.value] = value
    return found


def _within(place: str, key: str) -> str:
    return f"{place}.{key}" if place else key


def _perhaps(word: str, known: Iterable[str]) -> str:
    """A guess at what was meant."""
    by_lower = {one.lower(): one for one in known}
    near = get_close_matches(word.lower(), by_lower, n=1, cutoff=0.75)
    return f", perhaps {by_lower[near[0]]}" if near else ""


def _route(node: Any, place: str, names: dict[str, str], tell: _Tell) -> Route | None:
    """One rule; what is returned beside mistakes is not used. `names` says where each name was seen."""
    if not isinstance(node, yaml.MappingNode):
        tell(place, "must be a mapping with name, topic and family")
        return None
    members = _members(node, place, _KEYS, tell)
    for key in ("name", "topic", "family"):
        if key not in members:
            tell(_within(place, key), "is missing")
    values = {key: _texts(key, member, _within(place, key), tell) for key, member in members.items()}
    name = next(iter(values.get("name", ())), None)
    if name is not None and names.setdefault(name, place) != place:
        tell(f"{place}.name", f"{name} is the name of {names[name]} too")
    families = [FAMILIES[family] for family in dict.fromkeys(values.get("family", ()))]
    for condition in COLUMNS:
        for family in families if condition in members else ():
            if _column(family, condition) is None:
                tell(_within(place, condition), f"{family.__name__} has no column {' or '.join(COLUMNS[condition])}")
    if name is None or not values.get("topic"):
        return None
    conditions = {key: value for key, value in values.items() if key in COLUMNS}
    return Route(name=name, topic=values["topic"][0], family=values.get("family", ()), **conditions)


def _texts(key: str, node: Any, place: str, tell: _Tell) -> tuple[str, ...]:
    """The values under a key that can be used."""
    if not isinstance(node, yaml.SequenceNode):
        return _text(key, node, place, tell)
    if key in ("name", "topic"):
        tell(place, "must be one text and no list")
        return ()
    if not node.value:
        tell(place, "must not be empty")
    return tuple(text for number, item in enumerate(node.value) for text in _text(key, item, f"{place}[{number}]", tell))


def _text(key: str, node: Any, place: str, tell: _Tell) -> tuple[str, ...]:
    if not isinstance(node, yaml.ScalarNode):
        problem: str | None = "must be a text"
    elif _is_blank(node):
        problem = "must not be empty"
    else:
        problem = _PROBLEMS[key](node.value) if key in _PROBLEMS else None
    if problem is None:
        return (node.value,)
    tell(place, problem)
    return ()


def _problem_of_name(name: str) -> str | None:
    if _NAME.fullmatch(name) and len(name) <= _MAX_NAME:
        return None
    return f"must be lower-case words with dashes, at most {_MAX_NAME} characters"


def _problem_of_topic(topic: str) -> str | None:
    if not _TOPIC.fullmatch(topic) or topic in (".", ".."):
        return "must be a name that Kafka takes: at most 249 letters, digits, dots, underscores and dashes"
    if topic in topics.ALL or topic.startswith(_OWN_PREFIX):
        return f"{topic} is for Parley alone, as is every name that begins with {_OWN_PREFIX}"
    return f"{topic} is for Kafka alone" if topic.startswith("__") else None


def _problem_of_family(family: str) -> str | None:
    return None if family in FAMILIES else f"unknown record {family}{_perhaps(family, FAMILIES)}"


def _problem_of_id(text: str) -> str | None:
    return None if _DIGITS.fullmatch(text) else "must be an id of Meta's, which has digits only"


def _problem_of_keyword(text: str) -> str | None:
    return None if consent.normalised(text) else "must have a letter or a digit"


_PROBLEMS: Final[Mapping[str, Callable[[str], str | None]]] = {
    "name": _problem_of_name,
    "topic": _problem_of_topic,
    "family": _problem_of_family,
    "waba_id": _problem_of_id,
    "phone_number_id": _problem_of_id,
    "keyword": _problem_of_keyword,
}
"""What is wrong with a text under a key, where not every text will do."""
