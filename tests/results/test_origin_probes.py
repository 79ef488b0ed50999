"""Builds of a search that say nothing of their commit, and builds elsewhere, which it cannot start."""

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from tests import factories, finished
from tests.results import searching
from tests.results.searching import COMMITS, build_at, end, sha, told_at

from changes.base import ids
from changes.base.errors import Conflict
from changes.builds import cancel
from changes.builds.create import NewBuild, create_build
from changes.builds.models import Build
from changes.builds.rules import Result
from changes.projects.models import Plan, Project
from changes.projects.rules import PlanStatus
from changes.results import origin_history, origin_queries, origin_rules, origin_search
from changes.results.models import Test as NamedTest
from changes.results.origin_models import OriginPlace, OriginSearch
from changes.results.origin_rules import AGAIN_MAX, LOST_IN_ALL_MAX, SearchState, Verdict
from changes.results.origin_search import Asked

ONE_AT_ONCE = Asked(parallel=1)
MIDDLE = 5


@pytest.fixture
def project(session: Session) -> Project:
    return searching.a_project(session)


@pytest.fixture
def test(session: Session, project: Project) -> NamedTest:
    return searching.a_broken_test(session, project)


@pytest.fixture
def told_test(session: Session, project: Project) -> NamedTest:
    """It passes at the first commit and fails at the last, told of builds elsewhere."""
    told_at(session, project, 1, passed=True)
    told_at(session, project, COMMITS, passed=False)
    return searching.the_test(session, project)


def begin(session: Session, project: Project, test: NamedTest) -> OriginSearch:
    search = origin_search.start(session, project, test, ONE_AT_ONCE)
    advance(session, search)
    return search


def advance(session: Session, search: OriginSearch) -> None:
    origin_search.advance(search.id)
    session.expire_all()


def going_on(session: Session, search: OriginSearch) -> tuple[int, Build]:
    """The number of the commit that is being built, and its build."""
    places = origin_search.places_of(session, search)
    (build,) = (each.build for each in places if each.build is not None and not each.build.is_finished)
    return int(build.source.revision_sha, 16), build


def place_at(session: Session, search: OriginSearch, number: int) -> OriginPlace:
    places = origin_search.places_of(session, search)
    return next(each for each in places if each.sha == sha(number))


def lose(session: Session, search: OriginSearch, *, times: int) -> None:
    for _ in range(times):
        searching.lose(session, going_on(session, search)[1])
        advance(session, search)


# --- lost by machines --------------------------------------------------------------------------------------


def test_a_build_that_machines_lost_is_built_again(
    session: Session, project: Project, test: NamedTest
) -> None:
    search = begin(session, project, test)
    first = going_on(session, search)

    lose(session, search, times=1)

    again = going_on(session, search)
    assert (first[0], again[0]) == (MIDDLE, MIDDLE)
    assert again[1].id != first[1].id


def test_a_lost_build_that_was_built_again_leads_to_the_culprit(
    session: Session, project: Project, test: NamedTest
) -> None:
    search = begin(session, project, test)
    lose(session, search, times=AGAIN_MAX)
    while search.state == SearchState.SEARCHING:
        number, build = going_on(session, search)
        end(session, build, passed=number < MIDDLE)
        advance(session, search)

    assert (search.state, search.culprit_sha) == (SearchState.FOUND, sha(MIDDLE))


def test_what_lost_builds_cost_is_told(session: Session, project: Project, test: NamedTest) -> None:
    search = begin(session, project, test)
    lose(session, search, times=AGAIN_MAX)

    made = origin_queries.builds_made(session, [search])[search.id]

    assert made == origin_queries.Made(builds=AGAIN_MAX + 1, lost=AGAIN_MAX)
    assert made == origin_queries.made_of(origin_queries.places(session, search))
    assert search.lost_ms == AGAIN_MAX * 95_000


def test_a_commit_whose_builds_are_lost_again_and_again_is_passed_over_and_not_called_untestable(
    session: Session, project: Project, test: NamedTest
) -> None:
    search = begin(session, project, test)

    lose(session, search, times=AGAIN_MAX + 1)

    assert place_at(session, search, MIDDLE).verdict == Verdict.LOST
    assert going_on(session, search)[0] != MIDDLE


def test_where_machines_lose_everything_the_search_stops_and_says_so(
    session: Session, project: Project, test: NamedTest
) -> None:
    search = begin(session, project, test)

    lose(session, search, times=LOST_IN_ALL_MAX)

    assert search.state == SearchState.GIVEN_UP
    assert search.why.startswith(f"Machines lost {LOST_IN_ALL_MAX} builds of this search, so it has stopped.")


# --- cancelled ---------------------------------------------------------------------------------------------


def test_of_a_cancelled_build_it_is_told_who_cancelled_it_and_nothing_of_the_commit(
    session: Session, project: Project, test: NamedTest
) -> None:
    search = begin(session, project, test)
    cancel.cancel_build(session, going_on(session, search)[1], by="zoe@example.com")

    advance(session, search)

    place = place_at(session, search, MIDDLE)
    assert (place.verdict, place.why) == (Verdict.CANCELLED, "zoe@example.com cancelled the build.")
    assert going_on(session, search)[0] != MIDDLE


