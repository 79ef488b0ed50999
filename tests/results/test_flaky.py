import json
from datetime import timedelta
from uuid import UUID

import pytest
import time_machine
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from tests import factories, finished
from tests.builds import agents, collecting

from changes.base import clock, ids
from changes.base.paging import Page
from changes.builds.create import NewBuild, create_build
from changes.builds.models import Build
from changes.builds.rules import Result
from changes.projects.models import Project, Source
from changes.results import flaky, flaky_rules, on_patches, testdays, testruns
from changes.results.flaky_rules import Evidence, Look
from changes.results.formats import seen as formats
from changes.results.models import TestOnPatch as OnPatch
from changes.results.verdict_models import TestFlakiness as Flakiness

ONE, TWO, THREE, FOUR = (UUID(int=number) for number in range(1, 5))


def looks(*told: tuple[UUID, bool, int]) -> list[Look]:
    """Newest first, as they are read."""
    return [Look(100 - number, *each) for number, each in enumerate(told)]


def test_passing_and_failing_on_one_revision_is_evidence() -> None:
    found = flaky_rules.evidence(looks((ONE, True, 0), (ONE, False, 0), (TWO, True, 0)))

    assert (found.split_sources, found.lone_failures, found.false_alarms) == (1, 0, (99,))


def test_passing_after_a_rerun_is_evidence() -> None:
    found = flaky_rules.evidence(looks((ONE, True, 2), (TWO, True, 0)))

    assert (found.passed_again, found.last_run) == (1, 100)


def test_what_fails_in_one_plan_and_passes_in_another_is_not_flaky() -> None:
    both = [
        Look(100 - number, source, is_passed, plan=plan)
        for number, (source, plan, is_passed) in enumerate(
            (source, plan, plan == "linux") for source in (THREE, TWO, ONE) for plan in ("mac", "linux")
        )
    ]

    assert flaky_rules.evidence(both) == Evidence(runs=6, sources=3)


def test_what_fails_from_a_revision_on_is_broken_and_not_flaky() -> None:
    broken = looks((FOUR, False, 0), (THREE, False, 0), (TWO, True, 0), (ONE, True, 0))

    assert flaky_rules.score(flaky_rules.evidence(broken)) == 0


def test_a_failure_alone_between_passes_is_weak_evidence() -> None:
    found = flaky_rules.evidence(looks((THREE, True, 0), (TWO, False, 0), (ONE, True, 0)))

    assert found.lone_failures == 1
    assert 0 < flaky_rules.score(found) <= flaky_rules.LONE_ONLY_MAX


@pytest.mark.parametrize(
    ("less", "more"),
    [
        (Evidence(sources=50, split_sources=1), Evidence(sources=50, split_sources=5)),
        (Evidence(sources=1000, passed_again=2), Evidence(sources=20, passed_again=2)),
        (Evidence(sources=9, lone_failures=50), Evidence(sources=9, split_sources=1)),
    ],
)
def test_more_evidence_is_a_higher_score(less: Evidence, more: Evidence) -> None:
    assert 0 < flaky_rules.score(less) < flaky_rules.score(more) <= 100


def test_the_evidence_is_told_in_words() -> None:
    found = Evidence(split_sources=1, passed_again=3, lone_failures=2)

    assert flaky_rules.sentences(found) == [
        "both passed and failed on 1 revision",
        "passed 3 times only after it was run again",
        "failed 2 times alone between passes",
    ]


# --- what is stored ----------------------------------------------------------------------


@pytest.fixture
def project(session: Session) -> Project:
    project = factories.a_project(session)
    factories.a_plan(session, project, {"commands": ["true"]})
    return project


