"""New failures are looked at again before they count (builds/second_look.py): which ones, and what was found.

A look stores no runs of its own. What it found is noted on the runs that it is about: they were run again,
and those that passed by then have passed. So each test counts once, with how often it ran.
"""

from collections.abc import Collection, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from changes.builds import explaining, look_again, reasons, second_look
from changes.builds.models import Build, JobStep
from changes.builds.report import Problem
from changes.builds.rules import Result
from changes.results import against_base, statistics, testdays, testruns, vanished
from changes.results.formats.junit import TestSeen
from changes.results.models import Test, TestBatch, TestRun

# Also where somebody has put it into quarantine meanwhile.
PASSED = ("passed", "quarantined_passed")


def begins(session: Session, step: JobStep, tests: Sequence[TestSeen], problems: Sequence[Problem]) -> bool:
    """Whether the step waits for a look at its failures now. The build is locked, and its runs are stored."""
    most = second_look.said(step).tests_max if second_look.said(step).times else 0
    failed = {test.sha1: test.name for test in tests if test.result == "failed"}
    said = second_look.awaited(step)
    if not most or not failed or said not in (Result.PASSED, Result.FAILED):
        return False
    # Taken back can be what is provisional; whatever else went wrong stays wrong.
    is_final = said == Result.FAILED and second_look.AWAITED not in step.data
    if is_final or any(problem.why.id != reasons.TEST_FAILURES for problem in problems):
        return False
    known = known_failures(session, session.get_one(Build, step.job.build_id), failed)
    new = [name for sha, name in sorted(failed.items(), key=lambda each: each[1]) if sha not in known]
    if not new or len(new) > most:
        return False
    look_again.begin(session, step, new, others=len(failed) - len(new))
    return True


def known_failures(session: Session, build: Build, shas: Collection[str]) -> set[str]:
    """Which of these tests failed in the base already."""
    base = against_base.base_of(session, build)
    if base is None:
        return set()
    mine = (Test.project_id == build.project_id, Test.name_sha.in_(shas))
    before = against_base.failing(base.id, "before", most=against_base.FAILURES_ALL)
    found = select(Test.name_sha).where(*mine, Test.id.in_(select(before.c.test_id)))
    return set(session.execute(found).scalars())


def note(session: Session, look: JobStep, seen: Sequence[TestSeen]) -> None:
    """What a look reported, on the runs of the step that it looks at. The build is locked."""
    step = second_look.looked_at(session, look)
    known = second_look.checked(step) if step is not None else None
    if step is None or known is None or not second_look.is_checking(step):
        return
    left = set(known.left)
    results = {test.sha1: test for test in seen if test.name in left}
    # Whoever sums up the day just now is waited for: what he has summed up is known then.
    mine = select(TestBatch).where(TestBatch.step_id == step.id).with_for_update()
    batch = session.execute(mine.execution_options(populate_existing=True)).scalar_one_or_none()
    if batch is not None and results:
        note_runs(session, step, batch, results)
    second_look.note_passed(step, {test.name for test in results.values() if test.result in PASSED})
    known = second_look.checked(step)
    if known is not None and not known.left:
        tell_what_never_ran(session, step)


def tell_what_never_ran(session: Session, step: JobStep) -> None:
    """A runner that stops at a failure has not run the rest, for which a look at the failure is no proof."""
    for problem in vanished.problems(session, step, excused=1):
        explaining.explain(session, step.job.build_id, problem.why, step=step)
        second_look.note_cut(step)


def note_runs(session: Session, step: JobStep, batch: TestBatch, seen: dict[str, TestSeen]) -> None:
    if batch.is_summed_up:
        # The day's sums have it as it was; it is summed up anew.
        testdays.take_out(session, batch.id)
        batch.is_summed_up = False
    runs = select(TestRun, Test.name_sha).join(Test, Test.id == TestRun.test_id)
    runs = runs.join(TestBatch, testruns.is_in_batch())
    mine = runs.where(TestBatch.id == batch.id, TestRun.result == Result.FAILED)
    numbers = dict(statistics.of_items(session, [step.id])[step.id])
    for run, sha in session.execute(mine.where(Test.project_id == batch.project_id, Test.name_sha.in_(seen))):
        count_up(numbers, "test_rerun_count", int(not run.reruns))
        run.reruns = min((run.reruns or 0) + 1, testruns.RERUNS_MAX)
        if seen[sha].result in PASSED:
            run.result = Result.PASSED
            count_up(numbers, "test_failures", -1)
    statistics.record(session, step, batch.build_id, numbers)


def count_up(numbers: dict[str, int], name: str, by: int) -> None:
    numbers[name] = numbers.get(name, 0) + by
