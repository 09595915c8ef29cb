"""How is a record of the log held in memory? By what it says: a field that is null or as usual takes no room and no time."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar, dataclass_transform

_T = TypeVar("_T")


@dataclass_transform(kw_only_default=True, frozen_default=True)
def logged(cls: type[_T]) -> type[_T]:
    """A dataclass of which an instance holds only the fields that differ from their defaults: `vars(record)` has just these.

    Records have dozens of fields and most are null. Holding all of them, and looking through all of them to write what is there,
    took a third of the router's time. What is not held is read from the class.

    Names and types are the type checker's to check, and that nobody changes a record; at run time the schema refuses what is
    missing or wrong when the record is written.
    """
    made: Any = dataclasses.dataclass(kw_only=True, init=False, unsafe_hash=True)(cls)
    fields = dataclasses.fields(made)
    usual: Final = tuple(
        (field.name, field.default) for field in fields if field.default is not None and field.default is not dataclasses.MISSING
    )

    def __init__(self: Any, **given: Any) -> None:  # noqa: N807 - it becomes the method
        self.__dict__ = _told(given, usual)

    made.__init__ = __init__
    made.usual = usual
    result: type[_T] = made
    return result


def maker(cls: type[_T]) -> Callable[[Mapping[str, Any]], _T]:
    """What `cls(**fields)` does, of a dict that is at hand: to pass dozens of fields by name is a tenth of reading them."""
    usual, new = vars(cls)["usual"], cls.__new__

    def make(fields: Mapping[str, Any]) -> _T:
        record = new(cls)
        record.__dict__ = _told(fields, usual)
        return record

    return make


def _told(given: Mapping[str, Any], usual: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    told = {name: value for name, value in given.items() if value is not None}
    for name, default in usual:
        if name in told and told[name] == default:
            del told[name]
    return told
