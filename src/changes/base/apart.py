"""Things to do that have nothing to do with each other: what goes wrong with one keeps no other waiting."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack


def do_each(acts: Iterable[Callable[[], object]]) -> None:
    """In their order. An error is told when all are done; of several the last, which knows the others."""
    with ExitStack() as left:
        for act in reversed(list(acts)):
            left.callback(act)
