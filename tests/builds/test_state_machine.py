"""Everything that can be told about a build, in any order and twice, through the real verbs."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import select
from sqlalchemy.orm import Session, SessionTransaction
from tests import factories
from tests.builds import agents

from changes.base import ids
from changes.builds import cancel, collectors, create, dispatch, reasons, report, retry, rules, sweep
from changes.builds.create import NewBuild
from changes.builds.models import Build, FailureReason, Job, JobPhase, JobStep
from changes.builds.reasons import Reason
from changes.builds.report import Problem
from changes.builds.rules import HELD, Result, Status
from changes.builds.sweep import Limits
from changes.protocol import StepReport

LIMIT = 2
LIMITS = Limits(silence_s=60, replacements=LIMIT)
TEST_FAILED = Problem(Reason(reasons.TEST_FAILURES, {"count": 1}))
# All attempts at all phases of one job, and the reading in between.
ROUNDS_TO_THE_END = 4
NEVER_RAN = (Result.SKIPPED, Result.ABORTED)
SELDOM = [False, False, False, False, True]
ANY = st.integers(min_value=0, max_value=1000)
REPORTS = [
    StepReport(status="in_progress"),
    StepReport(status="finished", result="passed"),
    StepReport(status="finished", result="failed", reason="checkout_failed", message="no such commit"),
    StepReport(status="finished", result="infra_failed", reason="disk is full"),
    StepReport(status="finished", result="aborted"),
    StepReport(status="released", reason="agent_restarted"),
]
# What hands out steps does not settle what is above them, so these two are alike there.
WAITING_OR_TAKEN = {Status.ALLOCATED: Status.PENDING_ALLOCATION}


class SometimesReports:
    """Whether a step left reports behind is for the test to say."""

    is_left_behind = False

    def collect(self, _session: Session, _step: JobStep) -> bool:
        return self.is_left_behind


class Seen:
    """The build and all below it, read once per look."""

    def __init__(self, session: Session, build: Build) -> None:
        mine = Job.build_id == build.id
        self.build = build
        self.jobs = list(session.execute(select(Job).where(mine)).scalars())
        phases = select(JobPhase).join(Job).where(mine).order_by(JobPhase.job_id, JobPhase.order)
        self.phases = list(session.execute(phases).scalars())
        self.steps = factories.steps_of(session, build)

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
        self.frozen: dict[object, tuple[object, ...]] = {}

    @initialize(plans=st.lists(st.sampled_from([2, 1, 3, 0]), min_size=2, max_size=4), extra=st.booleans())
    def begin(self, plans: list[int], *, extra: bool) -> None:
        """Each number is how many phases a plan has; one without any is refused."""
        project = factories.a_project(self.session)
        for phases in plans:
            factories.a_plan(self.session, project, *[{"commands": ["true"]}] * phases)
        source = factories.a_source(self.session, project)
        asked = NewBuild(source, ids.new(), label="b", target="", message="", author=None)
        self.build = create.create_build(self.session, project, asked)
        self.nodes = [factories.a_node(self.session) for _ in range(2)]
        if extra:
            for step in [each for each in self.steps() if each.status == Status.PENDING_ALLOCATION]:
                retry.copy_step(self.session, step).attempt = 1
        self.session.flush()

    # --- what can happen -----------------------------------------------------------------

    @rule(which=ANY, count=st.integers(1, 3))
    def hand_out(self, which: int, count: int) -> None:
        node = self.nodes[which % len(self.nodes)]
        values = {
            "pending": int(Status.PENDING_ALLOCATION),
            "allocated": int(Status.ALLOCATED),
            "node_id": node.id,
            "clusters": [],
            "count": count,
        }
        self.session.flush()
        connection: Any = self.session.connection().connection.driver_connection
        for step_id, *_ in connection.execute(dispatch.TAKE, values).fetchall():
            self.session.refresh(self.session.get_one(JobStep, step_id))

    @rule(which=ANY, told=st.sampled_from(REPORTS), reports=st.booleans())
    def tell(self, which: int, told: StepReport, *, reports: bool) -> None:
        """Of any step that some node ever had, so late and stale reports are among them."""
        self.collector.is_left_behind = reports
        self.with_one(was_taken, which, lambda step: self.accept(step, told))

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
            report.results_collected(self.session, step.id, problems)

    @rule(which=ANY)
    def lose(self, which: int) -> None:
        """And look by mistake at a step that may long be something else."""
        self.with_one(is_held, which, lambda step: agents.be_silent(self.session, step, 61))
        for step_id in sweep.find_silent(self.session, LIMITS):
            sweep.give_up_silent(self.session, step_id, LIMITS)
        self.with_one(always, which, lambda step: sweep.give_up_silent(self.session, step.id, LIMITS))
        self.with_one(always, which, lambda step: sweep.give_up_uncollected(self.session, step.id))

    @rule(which=ANY, really=st.sampled_from(SELDOM))
    def overrun_or_cancel(self, which: int, *, really: bool) -> None:
        if really:
            was_finished = self.build.is_finished
            assert cancel.cancel_build(self.session, self.build) != was_finished
        else:
            self.with_one(always, which, lambda step: sweep.give_up_overdue(self.session, step.id))

    # --- what must always be true --------------------------------------------------------

    @invariant()
    def the_build_is_whole(self) -> None:
        seen = Seen(self.session, self.build)
        self.check_finished_steps_never_change(seen)
        self.check_reasons_have_sentences()
        check_each_step_has_one_holder(seen)
        check_a_whole_is_what_its_parts_are(seen)
        check_phases_take_turns(seen)
        has_ended = all(map(is_over, seen.jobs))
        assert is_over(self.build) == (self.build.date_decided is not None) == has_ended
        assert agents.announced(self.session, self.build.id) == int(has_ended)

    def check_finished_steps_never_change(self, seen: Seen) -> None:
        for step in filter(is_over, seen.steps):
            now = (step.status, step.result, step.date_started, step.date_finished, step.replacement_id)
            assert self.frozen.setdefault(step.id, now) == now
            assert step.date_finished is not None

    def check_reasons_have_sentences(self) -> None:
        for why in self.session.execute(select(FailureReason)).scalars():
            sentence = reasons.sentence(why.reason, why.data)
            assert sentence
            assert "(unknown)" not in sentence

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


def always(_step: JobStep) -> bool:
    return True


def was_taken(step: JobStep) -> bool:
    return step.node_id is not None


def is_held(step: JobStep) -> bool:
    return step.status in HELD


def is_unread(step: JobStep) -> bool:
    return step.status == Status.COLLECTING_RESULTS


def is_over(each: Build | Job | JobPhase | JobStep) -> bool:
    return each.is_finished


def check_each_step_has_one_holder(seen: Seen) -> None:
    """And work that is done again is done by the attempt that the old one points to."""
    steps = {step.id: step for step in seen.steps}
    for step in seen.steps:
        assert step.node_id is not None or not is_held(step)
        if step.replacement_id is not None:
            replacement = steps[step.replacement_id]
            assert agents.state(step) == (Status.FINISHED, Result.INFRA_FAILED)
            assert (replacement.phase_id, replacement.attempt) == (step.phase_id, step.attempt + 1)


def check_a_whole_is_what_its_parts_are(seen: Seen) -> None:
    for phase in seen.phases:
        check_sum(phase, seen.current_steps_of(phase))
    for job in seen.jobs:
        check_sum(job, seen.phases_of(job))
    check_sum(seen.build, seen.jobs)


def check_sum(
    whole: Build | Job | JobPhase, parts: Sequence[Job] | Sequence[JobPhase] | Sequence[JobStep]
) -> None:
    """A job that was refused has no parts, and is over."""
    assert parts or is_over(whole)
    status = rules.aggregate_status([WAITING_OR_TAKEN.get(part.status, part.status) for part in parts])
    results = [part.result for part in parts]
    if parts:
        assert WAITING_OR_TAKEN.get(whole.status, whole.status) == status
        sum_up = rules.aggregate_result if is_over(whole) else rules.running_result
        assert whole.result == sum_up(results)
    assert (whole.date_finished is not None) == is_over(whole)


def check_phases_take_turns(seen: Seen) -> None:
    untouched = {(Status.QUEUED, Result.UNKNOWN), *((Status.FINISHED, r) for r in NEVER_RAN)}
    for job in seen.jobs:
        for before, after in pairwise(seen.phases_of(job)):
            begun = [step for step in seen.steps if step.phase_id == after.id]
            if any(agents.state(step) not in untouched for step in begun):
                assert (before.status, before.result) == (Status.FINISHED, Result.PASSED)


def test_whatever_is_told_about_a_build_and_in_whatever_order_it_stays_whole(session: Session) -> None:
    class LifeHere(Life):
        pass

    LifeHere.session = session

    run_state_machine_as_test(
        LifeHere,
        settings=settings(
            max_examples=25,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