def test_a_cancelled_commit_that_somebody_builds_later_is_known(
    session: Session, project: Project, test: NamedTest
) -> None:
    search = begin(session, project, test)
    cancel.cancel_build(session, going_on(session, search)[1])
    advance(session, search)

    build_at(session, project, MIDDLE, passed=False)
    advance(session, search)

    assert place_at(session, search, MIDDLE).verdict == Verdict.BAD


def test_a_build_that_the_search_itself_cancelled_is_only_not_needed(
    session: Session, project: Project, test: NamedTest
) -> None:
    search = origin_search.start(session, project, test, Asked(parallel=2))
    advance(session, search)
    (lower, upper) = (
        each for each in origin_search.places_of(session, search) if each.is_ours and each.build is not None
    )
    assert lower.build is not None
    end(session, lower.build, passed=False)

    for _ in range(2):
        advance(session, search)

    seen = {each.sha: each for each in origin_queries.places(session, search)}[upper.sha]
    assert (seen.verdict, seen.is_building) == (Verdict.UNKNOWN, False)


def test_a_build_of_somebody_else_that_machines_lost_is_made_up_for(
    session: Session, project: Project, test: NamedTest
) -> None:
    source = factories.a_source(session, project, sha=sha(MIDDLE))
    theirs = create_build(session, project, NewBuild(source, ids.new(), "A build", "", "", None))
    search = begin(session, project, test)
    searching.lose(session, theirs)

    advance(session, search)

    assert going_on(session, search)[0] == MIDDLE
    assert place_at(session, search, MIDDLE).is_ours


def test_what_is_not_known_of_those_in_between_is_told_by_its_kinds() -> None:
    good, bad, untestable = Verdict.GOOD, Verdict.BAD, Verdict.UNTESTABLE
    verdicts = [good, untestable, Verdict.CANCELLED, Verdict.LOST, Verdict.LOST, bad]

    assert origin_rules.nothing_left(verdicts) == (
        "One of 5 commits. Nothing is known of those in between: 1 that cannot be tested,"
        " 1 whose build was cancelled, 2 whose builds machines lost."
    )


def test_a_plan_that_cannot_be_run_is_no_cancelled_build() -> None:
    said = origin_rules.silence(0, was_lost=False, was_cancelled=False)

    assert said == Verdict.UNTESTABLE


def test_a_build_that_failed_while_machines_lost_the_part_with_the_test_is_built_again(
    session: Session, project: Project, test: NamedTest
) -> None:
    search = begin(session, project, test)
    _, build = going_on(session, search)
    (step,) = factories.steps_of(session, build)
    finished.end_step(session, step, Result.INFRA_FAILED)
    finished.end(session, build, Result.FAILED)
    session.expire_all()

    advance(session, search)

    assert place_at(session, search, MIDDLE).lost_builds == 1


# --- builds elsewhere --------------------------------------------------------------------------------------


def test_builds_elsewhere_that_say_it_all_are_enough(
    session: Session, project: Project, told_test: NamedTest
) -> None:
    told_at(session, project, 6, passed=True)
    told_at(session, project, 7, passed=False)

    search = begin(session, project, told_test)

    assert (search.state, search.culprit_sha) == (SearchState.FOUND, sha(7))
    assert origin_queries.builds_made(session, [search])[search.id].builds == 0


def test_where_they_do_not_it_is_said_what_must_be_built_elsewhere(
    session: Session, project: Project, told_test: NamedTest
) -> None:
    for plan in session.execute(select(Plan)).unique().scalars():
        plan.status = PlanStatus.INACTIVE
    session.flush()

    search = begin(session, project, told_test)

    assert (search.state, search.culprit_sha) == (SearchState.GIVEN_UP, None)
    assert search.why == (
        f"One of {COMMITS - 1} commits broke it, and nobody has told how the test went at those in between."
        " It failed in builds that ran elsewhere (py3), which cannot be started from here: build"
        f" {sha(MIDDLE)[:12]} there, report it, and search again."
    )


def test_who_has_plans_here_is_told_that_one_build_of_theirs_is_enough(
    session: Session, project: Project, told_test: NamedTest
) -> None:
    planned = origin_search.plan_of(session, project, told_test, ONE_AT_ONCE)

    assert planned.cost.builds == 0
    assert f"build {sha(COMMITS)[:12]} here: then the search goes on by itself." in planned.why_not


def test_what_failed_in_a_plan_here_is_searched_here_whatever_was_told_since(
    session: Session, project: Project, test: NamedTest
) -> None:
    told_at(session, project, COMMITS, passed=False)

    search = begin(session, project, test)

    assert (search.plan, search.is_told) == ("tests", False)
    assert going_on(session, search)[0] == MIDDLE


def test_another_part_of_builds_elsewhere_counts_for_nothing(
    session: Session, project: Project, told_test: NamedTest
) -> None:
    told_at(session, project, MIDDLE, passed=True, part="py2")

    line = origin_history.line_of(session, project, told_test)

    assert (line.where.plan, sha(MIDDLE) in line.known) == ("py3", False)


def test_a_repository_that_was_never_read_is_said_to_be_the_reason(session: Session) -> None:
    project = factories.a_project(session)
    for number in (1, COMMITS):
        told_at(session, project, number, passed=number == 1)

    with pytest.raises(Conflict, match="Changes has not read the repository that far"):
        origin_search.plan_of(session, project, searching.the_test(session, project), ONE_AT_ONCE)
