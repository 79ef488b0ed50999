"""What the XML formats of coverage have in common: a file that is open, and those that are done."""

from changes.results.formats.line_marks import Budget, CoverageLimits, FileSeen, LineStates, name_of
from changes.results.formats.seen import Refused


class Elements:
    """Hears elements, and gathers files until they are taken."""

    def __init__(self, limits: CoverageLimits) -> None:
        self.limits, self.budget = limits, Budget(limits)
        self.finished: list[FileSeen] = []
        self.name = ""
        self.lines = LineStates(self.budget)

    def start(self, name: str, attributes: dict[str, str]) -> None:
        raise NotImplementedError

    def end(self, name: str) -> None:
        raise NotImplementedError

    def text(self, text: str) -> None:
        """Most of them say nothing but in attributes."""

    def roots(self) -> tuple[str, ...]:
        return ()

    def open_file(self, name: str | None) -> None:
        if not name:
            raise Refused("a file has no name")
        self.budget.count_file()
        self.name, self.lines = name_of(name, self.limits), LineStates(self.budget)

    def close_file(self) -> None:
        if self.name:
            self.finished.append(FileSeen(self.name, self.seen_lines().marks(), self.roots()))
            self.name = ""

    def seen_lines(self) -> LineStates:
        return self.lines

    def take(self) -> list[FileSeen]:
        taken, self.finished = self.finished, []
        return taken

    def take_all(self) -> list[FileSeen]:
        self.close_file()
        return self.take()
