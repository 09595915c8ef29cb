"""Is this what the Marketing Messages API takes beside a message?

Source: marketing-messages/send-marketing-messages, marketing-messages/pricing.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from services.sender.content.fields import Number, Part


class _Bid(Part):
    per_message_bid_multiplier: Annotated[Number, Field(gt=0)] | None = None


class Marketing(Part):
    """Where the message may go when it is not eligible, and what it may cost."""

    product_policy: Literal["CLOUD_API_FALLBACK", "STRICT"] | None = None
    bid_spec: _Bid | None = None
    optimization_spec: Part | None = None


KEYS = frozenset(Marketing.model_fields)
"""No others: they stand beside those of the message itself, and must not take their place."""
