"""A step whose command failed for nothing but tests that may fail: it passes, and says so.

Which tests may, the reader of results knows; until it has read what the step left behind, nothing is told
of the failure. The build is locked.
"""

from sqlalchemy.orm import Session

from changes.builds import collectors, explaining, reasons, second_look
from changes.builds.models import JobStep
from changes.builds.rules import Result

# Beside a step: how many tests were not held against it.
EXCUSED = "excused"


def provisional(session: Session, step: JobStep, result: Result, *, is_of_command: bool) -> Result:
    """What is shown of a step while its results are read."""
    shown = second_look.provisional(step, result, is_of_command=is_of_command)
    if shown != Result.FAILED or not is_of_command:
        return shown
    if not collectors.collector.get().may_excuse(session, step):
        return shown
    step.data = {**step.data, second_look.AWAITED: result.name}
    return Result.UNKNOWN


def awaited(session: Session, step: JobStep, excused: int) -> Result:
    """How the step ends, as far as its agent says; `excused` tests had failed that may."""
    result = second_look.awaited(step)
    if not excused or result != Result.FAILED or second_look.AWAITED not in step.data:
        return result
    explaining.forget_of_steps(session, [step.id], [reasons.COMMAND_FAILED])
    step.data = {**step.data, EXCUSED: excused}
    return Result.PASSED
