import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from tests import factories
from tests.builds import agents

from changes.builds.models import JobStep
from changes.builds.rules import Result
from changes.results import models, testruns
from changes.results.formats import junit

PASSED = junit.TestSeen("a.works", "a", "passed", duration_ms=12)
FAILED = junit.TestSeen("a.breaks", "a", "failed", message="boom", reruns=2, owner="zoe")
SKIPPED = junit.TestSeen("a.rests", "a", "skipped", message="not today")


@pytest.fixture
def step(session: Session) -> JobStep:
    return agents.a_taken_step(session)


def runs(session: Session, step: JobStep) -> dict[str, models.TestRun]:
    found = select(models.TestRun, models.Test.name).join(
        models.Test, models.Test.id == models.TestRun.test_id
    )
    mine = found.join(models.TestBatch, testruns.is_in_batch()).where(models.TestBatch.step_id == step.id)
    return {name: run for run, name in session.execute(mine)}


def test_runs_are_stored_with_what_is_known_about_them(session: Session, step: JobStep) -> None:
    testruns.store(session, step, [PASSED, FAILED])

    found = runs(session, step)
    assert (found["a.works"].result, found["a.works"].duration_ms) == (Result.PASSED, 12)
    assert (found["a.breaks"].result, found["a.breaks"].duration_ms) == (Result.FAILED, None)
    assert found["a.breaks"].reruns == 2


def test_words_are_kept_for_tests_that_did_not_pass(session: Session, step: JobStep) -> None:
    chatty = junit.TestSeen("a.chats", "a", "passed", message="all is well")

    testruns.store(session, step, [chatty, FAILED, SKIPPED])

    found = runs(session, step)
    messages = testruns.messages(session, [run.id for run in found.values()])
    assert messages == {found["a.breaks"].id: "boom", found["a.rests"].id: "not today"}


def test_storing_again_replaces_what_was_stored(session: Session, step: JobStep) -> None:
    testruns.store(session, step, [PASSED, FAILED])
    testruns.store(session, step, [PASSED])

    assert list(runs(session, step)) == ["a.works"]


def test_a_test_is_the_same_one_in_every_build_of_its_project(session: Session) -> None:
    project = factories.a_project(session)
    steps = [agents.a_taken_step(session, factories.a_build(session, project)) for _ in range(2)]
    stranger = agents.a_taken_step(session)

    for step in (*steps, stranger):
        testruns.store(session, step, [PASSED])

    ids = [runs(session, step)["a.works"].test_id for step in (*steps, stranger)]
    assert ids[0] == ids[1] != ids[2]


def test_an_owner_is_learnt_and_not_forgotten(session: Session, step: JobStep) -> None:
    nameless = junit.TestSeen("a.breaks", "a", "passed")

    testruns.store(session, step, [nameless])
    testruns.store(session, step, [FAILED])
    testruns.store(session, step, [nameless])

    assert session.execute(select(models.Test.owner)).scalars().all() == ["zoe"]


def test_no_tests_are_no_runs(session: Session, step: JobStep) -> None:
    testruns.store(session, step, [])

    assert runs(session, step) == {}


def test_the_failures_of_a_build_are_listed_by_name_and_bounded(session: Session, step: JobStep) -> None:
    failed = [junit.TestSeen(f"a.{name}", "a", "failed") for name in "cab"]
    testruns.store(session, step, [*failed, PASSED])

    found = testruns.failures_of_build(session, step.job.build_id, limit=2)

    assert [test.name for _, test, _ in found] == ["a.a", "a.b"]


def test_tests_are_counted_by_result(session: Session, step: JobStep) -> None:
    testruns.store(session, step, [PASSED, FAILED, SKIPPED, junit.TestSeen("a.b", "a", "quarantined_failed")])

    assert testruns.counts_of_build(session, step.job.build_id) == {
        Result.PASSED: 1,
        Result.FAILED: 1,
        Result.SKIPPED: 1,
        Result.QUARANTINED_FAILED: 1,
    }


def test_names_in_any_script_and_of_any_length_are_stored(session: Session, step: JobStep) -> None:
    names = ["\N{SNOWMAN}" * 2000, "tab\tand\nline", "'; drop table test; --", "\\N"]

    testruns.store(session, step, [junit.TestSeen(name, "", "passed") for name in names])

    assert set(runs(session, step)) == set(names)
