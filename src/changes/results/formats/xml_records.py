"""What the XML formats with an element for each fact have in common: open elements, texts of some of them."""

from abc import abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from changes.results.formats.excerpt import Excerpt, clip_name
from changes.results.formats.seen import Limits, Outcome, Refused, Result, test_of
from changes.results.formats.xml_stream import Gathering, local_name


@dataclass(frozen=True, slots=True)
class Element:
    name: str
    attributes: Mapping[str, str]
    said: Excerpt | None

    @property
    def text(self) -> str:
        return self.said.text() if self.said else ""


class Records(Gathering):
    """Tells its subclass of each element that opens and closes; the names in `texts` with their text."""

    def __init__(self, limits: Limits, texts: Collection[str]) -> None:
        super().__init__()
        self.limits = limits
        self.texts = frozenset(texts)
        self.elements: list[Element] = []
        self.tests_seen = 0

    @abstractmethod
    def opened(self, element: Element) -> None: ...

    @abstractmethod
    def closed(self, element: Element) -> None:
        """The element is not among the open ones any more."""

    @property
    def parent(self) -> str:
        return self.elements[-1].name if self.elements else ""

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        name = local_name(tag)
        said = Excerpt(self.limits.text_chars) if name in self.texts else None
        element = Element(name, attributes, said)
        self.opened(element)
        self.elements.append(element)

    def data(self, text: str) -> None:
        said = self.elements[-1].said if self.elements else None
        if said is not None:
            said.add(text)

    def end(self, _tag: str) -> None:
        self.closed(self.elements.pop())

    def found(self, package: str, name: str, outcome: Outcome) -> None:
        """`name` is the one within the package."""
        self.count()
        self.finished.append(test_of(package, name, outcome, self.limits))

    def count(self) -> None:
        self.tests_seen += 1
        if self.tests_seen > self.limits.tests:
            raise Refused(f"the file has more than {self.limits.tests} tests")

    def named(self, element: Element, *attributes: str) -> str:
        """The first of these attributes that says something."""
        name = next(filter(None, (element.attributes.get(each) for each in attributes)), None)
        if name is None:
            raise Refused(f"a {element.name} has no {attributes[0]}")
        return name


def within(package: str, name: str) -> str:
    """Names of .NET often begin with their class already."""
    return name.removeprefix(f"{package}.") if package else name


def result_in(words: Mapping[str, Result], word: str, limits: Limits) -> Result:
    result = words.get(word)
    if result is None:
        raise Refused(f"a test has the result {clip_name(word, limits.name_chars)!r}, which is not known")
    return result
