"""What a reader raises."""


class Unreadable(ValueError):
    """A value that a reader cannot make canonical. `code` is stable, `message` says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message
