"""Plays the role of `builds.collectors.ResultCollector`."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from changes.base import jobs, questions
from changes.base.db import Session
from changes.base.questions import Question
from changes.builds import expand, told_phases
from changes.builds.models import JobStep
from changes.results import file_marks, quarantine, rules, shards, statistics, tasks, vanished
from changes.results.coverage import collecting, gates

# Agents of the original close theirs after their last report, unless their store failed them before.
BUCKET_CLOSES_WITHIN_S = 30
LARGE_LOG = {"large": file_marks.STORED_MIN_BYTES, "log": file_marks.LOG_NAME_END}
# Asked at the end of every step, hence in one question.
LEFT_BEHIND = """
select
    exists (select from store_bucket where step_id = %(step_id)s and date_closed is null),
    array(select name from artifact where step_id = %(step_id)s),
    exists (
        select from test_batch where project_id = (select project_id from job_step where id = %(step_id)s)
    ),
    exists (
        select from artifact where step_id = %(step_id)s
        and size_bytes >= %(large)s and right(name, length(%(log)s)) = %(log)s
    )
"""


@dataclass(frozen=True)
class LeftBehind:
    """The names of its artifacts, whether anything of its project has ever reported tests, and whether one of
    them is a log so large that its lines should be counted before somebody opens it.
    """

    artifacts: list[str]
    has_project_tests: bool
    has_large_log: bool


class ArtifactCollector:
    def collect(self, session: Session, step: JobStep) -> bool:
        left = left_behind(session, step)
        if left is None:
            # The end of its log is on its way; closing the bucket brings this forward.
            jobs.enqueue(session, tasks.collect_step, step.id, due_in_s=BUCKET_CLOSES_WITHIN_S)
            return True
        if left.has_large_log:
            jobs.enqueue(session, tasks.count_lines_of_logs, step.id)
        if not is_anything_to_read(session, step, left):
            return False
        jobs.enqueue(session, tasks.collect_step, step.id)
        return True

    def may_excuse(self, session: Session, step: JobStep) -> bool:
        return quarantine.is_any(session, step.project_id)

    def leave_out(self, session: Session, step_ids: Collection[UUID]) -> None:
        statistics.leave_out(session, step_ids)
        collecting.leave_out(session, step_ids)


def left_behind(session: Session, step: JobStep) -> LeftBehind | None:
    """None while an agent of the original may still bring some."""
    asked = left_behind_asked(step.id)
    [(is_open, names, has_tests, has_large_log)] = questions.ask(session, asked.statement, asked.values)
    if is_open:
        return None
    return LeftBehind(names, has_project_tests=has_tests, has_large_log=has_large_log)


def left_behind_asked(step_id: UUID) -> Question:
    return Question(LEFT_BEHIND, {"step_id": step_id, **LARGE_LOG})


def is_anything_to_read(session: Session, step: JobStep, left: LeftBehind) -> bool:
    """Also where nothing is left of what should have been: then that is what is found."""
    of_ours = {expand.file_of(step), told_phases.FILE}
    return (
        any(name in of_ours or rules.is_read(name, step.data) for name in left.artifacts)
        or "targets" in step.data
        or shards.must_report(session, step)
        # It may be that all of its tests are gone.
        or (left.has_project_tests and vanished.expectation(session, step) is not None)
        or gates.must_judge(session, step)
    )
