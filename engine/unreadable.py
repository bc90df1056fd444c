"""What a reader raises."""

from collections.abc import Mapping


class Unreadable(ValueError):
    """A value that a reader cannot make canonical. `code` is stable, `message` says why, `facts` go to the failure."""

    def __init__(self, code: str, message: str, facts: Mapping[str, str] = {}) -> None:
        super().__init__(message)
        self.code, self.message, self.facts = code, message, facts
