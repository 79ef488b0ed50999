"""What stands around one build, by one question."""

import pytest
from sqlalchemy.orm import Session
from tests.factories import a_project, a_source
from tests.finished import a_patch, an_ended_build

from changes.builds import around
from changes.builds.models import Build
from changes.builds.rules import Result
from changes.projects.models import Project


@pytest.fixture
def project(session: Session) -> Project:
    return a_project(session)


def builds(session: Session, project: Project, results: str) -> list[Build]:
    """One letter each, oldest first: P passed, F failed, I infra failed, A aborted."""
    known = {"P": Result.PASSED, "F": Result.FAILED, "I": Result.INFRA_FAILED, "A": Result.ABORTED}
    return [an_ended_build(session, project, known[letter]) for letter in results]


def test_the_builds_before_and_after_it_are_those_of_its_project(session: Session, project: Project) -> None:
    before, build, after = builds(session, project, "PPP")
    builds(session, a_project(session), "P")

    near = around.around(session, build)

    assert (near.previous, near.next) == (before, after)


def test_a_red_build_knows_since_when_and_until_when_it_is_red(session: Session, project: Project) -> None:
    _, green, first, _, build, again = builds(session, project, "FPFIFP")

    near = around.around(session, build)

    assert (near.last_green, near.first_red, near.green_again) == (green, first, again)


def test_the_first_red_build_is_the_first(session: Session, project: Project) -> None:
    _, build = builds(session, project, "PF")

    assert around.around(session, build).first_red == build


def test_where_nothing_was_ever_green_red_begins_with_the_first(session: Session, project: Project) -> None:
    first, _, build = builds(session, project, "FAF")

    near = around.around(session, build)

    assert (near.last_green, near.first_red) == (None, first)


def test_a_patch_says_nothing_about_the_project(session: Session, project: Project) -> None:
    (green,) = builds(session, project, "P")
    an_ended_build(session, project, Result.FAILED, source=a_patch(session, project))
    (build,) = builds(session, project, "F")

    near = around.around(session, build)

    assert (near.last_green, near.first_red) == (green, build)


def test_a_patch_knows_the_newest_build_of_the_commit_below(session: Session, project: Project) -> None:
    patch = a_patch(session, project)
    commit = a_source(session, project, sha=patch.revision_sha)
    of_commit = [an_ended_build(session, project, source=commit) for _ in range(2)]
    build = an_ended_build(session, project, Result.FAILED, source=patch)

    near = around.around(session, build)

    assert (near.base, near.first_red) == (of_commit[1], None)


def test_its_family_was_asked_for_together(session: Session, project: Project) -> None:
    (build,) = builds(session, project, "P")
    (sister,) = builds(session, a_project(session), "F")
    sister.collection_id = build.collection_id
    session.flush()

    assert around.around(session, build).family == [sister]


def test_other_builds_of_the_same_code_are_told(session: Session, project: Project) -> None:
    (build,) = builds(session, project, "F")
    again = an_ended_build(session, project, source=build.source)

    assert around.around(session, build).same_source == [again]
