"""Things every process has exactly one of, put in place once when it starts."""

from typing import Generic, TypeVar

Thing = TypeVar("Thing")


class Slot(Generic[Thing]):
    def __init__(self, what: str) -> None:
        self.what = what
        self.thing: Thing | None = None

    def set(self, thing: Thing) -> None:
        self.thing = thing

    def get(self) -> Thing:
        if self.thing is None:
            raise RuntimeError(f"this process was started without its {self.what}")
        return self.thing
