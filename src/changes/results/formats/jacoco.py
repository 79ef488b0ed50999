"""JaCoCo's XML: packages with source files, whose lines say how many of their instructions ran. Pure."""

from changes.results.formats.coverage_elements import Elements
from changes.results.formats.line_marks import COVERED, UNCOVERED, CoverageLimits, has_run, name_of, number_of

# Where a build of Maven or Gradle has them.
FOLDER = "src/main/java"
GROUPS_MAX = 50


class JaCoCo(Elements):
    """Groups are mostly modules, and those mostly folders."""

    def __init__(self, limits: CoverageLimits) -> None:
        super().__init__(limits)
        self.package = ""
        self.groups: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "line":
            self.line(attributes)
        elif name == "sourcefile":
            source = attributes.get("name")
            self.open_file(f"{self.package}/{source}" if source and self.package else source)
        elif name == "package":
            self.package = name_of(attributes.get("name", ""), self.limits)
        elif name == "group" and len(self.groups) < GROUPS_MAX:
            self.groups.append(name_of(attributes.get("name", ""), self.limits))

    def line(self, attributes: dict[str, str]) -> None:
        instructions = attributes.get("ci")
        # Other tools leave out what ran, and then nothing is said of the line.
        if not self.name or instructions is None:
            return
        self.budget.count_told()
        number = number_of(attributes.get("nr"), "the number of a line")
        self.lines.note(number, COVERED if has_run(instructions) else UNCOVERED)

    def end(self, name: str) -> None:
        if name == "sourcefile":
            self.close_file()
        elif name == "package":
            self.package = ""
        elif name == "group" and self.groups:
            self.groups.pop()

    def roots(self) -> tuple[str, ...]:
        module = "/".join(each for each in self.groups if each)
        return (FOLDER, f"{module}/{FOLDER}") if module else (FOLDER,)
