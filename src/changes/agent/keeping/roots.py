"""Which folders of a step are kept, by how a plan names them. Pure.

`dist/cache` lies below the checkout, `~/.cache/pip` below the home of the step, and `/opt` on the
machine, where only a sandbox that lays something over it can keep what changes there.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from changes.agent.errors import BadOffer
from changes.agent.spool import StepFolder

HOME = "~"
# They have a meaning in the options of a mount.
MEANT_OTHERWISE = frozenset(":,\\\n\0")


@dataclass(frozen=True)
class Root:
    """`base` belongs to the agent; each of `parts` may have been made by the step, as whatever it likes."""

    said: str
    base: Path
    parts: tuple[str, ...]
    # The changes of a container, in which owners count.
    is_of_container: bool = False


def of_step(said: Iterable[str], folder: StepFolder, source: Path) -> list[Root]:
    return [of_path(each, folder, source) for each in said if not is_of_machine(each)]


def of_path(said: str, folder: StepFolder, source: Path) -> Root:
    if is_of_home(said):
        return Root(said, folder.home, parts_of(said[len(HOME) :].lstrip("/"), said))
    return Root(said, folder.work, (*source.relative_to(folder.work).parts, *parts_of(said, said)))


def of_machine(said: Iterable[str]) -> list[str]:
    found = [each for each in said if is_of_machine(each)]
    for each in found:
        if PurePosixPath(each) == PurePosixPath("/") or MEANT_OTHERWISE & set(each):
            raise BadOffer(f"The folder {each!r} of the machine cannot be kept.")
        parts_of(each.strip("/"), each)
    return found


def is_of_home(said: str) -> bool:
    return said == HOME or said.startswith(f"{HOME}/")


def outermost(said: Collection[str]) -> list[str]:
    """Of folders that lie in each other, those that hold the others."""
    return [each for each in said if not any(each.startswith(f"{other}/") for other in said)]


def outside(said: Iterable[str], of: Collection[str]) -> list[str]:
    return [each for each in said if not any(each == one or each.startswith(f"{one}/") for one in of)]


def is_of_machine(said: str) -> bool:
    return said.startswith("/")


def parts_of(path: str, said: str) -> tuple[str, ...]:
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or "\0" in path:
        raise BadOffer(f"The path {said!r} leads out of the step's folder.")
    return pure.parts
