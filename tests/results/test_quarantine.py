from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session
from tests import factories, finished
from tests.builds import agents

from changes.base import clock, events
from changes.base.errors import Conflict, Invalid, NotFound
from changes.base.events import Outbox
from changes.base.paging import Page
from changes.builds import queries
from changes.builds.excuses import EXCUSED
from changes.builds.models import Build, JobStep
from changes.builds.rules import Result, Status
from changes.projects.models import Project
from changes.results import collect, models, quarantine, quarantine_rules, testruns
from changes.results.events import QuarantineBegan, QuarantineEnded
from changes.results.formats import seen as formats
from changes.results.quarantine import Wanted
from changes.results.quarantine_rules import Proof, Standing
from changes.results.verdict_models import TestQuarantine as Quarantine

FLAKY, STEADY = "a.flaky", "a.steady"
GREEN, RED = (Status.FINISHED, Result.PASSED), (Status.FINISHED, Result.FAILED)


def case(name: str, *, fails: bool) -> str:
    inside = "<failure>boom</failure>" if fails else ""
    return f'<testcase classname="a" name="{name.removeprefix("a.")}">{inside}</testcase>'


def report(*failing: str, more: str = "") -> bytes:
    cases = "".join(case(name, fails=name in failing) for name in (FLAKY, STEADY))
    return f"<testsuite>{cases}{more}</testsuite>".encode()


@pytest.fixture
def project(session: Session) -> Project:
    """With two tests, of which each has passed once."""
    project = factories.a_project(session)
    factories.a_plan(session, project, {"commands": ["true"]})
    passed = [formats.TestSeen(name, "a", "passed") for name in (FLAKY, STEADY)]
    testruns.store(
        session, agents.a_taken_step(session, factories.a_build(session, project, plans=0)), passed
    )
    return project


def wanted(*names: str, **more: object) -> Wanted:
    fields: dict[str, object] = {"owner": "zoe", "reason": "races with the clock", **more}
    return Wanted(names or (FLAKY,), **fields)  # type: ignore[arg-type]


def held(session: Session, project: Project, **more: object) -> Quarantine:
    (made,) = quarantine.add(session, project, wanted(**more), by="ravi@example.com")
    return made


def built(session: Session, project: Project, *reports: bytes, code: int = 1) -> tuple[Build, JobStep]:
    """A build of one step whose command ended with this code, and left these reports behind."""
    build = factories.a_build(session, project, plans=0)
    step = agents.a_taken_step(session, build)
    for number, content in enumerate(reports):
        agents.leave_behind(session, step, content, f"{number}.junit.xml")
    agents.end(session, step, code=code)
    collect.collect_step(step.id)
    return build, step


def passes(session: Session, project: Project, count: int, **fields: object) -> None:
    for _ in range(count):
        step = agents.a_taken_step(session, factories.a_build(session, project, plans=0))
        seen = formats.TestSeen(FLAKY, "a", "quarantined_passed", **fields)  # type: ignore[arg-type]
        testruns.store(session, step, [seen])


def tended(session: Session, each: Quarantine) -> str:
    quarantine.tend(session)
    session.refresh(each)
    return each.ended_why


def test_its_beginning_and_its_end_are_announced(session: Session, project: Project) -> None:
    events.listen(QuarantineBegan, lambda _: None)
    events.listen(QuarantineEnded, lambda _: None)
    lifted = held(session, project)
    quarantine.lift(session, project, lifted.id, by="zoe")
    over = held(session, project)
    over.date_expires = clock.now() - timedelta(days=1)

    tended(session, over)

    rows = session.execute(select(Outbox.type, Outbox.data).order_by(Outbox.id)).all()
    assert [(row.type.removeprefix("results.Quarantine"), row.data.get("why")) for row in rows] == [
        ("Began", None),
        ("Ended", "lifted"),
        ("Began", None),
        ("Ended", "expired"),
    ]


# --- what it does to builds --------------------------------------------------------------


def test_a_failure_in_quarantine_turns_no_build_red(session: Session, project: Project) -> None:
    held(session, project)

    build, step = built(session, project, report(FLAKY))

    assert agents.state(build) == GREEN
    assert queries.failures_of(session, [build.id])[build.id] == []
    assert step.data[EXCUSED] == 1


def test_it_is_told_of_all_the_same(session: Session, project: Project) -> None:
    held(session, project)

    build, _ = built(session, project, report(FLAKY))

    expected = {Result.PASSED: 1, Result.QUARANTINED_FAILED: 1}
    assert testruns.counts_of_build(session, build.id) == expected


