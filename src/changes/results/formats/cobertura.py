"""Cobertura's XML, which tools of many languages write: classes, each with the name of its file. Pure."""

from changes.results.formats.coverage_elements import Elements
from changes.results.formats.line_marks import (
    COVERED,
    PARTIAL,
    UNCOVERED,
    CoverageLimits,
    LineStates,
    has_run,
    name_of,
    number_of,
)

ROOTS_MAX = 100


class Cobertura(Elements):
    """Lines stand in their class, and often in their method once more: those of methods are taken only
    where the class has none, as they may lack what is said of branches.
    """

    def __init__(self, limits: CoverageLimits) -> None:
        super().__init__(limits)
        self.sources: list[str] = []
        self.is_in_source = self.is_in_method = self.has_own_lines = False
        self.of_methods = LineStates(self.budget)

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "line":
            self.line(attributes)
        elif name == "class":
            self.open_file(attributes.get("filename"))
            self.of_methods, self.has_own_lines = LineStates(self.budget), False
        elif name == "method":
            self.is_in_method = True
        elif name == "source" and len(self.sources) < ROOTS_MAX:
            self.is_in_source = True
            self.sources.append("")

    def line(self, attributes: dict[str, str]) -> None:
        if not self.name:
            return
        self.budget.count_told()
        number = number_of(attributes.get("number"), "the number of a line")
        if self.is_in_method:
            self.of_methods.note(number, state_of(attributes))
        else:
            self.has_own_lines = True
            self.lines.note(number, state_of(attributes))

    def end(self, name: str) -> None:
        if name == "class":
            self.close_file()
        elif name == "method":
            self.is_in_method = False
        elif name == "source":
            self.is_in_source = False

    def text(self, text: str) -> None:
        if self.is_in_source:
            self.sources[-1] = (self.sources[-1] + text)[: self.limits.name_chars]

    def roots(self) -> tuple[str, ...]:
        return tuple(name_of(root, self.limits) for each in self.sources if (root := each.strip()))

    def seen_lines(self) -> LineStates:
        return self.lines if self.has_own_lines else self.of_methods


def state_of(attributes: dict[str, str]) -> int:
    """A line with branches has run if all of them were taken; where it is not said, they were not."""
    if attributes.get("branch") == "true":
        if attributes.get("condition-coverage", "").startswith("100%"):
            return COVERED
        return PARTIAL if has_run(attributes.get("hits")) else UNCOVERED
    return COVERED if has_run(attributes.get("hits")) else UNCOVERED
