"""What must the caller do about an error? A class per action, never per cause."""

from __future__ import annotations

from services.common.domain.reasons import Reason


class Unprocessable(Exception):  # noqa: N818 - named for what the record is, not for the error
    """This record will never work: set it aside with its bytes and go on."""

    def __init__(self, reason: Reason, *, pointer: str = "", detail: str = "") -> None:
        super().__init__(f"{reason}{f' at {pointer}' if pointer else ''}{f': {detail}' if detail else ''}")
        self.reason = reason
        self.pointer = pointer
        self.detail = detail
