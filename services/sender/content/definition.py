"""Do the parameters of a template message fit the template as Meta lists it? Pure.

Sources: templates/components, templates/authentication-templates, templates/limited-time-offer-templates, the pages of carousels,
support/error-codes (132000, 132012). What is of a kind that has no rule here is left to Meta.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import orjson

from services.common.domain.reasons import Reason
from services.sender.content.check import Wrong

_GAP: Final = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_WORDS: Final = frozenset({"text", "currency", "date_time"})
"""What may fill a gap in a text."""
_MEDIA: Final = {
    "IMAGE": "image",
    "VIDEO": "video",
    "DOCUMENT": "document",
    "GIF": "gif",
    "LOCATION": "location",
    "PRODUCT": "product",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """What one part takes: `count` parameters of these kinds, by `names` where they have some. `needs`: all must be there."""

    count: int
    kinds: frozenset[str]
    names: tuple[str, ...] = ()
    needs: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """`slot` is None for a kind of button that has no rule here."""

    sub_type: str
    slot: Slot | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """What a template, or a card of one, takes. `cards` is empty where it has none."""

    header: Slot
    body: Slot
    buttons: tuple[Button, ...]
    offer: Slot
    cards: tuple[Definition, ...] = ()
    has_any_number_of_cards: bool = False


_NOTHING: Final = Slot(count=0, kinds=frozenset())
_SUFFIX: Final = Slot(count=1, kinds=frozenset({"text"}))
_ACTION: Final = Slot(count=1, kinds=frozenset({"action"}), needs=False)
_OFFER: Final = frozenset({"limited_time_offer"})
_BUTTONS: Final[Mapping[str, Button]] = {
    "QUICK_REPLY": Button(sub_type="quick_reply", slot=Slot(count=1, kinds=frozenset({"payload"}), needs=False)),
    "PHONE_NUMBER": Button(sub_type="phone_number", slot=_NOTHING),
    "COPY_CODE": Button(sub_type="copy_code", slot=Slot(count=1, kinds=frozenset({"coupon_code"}))),
    "OTP": Button(sub_type="url", slot=_SUFFIX),
    "FLOW": Button(sub_type="flow", slot=_ACTION),
    "CATALOG": Button(sub_type="catalog", slot=_ACTION),
    "MPM": Button(sub_type="mpm", slot=Slot(count=1, kinds=frozenset({"action"}))),
}


@lru_cache(maxsize=4096)
def definition_of(parameter_format: str | None, components: str) -> Definition:
    """What Graph's `components` (JSON) take; a part that cannot be read takes nothing."""
    try:
        listed = orjson.loads(components)
    except orjson.JSONDecodeError:
        listed = []
    return _defined(listed, is_named=(parameter_format or "").upper() == "NAMED")


def problem(content: Mapping[str, Any], definition: Definition) -> Wrong | None:
    """The first parameter that is missing, extra, of another kind or name. `content` has passed `check`.

    `template.components[1] body: 1 parameter, the template has 2`.
    """
    components = content.get("components") or ()
    return next(_problems(components, definition, "template.components"), None)


def needs(defined: Definition) -> str:
    """What a message has to bring, in a few words: `header image, body 2 (first_name, slot), button 0 url`."""
    parts = [f"header {' or '.join(sorted(defined.header.kinds))}"] if defined.header.count else []
    if defined.body.count:
        names = f" ({', '.join(defined.body.names)})" if defined.body.names else ""
        parts.append(f"body {defined.body.count}{names}")
    if defined.offer.count and defined.offer.needs:
        parts.append("limited_time_offer")
    parts += [
        f"button {place} {one.sub_type}"
        for place, one in enumerate(defined.buttons)
        if one.slot is not None and one.slot.count and one.slot.needs
    ]
    if defined.cards:
        parts.append("cards" if defined.has_any_number_of_cards else f"cards {len(defined.cards)}")
    return ", ".join(parts)


def _defined(listed: object, *, is_named: bool) -> Definition:
    header = body = offer = _NOTHING
    buttons: tuple[Button, ...] = ()
    cards: list[Definition] = []
    any_number = False
    for one in listed if isinstance(listed, list) else []:
        if not isinstance(one, dict):
            continue
        match str(one.get("type")).upper():
            case "HEADER":
                header = _header(one, is_named=is_named)
            case "BODY":
                body = _gaps(one.get("text"), is_named=is_named)
            case "BUTTONS":
                buttons = tuple(_button(button) for button in one.get("buttons") or () if isinstance(button, dict))
            case "LIMITED_TIME_OFFER":
                offer = _offer(one.get("limited_time_offer"))
            case "CAROUSEL":
                given = [card for card in one.get("cards") or () if isinstance(card, dict)]
                cards = [_defined(card.get("components"), is_named=is_named) for card in given]
                any_number = any(card.header.kinds == {"product"} for card in cards)
    return Definition(
        header=header, body=body, buttons=buttons, offer=offer, cards=tuple(cards), has_any_number_of_cards=any_number
    )


def _header(component: Mapping[str, Any], *, is_named: bool) -> Slot:
    kind = str(component.get("format", "TEXT")).upper()
    if kind in _MEDIA:
        return Slot(count=1, kinds=frozenset({_MEDIA[kind]}))
    return _gaps(component.get("text"), is_named=is_named, kinds=frozenset({"text"}))


