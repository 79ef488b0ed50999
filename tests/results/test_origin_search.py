"""Searches for the commit that broke a test, with builds that agents of the test's own end."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from tests import factories, finished
from tests.builds import agents, collecting
from tests.results import searching
from tests.results.searching import COMMITS, NAME, build_at, end, end_without_the_test, sha

from changes.base import ids
from changes.base.errors import Conflict, Unavailable
from changes.builds import cancel
from changes.builds.create import NewBuild, create_build
from changes.builds.models import Build
from changes.builds.rules import Priority, Result, Status
from changes.projects import revisions
from changes.projects.models import Project
from changes.results import origin, origin_history, origin_queries, origin_search, testruns
from changes.results.models import Test as NamedTest
from changes.results.origin_models import OriginSearch
from changes.results.origin_rules import SearchState, Verdict
from changes.results.origin_search import Asked

TWO_AT_ONCE = Asked(parallel=2)


@pytest.fixture
def project(session: Session) -> Project:
    return searching.a_project(session)


@pytest.fixture
def test(session: Session, project: Project) -> NamedTest:
    return searching.a_broken_test(session, project)


def begin(session: Session, project: Project, test: NamedTest, asked: Asked = TWO_AT_ONCE) -> OriginSearch:
    search = origin_search.start(session, project, test, asked)
    origin_search.advance(search.id)
    session.expire_all()
    return search


def builds_of(session: Session, search: OriginSearch) -> dict[int, Build]:
    """Those that it asked for and that go on, by the number of their commit."""
    found = [
        each.build
        for each in origin_search.places_of(session, search)
        if each.is_ours and each.build is not None
    ]
    return {int(build.source.revision_sha, 16): build for build in found if not build.is_finished}


def go_on(session: Session, search: OriginSearch, *, broke: int) -> None:
    """Until it ends, as workers and agents would."""
    while builds_of(session, search):
        number, build = min(builds_of(session, search).items())
        end(session, build, passed=number < broke)
        origin_search.advance(search.id)
        session.expire_all()


@pytest.mark.parametrize("broke", [2, 5, 9])
def test_the_commit_that_broke_it_is_found_and_its_parent_passes(
    session: Session, project: Project, test: NamedTest, broke: int
) -> None:
    search = begin(session, project, test)

    go_on(session, search, broke=broke)

    verdicts = {int(each.sha, 16): each.verdict for each in origin_search.places_of(session, search)}
    assert (search.state, search.culprit_sha) == (SearchState.FOUND, sha(broke))
    assert (verdicts[broke - 1], verdicts[broke]) == (Verdict.GOOD, Verdict.BAD)


def test_what_another_plan_says_of_the_test_counts_for_nothing(session: Session) -> None:
    project = searching.a_project(session)
    for number in (1, COMMITS):
        searching.build_at_both(session, project, number, passed=number == 1, other_passed=True)
    test = session.execute(select(NamedTest).where(NamedTest.name == NAME)).scalar_one()

    search = begin(session, project, test)
    go_on(session, search, broke=4)

    assert (search.plan, search.state, search.culprit_sha) == ("tests", SearchState.FOUND, sha(4))


def test_a_build_of_somebody_else_that_is_cancelled_is_made_up_for(
    session: Session, project: Project, test: NamedTest
) -> None:
    source = factories.a_source(session, project, sha=sha(5))
    theirs = create_build(session, project, NewBuild(source, ids.new(), "A build", "", "", None))
    search = begin(session, project, test, Asked(parallel=1))
    waited_for = origin_search.waiting_for(session, [theirs.id])
    cancel.cancel_build(session, theirs)

    origin_search.advance(search.id)

    session.expire_all()
    assert waited_for == [search.id]
    assert sorted(builds_of(session, search)) == [5]


def test_it_builds_no_more_than_it_said(session: Session, project: Project, test: NamedTest) -> None:
    said = origin_search.plan_of(session, project, test, Asked(parallel=2))
    search = begin(session, project, test)

    go_on(session, search, broke=4)

    assert said.unknown == COMMITS - 2
    assert origin_queries.builds_made(session, [search])[search.id].builds <= said.cost.builds


def test_its_builds_come_last_and_run_only_the_plan_of_the_test(
    session: Session, project: Project, test: NamedTest
) -> None:
    search = begin(session, project, test)

    builds = builds_of(session, search)
    assert sorted(builds) == [3, 6]
    assert {build.priority for build in builds.values()} == {Priority.LOW}
    labels = {job.label for build in builds.values() for job in agents.jobs_of(session, build)}
    assert labels == {"tests"}


def test_what_was_built_is_not_built_again(session: Session, project: Project, test: NamedTest) -> None:
    build_at(session, project, 4, passed=True)
    build_at(session, project, 5, passed=False)

    search = begin(session, project, test)

    assert (search.state, search.culprit_sha) == (SearchState.FOUND, sha(5))
    assert builds_of(session, search) == {}


def test_a_build_that_nobody_needs_any_more_is_cancelled(
    session: Session, project: Project, test: NamedTest
) -> None:
    search = begin(session, project, test)
    lower, upper = (build for _, build in sorted(builds_of(session, search).items()))
    end(session, lower, passed=False)

    origin_search.advance(search.id)

    session.expire_all()
    assert agents.state(upper) == (Status.FINISHED, Result.ABORTED)


def test_a_commit_that_cannot_be_tested_is_passed_over(
    session: Session, project: Project, test: NamedTest
) -> None:
    search = begin(session, project, test, Asked(parallel=1))
    (broken,) = builds_of(session, search).values()
    end_without_the_test(session, broken)
    origin_search.advance(search.id)
    session.expire_all()

    go_on(session, search, broke=8)

    assert (search.state, search.culprit_sha) == (SearchState.FOUND, sha(8))


def test_where_only_such_commits_are_left_nobody_is_blamed(
    session: Session, project: Project, test: NamedTest
) -> None:
    build_at(session, project, 4, passed=True)
    build_at(session, project, 6, passed=False)
    search = begin(session, project, test)
    end_without_the_test(session, builds_of(session, search)[5])

    origin_search.advance(search.id)

    session.expire_all()
    assert (search.state, search.culprit_sha) == (SearchState.GIVEN_UP, None)
    assert search.why == "One of 2 commits: those in between cannot be tested."


def test_cancelling_a_search_cancels_its_builds(session: Session, project: Project, test: NamedTest) -> None:
    search = begin(session, project, test)
    builds = list(builds_of(session, search).values())

    origin_search.cancel_search(session, search.id)

    session.expire_all()
    assert search.state == SearchState.CANCELLED
    assert {agents.state(build) for build in builds} == {(Status.FINISHED, Result.ABORTED)}


def test_who_asks_again_meanwhile_gets_the_search_that_goes_on(
    session: Session, project: Project, test: NamedTest
) -> None:
    search = begin(session, project, test)

    assert origin_search.start(session, project, test, Asked()) is search


def test_the_end_of_its_builds_wakes_it(session: Session, project: Project, test: NamedTest) -> None:
    search = begin(session, project, test)

    (build, *_) = builds_of(session, search).values()

    assert origin_search.waiting_for(session, [build.id]) == [search.id]
    assert origin_search.going_on(session) == [search.id]


def test_without_a_commit_at_which_it_passed_there_is_nothing_to_search(
    session: Session, project: Project
) -> None:
    build_at(session, project, COMMITS, passed=False)
    test = session.execute(select(NamedTest)).scalar_one()

    with pytest.raises(Conflict, match="nobody has seen the test pass"):
        origin_search.plan_of(session, project, test, Asked())


def test_a_test_that_has_passed_since_at_the_same_commit_is_said_to_be_flaky(
    session: Session, project: Project, test: NamedTest
) -> None:
    build_at(session, project, COMMITS, passed=True)

    with pytest.raises(Conflict, match="both failed and passed at"):
        origin_search.plan_of(session, project, test, Asked())


def test_a_commit_that_is_named_must_be_known_to_pass(
    session: Session, project: Project, test: NamedTest
) -> None:
    with pytest.raises(Conflict, match="Nobody has seen the test pass at"):
        origin_search.plan_of(session, project, test, Asked(good=sha(3)))


def test_a_failure_in_one_of_the_surroundings_of_the_plan_is_enough(session: Session) -> None:
    project = factories.a_project(session)
    factories.a_plan(session, project, collecting.COLLECT_STEPS)
    build = collecting.build_again(session, project)
    named = [{"script": "tox", "label": label} for label in ("py3.9", "py3.10")]
    collecting.collect(session, build, json.dumps({"commands": named}))
    for step in sorted(collecting.take(session, build), key=lambda each: each.label, reverse=True):
        result = "failed" if step.label == "py3.9" else "passed"
        testruns.store(session, step, [finished.a_test(NAME, result)])
    finished.end(session, build, Result.FAILED)
    test = searching.the_test(session, project)

    known = origin_history.known_of(session, project, test, [factories.A_SHA])

    assert known[factories.A_SHA].verdict == Verdict.BAD


def test_a_repository_that_is_away_is_told_and_not_waited_for_for_ever(
    session: Session, project: Project, test: NamedTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_asked: object) -> None:
        raise Unavailable("The repository cannot be read now.")

    search = origin_search.start(session, project, test, TWO_AT_ONCE)
    monkeypatch.setattr(revisions, "find", away)
    states = []

    for age in (timedelta(), timedelta(days=4)):
        search.date_created -= age
        session.flush()
        origin_search.advance(search.id)
        session.refresh(search)
        states.append((search.state, search.why))

    why = "The repository cannot be read now."
    assert states == [(SearchState.SEARCHING, why), (SearchState.GIVEN_UP, why)]


def test_a_commit_knows_what_it_broke(session: Session, project: Project, test: NamedTest) -> None:
    search = begin(session, project, test)
    go_on(session, search, broke=5)

    (found,) = origin_queries.broken_by(session, [(project.repository_id, sha(5))])

    assert found.test.name == NAME


# --- as far as the builds that there are tell ------------------------------------------------------------


def test_a_failure_began_with_the_oldest_of_an_unbroken_row(session: Session, project: Project) -> None:
    build_at(session, project, 1, passed=True)
    first = build_at(session, project, 2, passed=False)
    build_at(session, project, 3, passed=False)
    last = build_at(session, project, 4, passed=False)
    test = session.execute(select(NamedTest)).scalar_one()

    assert origin.of_tests(session, last, [test.id])[test.id].id == first.id


def test_what_a_search_built_of_older_commits_ends_no_row_of_failures(
    session: Session, project: Project
) -> None:
    build_at(session, project, 1, passed=True)
    first = build_at(session, project, 5, passed=False)
    test = session.execute(select(NamedTest)).scalar_one()
    search = begin(session, project, test)
    go_on(session, search, broke=4)

    last = build_at(session, project, 6, passed=False)

    assert origin.of_tests(session, last, [test.id])[test.id].id == first.id


def test_what_passes_on_another_branch_ends_no_row_of_failures(session: Session, project: Project) -> None:
    build_at(session, project, 1, passed=True)
    first = build_at(session, project, 2, passed=False)
    elsewhere = build_at(session, project, 3, passed=True)
    elsewhere.source.revision.branches = ["release"]
    session.flush()
    last = build_at(session, project, 4, passed=False)
    test = session.execute(select(NamedTest)).scalar_one()

    assert origin.of_tests(session, last, [test.id])[test.id].id == first.id


def test_a_new_failure_began_with_its_own_build(session: Session, project: Project) -> None:
    build_at(session, project, 1, passed=True)
    last = build_at(session, project, 2, passed=False)
    test = session.execute(select(NamedTest)).scalar_one()

    assert origin.of_tests(session, last, [test.id])[test.id].id == last.id
