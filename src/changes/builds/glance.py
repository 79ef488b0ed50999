"""Projects at a glance: how they are now, from the last builds that ended.

Every figure is reckoned from a bounded number of newest builds, through the index of a project's
builds, so it stays right when nothing ran for months and costs the same after years.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, Subquery, func, or_, select, true
from sqlalchemy.orm import Session

from changes.base.errors import Invalid
from changes.base.paging import Page, Part
from changes.builds.models import Build
from changes.builds.rules import Result, Status
from changes.projects.models import Project, Repository
from changes.projects.rules import ProjectStatus

# Builds that make the rate and the median of a project.
RECENT = 30
JUDGED = (Result.PASSED, Result.FAILED, Result.INFRA_FAILED)
RED = (Result.FAILED, Result.INFRA_FAILED)


@dataclass(frozen=True)
class ProjectGlance:
    """`result` is that of the last build of a commit that ended with a verdict, None before there is
    one. Rate and median are of the last builds that ended, whatever they built.
    """

    project: Project
    result: Result | None
    last_number: int | None
    last_finished: datetime | None
    judged_count: int
    passed_count: int
    median_s: float | None
    last_activity: datetime | None
    waiting_count: int
    running_count: int

    @property
    def pass_rate(self) -> float | None:
        return self.passed_count / self.judged_count if self.judged_count else None

    @property
    def is_red(self) -> bool:
        return self.result in RED


@dataclass(frozen=True)
class GlanceAsked:
    """`sort` is a name of SORTS, with a minus in front for the other way round."""

    text: str = ""
    only_red: bool = False
    sort: str = "name"


@dataclass(frozen=True)
class Parts:
    last: FromClause
    recent: FromClause
    newest: FromClause
    queue: Subquery

    def columns(self) -> list[ColumnElement[Any]]:
        return [
            self.last.c.result,
            self.last.c.number,
            self.last.c.date_finished,
            self.recent.c.judged,
            self.recent.c.passed,
            self.recent.c.median_s,
            self.newest.c.date_created,
            func.coalesce(self.queue.c.waiting, 0),
            func.coalesce(self.queue.c.running, 0),
        ]

    def sorts(self) -> dict[str, ColumnElement[Any]]:
        return {
            "name": func.lower(Project.name),
            "state": self.last.c.result,
            "rate": self.recent.c.passed * 1.0 / func.nullif(self.recent.c.judged, 0),
            "took": self.recent.c.median_s,
            "active": self.newest.c.date_created,
            "queue": func.coalesce(self.queue.c.waiting + self.queue.c.running, 0),
        }


def projects(session: Session, page: Page, asked: GlanceAsked) -> Part[ProjectGlance]:
    parts = made_parts()
    found = glances(parts).where(Project.status == ProjectStatus.ACTIVE)
    if asked.text:
        places = (Project.name, Project.slug, Repository.url)
        found = found.where(or_(*(each.icontains(asked.text, autoescape=True) for each in places)))
    if asked.only_red:
        found = found.where(parts.last.c.result.in_(RED))
    found = found.order_by(order_of(parts, asked.sort), func.lower(Project.name), Project.id)
    rows = session.execute(found.offset(page.offset).limit(page.size + 1)).all()
    shown = [ProjectGlance(*row) for row in rows[: page.size]]
    return Part(shown, has_next=len(rows) > page.size, has_previous=page.number > 1)


def project(session: Session, slug: str) -> ProjectGlance | None:
    row = session.execute(glances(made_parts()).where(Project.slug == slug)).one_or_none()
    return None if row is None else ProjectGlance(*row)


def red_projects(session: Session, *, limit: int) -> Sequence[ProjectGlance]:
    """Latest broken first."""
    parts = made_parts()
    red = glances(parts).where(Project.status == ProjectStatus.ACTIVE, parts.last.c.result.in_(RED))
    rows = session.execute(red.order_by(parts.last.c.date_finished.desc()).limit(limit)).all()
    return [ProjectGlance(*row) for row in rows]


def counts(session: Session) -> tuple[int, int]:
    """How many active projects there are, and how many of them are red."""
    last = last_verdict()
    found = select(func.count(), func.count().filter(last.c.result.in_(RED)))
    found = found.select_from(Project).outerjoin(last, true()).where(Project.status == ProjectStatus.ACTIVE)
    row = session.execute(found).one()
    return row[0], row[1]


def queue(session: Session) -> tuple[int, int]:
    """How many builds wait, and how many run, of all there are."""
    counted = select(func.count().filter(~is_running()), func.count().filter(is_running()))
    row = session.execute(counted.where(Build.status != Status.FINISHED)).one()
    return row[0], row[1]


def is_running() -> ColumnElement[bool]:
    return Build.status.in_([Status.IN_PROGRESS, Status.COLLECTING_RESULTS])


def order_of(parts: Parts, sort: str) -> ColumnElement[Any]:
    column = parts.sorts().get(sort.removeprefix("-"))
    if column is None:
        raise Invalid(f"Projects cannot be sorted by {sort!r}.", ["sort"])
    return column.desc().nulls_last() if sort.startswith("-") else column.asc().nulls_last()


def glances(parts: Parts) -> Select[Any]:
    found = select(Project, *parts.columns()).join(Repository, Repository.id == Project.repository_id)
    for each in (parts.last, parts.recent, parts.newest):
        found = found.outerjoin(each, true())
    return found.outerjoin(parts.queue, parts.queue.c.project_id == Project.id)


def made_parts() -> Parts:
    return Parts(last_verdict(), recent_builds(), newest_build(), queues())


def last_verdict() -> FromClause:
    mine = select(Build.result, Build.number, Build.date_finished).where(*judged())
    of_commits = mine.where(Build.source.has(patch_id=None))
    return of_commits.order_by(Build.id.desc()).limit(1).correlate(Project).lateral("last")


def judged() -> tuple[ColumnElement[bool], ...]:
    return Build.project_id == Project.id, Build.status == Status.FINISHED, Build.result.in_(JUDGED)


def recent_builds() -> FromClause:
    length = func.extract("epoch", Build.date_finished - Build.date_started).label("length_s")
    newest = select(Build.result, length).where(*judged()).order_by(Build.id.desc()).limit(RECENT)
    rows = newest.correlate(Project).subquery()
    passed = func.count().filter(rows.c.result == Result.PASSED).label("passed")
    median = func.percentile_cont(0.5).within_group(rows.c.length_s).label("median_s")
    return select(func.count().label("judged"), passed, median).select_from(rows).lateral("recent")


def newest_build() -> FromClause:
    mine = select(Build.date_created).where(Build.project_id == Project.id)
    return mine.order_by(Build.id.desc()).limit(1).correlate(Project).lateral("newest")


def queues() -> Subquery:
    counted = select(
        Build.project_id,
        func.count().filter(~is_running()).label("waiting"),
        func.count().filter(is_running()).label("running"),
    )
    return counted.where(Build.status != Status.FINISHED).group_by(Build.project_id).subquery("queue")
