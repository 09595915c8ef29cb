"""Is this an interactive message that can be sent? One model for each `interactive.type`.

Sources: messages/interactive-*, catalogs/sell-products-and-services, flows, calling, payments.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, Field, StrictStr, model_validator

from services.common.domain.reasons import Reason
from services.sender.content.fields import WORDED, Part, Said, Web, Whole, within, wrong
from services.sender.content.limits import PRODUCTS_OF_A_LIST, ROWS_OF_A_LIST
from services.sender.content.media import Document, Image, Video

_COUNTRY: Final = re.compile(r"[A-Z]{2}")


class _TextHeader(Part):
    type: Literal["text"]
    text: Annotated[StrictStr, within("interactive.header.text"), WORDED]


class _ImageHeader(Part):
    type: Literal["image"]
    image: Image


class _VideoHeader(Part):
    type: Literal["video"]
    video: Video


class _DocumentHeader(Part):
    type: Literal["document"]
    document: Document


_Header = Annotated[_TextHeader | _ImageHeader | _VideoHeader | _DocumentHeader, Field(discriminator="type")]
_Picture = Annotated[_ImageHeader | _VideoHeader, Field(discriminator="type")]


class _Body(Part):
    text: Annotated[StrictStr, within("interactive.body.text"), WORDED]


class _Footer(Part):
    text: Annotated[StrictStr, within("interactive.footer.text"), WORDED]


def _none(value: object) -> object:
    if value is not None:
        raise wrong(Reason.INTERACTIVE, "not with this type")
    return value


_Absent = Annotated[Any, AfterValidator(_none)]
"""What Meta does not take with this type."""


def _unique(values: Sequence[str], what: str) -> None:
    if len(set(values)) != len(values):
        raise wrong(Reason.INTERACTIVE, f"two with the same {what}")


# Reply buttons


class _Reply(Part):
    id: Annotated[StrictStr, within("interactive[button].action.buttons[].reply.id"), WORDED]
    title: Annotated[StrictStr, within("interactive[button].action.buttons[].reply.title"), WORDED]


class _ReplyButton(Part):
    type: Literal["reply"] = "reply"
    reply: _Reply


def _different(buttons: list[_ReplyButton]) -> list[_ReplyButton]:
    _unique([button.reply.id for button in buttons], "reply.id")
    _unique([button.reply.title for button in buttons], "reply.title")
    return buttons


class _Buttons(Part):
    buttons: Annotated[list[_ReplyButton], within("interactive[button].action.buttons"), AfterValidator(_different)]


class Button(Part):
    """Up to three buttons to reply with."""

    type: Literal["button"]
    header: _Header | None = None
    body: _Body
    footer: _Footer | None = None
    action: _Buttons


# Lists


class _Row(Part):
    id: Annotated[StrictStr, within("interactive[list].action.sections[].rows[].id"), WORDED]
    title: Annotated[StrictStr, within("interactive[list].action.sections[].rows[].title"), WORDED]
    description: Annotated[StrictStr, within("interactive[list].action.sections[].rows[].description")] | None = None


class _Section(Part):
    title: Annotated[StrictStr, within("interactive[list].action.sections[].title"), WORDED] | None = None
    rows: Annotated[list[_Row], within("interactive[list].action.sections[].rows")]


def _rows(sections: list[_Section]) -> list[_Section]:
    _titled(sections)
    rows = [row for section in sections for row in section.rows]
    _at_most(len(rows), ROWS_OF_A_LIST, "rows")
    _unique([row.id for row in rows], "row id")
    return sections


def _titled(sections: Iterable[Any]) -> None:
    every = list(sections)
    if len(every) > 1 and any(section.title is None for section in every):
        raise wrong(Reason.INTERACTIVE, "several sections need a title each")


def _at_most(count: int, most: int, what: str) -> None:
    if count > most:
        raise wrong(Reason.INTERACTIVE, f"{count} {what} over all, at most {most}")


class _ListAction(Part):
    button: Annotated[StrictStr, within("interactive[list].action.button"), WORDED]
    sections: Annotated[list[_Section], within("interactive[list].action.sections"), AfterValidator(_rows)]


class _ListBody(Part):
    text: Annotated[StrictStr, within("interactive[list].body.text"), WORDED]


class List(Part):
    """A menu of up to ten rows."""

    type: Literal["list"]
    header: _TextHeader | None = None
    body: _ListBody
    footer: _Footer | None = None
    action: _ListAction


# One button of Meta's


class _UrlParameters(Part):
    display_text: Annotated[StrictStr, within("interactive[cta_url].action.parameters.display_text"), WORDED]
    url: Web


class _UrlAction(Part):
    name: Literal["cta_url"]
    parameters: _UrlParameters


class CtaUrl(Part):
    """A button with a link."""

    type: Literal["cta_url"]
    header: _Header | None = None
    body: _Body
    footer: _Footer | None = None
    action: _UrlAction


class _FlowParameters(Part):
    flow_message_version: Literal["3"]
    flow_id: Said | None = None
    flow_name: Said | None = None
    flow_cta: Annotated[StrictStr, within("interactive[flow].action.parameters.flow_cta"), WORDED]
    flow_token: StrictStr | None = None
    mode: Literal["draft", "published"] = "published"
    flow_action: Literal["navigate", "data_exchange"] = "navigate"

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.flow_id is None) == (self.flow_name is None):
            raise wrong(Reason.INTERACTIVE, "needs either flow_id or flow_name")
        return self


class _FlowAction(Part):
    name: Literal["flow"]
    parameters: _FlowParameters


class Flow(Part):
    """A form."""

    type: Literal["flow"]
    header: _Header | None = None
    body: _Body
    footer: _Footer | None = None
    action: _FlowAction


class _Named(Part):
    parameters: Part | None = None


class _LocationAction(Part):
    name: Literal["send_location"]


class LocationRequest(Part):
    """Asks where somebody is."""

    type: Literal["location_request_message"]
    header: _Absent = None
    body: _Body
    footer: _Absent = None
    action: _LocationAction


def _country(value: str) -> str:
    if not _COUNTRY.fullmatch(value):
        raise wrong(Reason.INTERACTIVE, "not a country of two letters")
    return value


class _AddressParameters(Part):
    country: Annotated[StrictStr, AfterValidator(_country)]


class _AddressAction(Part):
    name: Literal["address_message"]
    parameters: _AddressParameters


class Address(Part):
    """Asks for an address."""

    type: Literal["address_message"]
    header: _Header | None = None
    body: _Body
    footer: _Footer | None = None
    action: _AddressAction


class _CallPermissionAction(Part):
    name: Literal["call_permission_request"]


class CallPermission(Part):
    """Asks whether the business may call."""

    type: Literal["call_permission_request"]
    body: _Body | None = None
    action: _CallPermissionAction


class _ContactInfoAction(Part):
    name: Literal["request_contact_info"]


class ContactInfo(Part):
    """Asks for a phone number."""

    type: Literal["request_contact_info"]
    body: _Body
    action: _ContactInfoAction


class _CallParameters(Part):
    display_text: Annotated[StrictStr, within("interactive[voice_call].action.parameters.display_text"), WORDED] | None = None
    ttl_minutes: Annotated[Whole, within("interactive[voice_call].action.parameters.ttl_minutes")] | None = None
    payload: Annotated[StrictStr, within("interactive[voice_call].action.parameters.payload"), WORDED] | None = None


class _CallAction(Part):
    name: Literal["voice_call"]
    parameters: _CallParameters | None = None


class VoiceCall(Part):
    """A button that calls the business."""

    type: Literal["voice_call"]
    body: _Body
    action: _CallAction


# Products


class _ProductAction(Part):
    catalog_id: Said
    product_retailer_id: Said


class Product(Part):
    """One product."""

    type: Literal["product"]
    header: _Absent = None
    body: _Body | None = None
    footer: _Footer | None = None
    action: _ProductAction


class _ProductItem(Part):
    product_retailer_id: Said


class _ProductSection(Part):
    title: Annotated[StrictStr, within("interactive[product_list].action.sections[].title"), WORDED] | None = None
    product_items: Annotated[list[_ProductItem], within("interactive[product_list].action.sections[].product_items")]


def _products(sections: list[_ProductSection]) -> list[_ProductSection]:
    _titled(sections)
    _at_most(sum(len(section.product_items) for section in sections), PRODUCTS_OF_A_LIST, "products")
    return sections


class _ProductListAction(Part):
    catalog_id: Said
    sections: Annotated[list[_ProductSection], within("interactive[product_list].action.sections"), AfterValidator(_products)]


class ProductList(Part):
    """Up to thirty products."""

    type: Literal["product_list"]
    header: _TextHeader
    body: _Body
    footer: _Footer | None = None
    action: _ProductListAction


class _CatalogAction(_Named):
    name: Literal["catalog_message"]


class Catalog(Part):
    """The whole catalog."""

    type: Literal["catalog_message"]
    body: _Body
    footer: _Footer | None = None
    action: _CatalogAction


# Cards


class _CardBody(Part):
    text: Annotated[StrictStr, within("interactive[carousel].action.cards[].body.text"), WORDED]


class _Card(Part):
    card_index: Annotated[Whole, Field(ge=0, le=9)]
    type: Literal["cta_url", "button", "quick_reply", "product"]
    header: _Picture | None = None
    body: _CardBody | None = None
    action: Part

    def layout(self) -> tuple[str, bool, tuple[str, ...]]:
        """What has to be the same on every card."""
        buttons = (self.action.__pydantic_extra__ or {}).get("buttons")
        kinds = tuple(str(one.get("type")) for one in buttons if isinstance(one, dict)) if isinstance(buttons, list) else ()
        return self.type, self.header is None, kinds


def _alike(cards: list[_Card]) -> list[_Card]:
    if len({card.layout() for card in cards}) > 1:
        raise wrong(Reason.INTERACTIVE, "cards differ in type, header or buttons")
    if sorted(card.card_index for card in cards) != list(range(len(cards))):
        raise wrong(Reason.INTERACTIVE, "card_index does not count the cards from 0")
    return cards


class _CarouselAction(Part):
    cards: Annotated[list[_Card], within("interactive[carousel].action.cards"), AfterValidator(_alike)]


class Carousel(Part):
    """Two to ten cards side by side."""

    type: Literal["carousel"]
    header: _Absent = None
    body: _Body
    footer: _Absent = None
    action: _CarouselAction


# Payments


class _OrderParameters(Part):
    reference_id: Said


class _DetailsAction(Part):
    name: Literal["review_and_pay"]
    parameters: _OrderParameters


class OrderDetails(Part):
    """A bill."""

    type: Literal["order_details"]
    header: _Header | None = None
    body: _Body
    footer: _Footer | None = None
    action: _DetailsAction


class _StatusAction(Part):
    name: Literal["review_order"]
    parameters: _OrderParameters


class OrderStatus(Part):
    """How an order stands."""

    type: Literal["order_status"]
    body: _Body
    footer: _Footer | None = None
    action: _StatusAction


Interactive = Annotated[
    Button
    | List
    | CtaUrl
    | Flow
    | LocationRequest
    | Address
    | CallPermission
    | ContactInfo
    | VoiceCall
    | Product
    | ProductList
    | Catalog
    | Carousel
    | OrderDetails
    | OrderStatus,
    Field(discriminator="type"),
]
