"""A search of the filling for the commit that broke a test, as it would have ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from changes.base import clock, ids
from changes.builds.rules import Result
from changes.projects.models import Project
from changes.results import origin_rules, run_numbers
from changes.results.origin_models import OriginPlace, OriginSearch
from changes.results.origin_rules import SearchState, Verdict

# On either side of the commit that broke it.
PLACES_MAX = 4
LOOKED_AT = 60
# How long a machine had worked before it was lost.
LOST_MS = 214_000
# Of each project the test that failed most often, as it went at its newest commits.
WORST = """
select run.test_id from test_run run join test_batch batch on batch.id = run.id & :mask
where batch.project_id = :project and batch.is_of_commit and run.result = 2
group by 1 order by count(*) desc, 1 limit 1
"""
RUNS = """
select source.revision_sha as sha, build.id as build_id, run.result
from test_run run join test_batch batch on batch.id = run.id & :mask
join build on build.id = batch.build_id join source on source.id = build.source_id
where run.test_id = :test and batch.is_of_commit order by run.id desc limit :runs
"""


@dataclass(frozen=True)
class Went:
    """How the test went at a commit."""

    sha: str
    build_id: UUID
    verdict: Verdict


def tell(session: Session) -> None:
    if session.execute(select(OriginSearch.id).limit(1)).first():
        return
    for project in session.execute(select(Project).order_by(Project.slug)).scalars().all():
        search_in(session, project)


def search_in(session: Session, project: Project) -> None:
    worst = {"project": project.id, "mask": run_numbers.BATCH_MASK}
    test_id = session.execute(text(WORST), worst).scalar_one_or_none()
    if test_id is None:
        return
    asked = {"test": test_id, "mask": run_numbers.BATCH_MASK, "runs": LOOKED_AT}
    newest_first = [went_of(row) for row in session.execute(text(RUNS), asked)]
    # Of a commit that was built twice the newer build.
    went = {each.sha: each for each in reversed(newest_first)}
    places = around_break(list(went.values()))
    if places:
        store(session, project, test_id, places)


def went_of(row: Any) -> Went:
    return Went(row.sha, row.build_id, origin_rules.verdict_of(Result(row.result)))


def around_break(went: Sequence[Went]) -> Sequence[Went]:
    """From a commit at which it passed to one at which it failed, with one break between; or nothing."""
    verdicts = [each.verdict for each in went]
    breaks = [at for at in range(1, len(went)) if verdicts[at - 1 : at + 1] == [Verdict.GOOD, Verdict.BAD]]
    if not breaks:
        return []
    first = last = breaks[-1]
    while first > 0 and verdicts[first - 1] == Verdict.GOOD and breaks[-1] - first < PLACES_MAX:
        first -= 1
    while last + 1 < len(went) and verdicts[last + 1] == Verdict.BAD and last - breaks[-1] < PLACES_MAX:
        last += 1
    return went[first : last + 1]


def store(session: Session, project: Project, test_id: int, places: Sequence[Went]) -> None:
    now = clock.now()
    culprit_sha = next(each.sha for each in places if each.verdict == Verdict.BAD)
    search = OriginSearch(
        id=ids.new(),
        date_created=now - timedelta(hours=2),
        project_id=project.id,
        test_id=test_id,
        state=SearchState.FOUND,
        good_sha=places[0].sha,
        bad_sha=places[-1].sha,
        parallel=2,
        asked_by="ravi@example.com",
        culprit_sha=culprit_sha,
        date_finished=now - timedelta(hours=1),
        lost_ms=LOST_MS if places[-1].sha != culprit_sha else 0,
    )
    session.add(search)
    session.flush()
    session.add_all(
        OriginPlace(
            search_id=search.id,
            place=place,
            sha=each.sha,
            verdict=each.verdict,
            build_id=each.build_id,
            is_ours=0 < place < len(places) - 1,
            # A machine was lost with the first build of it.
            lost_builds=int(each.sha == search.culprit_sha and place < len(places) - 1),
        )
        for place, each in enumerate(places)
    )
    session.flush()
