"""Snapshots: made by builds, active when whole, used by the builds that come after."""

from datetime import timedelta

import pytest
from sqlalchemy.orm import Session
from tests.builds.kept import CONTENT, a_build_of, a_plan_with_set_up, a_snapshot, held_by, send
from tests.factories import a_plan, a_project, a_source, steps_of

from changes.base import clock
from changes.base.errors import Conflict, Invalid
from changes.base.settings import Settings
from changes.builds import blobs, cancel, offers, snapshot_builds, snapshot_rules, snapshot_use, snapshots
from changes.builds.models import Command, Job
from changes.builds.rules import Cause, CommandType, Priority
from changes.builds.snapshot_models import Blob, Snapshot
from changes.builds.snapshot_rules import SnapshotStatus
from changes.builds.snapshot_use import CURRENT, SnapshotAsked
from changes.projects import options, plan_options, plans, queries
from changes.projects.models import Project
from changes.projects.plan_options import OF_PLANS
from changes.protocol import SnapshotMade

pytestmark = pytest.mark.usefixtures("settings")
NONE = SnapshotAsked(is_refused=True)


@pytest.fixture
def project(session: Session) -> Project:
    return a_project(session)


def make(session: Session, project: Project) -> Snapshot:
    return snapshot_builds.make(session, project, a_source(session, project), timeout_min=60)


def begun_with(session: Session, project: Project, asked: SnapshotAsked = CURRENT) -> list[str | None]:
    """Of each job of a new build, the image."""
    steps = steps_of(session, a_build_of(session, project, asked))
    return [step.data.get(offers.IMAGE, {}).get("image") for step in steps]


def test_a_snapshot_build_runs_what_sets_up_and_nothing_else(session: Session, project: Project) -> None:
    commands = [
        {"type": "setup", "script": "make deps"},
        {"type": "snapshot", "script": "make warm"},
        "make test",
        {"type": "teardown", "script": "make clean"},
    ]
    plan = a_plan(session, project, {"commands": commands, "timeout": 5})

    made = make(session, project)

    assert made.build is not None
    (step,) = steps_of(session, made.build)
    scripts = [each["script"] for each in commands_of(session, step.id)]
    assert scripts == ["make deps", "make warm", "make clean"]
    assert step.timeout_s == 45 * 60
    assert (made.build.cause, made.build.priority) == (Cause.SNAPSHOT, Priority.HIGH)
    assert made.build.tags == ["snapshot"]
    assert session.get_one(Job, step.job_id).label == f"Create Snapshot: {plan.label}"
    assert made.status == SnapshotStatus.PENDING


def commands_of(session: Session, step_id: object) -> list[dict[str, str]]:
    found = session.query(Command).filter(Command.step_id == step_id).order_by(Command.order)
    return [{"script": each.script, "type": CommandType(each.type).name} for each in found]


def test_without_anything_to_set_up_there_is_nothing_to_keep(session: Session, project: Project) -> None:
    a_plan(session, project, {"commands": ["make test"]})

    with pytest.raises(Invalid, match="No snapshottable plans"):
        make(session, project)


def test_a_plan_that_allows_no_snapshots_is_left_out(session: Session, project: Project) -> None:
    a_plan_with_set_up(session, project)
    other = a_plan_with_set_up(session, project)
    plan_options.change(session, other.id, OF_PLANS, {"snapshot.allow": "0"})

    assert len(make(session, project).images) == 1


def test_it_is_active_only_when_all_of_its_images_are(session: Session, project: Project) -> None:
    a_plan_with_set_up(session, project)
    a_plan_with_set_up(session, project)
    made = make(session, project)
    assert made.build is not None
    first, second = (held_by(session, step) for step in steps_of(session, made.build))
    states = []

    for holder, step in zip((first, second), steps_of(session, made.build), strict=True):
        told = SnapshotMade(image=step.data["expected_snapshot"], sha256=send(session, holder))
        snapshots.note_made(session, holder, told)
        states.append(made.status)

    assert states == [SnapshotStatus.PENDING, SnapshotStatus.ACTIVE]


