"""Everything that can be told about a build, in any order and twice, through the real verbs."""

import json
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import select
from sqlalchemy.orm import Session, SessionTransaction
from tests import factories
from tests.builds import agents, collecting

from changes.base import ids
from changes.base.errors import Conflict, Invalid, NotFound
from changes.builds import (
    again,
    cancel,
    collectors,
    create,
    dispatch,
    look_again,
    needs,
    reasons,
    report,
    rules,
    second_look,
    sweep,
    tally,
    turns,
)
from changes.builds.create import NewBuild
from changes.builds.events import BuildFailing
from changes.builds.models import Build, FailureReason, Job, JobNeed, JobPhase, JobStep
from changes.builds.reasons import Reason
from changes.builds.report import Problem
from changes.builds.rules import HELD, Origin, Result, ResultRule, Status
from changes.builds.sweep import Limits
from changes.projects import options
from changes.projects.models import ItemOption
from changes.protocol import StepReport

LIMIT = 2
LIMITS = Limits(silence_s=60, replacements=LIMIT)
TEST_FAILED = Problem(Reason(reasons.TEST_FAILURES, {"count": 1}))
# All attempts at all phases of all jobs that wait for each other, and the reading in between.
ROUNDS_TO_THE_END = 20
NEVER_RAN = (Result.SKIPPED, Result.ABORTED)
SELDOM = [False, False, False, False, True]
ANY = st.integers(min_value=0, max_value=1000)
REPORTS = [
    StepReport(status="in_progress"),
    StepReport(status="finished", result="passed"),
    StepReport(status="finished", result="failed", reason="patch_failed", message="hunk 1"),
    StepReport(status="finished", result="infra_failed", reason="disk is full"),
    StepReport(status="finished", result="aborted"),
    StepReport(status="released", reason="agent_restarted"),
]
# What hands out steps does not settle what is above them, so these two are alike there.
WAITING_OR_TAKEN = {Status.ALLOCATED: Status.PENDING_ALLOCATION}
# What an attempt that was replaced must have come to.
WHY_REPLACED = {
    Origin.LOST: [Result.INFRA_FAILED],
    Origin.POLICY: [Result.FAILED],
    Origin.ASKED: list(Result),
    Origin.SECOND_LOOK: [Result.FAILED],
}
BROKEN_TEST = "a.breaks"
# A plan of one step that names others, among the numbers of phases.
COLLECTS = -1
NAMED = [
    json.dumps({"commands": [{"script": "one"}, {"script": "other"}, {"script": "one"}]}),
    json.dumps({"commands": [{"script": "other"}, {"script": "new"}]}),
    json.dumps({"commands": []}),
    "Traceback (most recent call last):",
    None,
]


class SometimesReports:
    """Whether a step left reports behind is for the test to say."""

    is_left_behind = False

    def collect(self, _session: Session, _step: JobStep) -> bool:
        return self.is_left_behind

    def may_excuse(self, _session: Session, _step: JobStep) -> bool:
        return False

    def leave_out(self, session: Session, step_ids: Collection[UUID]) -> None:
        """There are no numbers here."""


class Seen:
    """The build and all below it, read once per look."""

    def __init__(self, session: Session, build: Build) -> None:
        mine = Job.build_id == build.id
        self.build = build
        self.jobs = list(session.execute(select(Job).where(mine)).scalars())
        phases = select(JobPhase).join(Job).where(mine).order_by(JobPhase.job_id, JobPhase.order)
        self.phases = list(session.execute(phases).scalars())
        self.steps = factories.steps_of(session, build)
        # What a collecting step names stands in these.
        self.named = {UUID(step.data["expands_into"]) for step in self.steps if "expands_into" in step.data}

    def phases_of(self, job: Job) -> list[JobPhase]:
        return [phase for phase in self.phases if phase.job_id == job.id]

    def current_steps_of(self, phase: JobPhase) -> list[JobStep]:
        mine = [step for step in self.steps if step.phase_id == phase.id]
        return [step for step in mine if step.replacement_id is None]


