"""What went wrong as it is looked at: of a build, of a job, of a step, of a project in the last weeks."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, case, false, func, literal, select
from sqlalchemy.dialects.postgresql import aggregate_order_by, distinct_on
from sqlalchemy.orm import Session

from changes.base import clock, ids
from changes.base.errors import NotFound
from changes.base.paging import Page, Part
from changes.builds.models import Build, Job, JobStep
from changes.builds.rules import Result
from changes.projects.models import Project
from changes.results import run_numbers
from changes.results.log_error_models import LogError, LogErrorInBuild, LogErrorLine
from changes.results.log_errors import LOOKED_AT, ErrorLine, error_line
from changes.results.log_patterns import OUTCOME, TEST
from changes.results.models import LogSource

# Of a build of which thousands of steps failed, these tell enough.
STEPS_LOOKED_AT = 20
BEST_OF_STEP = 5
# Of more than so many places where something was said, the newest are looked at.
LOOKED_AT_MAX = 20_000
DAYS = (1, 7, 30, 90)


@dataclass(frozen=True)
class Place:
    """Where a line stands: its step, and which of its logs."""

    step_id: UUID
    step: str
    job_id: UUID
    job: str
    job_number: int
    source_id: UUID
    log: str


@dataclass(frozen=True)
class SeenLine:
    """A line of a build, and what is known of it from others. `is_on_base` is never so without a base."""

    line: ErrorLine
    place: Place
    error: LogError
    build_id: UUID
    is_on_base: bool
    # Some lines of the log, and the number of the first of them.
    around: Sequence[str]
    around_first: int

    @property
    def is_new(self) -> bool:
        return self.error.first_build_id == self.build_id

    @property
    def others(self) -> int:
        """In how many builds it was seen besides this one."""
        return max(0, self.error.builds - 1)


@dataclass(frozen=True)
class Listed:
    """What was said in builds of the time that was asked for."""

    error: LogError
    builds: int
    lines: int
    last_build_id: UUID

    @property
    def date_last(self) -> datetime:
        return ids.made_at(self.last_build_id)


@dataclass(frozen=True)
class ErrorsAsked:
    """`with_weak` also lists what only follows from something else."""

    days: int = 30
    text: str = ""
    with_weak: bool = False


# --- of a build ------------------------------------------------------------------------------


def of_build(session: Session, build: Build, base_id: UUID | None = None) -> list[SeenLine]:
    """The line of each step that says most, those that say most first. Of attempts only the newest."""
    if build.result not in LOOKED_AT:
        return []
    failing = select(JobStep.id).join(Job, Job.id == JobStep.job_id).where(Job.build_id == build.id)
    failing = failing.where(JobStep.result.in_(LOOKED_AT), JobStep.replacement_id.is_(None))
    # Those that failed by themselves before those that were stopped.
    first_failed = failing.order_by(JobStep.result == Result.ABORTED, JobStep.id)
    found = lines_of(first_failed.limit(STEPS_LOOKED_AT), base_id)
    first = found.ext(distinct_on(JobStep.id)).order_by(JobStep.id, *says_most())
    seen = [seen_line(row, build.id) for row in session.execute(first)]
    return sorted(seen, key=lambda each: -each.error.rank)


def of_job(session: Session, job: Job, page: Page) -> Part[SeenLine]:
    steps = select(JobStep.id).where(JobStep.job_id == job.id)
    return paged(session, steps, job.build_id, page)


def all_of_build(session: Session, build: Build, page: Page) -> Part[SeenLine]:
    steps = select(JobStep.id).join(Job, Job.id == JobStep.job_id).where(Job.build_id == build.id)
    return paged(session, steps, build.id, page)


def best_of_step(session: Session, step: JobStep) -> list[SeenLine]:
    """The few that say most, in that order."""
    if step.result not in LOOKED_AT:
        return []
    found = lines_of(select(JobStep.id).where(JobStep.id == step.id), None)
    best = found.order_by(*says_most()).limit(BEST_OF_STEP)
    return [seen_line(row, step.job.build_id) for row in session.execute(best)]


def of_step(session: Session, step: JobStep, page: Page) -> Part[SeenLine]:
    return paged(session, select(JobStep.id).where(JobStep.id == step.id), step.job.build_id, page)


def paged(session: Session, steps: Select[UUID], build_id: UUID, page: Page) -> Part[SeenLine]:
    """Those that say most first, and otherwise in the order of their logs."""
    found = lines_of(steps, None).order_by(LogError.rank.desc(), LogSource.id, LogErrorLine.line)
    rows = session.execute(found.offset(page.offset).limit(page.size + 1)).all()
    seen = [seen_line(row, build_id) for row in rows[: page.size]]
    return Part(seen, has_next=len(rows) > page.size, has_previous=page.number > 1)


def lines_of(steps: Select[UUID], base_id: UUID | None) -> Select[Any]:
    wanted = steps.subquery()
    columns: list[Any] = [LogErrorLine, LogError, JobStep.id, JobStep.label, Job.id, Job.label, Job.number]
    found = select(*columns, LogSource.id, LogSource.name, is_in(base_id))
    found = found.join(LogError, LogError.id == LogErrorLine.error_id)
    found = found.join(LogSource, LogSource.id == LogErrorLine.source_id)
    found = found.join(JobStep, JobStep.id == LogSource.step_id).join(Job, Job.id == JobStep.job_id)
    return found.join(wanted, wanted.c.id == JobStep.id)


def is_in(build_id: UUID | None) -> ColumnElement[bool]:
    if build_id is None:
        return false()
    mine = select(literal(1)).where(LogErrorInBuild.build_id == build_id)
    return mine.where(LogErrorInBuild.error_id == LogError.id).correlate(LogError).exists()


def says_most() -> tuple[Any, ...]:
    """Of a compiler the first, of mere words the last: what is said at the end is what it ended for."""
    in_order = case((LogError.rank >= TEST, LogErrorLine.line), else_=-LogErrorLine.line)
    return LogError.rank.desc(), LogSource.id, in_order


def seen_line(row: Any, build_id: UUID) -> SeenLine:
    line, error, *place, is_on_base = row
    lines, first = (line.around.split("\n"), line.around_first) if line.around else ([line.text], line.line)
    return SeenLine(error_line(line, error), Place(*place), error, build_id, is_on_base, lines, first)


# --- of a project ----------------------------------------------------------------------------


def listed(session: Session, project: Project, page: Page, asked: ErrorsAsked) -> Part[Listed]:
    """Those in most builds first."""
    since = ids.least_at(clock.now() - timedelta(days=asked.days))
    newest = select(LogErrorInBuild).where(LogErrorInBuild.project_id == project.id)
    newest = newest.where(LogErrorInBuild.build_id >= since).order_by(LogErrorInBuild.build_id.desc())
    seen = newest.limit(LOOKED_AT_MAX).subquery()
    sums = select(
        seen.c.error_id,
        func.count().label("builds"),
        func.sum(seen.c.lines).label("lines"),
        # PostgreSQL knows no greatest of many ids.
        func.array_agg(aggregate_order_by(seen.c.build_id, seen.c.build_id.desc()))[1].label("last"),
    )
    sums_of = sums.group_by(seen.c.error_id).subquery()
    found = select(LogError, sums_of.c.builds, sums_of.c.lines, sums_of.c.last)
    found = found.join(sums_of, sums_of.c.error_id == LogError.id)
    if not asked.with_weak:
        found = found.where(LogError.rank > OUTCOME)
    if asked.text:
        found = found.where(LogError.text.icontains(asked.text, autoescape=True))
    found = found.order_by(sums_of.c.builds.desc(), sums_of.c.last.desc(), LogError.id)
    rows = [Listed(*row) for row in session.execute(found.offset(page.offset).limit(page.size + 1))]
    return Part(rows[: page.size], has_next=len(rows) > page.size, has_previous=page.number > 1)


def error(session: Session, project: Project, error_id: UUID) -> LogError:
    number = error_id.int if error_id.int < 2**31 else run_numbers.NOBODY
    mine = select(LogError).where(LogError.project_id == project.id, LogError.id == number)
    found = session.execute(mine).scalar_one_or_none()
    if found is None:
        raise NotFound("This project has no such line.")
    return found


def builds_of(session: Session, found: LogError, page: Page) -> Part[tuple[Build, int]]:
    """Where it was seen, newest first."""
    mine = select(Build, LogErrorInBuild.lines).join(LogErrorInBuild, LogErrorInBuild.build_id == Build.id)
    mine = mine.where(LogErrorInBuild.error_id == found.id).order_by(LogErrorInBuild.build_id.desc())
    rows = session.execute(mine.offset(page.offset).limit(page.size + 1)).unique().all()
    shown = [(row[0], row[1]) for row in rows[: page.size]]
    return Part(shown, has_next=len(rows) > page.size, has_previous=page.number > 1)
