"""How the jobs of a build make its verdict, and who is told of it."""

from functools import partial

from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents
from tests.builds.test_concurrency import at_once, ending, in_transaction
from tests.builds.test_settle import run

from changes.base import ids
from changes.base.db import Database
from changes.builds import again, cancel, collection, create, tasks
from changes.builds.create import NewBuild
from changes.builds.events import BuildFailing, BuildFinished, CollectionFinished, JobFinished
from changes.builds.models import Build, JobStep
from changes.builds.rules import Result, Status
from changes.projects import options

PASSED, FAILED = (Status.FINISHED, Result.PASSED), (Status.FINISHED, Result.FAILED)
MUST_AND_MAY = "plans: [{name: must, commands: [one]}, {name: may, commands: [two], optional: true}]"


def a_build(session: Session, rule: str, config: str = MUST_AND_MAY) -> Build:
    project = factories.a_project(session)
    options.change(session, project, {options.RESULT_RULE: rule})
    source = factories.a_source(session, project, config=config)
    return create.create_build(session, project, NewBuild(source, ids.new(), "b", "", "", None))


def end_all(session: Session, build: Build, *codes: int) -> None:
    for step, code in zip(factories.steps_of(session, build), codes, strict=True):
        run(session, step, code=code)


# --- the rule of the project ---------------------------------------------------------------------


def test_where_all_must_pass_an_optional_plan_must_too(session: Session) -> None:
    build = a_build(session, "all")

    end_all(session, build, 0, 1)

    assert agents.state(build) == FAILED


def test_where_only_the_required_must_pass_an_optional_plan_may_fail(session: Session) -> None:
    build = a_build(session, "required-only")

    end_all(session, build, 0, 1)

    assert agents.state(build) == PASSED
    assert [job.result for job in agents.jobs_of(session, build)] == [Result.PASSED, Result.FAILED]
    assert build.date_failing is None


def test_where_only_the_required_must_pass_a_required_plan_must(session: Session) -> None:
    build = a_build(session, "required-only")

    end_all(session, build, 1, 0)

    assert agents.state(build) == FAILED


def test_where_any_may_pass_one_substrate_is_enough(session: Session) -> None:
    build = a_build(session, "any")
    first, second = factories.steps_of(session, build)

    run(session, first, code=1)
    assert build.result == Result.UNKNOWN
    run(session, second)

    assert agents.state(build) == PASSED


def test_where_any_may_pass_and_none_does_the_build_has_failed(session: Session) -> None:
    build = a_build(session, "any")

    end_all(session, build, 1, 1)

    assert agents.state(build) == FAILED
    assert build.date_failing is not None


def test_a_rule_that_is_changed_meanwhile_does_not_reach_a_build_that_runs(session: Session) -> None:
    build = a_build(session, "required-only")
    options.change(session, build.project, {options.RESULT_RULE: "all"})

    end_all(session, build, 0, 1)

    assert agents.state(build) == PASSED


# --- who is told ---------------------------------------------------------------------------------


def test_the_first_failure_is_told_while_others_still_run(session: Session) -> None:
    agents.listen(BuildFailing)
    build = factories.a_build(session, plans=3)
    first, second, third = factories.steps_of(session, build)

    told = []
    for step, code in ((first, 0), (second, 1), (third, 1)):
        run(session, step, code=code)
        told.append(agents.announced(session, build.id, BuildFailing))

    assert told == [0, 1, 1]
    assert agents.announced(session, build.id, BuildFinished) == 1


def test_a_failure_that_ends_the_build_is_told_as_one_too(session: Session) -> None:
    agents.listen(BuildFailing)
    build = factories.a_build(session)

    run(session, factories.steps_of(session, build)[0], code=1)

    assert agents.announced(session, build.id, BuildFailing) == 1


def test_a_build_that_could_not_even_be_planned_is_told_as_failing(session: Session) -> None:
    agents.listen(BuildFailing)

    build = factories.a_build(session, plans=0)

    assert agents.announced(session, build.id, BuildFailing) == 1


def test_a_cancelled_build_is_not_failing(session: Session) -> None:
    agents.listen(BuildFailing)
    build = factories.a_build(session)

    cancel.cancel_build(session, build)

    assert agents.announced(session, build.id, BuildFailing) == 0


def test_every_job_that_ends_is_told_once(session: Session) -> None:
    agents.listen(JobFinished)
    build = factories.a_build(session, plans=2)
    run(session, factories.steps_of(session, build)[0])

    cancel.cancel_build(session, build)

    assert agents.announced_jobs(session) == sorted(str(job.id) for job in agents.jobs_of(session, build))


# --- the collection ------------------------------------------------------------------------------


def a_collection(session: Session, count: int = 2) -> list[Build]:
    collection_id, builds = ids.new(), []
    for _ in range(count):
        build = factories.a_build(session)
        build.collection_id = collection_id
        builds.append(build)
    session.flush()
    return builds


def end(session: Session, build: Build, *, code: int = 0) -> None:
    run(session, factories.steps_of(session, build)[0], code=code)
    tasks.after_builds(session, [BuildFinished(build.id)])


def told_of(session: Session, build: Build) -> int:
    return agents.announced(session, build.collection_id, CollectionFinished)


def test_a_collection_has_ended_when_the_last_of_its_builds_has(session: Session) -> None:
    agents.listen(CollectionFinished)
    one, other = a_collection(session)

    end(session, one)
    assert told_of(session, one) == 0
    end(session, other)

    assert told_of(session, one) == 1


def test_the_end_of_a_collection_is_told_once_however_often_it_is_looked_at(session: Session) -> None:
    agents.listen(CollectionFinished)
    (build,) = a_collection(session, 1)
    end(session, build)

    tasks.after_builds(session, [BuildFinished(build.id)])

    assert told_of(session, build) == 1


def test_a_collection_of_which_a_build_is_repeated_ends_once_more(session: Session) -> None:
    agents.listen(CollectionFinished)
    one, other = a_collection(session)
    end(session, one)
    end(session, other, code=1)

    again.repeat_failed(session, other)
    run(session, factories.steps_of(session, other)[-1])
    tasks.after_builds(session, [BuildFinished(other.id, 2)])

    assert told_of(session, one) == 2


def test_of_a_build_that_is_gone_nothing_is_told(session: Session) -> None:
    collection.tell_when_finished(session, ids.new())


def test_two_builds_that_end_at_the_same_moment_end_their_collection_once(database: Database) -> None:
    agents.listen(CollectionFinished)
    with database.transaction() as session:
        builds = a_collection(session)
        steps = [factories.steps_of(session, build)[0] for build in builds]
        for step in steps:
            agents.begin(session, factories.give_to(session, step, factories.a_node(session)))

    def end_one(step: JobStep, build: Build) -> None:
        in_transaction(database, ending(step.id))()
        with database.transaction() as session:
            tasks.after_builds(session, [BuildFinished(build.id)])

    at_once([partial(end_one, step, build) for step, build in zip(steps, builds, strict=True)])

    with database.transaction() as session:
        assert told_of(session, builds[0]) == 1
