"""What a look at a repository means; pure: what moved, where a commit belongs, when to look again."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from changes.vcs.interface import Block

# Of one commit; a commit that hundreds of branches hold says nothing by their names.
BRANCHES_MAX = 20
SHAS_PER_EVENT_MAX = 500
FAILED_PAUSE_S, FAILED_PAUSE_MAX_S = 30.0, 3600.0
# Where nothing happens, it is looked less often: by a fraction of how long nothing happened.
QUIET_FRACTION = 200
QUIET_PAUSE_MAX_S = 900.0
JITTER = 0.2


class Placed(NamedTuple):
    """Commits, and of each the branches that hold it."""

    block: Block
    branches: Sequence[tuple[str, ...]]


@dataclass(frozen=True)
class Move:
    """A branch that is new (no old sha) or leads to another commit than before."""

    name: str
    old: str | None
    new: str


def moves(before: Mapping[str, str], now: Mapping[str, str], default: str) -> list[Move]:
    """The default branch first: what is on it is counted for it."""
    names = sorted((name for name in now if before.get(name) != now[name]), key=lambda n: (n != default, n))
    return [Move(name, before.get(name), now[name]) for name in names]


def all_on(branch: str, blocks: Iterable[Block]) -> Iterator[Placed]:
    for block in blocks:
        yield Placed(block, recorded(block) or [(branch,)] * len(block.shas))


def recorded(block: Block) -> list[tuple[str, ...]]:
    return [(branch,) for branch in block.branches]


def labelled(newest_first: Iterable[Block], heads: Mapping[str, str], default: str) -> Iterator[Placed]:
    """Each commit with the branches that hold it: the default one alone, or else those that do.

    Takes them children first, so each has heard of all its children when its turn comes.
    """
    holders: dict[str, tuple[str, ...]] = {}
    for name, sha in heads.items():
        holders[sha] = joined(holders.get(sha, ()), (name,), default)
    for block in newest_first:
        held = [
            handed_on(holders, *commit, default) for commit in zip(block.shas, block.parents, strict=True)
        ]
        yield Placed(block, recorded(block) or held)


def handed_on(holders: dict[str, tuple[str, ...]], sha: str, parents: str, default: str) -> tuple[str, ...]:
    mine = holders.pop(sha, ())
    for parent in parents.split():
        known = holders.get(parent, ())
        holders[parent] = mine if not known else joined(known, mine, default)
    return mine


def joined(some: tuple[str, ...], others: tuple[str, ...], default: str) -> tuple[str, ...]:
    if some == others:
        return some
    if default in some or default in others:
        return (default,)
    return tuple(sorted({*some, *others})[:BRANCHES_MAX])


def chunks(shas: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for start in range(0, len(shas), SHAS_PER_EVENT_MAX):
        yield tuple(shas[start : start + SHAS_PER_EVENT_MAX])


def pause_after_success_s(usual_s: float, quiet_for: timedelta | None, chance: float) -> float:
    """`chance` lies between 0 and 1; it keeps a thousand repositories from being asked at one moment."""
    quiet_s = quiet_for.total_seconds() / QUIET_FRACTION if quiet_for is not None else 0.0
    return spread(max(usual_s, min(quiet_s, QUIET_PAUSE_MAX_S)), chance)


def pause_after_failure_s(failures: int, chance: float) -> float:
    doublings = min(max(failures - 1, 0), 12)
    return spread(min(FAILED_PAUSE_S * 2**doublings, FAILED_PAUSE_MAX_S), chance)


def spread(pause_s: float, chance: float) -> float:
    return pause_s * (1 - JITTER + 2 * JITTER * chance)
