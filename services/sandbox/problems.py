"""What is said when the sandbox cannot do something? One sentence that names what to install or look at."""

from __future__ import annotations


class ProviderError(Exception):
    """A provider cannot work here; the text is one sentence that ends with the remedy."""


class NotOursError(Exception):
    """The server was given by its address: the sandbox neither stops nor kills what it did not start."""
