"""Parts of a recipe that look like the time of signing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from engine.recipe_model import BodyPart, FormPart, HeaderPart, QueryPart, RecipePart, SignaturePart
from engine.recipes import flat

_TIME = re.compile(r"(?:^|[-_.])(?:t|ts|time|date|timestamp|created)$|timestamp$", re.IGNORECASE)


def signed_times(recipe: Iterable[RecipePart]) -> Iterator[str]:
    """The names of signed values that hold a time, by what they are called."""
    for part in flat(recipe):
        if isinstance(part, HeaderPart | QueryPart | FormPart | BodyPart | SignaturePart):
            name = next(str(getattr(part, key)) for key in type(part).model_fields)
            if _TIME.search(name):
                yield name