class Life(RuleBasedStateMachine):
    """One build; every example is a savepoint that is rolled back."""

    session: Session

    def __init__(self) -> None:
        super().__init__()
        self.savepoint: SessionTransaction = self.session.begin_nested()
        self.collector = SometimesReports()
        collectors.collector.set(self.collector)
        agents.listen(BuildFailing)
        self.frozen: dict[object, tuple[object, ...]] = {}
        self.replaced: dict[object, object] = {}

    @initialize(
        plans=st.lists(st.sampled_from([2, 1, 3, 0, COLLECTS]), min_size=2, max_size=4),
        rule=st.sampled_from(["all", "all", "any", "required-only"]),
        retries=st.sampled_from(["0", "1"]),
        looks=st.sampled_from(["0", "2"]),
        has_needs=st.booleans(),
    )
    def begin(self, plans: list[int], rule: str, retries: str, looks: str, *, has_needs: bool) -> None:
        """Each number is how many steps a plan has; one without any is refused, and one may name others.
        The first plan is optional, the last needs it.
        """
        project = factories.a_project(self.session)
        options.change(self.session, project, {options.RESULT_RULE: rule})
        for number, phases in enumerate(plans):
            data = [collecting.COLLECT_STEPS] if phases == COLLECTS else [{"commands": ["true"]}] * phases
            plan = factories.a_plan(self.session, project, *data, label=f"plan {number}")
            said = {"job.retry-times": retries, "job.optional": str(int(number == 0))}
            said |= {"tests.second-look": looks}
            said |= {"job.needs": "plan 0"} if has_needs and number == len(plans) - 1 else {}
            self.session.add_all(ItemOption(item_id=plan.id, name=k, value=v) for k, v in said.items())
        self.session.flush()
        asked = NewBuild(factories.a_source(self.session, project), ids.new(), "b", "", "", None)
        self.build = create.create_build(self.session, project, asked)
        self.nodes = [factories.a_node(self.session) for _ in range(2)]
        self.session.flush()

    # --- what can happen -----------------------------------------------------------------

    @rule(which=ANY, count=st.integers(1, 3))
    def hand_out(self, which: int, count: int) -> None:
        node = self.nodes[which % len(self.nodes)]
        values = dispatch.values(node.id, count)
        self.session.flush()
        connection: Any = self.session.connection().connection.driver_connection
        for step_id, *_ in connection.execute(dispatch.taking(count), values).fetchall():
            self.session.refresh(self.session.get_one(JobStep, step_id))

    @rule(which=ANY, told=st.sampled_from(REPORTS), reports=st.booleans())
    def tell(self, which: int, told: StepReport, *, reports: bool) -> None:
        """Of any step that some node ever had, so late and stale reports are among them; and the same once
        more, because our answer got lost.
        """
        self.collector.is_left_behind = reports
        self.with_one(was_taken, which, lambda step: self.tell_twice(step, told))

    def tell_twice(self, step: JobStep, told: StepReport) -> None:
        was_heard = self.accept(step, told)
        assert self.accept(step, told) == was_heard

    @rule(which=ANY, told=st.sampled_from(REPORTS))
    def tell_of_others(self, which: int, told: StepReport) -> None:
        """A node that has lost the step to another, or never had it, is heard of nothing."""
        strangers = {node.id for node in self.nodes}
        self.with_one(always, which, lambda step: self.refuse(step, strangers - {step.node_id}, told))

    def refuse(self, step: JobStep, strangers: Collection[UUID], told: StepReport) -> None:
        before = (agents.state(step), dict(step.data))
        for node_id in strangers:
            with pytest.raises(NotFound):
                report.accept(self.session, node_id, step.id, told, replace_limit=LIMIT)
        assert (agents.state(step), dict(step.data)) == before

    @rule(which=ANY, output=st.sampled_from(NAMED), reports=st.booleans())
    def name_steps(self, which: int, output: str | None, *, reports: bool) -> None:
        self.collector.is_left_behind = reports
        self.with_one(is_naming, which, lambda step: self.tell_twice(step, self.naming(step, output)))

    def naming(self, step: JobStep, output: str | None) -> StepReport:
        return collecting.printed(self.session, step, output)

    @rule(which=ANY, code=st.sampled_from([0, 0, 1]), reports=st.booleans())
    def end_twice(self, which: int, code: int, *, reports: bool) -> None:
        self.collector.is_left_behind = reports
        self.with_one(is_held, which, lambda step: self.report_end_twice(step, code))

    def report_end_twice(self, step: JobStep, code: int) -> None:
        told = agents.ended(self.session, step, code=code)
        assert self.accept(step, told)
        assert self.accept(step, told)

    @rule(which=ANY, problems=st.sampled_from([[], [TEST_FAILED]]))
    def read_results(self, which: int, problems: list[Problem]) -> None:
        """Of all that wait for it, and of one that may not."""
        steps = self.steps()
        for step in [*filter(is_unread, steps), *steps[which % 10 :][:1]]:
            if not second_look.is_checking(step):
                report.results_collected(self.session, step.id, problems)

    @rule(passes=st.booleans())
    def look_again(self, *, passes: bool) -> None:
        """At all whose results are read and may be taken back; and the tests of looks have passed, or not."""
        for step in filter(is_unread, self.steps()):
            if second_look.is_look(step):
                looked_at = second_look.looked_at(self.session, step)
                assert looked_at is not None
                second_look.note_passed(looked_at, [BROKEN_TEST] if passes else [])
                report.results_collected(self.session, step.id, [])
            elif second_look.said(step).times and second_look.AWAITED in step.data:
                look_again.begin(self.session, step, [BROKEN_TEST], others=0)

    @rule(which=ANY, look=st.sampled_from(sweep.LOOKS))
    def fall_silent(self, which: int, look: sweep.Look) -> None:
        """In one way or another; what that way is not about is left alone."""
        self.with_one(always, which, lambda step: self.be_past_every_limit(step, look))

    def be_past_every_limit(self, step: JobStep, look: sweep.Look) -> None:
        if step.is_finished:
            sweep.settle_silent(self.session, look, step.id, LIMITS)
            return
        agents.be_past_every_limit(self.session, step)
        before = step.status
        was_found = step.id in sweep.find(self.session, look, LIMITS)
        sweep.settle_silent(self.session, look, step.id, LIMITS)
        assert was_found == (step.status != before)

    @rule(which=ANY, what=st.sampled_from(["step", "job", "build"]), really=st.sampled_from(SELDOM))
    def cancel(self, which: int, what: str, *, really: bool) -> None:
        """The whole build seldom, or nothing else would ever happen."""
        if what == "step":
            self.with_one(always, which, self.cancel_step)
        elif what == "job":
            jobs = Seen(self.session, self.build).jobs
            job = jobs[which % len(jobs)]
            was_over = job.is_finished
            assert cancel.cancel_job(self.session, job.id) != was_over
        elif really:
            was_over = self.build.is_finished
            assert cancel.cancel_build(self.session, self.build) != was_over

    def cancel_step(self, step: JobStep) -> None:
        was_over = step.is_finished
        assert cancel.cancel_step(self.session, step.id) != was_over

    @rule(which=ANY, what=st.sampled_from(["failed", "job", "build"]))
    def ask_again(self, which: int, what: str) -> None:
        jobs = Seen(self.session, self.build).jobs
        with suppress(Conflict, Invalid):
            if what == "failed":
                again.repeat_failed(self.session, self.build)
            elif what == "job":
                again.repeat_job(self.session, jobs[which % len(jobs)].id)
            else:
                again.restart(self.session, self.build)

    # --- what must always be true --------------------------------------------------------

    @invariant()
    def the_build_is_whole(self) -> None:
        self.session.flush()
        seen = Seen(self.session, self.build)
        self.check_finished_steps_never_change(seen)
        self.check_reasons_have_sentences()
        self.check_counts(seen)
        self.check_announcements(seen)
        check_each_step_has_one_holder(seen)
        check_a_whole_is_what_its_parts_are(seen)
        check_phases_take_turns(seen)
        self.check_needs(seen)
        self.check_what_is_queued_waits_for_something(seen)
        check_looks(seen)

    def check_finished_steps_never_change(self, seen: Seen) -> None:
        """But for the pointer to the attempt that was made after them, which is set once."""
        for step in filter(is_over, seen.steps):
            now = (step.status, step.result, step.date_started, step.date_finished, step.node_id)
            assert self.frozen.setdefault(step.id, now) == now
            assert step.date_finished is not None
        for step in seen.steps:
            # One that was set aside may be named once more, and then has a successor.
            if step.replacement_id is not None and not step.is_set_aside:
                assert self.replaced.setdefault(step.id, step.replacement_id) == step.replacement_id

    def check_reasons_have_sentences(self) -> None:
        for why in self.session.execute(select(FailureReason)).scalars():
            sentence = reasons.sentence(why.reason, why.data)
            assert sentence
            assert "(unknown)" not in sentence

    def check_counts(self, seen: Seen) -> None:
        for phase in seen.phases:
            assert phase.tally is None or phase.tally == tally.counted(seen.current_steps_of(phase))
        for job in seen.jobs:
            assert job.tally is None or job.tally == tally.counted(seen.phases_of(job))
        assert self.build.tally is None or self.build.tally == tally.counted(seen.jobs)

    def check_announcements(self, seen: Seen) -> None:
        has_ended = all(map(is_over, seen.jobs))
        assert is_over(self.build) == (self.build.date_decided is not None) == has_ended
        assert agents.announced(self.session, self.build.id) == self.build.endings >= int(has_ended)
        has_failed = self.build.date_failing is not None
        assert agents.announced(self.session, self.build.id, BuildFailing) == int(has_failed)
        assert has_failed or self.build.result != Result.FAILED

    def check_needs(self, seen: Seen) -> None:
        """Nothing builds upon what did not pass."""
        jobs = {job.id: job for job in seen.jobs}
        for need in self.session.execute(select(JobNeed).where(JobNeed.job_id.in_(jobs))).scalars():
            begun = [
                step for step in seen.steps if step.job_id == need.job_id and step.replacement_id is None
            ]
            if any(agents.state(step) not in UNTOUCHED for step in begun):
                # Or it passed then, and is done again now.
                attempts = [step for step in seen.steps if step.job_id == need.needs_id]
                needed = jobs[need.needs_id]
                assert needs.may_run([needed.result]) or any(step.attempt > 1 for step in attempts)

    def check_what_is_queued_waits_for_something(self, seen: Seen) -> None:
        """That still goes on: nobody else would ever let it go."""
        queued = [step for step in seen.steps if step.status == Status.QUEUED and step.replacement_id is None]
        needed = turns.unended_needs(self.session, {step.job_id for step in queued})
        earlier = turns.unended_phases(self.session, [step.id for step in queued])
        assert all(step.job_id in needed or step.id in earlier for step in queued)

    def teardown(self) -> None:
        """Whatever happened: when agents and readers go on working, the build comes to its end."""
        for _ in range(ROUNDS_TO_THE_END):
            self.hand_out(0, 100)
            for step in filter(is_held, self.steps()):
                self.report_end_twice(step, 0)
            for step in filter(is_unread, self.steps()):
                report.results_collected(self.session, step.id, [])
            if is_over(self.build):
                break
        seen = Seen(self.session, self.build)
        assert all(map(is_over, seen.steps))
        assert is_over(self.build)
        self.the_build_is_whole()
        self.savepoint.rollback()
        self.session.expire_all()

    # --- tools ---------------------------------------------------------------------------

    def steps(self) -> list[JobStep]:
        return factories.steps_of(self.session, self.build)

    def accept(self, step: JobStep, told: StepReport) -> bool:
        return agents.tell(self.session, step, told, limit=LIMIT)

    def with_one(
        self, suits: Callable[[JobStep], bool], which: int, act: Callable[[JobStep], object]
    ) -> None:
        """An agent asks for work when there is no step to do this with."""
        suiting = [step for step in self.steps() if suits(step)]
        if not suiting:
            self.hand_out(which, 2)
            suiting = [step for step in self.steps() if suits(step)]
        if suiting:
            act(suiting[which % len(suiting)])
            self.session.flush()