def built(
    session: Session, project: Project, source: Source, *seen: formats.TestSeen, red: bool = False
) -> Build:
    asked = NewBuild(
        source=source, collection_id=ids.new(), label="A build", target="x", message="", author=None
    )
    build = create_build(session, project, asked)
    testruns.store(session, agents.a_taken_step(session, build), seen)
    if red:
        build.result = Result.FAILED
        build.date_finished = clock.now()
        build.date_started = build.date_finished - clock.milliseconds(60_000)
        session.flush()
    return build


def run(
    name: str, result: formats.Result, *, duration_ms: int | None = None, reruns: int = 0
) -> formats.TestSeen:
    return formats.TestSeen(name, "a", result, duration_ms=duration_ms, reruns=reruns)


def sources(session: Session, project: Project, count: int) -> list[Source]:
    return [factories.a_source(session, project, sha=f"{number:040x}") for number in range(1, count + 1)]


def looked(session: Session, project: Project) -> list[Flakiness]:
    while testdays.sum_up(session):
        pass
    flaky.look(session, project.id)
    return list(flaky.listed(session, project, Page()).rows)


def test_flaky_tests_are_found_the_worst_first(session: Session, project: Project) -> None:
    first, second = sources(session, project, 2)
    built(
        session,
        project,
        first,
        run("a.split", "failed"),
        run("a.steady", "passed"),
        run("a.broken", "passed"),
    )
    built(session, project, first, run("a.split", "passed"), run("a.again", "passed", reruns=1))
    built(session, project, second, run("a.split", "failed"), run("a.broken", "failed"))
    built(session, project, second, run("a.split", "passed"), run("a.steady", "passed"))

    found = looked(session, project)

    assert [each.test.name for each in found] == ["a.split", "a.again"]
    assert [each.split_sources for each in found] == [2, 0]


def test_a_test_that_one_of_two_plans_cannot_pass_is_not_flaky(session: Session, project: Project) -> None:
    factories.a_plan(session, project, {"commands": ["true"]})
    for source in sources(session, project, 3):
        build = built(session, project, source, run("a.linux_only", "passed"))
        other = factories.steps_of(session, build)[1]
        testruns.store(session, other, [run("a.linux_only", "failed")])

    assert looked(session, project) == []


def test_a_test_that_fails_in_one_of_the_surroundings_of_a_plan_is_not_flaky(session: Session) -> None:
    project = factories.a_project(session)
    factories.a_plan(session, project, collecting.COLLECT_STEPS)
    named = [{"script": "tox", "label": label} for label in ("py3.9", "py3.10")]
    for source in sources(session, project, 4):
        build = collecting.build_of(session, project, source)
        collecting.collect(session, build, json.dumps({"commands": named}))
        for step in collecting.take(session, build):
            result = "failed" if step.label == "py3.9" else "passed"
            testruns.store(session, step, [finished.a_test("a.test", result)])

    assert looked(session, project) == []


def test_the_bill_counts_red_builds_and_reruns(session: Session, project: Project) -> None:
    (source,) = sources(session, project, 1)
    built(session, project, source, run("a.split", "failed", duration_ms=100), red=True)
    built(session, project, source, run("a.split", "passed", duration_ms=100, reruns=3))

    looked(session, project)

    bill = flaky.bill(session, project)
    assert (bill.tests, bill.reruns, bill.red_builds, bill.lost_ms) == (1, 3, 1, 60_300)


def test_what_failed_in_quarantine_cost_no_build(session: Session, project: Project) -> None:
    (source,) = sources(session, project, 1)
    built(session, project, source, run("a.split", "quarantined_failed"), red=True)
    built(session, project, source, run("a.split", "passed", reruns=1))

    (found,) = looked(session, project)

    assert (found.split_sources, found.red_builds) == (1, 0)


