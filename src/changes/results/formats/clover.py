"""Clover's XML, as OpenClover, PHPUnit and Istanbul write it: files with lines of several types. Pure."""

from changes.results.formats.coverage_elements import Elements
from changes.results.formats.line_marks import COVERED, PARTIAL, UNCOVERED, has_run, number_of


class Clover(Elements):
    """`path` is the whole name where there is one. A line that only opens a method is no statement."""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "line":
            if self.name and attributes.get("type") != "method":
                self.budget.count_told()
                number = number_of(attributes.get("num"), "the number of a line")
                self.lines.note(number, state_of(attributes))
        elif name == "file":
            self.open_file(attributes.get("path") or attributes.get("name"))

    def end(self, name: str) -> None:
        if name == "file":
            self.close_file()


def state_of(attributes: dict[str, str]) -> int:
    if attributes.get("type") == "cond" and "truecount" in attributes:
        taken = [has_run(attributes.get(each)) for each in ("truecount", "falsecount")]
        return COVERED if all(taken) else PARTIAL if any(taken) else UNCOVERED
    return COVERED if has_run(attributes.get("count")) else UNCOVERED