UNTOUCHED = {(Status.QUEUED, Result.UNKNOWN), *((Status.FINISHED, result) for result in NEVER_RAN)}


def always(_step: JobStep) -> bool:
    return True


def was_taken(step: JobStep) -> bool:
    return step.node_id is not None


def is_held(step: JobStep) -> bool:
    return step.status in HELD


def is_naming(step: JobStep) -> bool:
    return is_held(step) and "expands_into" in step.data


def is_unread(step: JobStep) -> bool:
    """One that is looked at again was read before."""
    return step.status == Status.COLLECTING_RESULTS and not second_look.is_checking(step)


def is_over(each: Build | Job | JobPhase | JobStep) -> bool:
    return each.is_finished


def check_each_step_has_one_holder(seen: Seen) -> None:
    """And work that is done again is done by the attempt that the old one points to."""
    steps = {step.id: step for step in seen.steps}
    for step in seen.steps:
        assert step.node_id is not None or not is_held(step)
        if step.is_set_aside:
            # What it looked at, or what named it, is done again, with nothing in its place.
            assert second_look.is_look(step) or step.phase_id in seen.named
            assert is_over(step)
        elif step.replacement_id is not None:
            replacement = steps[step.replacement_id]
            assert is_over(step)
            assert step.result in WHY_REPLACED[replacement.origin] or step.phase_id in seen.named
            assert (replacement.phase_id, replacement.attempt) == (step.phase_id, step.attempt + 1)


