"""Reads of searches for what broke a test, and of what they found."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ScalarSelect, func, select, tuple_
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from changes.base.errors import NotFound
from changes.base.paging import Page, Part, newest_first
from changes.builds.models import Build
from changes.builds.rules import Status
from changes.people.models import Author
from changes.projects import commits
from changes.projects.models import Project, Repository, Revision
from changes.results import origin_history
from changes.results.models import Test
from changes.results.origin_models import OriginPlace, OriginSearch
from changes.results.origin_rules import SearchState, Verdict

BROKEN_SHOWN = 20


@dataclass(frozen=True)
class PlaceSeen:
    """A commit of a search, with the build that says how the test went there."""

    sha: str
    subject: str
    author: str
    verdict: Verdict
    number: int | None
    is_ours: bool
    is_building: bool = False
    lost_builds: int = 0
    why: str = ""


def search(session: Session, search_id: UUID) -> OriginSearch:
    found = session.get(OriginSearch, search_id)
    if found is None:
        raise NotFound("There is no such search.")
    return found


def of_project(session: Session, project: Project, page: Page) -> Part[OriginSearch]:
    mine = select(OriginSearch).where(OriginSearch.project_id == project.id)
    return newest_first(session, mine, OriginSearch.id, page)


def newest_of_test(session: Session, test: Test) -> OriginSearch | None:
    mine = select(OriginSearch).where(OriginSearch.test_id == test.id)
    newest = mine.order_by(OriginSearch.id.desc()).limit(1)
    return session.execute(newest).unique().scalar_one_or_none()


def places(session: Session, search: OriginSearch) -> list[PlaceSeen]:
    """The newest commit first, as a log has them; as many as a search may have."""
    is_its = (Revision.sha == OriginPlace.sha) & (Revision.repository_id == search.project.repository_id)
    going_on = Build.status != Status.FINISHED
    found = select(OriginPlace, Build.number, going_on, Revision.message, Author.name)
    found = found.outerjoin(Revision, is_its)
    found = found.outerjoin(Build, Build.id == OriginPlace.build_id)
    found = found.outerjoin(Author, Author.id == Revision.author_id)
    mine = found.where(OriginPlace.search_id == search.id).order_by(OriginPlace.place.desc())
    return [
        PlaceSeen(
            each.sha,
            first_line(message or ""),
            author or "",
            each.verdict,
            number,
            each.is_ours,
            bool(is_going_on),
            each.lost_builds,
            each.why,
        )
        for each, number, is_going_on, message, author in session.execute(
            mine.limit(origin_history.COMMITS_MAX + 1)
        )
    ]


def first_line(message: str) -> str:
    return message.strip().split("\n", 1)[0]


@dataclass(frozen=True)
class Made:
    """How many builds a search has asked for, and how many of them machines lost."""

    builds: int = 0
    lost: int = 0


def made_of(places: Sequence[PlaceSeen]) -> Made:
    lost_before = sum(each.lost_builds for each in places)
    lost_for_good = sum(each.verdict == Verdict.LOST for each in places)
    return Made(sum(each.is_ours for each in places) + lost_before, lost_before + lost_for_good)


def builds_made(session: Session, searches: Collection[OriginSearch]) -> dict[UUID, Made]:
    lost_before = func.sum(OriginPlace.lost_builds)
    lost_for_good = func.count().filter(OriginPlace.verdict == Verdict.LOST)
    asked_last = func.count().filter(OriginPlace.is_ours)
    found = select(OriginPlace.search_id, asked_last + lost_before, lost_before + lost_for_good)
    mine = found.where(OriginPlace.search_id.in_([each.id for each in searches]))
    counts = {
        row[0]: Made(int(row[1]), int(row[2]))
        for row in session.execute(mine.group_by(OriginPlace.search_id))
    }
    return {each.id: counts.get(each.id, Made()) for each in searches}


def broken_by(session: Session, of: Collection[tuple[UUID, str]]) -> Sequence[OriginSearch]:
    """The tests that these commits, each of a repository, broke, as far as somebody searched: the newest
    search of each test.
    """
    if not of:
        return []
    mine = select(OriginSearch).join(Project, Project.id == OriginSearch.project_id)
    these = tuple_(Project.repository_id, OriginSearch.culprit_sha).in_(of)
    found = mine.where(these, OriginSearch.state == SearchState.FOUND).order_by(OriginSearch.id.desc())
    newest = session.execute(found.limit(BROKEN_SHOWN)).unique().scalars()
    return list({search.test_id: search for search in reversed(newest.all())}.values())


def commit(session: Session, repository: Repository, sha: str) -> tuple[Revision, list[dict[str, str]]]:
    """A commit with the tests it broke (slug of the project, sha and name of the test), by one question."""
    found = select(Revision, told_broken(repository.id))
    mine = found.where(Revision.repository_id == repository.id, Revision.sha == sha)
    seen = session.execute(mine).one_or_none()
    if seen is None:
        return commits.commit(session, repository, sha), []
    return seen[0], (seen[1] or [])[:BROKEN_SHOWN]


def told_broken(repository_id: UUID) -> ScalarSelect[Any]:
    each = func.jsonb_build_object("slug", Project.slug, "sha", Test.name_sha, "name", Test.name)
    told = select(func.jsonb_agg(each.distinct(), type_=JSONB)).select_from(OriginSearch)
    told = told.join(Project, Project.id == OriginSearch.project_id).join(
        Test, Test.id == OriginSearch.test_id
    )
    mine = told.where(Project.repository_id == repository_id, OriginSearch.culprit_sha == Revision.sha)
    return mine.where(OriginSearch.state == SearchState.FOUND).correlate(Revision).scalar_subquery()