@pytest.mark.parametrize(
    ("told", "known"),
    [("archive", "archive"), ("podman", "podman"), ("lxc", "lxc"), ("of tomorrow", "archive")],
)
def test_builds_hear_of_which_kind_an_image_is(
    session: Session, project: Project, told: str, known: str
) -> None:
    a_plan_with_set_up(session, project)
    made = make(session, project)
    assert made.build is not None
    (step,) = steps_of(session, made.build)
    holder = held_by(session, step)
    image = step.data["expected_snapshot"]

    snapshots.note_made(session, holder, SnapshotMade(image=image, sha256=send(session, holder), kind=told))

    snapshots.set_current(session, project, made)
    (begun,) = steps_of(session, a_build_of(session, project, CURRENT))
    assert begun.data[offers.IMAGE]["kind"] == known


def test_a_build_begins_with_the_current_snapshot(session: Session, project: Project) -> None:
    a_plan_with_set_up(session, project)
    made = a_snapshot(session, project)
    assert begun_with(session, project) == [None]

    snapshots.set_current(session, project, made)

    assert begun_with(session, project) == [made.images[0].id.hex]
    assert begun_with(session, project, NONE) == [None]


def test_a_build_may_ask_for_another_one_than_the_current(session: Session, project: Project) -> None:
    a_plan_with_set_up(session, project)
    made = a_snapshot(session, project)

    assert begun_with(session, project, SnapshotAsked(made.id)) == [made.images[0].id.hex]


def test_a_new_one_becomes_current_by_itself_where_the_project_says_so(
    session: Session, project: Project
) -> None:
    a_plan_with_set_up(session, project)
    options.change(session, project, {"snapshot.automatic": "1"})

    made = a_snapshot(session, project)

    assert snapshots.current_of(session, project) == made.id


def test_a_plan_may_borrow_the_images_of_another(session: Session, project: Project) -> None:
    lender = a_plan_with_set_up(session, project)
    borrower = a_plan_with_set_up(session, project)
    plans.borrow_snapshots(session, borrower, lender)
    made = a_snapshot(session, project)
    snapshots.set_current(session, project, made)

    assert [image.plan_id for image in made.images] == [lender.id]
    assert begun_with(session, project) == [made.images[0].id.hex] * 2


def test_nobody_borrows_from_another_project_or_himself(session: Session, project: Project) -> None:
    plan = a_plan_with_set_up(session, project)
    other = a_plan_with_set_up(session, a_project(session))

    for lender in (plan, other):
        with pytest.raises(Invalid):
            plans.borrow_snapshots(session, plan, lender)


def test_a_plan_that_requires_a_snapshot_waits_for_one(session: Session, project: Project) -> None:
    a_plan(session, project, {"commands": ["make test"]})
    required = a_plan_with_set_up(session, project)
    plan_options.change(session, required.id, OF_PLANS, {"snapshot.require": "1"})
    assert len(begun_with(session, project)) == 1

    snapshots.set_current(session, project, a_snapshot(session, project))

    assert len(begun_with(session, project)) == 2


def test_a_snapshot_whose_build_does_not_pass_has_failed(session: Session, project: Project) -> None:
    a_plan_with_set_up(session, project)
    made = make(session, project)
    assert made.build is not None
    cancel.cancel_build(session, made.build)

    snapshots.after_builds(session, [made.build.id])

    assert made.status == SnapshotStatus.FAILED


def test_an_invalid_snapshot_is_no_longer_current(session: Session, project: Project) -> None:
    a_plan_with_set_up(session, project)
    made = a_snapshot(session, project)
    snapshots.set_current(session, project, made)

    snapshots.change(session, made, SnapshotStatus.INVALIDATED)

    assert snapshots.current_of(session, project) is None
    assert begun_with(session, project) == [None]


def test_an_image_that_is_given_up_invalidates_its_snapshot(session: Session, project: Project) -> None:
    a_plan_with_set_up(session, project)
    made = a_snapshot(session, project)

    snapshots.change_image(session, made.images[0], SnapshotStatus.INVALIDATED)

    assert made.status == SnapshotStatus.INVALIDATED


def test_what_is_invalid_never_comes_back(session: Session, project: Project) -> None:
    a_plan_with_set_up(session, project)
    made = a_snapshot(session, project)
    snapshots.change(session, made, SnapshotStatus.INVALIDATED)

    with pytest.raises(Invalid, match="cannot become active"):
        snapshots.change(session, made, SnapshotStatus.ACTIVE)
    with pytest.raises(Invalid, match="Only an active snapshot"):
        snapshots.set_current(session, project, made)


