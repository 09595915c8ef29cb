"""How does a command fail? With a sentence about what is wrong, one about what to do, and an exit code that scripts can use."""

from __future__ import annotations

FAILED, USAGE, CONFIGURATION = 1, 2, 78
NO_STACK = "No stack is running here: start one with `make up`, or set the PARLEY_* variables of yours."


class CommandError(Exception):
    """Ends the command. The texts are for people and hold no secrets."""

    def __init__(self, message: str, *, hint: str = "", exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.hint = hint
        self.exit_code = exit_code
