"""Which files a report takes along, and under which names the server reads them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from changes.results.rules import is_coverage, is_junit

LOG_NAME_MAX = 64


@dataclass(frozen=True)
class Wanted:
    """Paths or patterns, as they were typed."""

    junit: Sequence[str] = ()
    coverage: Sequence[str] = ()
    artifacts: Sequence[str] = ()


@dataclass(frozen=True)
class File:
    name: str
    path: Path
    is_report: bool = False


def find(wanted: Wanted, *, missing: Callable[[str], None]) -> list[File]:
    """Each file once, each under a name of its own; `missing` is told of what matches nothing."""
    found: dict[str, File] = {}
    kinds = ((wanted.junit, junit_name), (wanted.coverage, coverage_name), (wanted.artifacts, plain_name))
    for patterns, name_of in kinds:
        for pattern in patterns:
            paths = list(matching(pattern))
            if not paths:
                missing(pattern)
            for path in paths:
                name = free_name(name_of(path), path, found)
                found[name] = File(name, path, is_report=name_of is junit_name)
    return list(found.values())


def trouble_with(path: Path) -> str:
    """Why its bytes cannot be read; empty when they can."""
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    return ""


def matching(pattern: str) -> Iterator[Path]:
    """A file of that very name, else what the pattern matches."""
    if Path(pattern).is_file():
        yield Path(pattern)
        return
    folder = Path(Path(pattern).anchor)
    rest = str(Path(pattern).relative_to(folder)) if pattern else ""
    yield from sorted(path for path in folder.glob(rest or "*") if pattern and path.is_file())


def free_name(name: str, path: Path, found: dict[str, File]) -> str:
    number, free = 1, name
    while free in found and found[free].path != path:
        number += 1
        free = str(Path(name).with_name(f"{number}.{Path(name).name}"))
    return free


def plain_name(path: Path) -> str:
    """As it lies below this folder; only the last part of what lies elsewhere."""
    whole, here = path.resolve(), Path.cwd().resolve()
    return str(whole.relative_to(here)) if whole.is_relative_to(here) else whole.name


def junit_name(path: Path) -> str:
    name = plain_name(path)
    return name if is_junit(name) else str(Path(name).with_suffix(".junit.xml"))


def coverage_name(path: Path) -> str:
    """Whatever it is called: its format is told by how it begins."""
    name = plain_name(path)
    return name if is_coverage(name) else str(Path(name).with_suffix(".coverage.xml"))


def log_name(path: Path, number: int, console: str) -> str:
    """The first is what the step printed; the others keep their names."""
    return console if number == 0 else path.name[-LOG_NAME_MAX:]
