"""Names as a tree, without what is no choice: the parts of a package, and the way down to it. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from changes.results.formats import junit

# A node with fewer children is replaced by them.
CHILDREN_MIN = 2


@dataclass
class Node:
    """`name` is what ends here; `total_ms` and `count` are of all at and below it."""

    children: dict[str, "Node"] = field(default_factory=dict)
    name: str | None = None
    total_ms: int = 0
    count: int = 0


@dataclass(frozen=True)
class Group:
    """Everything that is called `path`, or lies below it; `only` is its name where that is a single one."""

    name: str
    path: str
    total_ms: int
    count: int
    only: str | None


def separator(names: Iterable[str]) -> str:
    """Paths are told from dotted names by the first one."""
    first = next(iter(names), "")
    package = junit.package_of(first)
    return first[len(package)] if package else "."


def short_name(name: str) -> str:
    package = junit.package_of(name)
    return name[len(package) + 1 :] if package else name


def groups(durations_ms: Mapping[str, int], sep: str, parent: str = "") -> list[Group]:
    """What lies right below `parent`, slowest first."""
    node: Node | None = grown(durations_ms, sep)
    for part in parent.split(sep) if parent else ():
        node = node.children.get(part) if node is not None else None
    found = [group(below, path, parent, sep) for path, below in reduced(node, parent, sep)]
    return sorted(found, key=lambda each: (-each.total_ms, each.path))


def grown(durations_ms: Mapping[str, int], sep: str) -> Node:
    root = Node()
    for name, duration_ms in durations_ms.items():
        node = root
        for part in name.split(sep):
            node = node.children.setdefault(part, Node())
            node.total_ms += duration_ms
            node.count += 1
        node.name = name
    return root


def reduced(node: Node | None, path: str, sep: str) -> Iterator[tuple[str, Node]]:
    for part, child in node.children.items() if node is not None else ():
        here, inner = f"{path}{sep}{part}" if path else part, child
        while inner.name is None and len(inner.children) < CHILDREN_MIN:
            ((part_below, inner),) = inner.children.items()
            here = f"{here}{sep}{part_below}"
        yield here, inner


def group(node: Node, path: str, parent: str, sep: str) -> Group:
    name = path[len(parent) + len(sep) :] if parent else path
    return Group(name, path, node.total_ms, node.count, only_name(node) if node.count == 1 else None)


def only_name(node: Node) -> str | None:
    while node.name is None:
        (node,) = node.children.values()
    return node.name


def trail(parent: str, sep: str) -> Sequence[tuple[str, str]]:
    """Path and name of each step down to `parent`."""
    parts = parent.split(sep) if parent else []
    return [(sep.join(parts[: number + 1]), part) for number, part in enumerate(parts)]
