"""`phases.json` of a step: the phases it says it had, kept with it."""

from changes.base.errors import Invalid
from changes.builds import reasons, told_phases
from changes.builds.models import JobStep
from changes.builds.reasons import Reason
from changes.builds.report import Problem


def record(step: JobStep, text: str) -> list[Problem]:
    """One that failed fails the step, whatever its exit code was."""
    try:
        phases = told_phases.read(text)
    except Invalid as error:
        facts = {"name": told_phases.FILE, "message": error.message}
        return [Problem(Reason(reasons.MALFORMED_ARTIFACT, facts))]
    step.data = {**step.data, "phases": phases}
    failed = told_phases.failed(phases)
    if failed is None:
        return []
    code = failed["return_code"]
    facts = {"command": failed["name"], "code": code, "ending": f"ended with exit code {code}"}
    return [Problem(Reason(reasons.COMMAND_FAILED, facts))]
