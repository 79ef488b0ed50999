"""The coverage of a build, made of what its steps reported: as often as something changes, always anew.

Three transactions, as putting together may take seconds for a large repository, and whoever reports a step
must not wait for that: only the last one, which writes a few numbers, has the lock of the build.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from changes.base import clock, db
from changes.builds import settle
from changes.builds.models import Build, Job, JobStep
from changes.results import statistics
from changes.results.coverage import marks, merging, patch, sources
from changes.results.coverage.merging import Sums
from changes.results.coverage.models import BuildCoverage, StepCoverage
from changes.results.coverage.patch import PatchCoverage
from changes.results.coverage.sources import Added, SourceSeen

Numbers = Mapping[str, int]


@dataclass(frozen=True)
class Made:
    """What was put together when, and the numbers of each job and of the build itself by its id."""

    at: datetime | None
    numbers: Mapping[UUID, Numbers]


def make(build_id: UUID) -> None:
    """May run twice, also at once. The repository is asked while no transaction is open."""
    with db.transaction() as session:
        seen = begin(session, build_id)
    if seen is None:
        return
    added = sources.added(seen)
    with db.transaction() as session:
        made = put_together(session, build_id, added)
    if made is not None:
        with db.transaction() as session:
            count(session, build_id, made)


def begin(session: Session, build_id: UUID) -> SourceSeen | None:
    """Makes its row, too, so that nobody waits for the build because of it later."""
    build = session.get(Build, build_id)
    if build is None:
        return None
    if not reports_by_job(session, build_id) and session.get(BuildCoverage, build_id) is None:
        return None
    nothing = {"report_count": 0, "file_count": 0, "lines_covered": 0, "lines_uncovered": 0}
    row = insert(BuildCoverage).values(
        build_id=build.id,
        project_id=build.project_id,
        date_merged=clock.now(),
        is_of_commit=build.source.patch_id is None,
        **nothing,
    )
    session.execute(row.on_conflict_do_nothing())
    return sources.of_source(session, build.source)


def put_together(session: Session, build_id: UUID, added: Added) -> Made | None:
    mine = select(BuildCoverage).where(BuildCoverage.build_id == build_id).with_for_update()
    coverage = session.execute(mine.execution_options(populate_existing=True)).scalar_one_or_none()
    if coverage is None:
        return None
    jobs = reports_by_job(session, build_id)
    if not jobs and not coverage.is_folded:
        # All that told something was done again, and tells nothing now.
        session.execute(delete(BuildCoverage).where(BuildCoverage.build_id == build_id))
        return Made(None, {})
    sums = merging.merge(session, build_id, is_folded=coverage.is_folded)
    of_patch = patch_of(session, coverage, added)
    note(coverage, sums, of_patch)
    coverage.report_count, coverage.diff_problem = sum(jobs.values()), added.problem
    session.flush()
    of_build = numbers(sums, (of_patch.covered, of_patch.uncovered) if of_patch else None)
    if len(jobs) == 1 and not coverage.is_folded:
        return Made(coverage.date_merged, dict.fromkeys([build_id, *jobs], of_build))
    of_jobs = {job_id: numbers_of_job(session, coverage.project_id, job_id, added) for job_id in jobs}
    return Made(coverage.date_merged, {build_id: of_build, **of_jobs})


def note(coverage: BuildCoverage, sums: Sums, of_patch: PatchCoverage | None) -> None:
    coverage.date_merged = clock.now()
    coverage.file_count = sums.file_count
    coverage.lines_covered, coverage.lines_uncovered = sums.lines_covered, sums.lines_uncovered
    coverage.diff_lines_covered = of_patch.covered if of_patch else None
    coverage.diff_lines_uncovered = of_patch.uncovered if of_patch else None
    coverage.patch = patch.frozen(of_patch) if of_patch else {}


def reports_by_job(session: Session, build_id: UUID) -> dict[UUID, int]:
    """How many steps of each job told something that counts."""
    mine = select(StepCoverage.job_id, func.count()).join(JobStep, JobStep.id == StepCoverage.step_id)
    mine = mine.where(StepCoverage.build_id == build_id, JobStep.replacement_id.is_(None))
    return {row[0]: row[1] for row in session.execute(mine.group_by(StepCoverage.job_id))}


def patch_of(session: Session, coverage: BuildCoverage, added: Added) -> PatchCoverage | None:
    if added.problem:
        return None
    known = marks.of_build(session, coverage.project_id, coverage.build_id, list(added.lines))
    return patch.of_patch(added.files, added.lines, known)


def numbers_of_job(session: Session, project_id: UUID, job_id: UUID, added: Added) -> Numbers:
    sums = merging.sums_of_job(session, job_id)
    if added.problem:
        return numbers(sums, None)
    known = marks.of_job(session, project_id, job_id, list(added.lines))
    return numbers(sums, patch.sums(added.lines, known))


def numbers(sums: Sums, of_patch: tuple[int, int] | None) -> Numbers:
    """By the names that the original had for them."""
    found = {"lines_covered": sums.lines_covered, "lines_uncovered": sums.lines_uncovered}
    if of_patch is not None:
        found["diff_lines_covered"], found["diff_lines_uncovered"] = of_patch
    return found


def count(session: Session, build_id: UUID, made: Made) -> None:
    """Unless somebody has put more together meanwhile."""
    settle.lock_build(session, build_id)
    merged = select(BuildCoverage.date_merged).where(BuildCoverage.build_id == build_id)
    if session.execute(merged).scalar_one_or_none() != made.at:
        return
    jobs = session.execute(select(Job.id).where(Job.build_id == build_id)).scalars()
    statistics.put_coverage(session, [build_id, *jobs], made.numbers)