def test_nothing_red_is_told_while_the_reports_are_read(session: Session, project: Project) -> None:
    held(session, project)
    build = factories.a_build(session, project, plans=0)
    step = agents.a_taken_step(session, build)
    agents.leave_behind(session, step, report(FLAKY), "a.junit.xml")

    agents.end(session, step, code=1)

    assert (step.status, build.result, build.date_failing) == (
        Status.COLLECTING_RESULTS,
        Result.UNKNOWN,
        None,
    )


def test_another_failure_is_red_and_says_why(session: Session, project: Project) -> None:
    held(session, project)

    build, _ = built(session, project, report(FLAKY, STEADY))

    assert agents.state(build) == RED
    found = {each.reason: each.data for each in queries.failures_of(session, [build.id])[build.id]}
    assert found["test_failures"]["count"] == 1
    assert "command_failed" in found


@pytest.mark.parametrize("code", [126, 137, -9])
def test_a_command_that_broke_is_not_excused(session: Session, project: Project, code: int) -> None:
    held(session, project)

    build, _ = built(session, project, report(FLAKY), code=code)

    assert agents.state(build) == RED


def test_a_report_that_breaks_off_excuses_nothing(session: Session, project: Project) -> None:
    held(session, project)

    build, _ = built(session, project, report(FLAKY), b"<testsuite><testcase")

    assert agents.state(build) == RED


def test_a_step_whose_tests_all_passed_is_not_excused(session: Session, project: Project) -> None:
    held(session, project)

    build, _ = built(session, project, report())

    assert agents.state(build) == RED


def test_a_report_cannot_put_its_own_tests_into_quarantine(session: Session, project: Project) -> None:
    held(session, project)
    own = '<testcase classname="a" name="own" quarantined="1"><failure/></testcase>'

    build, _ = built(session, project, report(FLAKY, more=own))

    assert agents.state(build) == RED


def test_without_any_quarantine_all_is_as_before(session: Session, project: Project) -> None:
    build, step = built(session, project, report(FLAKY))

    assert agents.state(build) == RED
    assert EXCUSED not in step.data


def test_one_whose_time_is_over_counts_again_at_once(session: Session, project: Project) -> None:
    each = held(session, project)
    each.date_expires = clock.now() - timedelta(seconds=1)
    session.flush()

    build, _ = built(session, project, report(FLAKY))

    assert agents.state(build) == RED


def test_a_quarantine_is_of_one_project(session: Session, project: Project) -> None:
    held(session, project)
    other = factories.a_project(session)
    factories.a_plan(session, other, {"commands": ["true"]})

    build, _ = built(session, other, report(FLAKY))

    assert agents.state(build) == RED


# --- who gets there ----------------------------------------------------------------------


def test_it_keeps_who_why_and_until_when(session: Session, project: Project) -> None:
    each = held(session, project, days=3, passes=9)

    assert (each.owner, each.reason, each.created_by) == ("zoe", "races with the clock", "ravi@example.com")
    assert (each.date_expires - each.date_created).days == 3
    assert [each.id for each in quarantine.live_list(session, project)] == [each.id]


def test_nobody_is_put_there_twice(session: Session, project: Project) -> None:
    held(session, project)

    with pytest.raises(Conflict):
        held(session, project)


@pytest.mark.parametrize(
    "fields",
    [{"owner": " "}, {"reason": ""}, {"days": 0}, {"days": 91}, {"passes": 2}, {"reason": "x" * 501}],
)
def test_what_is_asked_must_make_sense(session: Session, project: Project, fields: dict[str, object]) -> None:
    with pytest.raises(Invalid):
        held(session, project, **fields)


def test_an_unknown_test_is_named(session: Session, project: Project) -> None:
    with pytest.raises(NotFound, match=r"no test a\.none"):
        quarantine.add(session, project, wanted(FLAKY, "a.none"), by="zoe")


def many(session: Session, project: Project, count: int) -> Sequence[str]:
    seen = [formats.TestSeen(f"m.t{number}", "m", "passed") for number in range(count)]
    testruns.store(session, agents.a_taken_step(session, factories.a_build(session, project, plans=0)), seen)
    return [each.name for each in seen]


def test_a_mass_outage_is_refused_but_by_force(session: Session, project: Project) -> None:
    names = many(session, project, 1000)[:21]

    with pytest.raises(Conflict, match="21 tests within a day"):
        quarantine.add(session, project, wanted(*names), by="zoe")

    assert len(quarantine.add(session, project, wanted(*names, force=True), by="zoe")) == 21