def test_a_step_makes_the_image_it_is_to_make_and_no_other(session: Session, project: Project) -> None:
    a_plan_with_set_up(session, project)
    made = a_snapshot(session, project)
    holder = held_by(session, steps_of(session, a_build_of(session, project))[0])

    told = SnapshotMade(image=made.images[0].id.hex, sha256=send(session, holder, b"something else"))

    with pytest.raises(Conflict, match="another image"):
        snapshots.note_made(session, holder, told)


def test_a_step_that_makes_a_snapshot_gets_no_secrets() -> None:
    row = {"is_trusted": True, "secrets": [{"name": "KEY", "sealed": ""}], "data": {"expected_snapshot": "1"}}

    assert offers.secrets_of(row) == {}


def test_a_snapshot_of_another_project_does_not_fit(session: Session, project: Project) -> None:
    a_plan_with_set_up(session, project)
    other = a_project(session)
    a_plan_with_set_up(session, other)
    made = a_snapshot(session, other)

    with pytest.raises(Invalid, match="cannot be applied"):
        snapshot_use.check(session, made.id.hex, [project])


def test_bytes_of_an_invalid_snapshot_go(session: Session, project: Project, settings: Settings) -> None:
    a_plan_with_set_up(session, project)
    made = a_snapshot(session, project)
    age(session)
    snapshots.clean(session)
    blobs.clean(session)
    assert session.query(Blob).count() == 1

    snapshots.change(session, made, SnapshotStatus.INVALIDATED)
    snapshots.clean(session)
    session.flush()
    blobs.clean(session)

    assert session.query(Blob).count() == 0
    assert not [path for path in (settings.home / "blobs").rglob("blobs/*/*") if path.is_file()]


def age(session: Session) -> None:
    session.query(Blob).update({"date_sent": clock.now() - timedelta(days=1)})


def test_old_snapshots_are_retired_but_never_the_current_one(session: Session, project: Project) -> None:
    a_plan_with_set_up(session, project)
    found = [
        a_snapshot(session, project, CONTENT + str(n).encode()) for n in range(snapshots.ACTIVE_KEPT + 2)
    ]
    snapshots.set_current(session, project, found[0])

    snapshots.clean(session)

    active = [each.status == SnapshotStatus.ACTIVE for each in found]
    assert active == [True, False, *[True] * snapshots.ACTIVE_KEPT]


def test_images_are_cached_for_the_clusters_of_their_plans(session: Session, project: Project) -> None:
    a_plan_with_set_up(session, project, cluster="linux")
    first, second = a_snapshot(session, project), a_snapshot(session, project, b"other")
    snapshots.cache(session, first)

    told = snapshots.cache(session, second)

    # The first one stays for another hour.
    assert sorted(told["linux"]) == sorted([first.images[0].id.hex, second.images[0].id.hex])


@pytest.mark.parametrize(
    ("now", "images", "then"),
    [
        ("PENDING", ["ACTIVE", "ACTIVE"], "ACTIVE"),
        ("PENDING", ["ACTIVE", "PENDING"], "PENDING"),
        ("PENDING", ["ACTIVE", "FAILED"], "FAILED"),
        ("ACTIVE", ["ACTIVE", "INVALIDATED"], "INVALIDATED"),
        ("FAILED", ["ACTIVE", "ACTIVE"], "FAILED"),
        ("PENDING", [], "PENDING"),
    ],
)
def test_what_a_snapshot_is_follows_from_its_images(now: str, images: list[str], then: str) -> None:
    found = snapshot_rules.status_of_whole(SnapshotStatus[now], [SnapshotStatus[each] for each in images])

    assert found == SnapshotStatus[then]


def test_the_option_names_an_active_snapshot_or_nothing(session: Session, project: Project) -> None:
    a_plan_with_set_up(session, project)
    made = a_snapshot(session, project)

    assert snapshots.checked(session, project, {"snapshot.current": str(made.id)}) == {
        "snapshot.current": made.id.hex
    }
    with pytest.raises(Invalid, match="no active snapshot"):
        snapshots.checked(session, project, {"snapshot.current": "nonsense"})
    assert queries.options(session, project) == {}
