"""Where bytes stand within bytes, on both databases."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Integer
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class BytesWithin(FunctionElement[int]):
    """The position of the second of two byte strings in the first, from 1; 0 where it is not in it."""

    type = Integer()
    name = "bytes_within"
    inherit_cache = True


@compiles(BytesWithin, "sqlite")
def _sqlite(element: Any, compiler: Any, **options: Any) -> str:
    return f"instr({compiler.process(element.clauses, **options)})"


@compiles(BytesWithin, "postgresql")
def _postgres(element: Any, compiler: Any, **options: Any) -> str:
    whole, wanted = (compiler.process(one, **options) for one in element.clauses)
    return f"position({wanted}::bytea IN {whole})"
