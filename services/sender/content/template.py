"""Is this a template message that can be sent, as far as its own words tell? What the template wants is asked of its definition.

Sources: templates/components, templates/* of each kind, support/error-codes (100, 132012, 132018).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, StrictInt, StrictStr, Tag, model_validator

from services.common.domain.reasons import Reason
from services.sender.content.fields import WORDED, Part, Said, Web, Whole, within, wrong
from services.sender.content.media import Document, Image, Media, Video
from services.sender.content.simple import Location

_NAME: Final = re.compile(r"[a-z0-9_]+")
_LANGUAGE: Final = re.compile(r"[a-z]{2,3}(_[A-Za-z0-9]{2,4})?")
_SUBSTITUTED: Final = re.compile(r"[\n\r\t]| {5}")


def _one_line(value: str) -> str:
    if not value.strip():
        raise wrong(Reason.TEMPLATE_PARAMS, "empty")
    if _SUBSTITUTED.search(value):
        raise wrong(Reason.TEMPLATE_PARAMS, "has a newline, a tab or more than 4 blanks in a row")
    return value


_ONE_LINE: Final = AfterValidator(_one_line)


class _Parameter(Part):
    parameter_name: Said | None = None


class _HeaderText(_Parameter):
    type: Literal["text"]
    text: Annotated[StrictStr, within("template.components[header].parameters[].text"), _ONE_LINE]


class _BodyText(_Parameter):
    type: Literal["text"]
    text: Annotated[StrictStr, within("template.components[body].parameters[].text"), _ONE_LINE]


class _ButtonText(_Parameter):
    type: Literal["text"]
    text: Annotated[StrictStr, within("template.components[button].parameters[].text"), _ONE_LINE]


class _Fallback(Part):
    fallback_value: Annotated[StrictStr, _ONE_LINE]


class _Money(_Fallback):
    code: Said
    amount_1000: StrictInt


class _Currency(_Parameter):
    type: Literal["currency"]
    currency: _Money


class _DateTime(_Parameter):
    type: Literal["date_time"]
    date_time: _Fallback


class _ImageParameter(_Parameter):
    type: Literal["image"]
    image: Image


class _VideoParameter(_Parameter):
    type: Literal["video"]
    video: Video


class _DocumentParameter(_Parameter):
    type: Literal["document"]
    document: Document


class _GifParameter(_Parameter):
    type: Literal["gif"]
    gif: Media


class _LocationParameter(_Parameter):
    type: Literal["location"]
    location: Location


class _Item(Part):
    product_retailer_id: Said
    catalog_id: Said | None = None


class _ProductParameter(_Parameter):
    type: Literal["product"]
    product: _Item


class _Payload(_Parameter):
    type: Literal["payload"]
    payload: StrictStr


class _Coupon(_Parameter):
    type: Literal["coupon_code"]
    coupon_code: Annotated[StrictStr, within("template.components[button].parameters[].coupon_code"), _ONE_LINE]


class _Action(_Parameter):
    type: Literal["action"]
    action: Part


class _OfferEnd(Part):
    expiration_time_ms: Whole


class _Offer(_Parameter):
    type: Literal["limited_time_offer"]
    limited_time_offer: _OfferEnd


class _Target(Part):
    url: Web
    title: Said


class _Targets(_Parameter):
    type: Literal["tap_target_configuration"]
    tap_target_configuration: Annotated[list[_Target], Field(min_length=1)]


class _Other(_Parameter):
    """A parameter of a kind that has no shape here: Meta is the judge of what is in it, if anything is."""

    type: Said

    @model_validator(mode="after")
    def _has_value(self) -> Self:
        if self.type not in (self.__pydantic_extra__ or {}):
            raise wrong(Reason.TEMPLATE_PARAMS, "has nothing under the name of its type")
        return self


_SHAPED: Final = frozenset(
    {"text", "currency", "date_time", "image", "video", "document", "gif", "location", "product", "payload", "coupon_code",
     "action", "limited_time_offer", "tap_target_configuration"}
)  # fmt: skip


def _kind(parameter: Any) -> str:
    kind = parameter.get("type") if isinstance(parameter, dict) else None
    return kind if isinstance(kind, str) and kind in _SHAPED else "other"


_Shared = (
    Annotated[_Currency, Tag("currency")]
    | Annotated[_DateTime, Tag("date_time")]
    | Annotated[_ImageParameter, Tag("image")]
    | Annotated[_VideoParameter, Tag("video")]
    | Annotated[_DocumentParameter, Tag("document")]
    | Annotated[_GifParameter, Tag("gif")]
    | Annotated[_LocationParameter, Tag("location")]
    | Annotated[_ProductParameter, Tag("product")]
    | Annotated[_Payload, Tag("payload")]
    | Annotated[_Coupon, Tag("coupon_code")]
    | Annotated[_Action, Tag("action")]
    | Annotated[_Offer, Tag("limited_time_offer")]
    | Annotated[_Targets, Tag("tap_target_configuration")]
    | Annotated[_Other, Tag("other")]
)
_OfHeader = Annotated[Annotated[_HeaderText, Tag("text")] | _Shared, Discriminator(_kind)]
_OfBody = Annotated[Annotated[_BodyText, Tag("text")] | _Shared, Discriminator(_kind)]
_OfButton = Annotated[Annotated[_ButtonText, Tag("text")] | _Shared, Discriminator(_kind)]


def _named_or_not(parameters: Sequence[_Parameter]) -> Sequence[_Parameter]:
    """A template has its parameters by name or by place."""
    names = [parameter.parameter_name for parameter in parameters if parameter.parameter_name is not None]
    if names and len(names) != len(parameters):
        raise wrong(Reason.TEMPLATE_PARAMS, "some have a parameter_name and some have none")
    if len(set(names)) != len(names):
        raise wrong(Reason.TEMPLATE_PARAMS, "two with the same parameter_name")
    return parameters


_NAMED: Final = AfterValidator(_named_or_not)


class _Header(Part):
    type: Literal["header"]
    parameters: Annotated[tuple[_OfHeader, ...], _NAMED] = ()


class _Body(Part):
    type: Literal["body"]
    parameters: Annotated[tuple[_OfBody, ...], _NAMED] = ()


class _Footer(Part):
    type: Literal["footer"]
    parameters: Annotated[tuple[_OfBody, ...], _NAMED] = ()


class _Button(Part):
    type: Literal["button"]
    sub_type: Said
    index: Annotated[int, within("template.components[button].index")]
    parameters: tuple[_OfButton, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _digit(cls, value: Any) -> Any:
        """Meta writes a digit as text; an integer does as well, a truth value does not."""
        index = value.get("index") if isinstance(value, dict) else None
        if isinstance(index, bool) or (isinstance(index, str) and not (index.isascii() and index.isdigit())):
            raise wrong(Reason.TEMPLATE_PARAMS, "index is not a number from 0 to 9")
        return value


class _OfferComponent(Part):
    type: Literal["limited_time_offer"]
    parameters: Annotated[list[_OfBody], Field(min_length=1, max_length=1)]


class _TargetComponent(Part):
    type: Literal["tap_target_configuration"]
    parameters: Annotated[list[_OfBody], Field(min_length=1, max_length=1)]


class _OrderComponent(Part):
    type: Literal["order_status"]
    parameters: tuple[_OfBody, ...] = ()


def _lower(component: Any) -> Any:
    """Meta takes the names of components in capitals, too."""
    kind = component.get("type") if isinstance(component, dict) else None
    return {**component, "type": kind.lower()} if isinstance(kind, str) else component


_Plain = _Header | _Body | _Footer | _Button | _OfferComponent | _TargetComponent | _OrderComponent
_OnCard = Annotated[_Plain, Field(discriminator="type"), BeforeValidator(_lower)]


class _Card(Part):
    card_index: Annotated[Whole, within("template.components[carousel].cards[].card_index")] | None = None
    components: list[_OnCard]


class _Carousel(Part):
    type: Literal["carousel"]
    cards: Annotated[list[_Card], within("template.components[carousel].cards")]


_Component = Annotated[_Plain | _Carousel, Field(discriminator="type"), BeforeValidator(_lower)]


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise wrong(Reason.TEMPLATE, "not the name of a template: lower-case letters, digits and _")
    return value


def _code(value: str) -> str:
    if not _LANGUAGE.fullmatch(value):
        raise wrong(Reason.TEMPLATE_LANG, "not the code of a language")
    return value


class _Language(Part):
    code: Annotated[StrictStr, AfterValidator(_code)]


class Template(Part):
    """A message that was approved before; the components say what goes into its gaps."""

    name: Annotated[StrictStr, within("template.name"), WORDED, AfterValidator(_name)]
    language: _Language
    components: tuple[_Component, ...] = ()