def test_the_guard_counts_what_was_put_there_before(session: Session, project: Project) -> None:
    names = many(session, project, 1000)
    quarantine.add(session, project, wanted(*names[:15]), by="zoe")

    with pytest.raises(Conflict):
        quarantine.add(session, project, wanted(*names[15:21]), by="ravi")


@pytest.mark.parametrize(
    ("standing", "new"), [(Standing(10, 0, 0), 1), (Standing(1000, 0, 0), 20), (Standing(1000, 45, 0), 5)]
)
def test_a_few_are_no_outage(standing: Standing, new: int) -> None:
    assert quarantine_rules.outage(standing, new) is None


@pytest.mark.parametrize(
    ("standing", "new"), [(Standing(10, 5, 0), 1), (Standing(1000, 0, 0), 21), (Standing(1000, 45, 0), 6)]
)
def test_many_are_an_outage(standing: Standing, new: int) -> None:
    assert quarantine_rules.outage(standing, new) is not None


# --- how it ends -------------------------------------------------------------------------


def test_it_ends_when_its_time_is_over(session: Session, project: Project) -> None:
    each = held(session, project)
    each.date_expires = clock.now() - timedelta(seconds=1)
    session.flush()

    assert tended(session, each) == "expired"


def test_it_ends_after_enough_passes_in_a_row(session: Session, project: Project) -> None:
    each = held(session, project, passes=3)

    passes(session, project, 2)
    assert tended(session, each) == ""
    passes(session, project, 1)
    assert tended(session, each) == "proved"


def test_passes_in_a_plan_in_which_it_never_failed_are_no_proof() -> None:
    mac, linux = (Proof(plan, is_steady=True, is_since=True) for plan in ("mac", "linux"))
    failed = Proof("mac", is_steady=False, is_since=False)

    assert quarantine_rules.passes_in_a_row([linux, linux, linux, failed]) == 0
    assert quarantine_rules.passes_in_a_row([mac, linux, linux, mac, linux, failed]) == 2
    assert quarantine_rules.passes_in_a_row([linux, linux, mac]) == 3


def test_a_test_that_fails_in_one_of_two_plans_does_not_return_by_the_other(
    session: Session, project: Project
) -> None:
    factories.a_plan(session, project, {"commands": ["on mac"]})
    (_, on_mac) = factories.steps_of(session, factories.a_build(session, project, plans=0))
    testruns.store(session, on_mac, [formats.TestSeen(FLAKY, "a", "failed")])
    each = held(session, project, passes=3)

    passes(session, project, 3)

    assert tended(session, each) == ""


def test_a_pass_after_a_rerun_is_no_proof(session: Session, project: Project) -> None:
    each = held(session, project, passes=3)

    passes(session, project, 3, reruns=1)

    assert tended(session, each) == ""


def test_where_it_is_always_left_out_it_proves_nothing_and_delays_nothing(
    session: Session, project: Project
) -> None:
    each = held(session, project, passes=3)
    factories.a_plan(session, project, {"commands": ["on windows"]})
    for _ in range(3):
        steps = factories.steps_of(session, factories.a_build(session, project, plans=0))
        for step, result in zip(steps, ("quarantined_passed", "quarantined_skipped"), strict=True):
            testruns.store(session, step, [finished.a_test(FLAKY, result)])

    assert tended(session, each) == "proved"


def test_what_a_patch_does_is_no_proof(session: Session, project: Project) -> None:
    each = held(session, project, passes=3)

    passes(session, project, 3)
    session.execute(update(models.TestBatch).values(is_of_commit=False))

    assert tended(session, each) == ""


def test_who_ended_it_is_kept(session: Session, project: Project) -> None:
    each = held(session, project)

    quarantine.lift(session, project, each.id, by="olga@example.com")
    quarantine.lift(session, project, each.id, by="late@example.com")

    (ended,) = quarantine.ended_list(session, project, Page()).rows
    assert (ended.ended_by, ended.ended_why) == ("olga@example.com", "lifted")
    assert quarantine.live_list(session, project) == []
    assert len(session.execute(select(Quarantine)).scalars().all()) == 1


def test_a_test_may_come_back_later(session: Session, project: Project) -> None:
    each = held(session, project)
    quarantine.lift(session, project, each.id, by="olga@example.com")

    assert held(session, project).id != each.id