def check_a_whole_is_what_its_parts_are(seen: Seen) -> None:
    for phase in seen.phases:
        parts = seen.current_steps_of(phase)
        # What is not named yet is no part.
        if parts or phase.id not in seen.named:
            check_sum(phase, parts)
    for job in seen.jobs:
        check_sum(job, seen.phases_of(job))
    check_sum(seen.build, seen.jobs)


def check_sum(
    whole: Build | Job | JobPhase, parts: Sequence[Job] | Sequence[JobPhase] | Sequence[JobStep]
) -> None:
    """A job that was refused has no parts, and is over."""
    assert parts or is_over(whole)
    assert (whole.date_finished is not None) == is_over(whole)
    if not parts:
        return
    status = rules.aggregate_status([WAITING_OR_TAKEN.get(part.status, part.status) for part in parts])
    assert WAITING_OR_TAKEN.get(whole.status, whole.status) == status
    results = [weighed(part) for part in parts]
    rule = whole.result_rule if isinstance(whole, Build) else ResultRule.ALL
    verdict = rules.judge(results, rule) if is_over(whole) else rules.foresee(results, rule)
    allowed = {verdict}
    if rule != ResultRule.ALL:
        # A build that was cancelled stays so, even where one job that passed would do.
        allowed.add(Result.ABORTED)
    if isinstance(whole, Job) and verdict == Result.PASSED and Result.SKIPPED in results:
        # What of it ran before does not make a job pass that cannot go on.
        allowed.add(Result.SKIPPED)
    assert whole.result in allowed


