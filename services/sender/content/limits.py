"""How much does Meta take? The one table of limits of outbound messages, a source for each line.

Paths are those of the content as Meta's API wants it; `[]` is any item of a list. Characters are Unicode code points. Sources are
pages below https://developers.facebook.com/documentation/business-messaging/whatsapp/.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """From `at_least` to `at_most` of `unit`."""

    at_most: int
    at_least: int = 0
    unit: Literal["characters", "items", "bytes", ""] = "characters"
    source: str


def _items(at_least: int, at_most: int, source: str) -> Limit:
    return Limit(at_most=at_most, at_least=at_least, unit="items", source=source)


def _characters(at_most: int, source: str, *, at_least: int = 1) -> Limit:
    return Limit(at_most=at_most, at_least=at_least, source=source)


def _bytes(at_most: int, source: str) -> Limit:
    return Limit(at_most=at_most, unit="bytes", source=source)


def _number(at_least: int, at_most: int, source: str) -> Limit:
    return Limit(at_most=at_most, at_least=at_least, unit="", source=source)


_BUTTONS: Final = "messages/interactive-reply-buttons-messages"
_LIST: Final = "messages/interactive-list-messages"
_URL: Final = "messages/interactive-cta-url-messages"
_FLOW: Final = "messages/interactive-flow-messages"
_PRODUCTS: Final = "catalogs/sell-products-and-services/share-products"
_CAROUSEL: Final = "messages/interactive-media-carousel-messages"
_CALL: Final = "calling/call-button-messages-deep-links"
_TEMPLATES: Final = "templates/components"

LIMITS: Final[dict[str, Limit]] = {
    "text.body": _characters(4096, "messages/text-messages"),
    "image.caption": _characters(1024, "messages/image-messages", at_least=0),
    "video.caption": _characters(1024, "messages/video-messages", at_least=0),
    "document.caption": _characters(1024, "messages/document-messages", at_least=0),
    "location.latitude": _number(-90, 90, "messages/location-messages"),
    "location.longitude": _number(-180, 180, "messages/location-messages"),
    "contacts": _items(1, 257, "messages/contacts-messages"),
    # What all interactive messages have in common.
    "interactive.header.text": _characters(60, _BUTTONS),
    "interactive.body.text": _characters(1024, _BUTTONS),
    "interactive.footer.text": _characters(60, _BUTTONS),
    "interactive[button].action.buttons": _items(1, 3, _BUTTONS),
    "interactive[button].action.buttons[].reply.id": _characters(256, _BUTTONS),
    "interactive[button].action.buttons[].reply.title": _characters(20, _BUTTONS),
    "interactive[list].body.text": _characters(4096, _LIST),
    "interactive[list].action.button": _characters(20, _LIST),
    "interactive[list].action.sections": _items(1, 10, _LIST),
    "interactive[list].action.sections[].title": _characters(24, _LIST),
    "interactive[list].action.sections[].rows": _items(1, 10, _LIST),
    "interactive[list].action.sections[].rows[].id": _characters(200, _LIST),
    "interactive[list].action.sections[].rows[].title": _characters(24, _LIST),
    "interactive[list].action.sections[].rows[].description": _characters(72, _LIST, at_least=0),
    "interactive[cta_url].action.parameters.display_text": _characters(20, _URL),
    "interactive[flow].action.parameters.flow_cta": _characters(30, _FLOW),
    "interactive[product_list].action.sections": _items(1, 10, _PRODUCTS),
    "interactive[product_list].action.sections[].title": _characters(24, _PRODUCTS),
    "interactive[product_list].action.sections[].product_items": _items(1, 30, _PRODUCTS),
    "interactive[carousel].action.cards": _items(2, 10, _CAROUSEL),
    "interactive[carousel].action.cards[].body.text": _characters(160, _CAROUSEL),
    "interactive[voice_call].action.parameters.display_text": _characters(20, _CALL),
    "interactive[voice_call].action.parameters.ttl_minutes": _number(1, 43_200, _CALL),
    "interactive[voice_call].action.parameters.payload": _characters(512, _CALL),
    # Templates: what their definitions allow holds for what is put into them.
    "template.name": _characters(512, _TEMPLATES),
    "template.components[header].parameters[].text": _characters(60, _TEMPLATES),
    "template.components[body].parameters[].text": _characters(1024, _TEMPLATES),
    "template.components[button].index": _number(0, 9, _TEMPLATES),
    "template.components[button].parameters[].text": _characters(2000, _TEMPLATES),
    "template.components[button].parameters[].coupon_code": _characters(20, _TEMPLATES),
    "template.components[carousel].cards": _items(1, 10, "templates/media-card-carousel-templates"),
    "template.components[carousel].cards[].card_index": _number(0, 9, "templates/media-card-carousel-templates"),
}

_MIB: Final = 1024 * 1024

MEDIA_LIMITS: Final[dict[str, Limit]] = {
    "image": _bytes(5 * _MIB, "messages/image-messages"),
    "video": _bytes(16 * _MIB, "messages/video-messages"),
    "audio": _bytes(16 * _MIB, "messages/audio-messages"),
    "document": _bytes(100 * _MIB, "messages/document-messages"),
    "sticker": _bytes(100 * 1024, "messages/sticker-messages"),
    "sticker[animated]": _bytes(500 * 1024, "messages/sticker-messages"),
}
"""How large a file may be, by the type of message that shows it."""

ROWS_OF_A_LIST: Final = 10
"""Over all sections together. Source: the page of interactive list messages."""
PRODUCTS_OF_A_LIST: Final = 30
"""Over all sections together. Source: the page of multi-product messages."""
