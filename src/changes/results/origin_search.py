"""Searches the commit that broke a test: commits between a good and a bad one that nobody built are built,
several at once and behind everything else, until the first bad one and its good parent are known.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from changes.base import bell, clock, db, ids
from changes.base.errors import Invalid, NotFound, Unavailable
from changes.base.process import settings
from changes.builds import cancel, create, settle, superseded
from changes.builds.create import NewBuild
from changes.builds.rules import Cause, Priority
from changes.builds.wishes import Wishes
from changes.projects import looks, revisions
from changes.projects.looks import Looks
from changes.projects.models import Project
from changes.results import origin_history, origin_probes, origin_rules
from changes.results.models import Test
from changes.results.origin_history import Line
from changes.results.origin_models import OriginPlace, OriginSearch
from changes.results.origin_rules import Cost, SearchState, Verdict

PARALLEL_USUAL, PARALLEL_MAX = 2, 8
TARGET_LENGTH = 12
# So long after its last build a repository may be away.
PATIENCE = timedelta(days=3)
LABEL = "Searching what broke {name}"


@dataclass(frozen=True)
class Plan:
    """What a search would cost, told before it starts."""

    line: Line
    cost: Cost
    unknown: int
    # How long the jobs of the plan take, as far as anybody knows.
    usual_ms: int | None
    # Why nothing can be built, in words; empty where it can.
    why_not: str = ""

    @property
    def is_known(self) -> bool:
        return origin_rules.culprit(self.line.verdicts) is not None


@dataclass(frozen=True)
class Asked:
    """Beginnings of shas may name where to search; without them it is between what is known."""

    good: str = ""
    bad: str = ""
    parallel: int = PARALLEL_USUAL
    asked_by: str = ""


def plan_of(session: Session, project: Project, test: Test, asked: Asked) -> Plan:
    line = origin_history.line_of(session, project, test, good=asked.good, bad=asked.bad)
    unknown = len(origin_rules.unknown_between(line.verdicts))
    if line.where.is_told and unknown:
        why_not = origin_probes.told_elsewhere(session, project, line.where.plan, line.shas, line.verdicts)
        return Plan(line, Cost(0, 0), unknown, None, why_not)
    return Plan(line, origin_rules.cost(unknown, asked.parallel), unknown, project.avg_build_time_ms)


def start(session: Session, project: Project, test: Test, asked: Asked) -> OriginSearch:
    """The one that goes on already, if there is one. Its first builds are asked for by a worker."""
    session.execute(select(Project.id).where(Project.id == project.id).with_for_update(key_share=True))
    going_on = open_search(session, test)
    if going_on is not None:
        return going_on
    line = origin_history.line_of(session, project, test, good=asked.good, bad=asked.bad)
    search = OriginSearch(
        id=ids.new(),
        project_id=project.id,
        test_id=test.id,
        state=SearchState.SEARCHING,
        good_sha=line.shas[0],
        bad_sha=line.shas[-1],
        plan=line.where.plan,
        is_told=line.where.is_told,
        parallel=max(1, min(asked.parallel, PARALLEL_MAX)),
        asked_by=asked.asked_by,
    )
    session.add(search)
    session.flush()
    for place, sha in enumerate(line.shas):
        known = line.known.get(sha)
        row = OriginPlace(search_id=search.id, place=place, sha=sha)
        row.verdict, row.build_id = (known.verdict, known.build_id) if known else (Verdict.UNKNOWN, None)
        session.add(row)
    session.flush()
    return search


def open_search(session: Session, test: Test) -> OriginSearch | None:
    mine = select(OriginSearch).where(OriginSearch.test_id == test.id)
    going_on = mine.where(OriginSearch.state == SearchState.SEARCHING).limit(1)
    return session.execute(going_on).unique().scalar_one_or_none()


def advance(search_id: UUID) -> None:
    """May run twice, and at any time: it looks where the search stands and asks for what is missing."""
    try:
        looks.outside(partial(advance_once, search_id))
    except Unavailable as error:
        # Whoever sweeps asks again in a minute, but not for ever.
        with db.transaction() as session:
            note_trouble(session, search_id, error.message)


def note_trouble(session: Session, search_id: UUID, trouble: str) -> None:
    search = locked(session, search_id)
    if search is None or search.state != SearchState.SEARCHING:
        return
    built = [each.build.date_created for each in places_of(session, search) if each.is_ours and each.build]
    search.why = trouble
    if max([search.date_created, *built]) < clock.now() - PATIENCE:
        end(session, search, SearchState.GIVEN_UP, why=trouble)
    bell.tell(session, f"project:{search.project_id.hex}")


def advance_once(search_id: UUID, found: Looks) -> None:
    with looks.transaction(found) as session:
        search = locked(session, search_id)
        if search is None or search.state != SearchState.SEARCHING:
            return
        places = places_of(session, search)
        origin_probes.learn(session, search, places)
        search.why = ""
        verdicts = [each.verdict for each in places]
        culprit = origin_rules.culprit(verdicts)
        why = origin_probes.no_further(session, search, places)
        if culprit is not None:
            end(session, search, SearchState.FOUND, culprit=places[culprit].sha)
        elif why:
            end(session, search, SearchState.GIVEN_UP, why=why)
        else:
            go_on(session, search, places)
        bell.tell(session, f"project:{search.project_id.hex}")


def locked(session: Session, search_id: UUID) -> OriginSearch | None:
    mine = select(OriginSearch).where(OriginSearch.id == search_id).with_for_update(of=OriginSearch)
    return session.execute(mine.execution_options(populate_existing=True)).unique().scalar_one_or_none()


def places_of(session: Session, search: OriginSearch) -> list[OriginPlace]:
    mine = select(OriginPlace).where(OriginPlace.search_id == search.id).order_by(OriginPlace.place)
    lean = joinedload(OriginPlace.build).lazyload("*")
    fresh = mine.options(lean).execution_options(populate_existing=True)
    return list(session.execute(fresh).unique().scalars())


def go_on(session: Session, search: OriginSearch, places: Sequence[OriginPlace]) -> None:
    verdicts = [each.verdict for each in places]
    wanted = set(origin_rules.unknown_between(verdicts))
    drop(session, [each for each in places if each.place not in wanted])
    busy = {each.place for each in places if each.place in wanted and each.build_id is not None}
    chosen = origin_rules.next_places(verdicts, busy, search.parallel)
    going_on = origin_history.unfinished_builds(session, search.project, [places[n].sha for n in chosen])
    for place in (places[number] for number in chosen):
        if place.sha in going_on:
            place.build_id = going_on[place.sha]
        else:
            ask_for(session, search, place)
    session.flush()


def ask_for(session: Session, search: OriginSearch, place: OriginPlace) -> None:
    """Behind everything else, and of the plan alone that runs the test."""
    project = search.project
    try:
        revision = revisions.find(session, project.repository, place.sha)
        source = revisions.source_of(session, revision)
        session.refresh(source)
        asked = NewBuild(
            source=source,
            collection_id=ids.new(),
            label=LABEL.format(name=search.test.name),
            target=place.sha[:TARGET_LENGTH],
            message=revision.message,
            author=revision.author,
            asked_by=search.asked_by,
            cause=Cause.MANUAL,
            tags=[superseded.OF_ONE_COMMIT],
            priority=Priority.LOW,
            timeout_min=settings.get().default_job_timeout_min,
            wishes=Wishes((search.plan,)) if search.plan else Wishes(),
        )
        build = create.create_build(session, project, asked)
    except Unavailable:
        raise
    except Invalid:
        # It is gone, or has no such plan.
        place.verdict = Verdict.UNTESTABLE
        return
    session.flush()
    place.build_id, place.is_ours = build.id, True
    if build.is_finished:
        place.verdict = Verdict.UNTESTABLE


def drop(session: Session, places: Sequence[OriginPlace]) -> None:
    """Builds of ours that nobody needs any more."""
    for each in places:
        if each.is_ours and each.build_id is not None and each.verdict == Verdict.UNKNOWN:
            build = settle.lock_build(session, each.build_id)
            if not build.is_finished:
                cancel.cancel_build(session, build, by=origin_probes.SEARCH)


def end(
    session: Session, search: OriginSearch, state: SearchState, *, culprit: str | None = None, why: str = ""
) -> None:
    search.state, search.culprit_sha, search.why = state, culprit, why
    search.date_finished = clock.now()
    drop(session, places_of(session, search))
    session.flush()


def cancel_search(session: Session, search_id: UUID) -> OriginSearch:
    search = locked(session, search_id)
    if search is None:
        raise NotFound("There is no such search.")
    if search.state == SearchState.SEARCHING:
        end(session, search, SearchState.CANCELLED)
    return search


# --- who waits ----------------------------------------------------------------------------------------


def waiting_for(session: Session, build_ids: Sequence[UUID]) -> list[UUID]:
    """Searches that go on and have one of these builds."""
    mine = select(OriginSearch.id).join(OriginPlace, OriginPlace.search_id == OriginSearch.id)
    found = mine.where(OriginPlace.build_id.in_(build_ids), OriginSearch.state == SearchState.SEARCHING)
    return list(session.execute(found.distinct()).scalars())


def going_on(session: Session, *, limit: int = 100) -> list[UUID]:
    mine = select(OriginSearch.id).where(OriginSearch.state == SearchState.SEARCHING)
    return list(session.execute(mine.order_by(OriginSearch.id).limit(limit)).scalars())
