"""What is whose, and which of it waits for whom."""

from datetime import timedelta

import pytest
from sqlalchemy.orm import Session
from tests.factories import a_build, a_project, an_author
from tests.finished import a_patch, an_ended_build

from changes.base import clock
from changes.builds import mine
from changes.builds.mine import Mine
from changes.builds.rules import Result
from changes.people.models import Author
from changes.projects.models import Project


@pytest.fixture
def me(session: Session) -> Author:
    return an_author(session)


@pytest.fixture
def project(session: Session) -> Project:
    return a_project(session)


def of(session: Session, author: Author) -> Mine:
    return mine.mine(session, author.email)


def test_builds_are_mine_by_my_address_however_it_is_written(
    session: Session, me: Author, project: Project
) -> None:
    build = an_ended_build(session, project, author=me)
    an_ended_build(session, project, author=an_author(session))
    me.email = me.email.upper()
    session.flush()

    assert mine.mine(session, me.email.lower()).newest == [build]


def test_what_of_mine_has_not_ended_runs(session: Session, me: Author, project: Project) -> None:
    build = a_build(session, project)
    build.author = me
    session.flush()

    assert of(session, me).running == [build]


def test_my_red_commit_waits_until_a_commit_of_the_project_passes(
    session: Session, me: Author, project: Project
) -> None:
    build = an_ended_build(session, project, Result.FAILED, author=me)
    before = of(session, me).red

    an_ended_build(session, project, author=an_author(session))

    assert (before, of(session, me).red) == ([build], [])


def test_my_red_patch_waits_until_that_change_passes(session: Session, me: Author, project: Project) -> None:
    build = an_ended_build(session, project, Result.FAILED, author=me, source=a_patch(session, project))
    an_ended_build(session, project)
    before = of(session, me).red

    an_ended_build(session, project, author=me, source=a_patch(session, project))

    assert (before, of(session, me).red) == ([build], [])


def test_of_many_red_builds_of_one_line_the_newest_waits(
    session: Session, me: Author, project: Project
) -> None:
    an_ended_build(session, project, Result.FAILED, author=me)
    newest = an_ended_build(session, project, Result.INFRA_FAILED, author=me)
    patch = an_ended_build(session, project, Result.FAILED, author=me, source=a_patch(session, project))

    assert of(session, me).red == [patch, newest]


def test_what_was_stopped_or_is_long_ago_does_not_wait(
    session: Session, me: Author, project: Project
) -> None:
    an_ended_build(session, project, Result.ABORTED, author=me)
    old = an_ended_build(session, project, Result.FAILED, author=me)
    old.date_created = clock.now() - timedelta(days=31)
    session.flush()

    assert of(session, me).red == []


def test_whoever_wrote_nothing_has_nothing(session: Session) -> None:
    assert mine.mine(session, "nobody@example.com") == Mine([], [], [])


def test_what_i_asked_for_is_mine_too_and_only_once(session: Session, me: Author, project: Project) -> None:
    of_another = an_ended_build(session, project, author=an_author(session))
    of_mine = an_ended_build(session, project, author=me)
    for build in (of_another, of_mine):
        build.asked_by = me.email.upper()
    session.flush()

    assert of(session, me).newest == [of_mine, of_another]


def test_what_no_request_asked_for_belongs_to_nobody(session: Session, project: Project) -> None:
    an_ended_build(session, project, author=an_author(session))

    assert mine.mine(session, "").newest == []
