from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session
from tests import factories

from changes.base.errors import Invalid
from changes.builds import again, ask
from changes.builds.ask import Asked
from changes.builds.models import Build, Job
from changes.builds.rules import Cause
from changes.projects.models import ItemOption, Patch, Project
from changes.projects.rules import ProjectStatus, RepositoryStatus

SHA = factories.A_SHA


def asked_for(session: Session, **asked: Any) -> list[Build]:
    return ask.build_what_was_asked(session, Asked(**{"sha": SHA, **asked}), timeout_min=60)


def refusal(session: Session, **asked: Any) -> Invalid:
    with pytest.raises(Invalid) as refused:
        asked_for(session, **asked)
    return refused.value


@pytest.fixture
def project(session: Session) -> Project:
    """With one plan, and a revision that is known already."""
    made = factories.a_project(session)
    factories.a_plan(session, made, {"commands": ["true"]})
    factories.a_source(session, made)
    return made


def a_neighbour(session: Session, project: Project) -> Project:
    """Another project of the same repository."""
    other = factories.a_project(session, repository=project.repository)
    factories.a_plan(session, other, {"commands": ["true"]})
    return other


def test_a_commit_of_a_project_is_described_by_its_revision(session: Session, project: Project) -> None:
    (build,) = asked_for(session, project=project.slug)

    assert (build.label, build.target) == ("Mend the frobnicator", SHA[:12])
    assert build.message == "Mend the frobnicator\n\nIt was broken."
    assert build.author_id == build.source.revision.author_id
    assert build.tags == []


def test_what_the_asker_says_wins_over_the_revision(session: Session, project: Project) -> None:
    (build,) = asked_for(
        session,
        project=project.slug,
        label="Mine",
        target="D1",
        message="",
        author="Zoe <zoe@example.com>",
        tag="t",
    )

    assert (build.label, build.target, build.message, build.tags) == ("Mine", "D1", "", ["t"])
    assert build.author is not None
    assert (build.author.name, build.author.email) == ("Zoe", "zoe@example.com")


def test_a_repository_means_all_its_active_projects_in_one_collection(
    session: Session, project: Project
) -> None:
    other = a_neighbour(session, project)
    a_neighbour(session, project).status = ProjectStatus.INACTIVE
    session.flush()

    builds = asked_for(session, repository=project.repository.url)

    assert {build.project_id for build in builds} == {project.id, other.id}
    assert len({build.collection_id for build in builds}) == 1


def test_a_project_wins_over_a_repository(session: Session, project: Project) -> None:
    other = factories.a_project(session)

    builds = asked_for(session, project=project.slug, repository=other.repository.url)

    assert [build.project_id for build in builds] == [project.id]


def test_an_inactive_project_gives_way_to_the_repository(session: Session, project: Project) -> None:
    other = a_neighbour(session, project)
    other.status = ProjectStatus.INACTIVE
    session.flush()

    builds = asked_for(session, project=other.slug, repository=project.repository.url)

    assert [build.project_id for build in builds] == [project.id]


def test_a_callsign_names_a_repository(session: Session, project: Project) -> None:
    option = ItemOption(item_id=project.repository_id, name="phabricator.callsign", value="FROB")
    session.add(option)
    session.flush()

    assert len(asked_for(session, callsign="FROB")) == 1
    assert refusal(session, callsign="NONE").problems == ask.UNNAMED


def test_only_projects_on_the_white_list_are_built(session: Session, project: Project) -> None:
    other = a_neighbour(session, project)

    builds = asked_for(session, repository=project.repository.url, project_whitelist=[other.slug])

    assert [build.project_id for build in builds] == [other.id]


def test_a_white_list_may_leave_nothing(session: Session, project: Project) -> None:
    assert asked_for(session, project=project.slug, project_whitelist=[]) == []


def test_a_patch_makes_a_source_of_its_own_and_a_tag(session: Session, project: Project) -> None:
    builds = [asked_for(session, project=project.slug, patch=b"diff", patch_data={"a": 1})[0] for _ in "12"]

    assert [build.tags for build in builds] == [["patch"], ["patch"]]
    assert builds[0].source_id != builds[1].source_id
    assert builds[0].source.data == {"a": 1}
    assert session.get_one(Patch, builds[0].source.patch_id).diff == b"diff"


def test_commits_share_one_source(session: Session, project: Project) -> None:
    builds = [asked_for(session, project=project.slug)[0] for _ in "12"]

    assert builds[0].source_id == builds[1].source_id


