"""Is this a picture, video, sound, document or sticker that can be sent? By id or by link, with what its type allows.

Sources: messages/{image,video,audio,document,sticker}-messages.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import StrictBool, StrictStr, model_validator

from services.common.domain.reasons import Reason
from services.sender.content.fields import Link, Part, Said, within, wrong


class Media(Part):
    """Uploaded before, or fetched by Meta from a link."""

    id: Said | None = None
    link: Link | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.id is None) == (self.link is None):
            raise wrong(Reason.MEDIA, "needs either id or link")
        return self


class Captionless(Media):
    """Meta takes no caption with it, and the producer meant one to be read."""

    @model_validator(mode="after")
    def _no_caption(self) -> Self:
        if (self.__pydantic_extra__ or {}).get("caption") is not None:
            raise wrong(Reason.MEDIA, "takes no caption")
        return self


class Image(Media):
    """JPEG or PNG."""

    caption: Annotated[StrictStr, within("image.caption")] | None = None


class Video(Media):
    """MP4 or 3GP."""

    caption: Annotated[StrictStr, within("video.caption")] | None = None


class Document(Media):
    """Any file."""

    caption: Annotated[StrictStr, within("document.caption")] | None = None
    filename: StrictStr | None = None


class Audio(Captionless):
    """A sound; `voice`: shown as a voice note."""

    voice: StrictBool = False


class Sticker(Captionless):
    """WebP."""
