"""Counting instead of looking: what the parts of a phase, job or build are, as numbers on its row.

One report then costs the same in a build of four jobs and of four thousand. The numbers are kept
under the build's lock by whoever changes a part; `None` is a count that nobody knows, and is made
from the rows when it is needed (settle.py). Pure.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from changes.builds import rules
from changes.builds.models import Job, JobPhase, JobStep
from changes.builds.rules import Result, Status

# Handing out changes a step without its build's lock, so both sides of it are counted as one.
COUNTED_AS = {Status.ALLOCATED: Status.PENDING_ALLOCATION}


def key(status: Status, result: Result) -> str:
    return f"{int(COUNTED_AS.get(status, status))}.{int(result)}"


def of_part(part: JobStep | JobPhase | Job) -> str | None:
    """What this one adds to the count above it; an attempt that was replaced adds nothing."""
    if isinstance(part, JobStep) and part.replacement_id is not None:
        return None
    if isinstance(part, Job):
        return key_of_job(part.status, part.result, is_optional=part.is_optional)
    return key(part.status, part.result)


def key_of_job(status: Status, result: Result, *, is_optional: bool) -> str:
    return key(status, rules.without_weight(result) if is_optional else result)


def of_groups(groups: Iterable[Sequence[Any]]) -> dict[str, int]:
    """From rows of status, result, whether it is optional, and how many there are."""
    tally: dict[str, int] = {}
    for status, result, is_optional, count in groups:
        name = key_of_job(status, result, is_optional=is_optional)
        tally[name] = tally.get(name, 0) + count
    return tally


def counted(parts: Iterable[JobStep | JobPhase | Job]) -> dict[str, int]:
    tally: dict[str, int] = {}
    for part in parts:
        tally = moved(tally, None, of_part(part))
    return tally


def moved(tally: Mapping[str, Any], before: str | None, after: str | None) -> dict[str, int]:
    """With one part counted differently; None is a part that is not there before, or after."""
    if before == after:
        return dict(tally)
    changed = dict(tally)
    if before is not None:
        changed[before] = changed.get(before, 0) - 1
        if changed[before] < 0:
            raise ValueError(f"nothing is counted as {before} in {dict(tally)}")
    if after is not None:
        changed[after] = changed.get(after, 0) + 1
    return {name: count for name, count in changed.items() if count}


def opened(tally: Mapping[str, Any]) -> dict[str, int]:
    """With everything that was queued waiting for an agent."""
    changed: dict[str, int] = {}
    for name, count in tally.items():
        status, _, result = name.partition(".")
        is_queued = int(status) == Status.QUEUED
        after = f"{int(Status.PENDING_ALLOCATION)}.{result}" if is_queued else name
        changed[after] = changed.get(after, 0) + count
    return changed


def has_ended_part(tally: Mapping[str, Any] | None) -> bool:
    """Also when nobody has counted yet, and nobody knows."""
    return tally is None or Status.FINISHED in statuses(tally)


def statuses(tally: Mapping[str, Any]) -> list[Status]:
    return [Status(int(name.partition(".")[0])) for name in tally]


def results(tally: Mapping[str, Any]) -> list[Result]:
    return [Result(int(name.partition(".")[2])) for name in tally]
