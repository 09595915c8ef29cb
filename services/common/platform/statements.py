"""What do we ask Postgres? Named statements of .sql files, which stand beside the code that asks."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Final, LiteralString, cast

_HEAD: Final = re.compile(r"^-- (\w+) --$", re.MULTILINE)


def queries(package: str, file: str = "queries.sql") -> dict[str, LiteralString]:
    """The statements of a file by name. Each is headed `-- name --` and a comment line saying its purpose."""
    parts = _HEAD.split(files(package).joinpath(file).read_text("utf-8"))
    return {name: cast("LiteralString", body.strip()) for name, body in zip(parts[1::2], parts[2::2], strict=True)}