def _gaps(text: object, *, is_named: bool, kinds: frozenset[str] = _WORDS) -> Slot:
    names = tuple(dict.fromkeys(_GAP.findall(text))) if isinstance(text, str) else ()
    return Slot(count=len(names), kinds=kinds, names=names if is_named else ()) if names else _NOTHING


def _button(button: Mapping[str, Any]) -> Button:
    kind = str(button.get("type")).upper()
    if kind == "URL":
        return Button(sub_type="url", slot=_SUFFIX if _GAP.search(str(button.get("url"))) else _NOTHING)
    return _BUTTONS.get(kind, Button(sub_type=kind.lower(), slot=None))


def _offer(offer: object) -> Slot:
    expires = offer.get("has_expiration") if isinstance(offer, dict) else None
    return _NOTHING if expires is False else Slot(count=1, kinds=_OFFER, needs=expires is True)


def _problems(components: Sequence[Mapping[str, Any]], defined: Definition, path: str) -> Iterator[Wrong]:
    """In the order of the message, then what is missing in it."""
    seen: set[str] = set()
    for place, component in enumerate(components):
        kind, here = str(component.get("type")).lower(), f"{path}[{place}]"
        part = f"button {int(component['index'])}" if kind == "button" else kind
        if part in seen:
            yield _wrong(f"{here} {part}: given twice")
        seen.add(part)
        parameters = component.get("parameters") or ()
        if kind == "button":
            yield from _of_button(component, parameters, defined, here)
        elif kind == "carousel":
            yield from _of_cards(component["cards"], defined, here)
        elif (slot := _slots(defined).get(kind)) is not None:
            yield from _of_slot(parameters, slot, f"{here} {kind}")
    yield from _missing(seen, defined, path)


def _slots(defined: Definition) -> dict[str, Slot]:
    return {"header": defined.header, "body": defined.body, "footer": _NOTHING, "limited_time_offer": defined.offer}


def _of_button(component: Mapping[str, Any], parameters: Sequence[Any], defined: Definition, here: str) -> Iterator[Wrong]:
    index = int(component["index"])
    if index >= len(defined.buttons):
        yield _wrong(f"{here} button {index}: the template has {_count(len(defined.buttons), 'button')}")
        return
    button = defined.buttons[index]
    if button.slot is None:
        return
    if str(component["sub_type"]).lower() != button.sub_type:
        yield _wrong(f"{here} button {index}: the template has a {button.sub_type} there")
        return
    yield from _of_slot(parameters, button.slot, f"{here} button {index}")


def _of_cards(cards: Sequence[Mapping[str, Any]], defined: Definition, here: str) -> Iterator[Wrong]:
    if not defined.cards:
        yield _wrong(f"{here} carousel: the template has none")
        return
    if not defined.has_any_number_of_cards and len(cards) != len(defined.cards):
        yield _wrong(f"{here} carousel: {_count(len(cards), 'card')}, the template has {len(defined.cards)}")
        return
    for place, card in enumerate(cards):
        index = place if card.get("card_index") is None else int(card["card_index"])
        if index >= len(defined.cards) and not defined.has_any_number_of_cards:
            yield _wrong(f"{here}.cards[{place}]: the template has {_count(len(defined.cards), 'card')}")
            return
        of_card = defined.cards[0 if defined.has_any_number_of_cards else index]
        yield from _problems(card["components"], of_card, f"{here}.cards[{place}].components")


def _of_slot(parameters: Sequence[Mapping[str, Any]], slot: Slot, where: str) -> Iterator[Wrong]:
    given = len(parameters)
    if given > slot.count or (slot.needs and given < slot.count):
        yield _wrong(f"{where}: {_count(given, 'parameter')}, the template has {slot.count or 'none'}")
        return
    for place, parameter in enumerate(parameters):
        if parameter.get("type") not in slot.kinds:
            yield _wrong(f"{where}, parameter {place}: not {' or '.join(sorted(slot.kinds))}")
        name = parameter.get("parameter_name")
        if slot.names and name not in slot.names:
            told = "without a name" if name is None else "of a name that the template does not have"
            yield _wrong(f"{where}, parameter {place}: {told}")
        if not slot.names and name is not None:
            yield _wrong(f"{where}, parameter {place}: has a name, the template counts its parameters")


def _missing(seen: set[str], defined: Definition, path: str) -> Iterator[Wrong]:
    for kind, slot in _slots(defined).items():
        if kind not in seen and slot.needs and slot.count:
            yield _wrong(f"{path}: no {kind}, the template has {_count(slot.count, 'parameter')} there")
    for index, button in enumerate(defined.buttons):
        if f"button {index}" not in seen and button.slot is not None and button.slot.needs and button.slot.count:
            yield _wrong(f"{path}: no button {index}, the template has {_count(button.slot.count, 'parameter')} there")
    if defined.cards and "carousel" not in seen and any(True for card in defined.cards for _ in _missing(set(), card, path)):
        yield _wrong(f"{path}: no carousel, the template has {_count(len(defined.cards), 'card')}")


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _wrong(detail: str) -> Wrong:
    return Wrong(Reason.TEMPLATE_PARAMS, detail)
