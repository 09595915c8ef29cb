"""What does a valid content of each message type look like? One example at least for each type that Meta takes."""

from __future__ import annotations

import copy
from typing import Any, Final

WAMID: Final = "wamid.HBgLNTUxMTk4NzY1NDMyMRUCABIYFDNBMDE"
PICTURE: Final = {"link": "https://cdn.example.com/a.png"}


def button(number: int) -> dict[str, Any]:
    return {"type": "reply", "reply": {"id": f"b{number}", "title": f"Button {number}"}}


def row(number: int) -> dict[str, Any]:
    return {"id": f"r{number}", "title": f"Row {number}", "description": "More of it"}


def card(number: int) -> dict[str, Any]:
    return {
        "card_index": number,
        "type": "cta_url",
        "header": {"type": "image", "image": PICTURE},
        "body": {"text": "A card"},
        "action": {"name": "cta_url", "parameters": {"display_text": "Open", "url": "https://example.com"}},
    }


def interactive(kind: str, action: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": kind, "body": {"text": "What now?"}, "action": action, **more}


AROUND: Final = {"header": {"type": "text", "text": "Hello"}, "footer": {"text": "Small"}}
FLOW: Final = {"flow_message_version": "3", "flow_id": "1", "flow_cta": "Book", "flow_token": "t", "flow_action": "navigate"}

INTERACTIVE: Final[dict[str, dict[str, Any]]] = {
    "button": interactive("button", {"buttons": [button(1)]}, **AROUND),
    "list": interactive("list", {"button": "Choose", "sections": [{"title": "One", "rows": [row(1)]}]}, **AROUND),
    "cta_url": interactive(
        "cta_url", {"name": "cta_url", "parameters": {"display_text": "Open", "url": "https://example.com"}}, **AROUND
    ),
    "flow": interactive("flow", {"name": "flow", "parameters": FLOW}, **AROUND),
    "location_request_message": interactive("location_request_message", {"name": "send_location"}),
    "address_message": interactive("address_message", {"name": "address_message", "parameters": {"country": "IN"}}),
    "call_permission_request": interactive("call_permission_request", {"name": "call_permission_request"}),
    "request_contact_info": interactive("request_contact_info", {"name": "request_contact_info"}),
    "voice_call": interactive(
        "voice_call", {"name": "voice_call", "parameters": {"display_text": "Call", "ttl_minutes": 60, "payload": "p"}}
    ),
    "product": interactive("product", {"catalog_id": "1", "product_retailer_id": "sku"}),
    "product_list": interactive(
        "product_list",
        {"catalog_id": "1", "sections": [{"title": "All", "product_items": [{"product_retailer_id": "sku"}]}]},
        **AROUND,
    ),
    "catalog_message": interactive("catalog_message", {"name": "catalog_message"}),
    "carousel": interactive("carousel", {"cards": [card(0), card(1)]}),
    "order_details": interactive("order_details", {"name": "review_and_pay", "parameters": {"reference_id": "o1"}}),
    "order_status": interactive("order_status", {"name": "review_order", "parameters": {"reference_id": "o1"}}),
}

COMPONENTS: Final[dict[str, dict[str, Any]]] = {
    "header": {"type": "header", "parameters": [{"type": "text", "text": "Hello"}]},
    "body": {
        "type": "body",
        "parameters": [
            {"type": "text", "parameter_name": "first_name", "text": "Ana"},
            {
                "type": "currency",
                "parameter_name": "price",
                "currency": {"fallback_value": "€5", "code": "EUR", "amount_1000": 5000},
            },
            {"type": "date_time", "parameter_name": "day", "date_time": {"fallback_value": "May 5"}},
        ],
    },
    "button": {"type": "button", "sub_type": "url", "index": "0", "parameters": [{"type": "text", "text": "suffix"}]},
    "carousel": {
        "type": "carousel",
        "cards": [{"card_index": 0, "components": [{"type": "body", "parameters": [{"type": "text", "text": "Ana"}]}]}],
    },
}
HEADERS: Final[list[dict[str, Any]]] = [
    {"type": "image", "image": {"id": "1"}},
    {"type": "video", "video": PICTURE},
    {"type": "document", "document": {**PICTURE, "filename": "a.pdf"}},
    {"type": "gif", "gif": PICTURE},
    {"type": "location", "location": {"latitude": 1, "longitude": "2.5", "name": "N", "address": "A"}},
    {"type": "product", "product": {"product_retailer_id": "sku", "catalog_id": "1"}},
]
BUTTONS: Final[list[dict[str, Any]]] = [
    {"sub_type": "quick_reply", "parameters": [{"type": "payload", "payload": "P"}]},
    {"sub_type": "copy_code", "parameters": [{"type": "coupon_code", "coupon_code": "SAVE"}]},
    {"sub_type": "flow", "parameters": [{"type": "action", "action": {"flow_token": "t", "flow_action_data": {}}}]},
    {"sub_type": "catalog", "parameters": [{"type": "action", "action": {"thumbnail_product_retailer_id": "sku"}}]},
    {"sub_type": "mpm", "parameters": [{"type": "action", "action": {"sections": []}}]},
    {"sub_type": "voice_call"},
    {"sub_type": "url", "parameters": [{"type": "text", "text": "123456"}]},
    {"sub_type": "something_new", "parameters": [{"type": "order_details", "order_details": {"reference_id": "1"}}]},
]


def template(*components: dict[str, Any]) -> dict[str, Any]:
    return {"name": "order_1", "language": {"code": "en_US"}, "components": list(components)}


OFFER: Final = {
    "type": "limited_time_offer",
    "parameters": [{"type": "limited_time_offer", "limited_time_offer": {"expiration_time_ms": 1712000000000}}],
}
TARGET: Final = {
    "type": "tap_target_configuration",
    "parameters": [
        {
            "type": "tap_target_configuration",
            "tap_target_configuration": [{"url": "https://example.com", "title": "Shop"}],
        }
    ],
}

VALID: Final[list[tuple[str, Any]]] = [
    ("text", {"body": "Olá 👍 مرحبا", "preview_url": True}),
    ("image", {**PICTURE, "caption": "A picture"}),
    ("image", {"id": "1", "caption": ""}),
    ("video", {"id": "1", "caption": "A film"}),
    ("audio", {"id": "1", "voice": True}),
    ("document", {**PICTURE, "caption": "A bill", "filename": "bill.pdf"}),
    ("sticker", {"id": "1"}),
    ("location", {"latitude": 52.5, "longitude": "13.4", "name": "Berlin", "address": "Mitte"}),
    (
        "contacts",
        [{"name": {"formatted_name": "Ana B", "first_name": "Ana"}, "birthday": "1990-01-31", "phones": [{"phone": "1"}]}],
    ),
    ("reaction", {"message_id": WAMID, "emoji": "👍"}),
    ("reaction", {"message_id": WAMID, "emoji": ""}),
    ("read", {"message_id": WAMID}),
    ("read", {"message_id": WAMID, "typing_indicator": {"type": "text"}}),
    *(("interactive", one) for one in INTERACTIVE.values()),
    ("template", {"name": "order_1", "language": {"code": "pt"}}),
    *(("template", template(one)) for one in COMPONENTS.values()),
    *(("template", template({"type": "header", "parameters": [one]})) for one in HEADERS),
    *(("template", template({"type": "button", "index": str(n), **one})) for n, one in enumerate(BUTTONS)),
    ("template", template({**COMPONENTS["button"], "type": "BUTTON", "index": 9})),
    ("template", template(OFFER, COMPONENTS["body"])),
    ("template", template(TARGET, COMPONENTS["body"])),
    ("template", {**template(COMPONENTS["body"]), "a_key_of_tomorrow": 1}),
]


def valid(message_type: str, kind: str | None) -> Any:
    """A copy to break: the first of its type; of interactive messages that of this kind."""
    if message_type == "interactive":
        return copy.deepcopy(INTERACTIVE[kind or "button"])
    if message_type == "template":
        return copy.deepcopy(template(*COMPONENTS.values()))
    return copy.deepcopy(next(content for one, content in VALID if one == message_type))