def test_ensuring_a_build_creates_it_only_when_there_is_none(session: Session, project: Project) -> None:
    (first,) = asked_for(session, project=project.slug, ensure_only=True)
    (patched,) = asked_for(session, project=project.slug, patch=b"diff")

    (again,) = asked_for(session, project=project.slug, ensure_only=True)

    assert again.id == first.id != patched.id


def test_an_author_may_be_an_address_alone(session: Session, project: Project) -> None:
    (build,) = asked_for(session, project=project.slug, author="zoe@example.com")

    assert build.author is not None
    assert (build.author.name, build.author.email) == ("zoe@example.com", "zoe@example.com")


@pytest.mark.parametrize("author", ["Zoe", "Zoe <zoe>", "@" * 501])
def test_an_author_without_an_address_is_refused(session: Session, project: Project, author: str) -> None:
    assert refusal(session, project=project.slug, author=author).problems == ["author"]


def test_an_unknown_project_is_named(session: Session) -> None:
    refused = refusal(session, project="nowhere")

    assert refused.message == "There is no active project 'nowhere'."
    assert refused.problems == ["project"]


def test_an_inactive_repository_is_as_unknown_as_one_that_is_not_there(
    session: Session, project: Project
) -> None:
    project.repository.status = RepositoryStatus.INACTIVE
    session.flush()

    assert refusal(session, repository=project.repository.url).problems == ask.UNNAMED


def test_a_repository_without_projects_has_nothing_to_build(session: Session) -> None:
    repository = factories.a_repository(session)

    assert refusal(session, repository=repository.url).message == "Unable to find project(s)."


# What each check complains about; a request is wrong in one way and in all that are checked later.
IN_THE_ORDER_OF_THE_CHECKS: list[tuple[dict[str, Any], str]] = [
    ({"author": "Zoe"}, "author must look like: Name <name@example.com>"),
    ({"tag": "t" * 17}, "Tags must be 16 characters or less."),
    ({"patch": b"diff", "ensure_only": True}, "Ensure-only mode does not work with a diff build yet."),
    ({"project": None}, "Project or repository must be specified"),
    ({"snapshot_id": "5", "no_snapshot": True}, "Cannot specify snapshot with no_snapshot option"),
    ({"snapshot_id": "5"}, "Unable to find snapshot."),
]


@pytest.mark.parametrize("first", range(len(IN_THE_ORDER_OF_THE_CHECKS)))
def test_of_several_complaints_the_originals_first_is_heard(
    session: Session, project: Project, first: int
) -> None:
    asked: dict[str, Any] = {"project": project.slug, "sha": "--no-such-commit"}
    for wrong, _ in reversed(IN_THE_ORDER_OF_THE_CHECKS[first:]):
        asked |= wrong

    assert refusal(session, **asked).message == IN_THE_ORDER_OF_THE_CHECKS[first][1]


def test_a_repository_without_projects_is_complained_of_before_its_snapshot(session: Session) -> None:
    empty = factories.a_repository(session)

    refused = refusal(session, repository=empty.url, snapshot_id="5", no_snapshot=True)

    assert refused.message == "Unable to find project(s)."


def test_the_commit_is_looked_for_last_and_even_when_no_project_is_left(
    session: Session, tmp_path: Path
) -> None:
    factories.a_git_repository(tmp_path / "source", {"a": "1"})
    repository = factories.a_repository(session, str(tmp_path / "source"))
    project = factories.a_project(session, repository=repository)

    refused = refusal(session, project=project.slug, sha="no-such-branch", project_whitelist=[])

    assert refused.message == f"Unable to find commit no-such-branch in {repository.url}."
    assert refused.problems == ["sha", "repository"]


def test_a_plan_for_other_events_is_run_where_it_is_named_or_the_only_one(
    session: Session, project: Project
) -> None:
    nightly = "plans: [{name: soak, triggers: {events: [schedule]}, commands: [make soak]}]"
    alone = factories.a_project(session)
    for each in (project, alone):
        factories.a_source(session, each, sha="e" * 40, config=nightly)

    (usual,) = asked_for(session, project=project.slug, sha="e" * 40)
    (named,) = asked_for(session, project=project.slug, sha="e" * 40, plans=["soak"])
    (only,) = asked_for(session, project=alone.slug, sha="e" * 40)
    repeated = again.build_again(session, usual, Cause.RETRY, timeout_min=60)

    assert "soak" not in labels(session, usual)
    assert labels(session, repeated) == labels(session, usual)
    assert labels(session, named) == labels(session, only) == ["soak"]


def labels(session: Session, build: Build) -> list[str]:
    return [each.label for each in session.query(Job).filter(Job.build_id == build.id)]