def weighed(part: Job | JobPhase | JobStep) -> Result:
    is_light = isinstance(part, Job) and part.is_optional
    return rules.without_weight(part.result) if is_light else part.result


def check_looks(seen: Seen) -> None:
    """Nothing is looked at after it has ended, nor waits for a look that has."""
    for step in filter(second_look.is_checking, seen.steps):
        mine = [each for each in seen.steps if each.data.get(second_look.LOOKS_AT) == step.id.hex]
        assert [is_over(each) for each in mine if each.replacement_id is None] == [False]
        assert step.result == Result.UNKNOWN


def check_phases_take_turns(seen: Seen) -> None:
    for job in seen.jobs:
        for before, after in pairwise(seen.phases_of(job)):
            if any(agents.state(step) not in UNTOUCHED for step in seen.current_steps_of(after)):
                assert agents.state(before) == (Status.FINISHED, Result.PASSED)


def live(session: Session, *, examples: int) -> None:
    class LifeHere(Life):
        pass

    LifeHere.session = session
    run_state_machine_as_test(
        LifeHere,
        settings=settings(
            max_examples=examples,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.slow
def test_whatever_is_told_about_a_build_and_in_whatever_order_it_stays_whole(session: Session) -> None:
    live(session, examples=20)


@pytest.mark.long
def test_whatever_is_told_about_very_many_builds_they_stay_whole(session: Session) -> None:
    live(session, examples=600)
