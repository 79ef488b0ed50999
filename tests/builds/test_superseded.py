"""Older builds of a branch when a newer one is asked for, and urgency that changes while it waits."""

from typing import Any

import pytest
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents, queues

from changes.base import ids
from changes.builds import create, priority, reasons, retry, superseded
from changes.builds.create import NewBuild
from changes.builds.models import Build, FailureReason, JobStep
from changes.builds.reasons import AGENT_LOST, Reason
from changes.builds.rules import Cause, Priority, ReplaceLimits, Result, Status
from changes.projects.models import ItemOption, Project, Revision

ONLY_NEWEST = "job.cancel-superseded"
LOST = Reason(AGENT_LOST, {"node": "n", "silence_s": 60})


def a_project(session: Session, *, only_newest: bool = True) -> Project:
    project = factories.a_project(session)
    plan = factories.a_plan(session, project, {"commands": ["true"]})
    session.add(ItemOption(item_id=plan.id, name=ONLY_NEWEST, value=str(int(only_newest))))
    session.flush()
    return project


def ask(session: Session, project: Project, sha: str, branch: str = "main", **differs: Any) -> Build:
    source = factories.a_source(session, project, sha=sha * 40, patch=differs.pop("patch", None))
    session.get_one(Revision, (project.repository_id, sha * 40)).branches = [branch]
    usual = {"label": "b", "target": "t", "message": "", "author": None}
    return create.create_build(session, project, NewBuild(source, ids.new(), **{**usual, **differs}))


def test_a_newer_build_of_the_branch_ends_the_older_one(session: Session) -> None:
    project = a_project(session)
    older, running = ask(session, project, "a"), ask(session, project, "b", branch="next")
    agents.begin(session, agents.a_taken_step(session, running))

    newer = ask(session, project, "c")
    latest = ask(session, project, "d", branch="next")

    assert agents.state(older) == agents.state(running) == (Status.FINISHED, Result.ABORTED)
    assert not newer.is_finished
    assert not latest.is_finished


def test_what_took_its_place_is_said(session: Session) -> None:
    project = a_project(session)
    older = ask(session, project, "a")

    newer = ask(session, project, "b")

    [why] = session.query(FailureReason).filter_by(build_id=older.id)
    sentence = reasons.sentence(why.reason, why.data)
    assert sentence.startswith(f"The newer build #{newer.number} took the place of the job ")


def test_other_branches_go_on(session: Session) -> None:
    project = a_project(session)
    other = ask(session, project, "a", branch="next")

    ask(session, project, "b")

    assert not other.is_finished


def test_a_plan_that_does_not_say_so_keeps_its_builds(session: Session) -> None:
    project = a_project(session, only_newest=False)
    older = ask(session, project, "a")

    ask(session, project, "b")

    assert not older.is_finished


def test_only_jobs_of_the_plan_that_says_so_end(session: Session) -> None:
    project = a_project(session)
    factories.a_plan(session, project, {"commands": ["make nightly"]})
    older = ask(session, project, "a")

    ask(session, project, "b")

    assert [job.is_finished for job in agents.jobs_of(session, older)] == [True, False]


def test_versions_of_one_patch_supersede_each_other_and_no_commit(session: Session) -> None:
    project = a_project(session)
    commit = ask(session, project, "a")
    first, other = (ask(session, project, "a", patch=b"1", target=target) for target in ("D1", "D2"))

    ask(session, project, "a", patch=b"2", target="D1")

    assert [build.is_finished for build in (commit, first, other)] == [False, True, False]


def test_a_repetition_ends_nothing(session: Session) -> None:
    project = a_project(session)
    older = ask(session, project, "a")

    ask(session, project, "b", cause=Cause.RETRY)

    assert not older.is_finished


def test_a_commit_that_is_built_late_ends_no_newer_one(session: Session) -> None:
    project = a_project(session)
    older = factories.a_source(session, project, sha="a" * 40)
    newest = ask(session, project, "b")

    late = ask(session, project, older.revision_sha[0])

    assert not newest.is_finished
    assert not late.is_finished


def test_builds_that_search_what_broke_a_test_end_none_and_are_ended_by_none(session: Session) -> None:
    project = a_project(session)
    head = ask(session, project, "a")

    searched = [ask(session, project, sha, tags=[superseded.OF_ONE_COMMIT]) for sha in "bc"]
    ask(session, project, "d")

    assert head.is_finished
    assert [build.is_finished for build in searched] == [False, False]


def test_a_search_leaves_what_it_finds_at_work_alone(session: Session) -> None:
    project = a_project(session)
    head = ask(session, project, "a")

    ask(session, project, "b", tags=[superseded.OF_ONE_COMMIT])

    assert not head.is_finished


@pytest.mark.parametrize("wanted", [Priority.HIGH, Priority.LOW])
def test_a_build_that_waits_changes_its_place_with_its_priority(session: Session, wanted: Priority) -> None:
    project = queues.a_project(session, "p")
    first, second = (queues.ask_for(session, project) for _ in range(2))
    node = queues.a_node(session)

    moved = priority.change(session, second if wanted == Priority.HIGH else first, wanted)
    queues.hand_out(session, node)

    assert moved == 1
    assert factories.steps_of(session, second)[0].node_id == node.id


def test_what_is_done_again_is_as_urgent_as_its_build_is_now(session: Session) -> None:
    build = factories.a_build(session)
    step = agents.a_taken_step(session, build)
    priority.change(session, build, Priority.HIGH)

    attempt = retry.replace_lost_step(session, step, LOST, ReplaceLimits(1, 1))

    assert attempt is not None
    assert attempt.priority == Priority.HIGH


def test_what_runs_already_is_left_alone(session: Session) -> None:
    build = factories.a_build(session)
    step = agents.a_taken_step(session, build)

    moved = priority.change(session, build, Priority.HIGH)

    assert moved == 0
    assert session.get_one(JobStep, step.id).status == Status.ALLOCATED
    assert build.priority == Priority.HIGH
