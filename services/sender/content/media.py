"""Is this a picture, video, sound, document or sticker that can be sent? By id, link or file, with what its type allows.

Sources: messages/{image,video,audio,document,sticker}-messages.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, StrictBool, StrictStr, model_validator

from services.common.domain.reasons import Reason
from services.sender.content.fields import Link, Part, Said, within, wrong
from services.sender.media import links, references


def _below(value: str) -> str:
    if not references.is_file_name(value):
        raise wrong(Reason.MEDIA, "not the path of a file below the directory of media files")
    return value


class Media(Part):
    """Uploaded before, fetched by Meta from a link, or uploaded by Parley: from a file, or from a link with `upload`."""

    id: Said | None = None
    link: Link | None = None
    file: Annotated[StrictStr, AfterValidator(_below)] | None = None
    upload: StrictBool = False

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if [self.id, self.link, self.file].count(None) != 2:
            raise wrong(Reason.MEDIA, "needs one of id, link and file")
        if self.upload:
            if self.link is None:
                raise wrong(Reason.MEDIA, "upload goes with a link")
            text = links.problem(self.link)
            if text is not None:
                raise wrong(Reason.MEDIA_LINK, f"link to upload: {text}")
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
