"""What does each read model make of an event? One module a table, pure, every merge independent of order and repetition."""

from __future__ import annotations