def test_what_is_not_flaky_any_more_is_forgotten(
    session: Session, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = sources(session, project, 2)
    built(session, project, first, run("a.split", "failed"))
    built(session, project, first, run("a.split", "passed"))
    assert len(looked(session, project)) == 1
    monkeypatch.setattr(flaky, "RUNS_MAX", 1)

    built(session, project, second, run("a.split", "passed"))

    assert looked(session, project) == []


def test_only_projects_with_news_are_looked_at(session: Session, project: Project) -> None:
    idle = factories.a_project(session)
    (source,) = sources(session, project, 1)
    built(session, project, source, run("a.steady", "passed"))

    stale = flaky.stale_projects(session)

    assert project.id in stale
    assert idle.id not in stale


# --- on patches --------------------------------------------------------------------------


def test_a_test_that_passes_and_fails_on_one_patch_is_flaky(session: Session, project: Project) -> None:
    patch = finished.a_patch(session, project)
    built(session, project, patch, run("a.split", "failed"), run("a.steady", "passed"))
    built(session, project, patch, run("a.split", "passed"), run("a.steady", "passed"))

    (found,) = looked(session, project)

    assert (found.test.name, found.split_sources) == ("a.split", 1)


def test_it_is_found_whichever_came_first_and_however_late_it_is_summed_up(
    session: Session, project: Project
) -> None:
    patch = finished.a_patch(session, project)
    built(session, project, patch, run("a.split", "passed"))
    assert looked(session, project) == []

    built(session, project, patch, run("a.split", "failed"))

    assert [each.test.name for each in looked(session, project)] == ["a.split"]


def test_a_test_that_a_patch_breaks_is_not_flaky(session: Session, project: Project) -> None:
    (commit,) = sources(session, project, 1)
    built(session, project, commit, run("a.broken", "passed"))
    patch = finished.a_patch(session, project)
    for _ in range(3):
        built(session, project, patch, run("a.broken", "failed"))

    assert looked(session, project) == []


def test_on_a_patch_too_each_plan_counts_by_itself(session: Session, project: Project) -> None:
    factories.a_plan(session, project, {"commands": ["true"]})
    build = built(session, project, finished.a_patch(session, project), run("a.linux_only", "passed"))
    testruns.store(session, factories.steps_of(session, build)[1], [run("a.linux_only", "failed")])

    testdays.sum_up(session)

    assert flaky.candidates(session, project.id, clock.now()) == []


def test_what_passed_on_patches_only_when_it_was_run_again_is_flaky_and_has_its_bill(
    session: Session, project: Project
) -> None:
    patch = finished.a_patch(session, project)
    built(session, project, patch, run("a.again", "passed", duration_ms=200, reruns=2))

    (found,) = looked(session, project)

    bill = flaky.bill(session, project)
    assert (found.test.name, found.passed_again) == ("a.again", 1)
    assert (bill.reruns, bill.lost_ms) == (2, 400)


def test_what_is_known_of_a_report_on_a_patch_goes_with_it(session: Session, project: Project) -> None:
    build = built(session, project, finished.a_patch(session, project), run("a.again", "passed", reruns=1))
    testdays.sum_up(session)

    testruns.store(session, factories.steps_of(session, build)[0], [run("a.again", "passed")])
    testdays.sum_up(session)

    assert flaky.candidates(session, project.id, clock.now()) == []


def test_a_patch_that_breaks_very_many_tests_is_not_noted(
    session: Session, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_patches, "FAILED_MAX", 1)
    patch = finished.a_patch(session, project)
    built(session, project, patch, run("a.one", "failed"), run("a.two", "failed"))

    testdays.sum_up(session)

    assert session.execute(select(func.count()).select_from(OnPatch)).scalar_one() == 0


def test_what_is_older_than_anybody_looks_is_forgotten(session: Session, project: Project) -> None:
    built(session, project, finished.a_patch(session, project), run("a.broken", "failed"))
    testdays.sum_up(session)

    with time_machine.travel(clock.now() + timedelta(days=flaky.PERIOD_DAYS + 2)):
        flaky.look(session, project.id)

    assert session.execute(select(func.count()).select_from(OnPatch)).scalar_one() == 0
