"""Commits of a repository, and where each belongs."""

from datetime import timedelta

import pytest
from sqlalchemy.orm import Session
from tests.factories import a_project, a_source

from changes.base import clock
from changes.base.errors import NotFound
from changes.base.paging import Page
from changes.projects import commits
from changes.projects.models import Project

OLD, NEW = "aa" * 20, "bb" * 20


@pytest.fixture
def project(session: Session) -> Project:
    project = a_project(session)
    a_source(session, project, sha=OLD).revision.date_committed = clock.now() - timedelta(days=2)
    newer = a_source(session, project, sha=NEW).revision
    newer.message, newer.branches = "Round half even", ["main", "next"]
    session.flush()
    return project


def shas(session: Session, project: Project, **asked: str) -> list[str]:
    return [each.sha for each in commits.commits(session, project.repository, Page(), **asked).rows]


def test_the_latest_commit_comes_first(session: Session, project: Project) -> None:
    assert shas(session, project) == [NEW, OLD]


@pytest.mark.parametrize("asked", [{"branch": "next"}, {"text": "HALF"}, {"text": "bbbb"}])
def test_commits_are_found_by_branch_message_and_sha(
    session: Session, project: Project, asked: dict[str, str]
) -> None:
    assert shas(session, project, **asked) == [NEW]


def test_branches_are_named_once(session: Session, project: Project) -> None:
    assert commits.branches(session, project.repository) == ["main", "next"]


def test_a_commit_nobody_asked_for_is_not_there(session: Session, project: Project) -> None:
    with pytest.raises(NotFound):
        commits.commit(session, project.repository, "cc" * 20)


def test_a_commit_is_found_by_the_beginning_of_its_sha(session: Session, project: Project) -> None:
    found = commits.like(session, "BBBB", limit=5)

    assert [(revision.sha, each) for revision, each in found] == [(NEW, project)]


@pytest.mark.parametrize("text", ["bbb", "refund", "%%%%"])
def test_what_is_no_sha_finds_no_commit(session: Session, project: Project, text: str) -> None:
    assert commits.like(session, text, limit=5) == []
