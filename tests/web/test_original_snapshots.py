"""Images that agents of the original make and begin with: they keep the bytes, we know of them."""

from uuid import UUID

import pytest
from tests.builds import kept
from tests.factories import a_project, a_source
from tests.web.conftest import Live, refused
from tests.web.old_wire import OldAgent, OldScheduler, a_scheduler, a_waiting_step, agent_of, flag

from changes.builds import snapshot_builds
from changes.builds.snapshot_models import Snapshot
from changes.builds.snapshot_rules import SnapshotStatus
from changes.projects.models import Project, ProjectOption
from changes.projects.options import SNAPSHOT_CURRENT


@pytest.fixture
def scheduler(live: Live) -> OldScheduler:
    return a_scheduler(live)


@pytest.fixture
def project_id(live: Live) -> UUID:
    with live.database.transaction() as session:
        project = a_project(session)
        kept.a_plan_with_set_up(session, project)
        return project.id


@pytest.fixture
def snapshot_id(live: Live, project_id: UUID) -> UUID:
    """Its image is still to be made, by whoever takes the step."""
    with live.database.transaction() as session:
        project = session.get_one(Project, project_id)
        return snapshot_builds.make(session, project, a_source(session, project), timeout_min=60).id


def status_of(live: Live, snapshot_id: UUID) -> SnapshotStatus:
    with live.database.transaction() as session:
        return session.get_one(Snapshot, snapshot_id).status


def image_of(agent: OldAgent) -> str:
    image_id: str = agent.get().json()["expectedSnapshot"]["id"]
    return image_id


def make(agent: OldAgent, status: str) -> None:
    """In the order of the original: the image before the last report."""
    agent.begin()
    agent.run_all()
    assert agent.post(f"/snapshotimages/{image_of(agent)}/", status=status).status_code == 200
    agent.end()


def test_an_agent_is_told_which_image_to_make(scheduler: OldScheduler, snapshot_id: UUID) -> None:
    (step,) = scheduler.waiting()
    scheduler.allocate(step["id"])

    told = agent_of(scheduler.http, step).get().json()

    assert told["snapshot"] is None
    assert flag(step["cmd"], "save-snapshot") == told["expectedSnapshot"]["id"]


def test_a_snapshot_is_active_once_its_image_is(
    live: Live, scheduler: OldScheduler, snapshot_id: UUID
) -> None:
    make(scheduler.take(), "active")

    assert status_of(live, snapshot_id) == SnapshotStatus.ACTIVE


def test_a_snapshot_whose_image_could_not_be_made_is_not_active(
    live: Live, scheduler: OldScheduler, snapshot_id: UUID
) -> None:
    make(scheduler.take(), "failed")

    assert status_of(live, snapshot_id) != SnapshotStatus.ACTIVE


def test_the_same_word_about_an_image_again_is_success(scheduler: OldScheduler, snapshot_id: UUID) -> None:
    agent = scheduler.take()
    agent.begin()
    image_id = image_of(agent)

    answers = [agent.post(f"/snapshotimages/{image_id}/", status="active") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[1].json()["status"]["id"] == "active"


@pytest.mark.parametrize("status", ["", "pending", "unknown", "ACTIVE!"])
def test_another_word_about_an_image_is_refused(
    live: Live, scheduler: OldScheduler, snapshot_id: UUID, status: str
) -> None:
    agent = scheduler.take()

    refused(agent.post(f"/snapshotimages/{image_of(agent)}/", status=status), 400)

    assert status_of(live, snapshot_id) == SnapshotStatus.PENDING


def test_only_whoever_makes_an_image_speaks_of_it(
    live: Live, scheduler: OldScheduler, snapshot_id: UUID
) -> None:
    maker = scheduler.take()
    a_waiting_step(live)
    other = scheduler.take()

    refused(other.post(f"/snapshotimages/{image_of(maker)}/", status="active"), 404)

    assert status_of(live, snapshot_id) == SnapshotStatus.PENDING


def test_a_later_build_begins_with_the_image_and_its_scheduler_knows(
    live: Live, scheduler: OldScheduler, project_id: UUID, snapshot_id: UUID
) -> None:
    maker = scheduler.take()
    image_id = image_of(maker)
    make(maker, "active")
    with live.database.transaction() as session:
        project = session.get_one(Project, project_id)
        session.add(ProjectOption(project_id=project.id, name=SNAPSHOT_CURRENT, value=snapshot_id.hex))
        session.flush()
        kept.a_build_of(session, project)

    (step,) = scheduler.waiting()
    scheduler.allocate(step["id"])

    assert step["image"] == {"id": image_id, "snapshot": {"id": snapshot_id.hex}}
    assert "save-snapshot" not in step["cmd"]
    assert agent_of(scheduler.http, step).get().json()["snapshot"] == {"id": image_id}
