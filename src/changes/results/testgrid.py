"""How a test went at each revision: a grid of branches and plans, and where it turned. Pure."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from changes.builds.rules import Result
from changes.results.history import BAD, RunOfTest

GOOD = (Result.PASSED, Result.QUARANTINED_PASSED)
COLUMNS_MAX = 30
LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Place:
    """A revision, and the first build of it that ran the test."""

    sha: str
    subject: str
    number: int


@dataclass(frozen=True)
class Cell:
    """The newest run there; `reruns` of the run before it was judged."""

    run_id: UUID
    number: int
    result: Result
    reruns: int


@dataclass(frozen=True)
class GridRow:
    branch: str
    plan: str
    cells: Sequence[Cell | None]


@dataclass(frozen=True)
class Grid:
    """Oldest left."""

    columns: Sequence[Place]
    rows: Sequence[GridRow]


@dataclass(frozen=True)
class Turning:
    """Since when it is as it is now on one branch. `before` was the other way, where that is known."""

    branch: str
    is_failing: bool
    since: Place
    before: Place | None


def grid(runs: Sequence[RunOfTest]) -> Grid:
    """Of what ran for commits; `runs` are newest first."""
    of_commits = [run for run in runs if run.is_of_commit]
    columns = places(of_commits)[-COLUMNS_MAX:]
    known = {place.sha for place in columns}
    cells: dict[tuple[str, str], dict[str, Cell]] = defaultdict(dict)
    for run in of_commits:
        if run.sha in known:
            cell = Cell(run.id, run.number, run.result, run.reruns)
            cells[run.branch, run.surroundings].setdefault(run.sha, cell)
    rows = [
        GridRow(branch, plan, [found.get(place.sha) for place in columns])
        for (branch, plan), found in sorted(cells.items())
    ]
    return Grid(columns, rows)


def places(runs: Sequence[RunOfTest]) -> list[Place]:
    """Oldest first, as a log has them: what was built later, to find what broke a test, is not newer for it.
    Those of one moment in the order in which they were first built.
    """
    first: dict[str, RunOfTest] = {}
    for run in runs:
        if run.sha not in first or run.number < first[run.sha].number:
            first[run.sha] = run
    in_order = sorted(first.values(), key=lambda run: (run.date_committed or LONG_AGO, run.number))
    return [Place(run.sha, run.subject, run.number) for run in in_order]


def branches(runs: Sequence[RunOfTest]) -> list[str]:
    """Those with the most revisions first."""
    shas: dict[str, set[str]] = defaultdict(set)
    for run in runs:
        if run.is_of_commit:
            shas[run.branch].add(run.sha)
    return sorted(shas, key=lambda branch: (-len(shas[branch]), branch))


def turning(runs: Sequence[RunOfTest], branch: str) -> Turning | None:
    """None where it was never judged there."""
    mine = [run for run in runs if run.is_of_commit and run.branch == branch]
    judged = [(place, verdict) for place in places(mine) if (verdict := verdict_at(mine, place)) is not None]
    if not judged:
        return None
    since, is_good = judged[-1]
    for place, was_good in reversed(judged):
        if was_good != is_good:
            return Turning(branch, not is_good, since, place)
        since = place
    return Turning(branch, not is_good, since, None)


def verdict_at(runs: Sequence[RunOfTest], place: Place) -> bool | None:
    """By the newest build of the revision with each plan; one plan where it failed is enough."""
    here = [run for run in runs if run.sha == place.sha and not run.is_replaced]
    newest: dict[str, int] = {}
    for run in here:
        newest[run.plan] = max(run.number, newest.get(run.plan, 0))
    results = {run.result for run in here if run.number == newest[run.plan]}
    if results & set(BAD):
        return False
    return True if results & set(GOOD) else None


def last_failures(runs: Sequence[RunOfTest], *, limit: int) -> list[RunOfTest]:
    return [run for run in runs if run.result in BAD][:limit]
