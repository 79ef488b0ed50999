"""A setting that is a number."""

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import BeforeValidator


@dataclass(frozen=True)
class WholeNumber:
    """Takes 5 and "5" alike, and neither True nor 5.0, which are slips of a hand."""

    minimum: int
    maximum: int = 2**31 - 1

    def __call__(self, value: object) -> int:
        is_number = isinstance(value, int) and not isinstance(value, bool)
        is_text = isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}", value.strip()) is not None
        number = int(str(value)) if is_number or is_text else None
        if number is None or not self.minimum <= number <= self.maximum:
            raise ValueError(f"must be a whole number from {self.minimum} to {self.maximum}")
        return number


Positive = Annotated[int, BeforeValidator(WholeNumber(1))]
Count = Annotated[int, BeforeValidator(WholeNumber(0))]
