"""Why something is not green: a short id that is stored, and the sentence a person reads."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from string import Formatter
from typing import Any

AGENT_LOST = "agent_lost"
AGENT_RESTARTED = "agent_restarted"
AGENT_SAYS = "agent_says"
AGENT_STOPPED = "agent_stopped"
CHECKOUT_FAILED = "checkout_failed"
COMMAND_FAILED = "command_failed"
INVALID_CONFIG = "invalid_config"
MALFORMED_ARTIFACT = "malformed_artifact"
NO_PLANS = "no_plans"
PATCH_FAILED = "patch_failed"
PLAN_WITHOUT_STEPS = "plan_without_steps"
INVALID_PLAN = "invalid_plan"
REPLACED_TOO_OFTEN = "replaced_too_often"
RESULTS_NOT_READ = "results_not_read"
TEST_FAILURES = "test_failures"
TIMEOUT = "timeout"

SENTENCES = {
    AGENT_LOST: "The agent {node} was not heard of for {silence_s} seconds.",
    AGENT_SAYS: "The agent says: {message}",
    AGENT_RESTARTED: "The agent {node} was started again while it worked on this.",
    AGENT_STOPPED: "The agent {node} was stopped while it worked on this.",
    CHECKOUT_FAILED: "The source could not be checked out: {message}",
    COMMAND_FAILED: "The command {command} {ending}.",
    INVALID_CONFIG: "{message}",
    MALFORMED_ARTIFACT: "An artifact could not be parsed: {name}: {message}",
    NO_PLANS: "There is nothing to run: the project has no active plan and the revision has no {file}.",
    PATCH_FAILED: "The patch does not apply: {message}",
    PLAN_WITHOUT_STEPS: "The plan {plan} has no steps, so there is nothing to run.",
    INVALID_PLAN: "The plan {plan} cannot be run: {message}",
    REPLACED_TOO_OFTEN: "Given up: {count} attempts of this job were lost (limit: JOBSTEP_RETRY_MAX).",
    RESULTS_NOT_READ: "What the step left behind could not be read within {silence_min} minutes.",
    TEST_FAILURES: "There were {count} failing tests.",
    TIMEOUT: "It ran longer than its limit of {limit_min} minutes (step option build.timeout).",
}
UNKNOWN = "{message}"


@dataclass(frozen=True)
class Reason:
    """One thing that went wrong, with the facts its sentence needs."""

    id: str
    facts: Mapping[str, object] = field(default_factory=dict)


class Lenient(Formatter):
    """A reason stored by an older version may lack a value; the sentence is shown all the same."""

    def get_value(self, key: int | str, args: Any, kwargs: Mapping[str, Any]) -> Any:  # noqa: ARG002 - Formatter's
        return kwargs.get(str(key), "(unknown)")


def sentence(reason: str, data: Mapping[str, Any]) -> str:
    return Lenient().vformat(SENTENCES.get(reason, UNKNOWN), (), data)
