"""What can go wrong, by meaning. `web/errors.py` turns each into a status code, in one table.

The message is a sentence for the person who asked; `problems` names the fields it is about.
"""

from collections.abc import Sequence


class ChangesError(Exception):
    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.problems = list(problems)


class Invalid(ChangesError):
    """The request cannot be understood or makes no sense."""


class NotSignedIn(ChangesError):
    """Nobody in particular asks, and this needs somebody."""


class Forbidden(ChangesError):
    """We know who asks, and this is not theirs to do."""


class NotFound(ChangesError):
    """There is no such thing, or none that the asker may see."""


class Conflict(ChangesError):
    """It would contradict what is already there."""


class Gone(ChangesError):
    """It was there, and is over."""


class OtherVersion(ChangesError):
    """Asker and server do not speak the same language; one of them is too old."""


class TooLarge(ChangesError):
    """More bytes than the limit allows."""


class Full(ChangesError):
    """There is no room left to store what was sent; asking again later may help."""


class TooOften(ChangesError):
    """The same was tried too many times in too short a time."""

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Unavailable(ChangesError):
    """Something we depend on does not answer now; asking again later may help."""
