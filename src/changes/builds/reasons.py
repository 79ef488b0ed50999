"""Why something is not green: a short id that is stored, and the sentence a person reads."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from string import Formatter
from typing import Any

AGENT_LOST = "agent_lost"
ALLOCATION_TIMEOUT = "allocation_timeout"
BUILD_TIMEOUT = "build_timeout"
CANCELLED = "cancelled"
LOST_EVERYWHERE = "lost_everywhere"
QUEUE_TIMEOUT = "queue_timeout"
AGENT_RESTARTED = "agent_restarted"
AGENT_SAYS = "agent_says"
AGENT_STOPPED = "agent_stopped"
CHECKOUT_FAILED = "checkout_failed"
COMMAND_FAILED = "command_failed"
COVERAGE_LOW = "coverage_low"
COVERAGE_NOTED = "coverage_noted"
INVALID_CONFIG = "invalid_config"
MALFORMED_ARTIFACT = "malformed_artifact"
NO_PLANS = "no_plans"
OUTSIDE_SAYS = "outside_says"
OUTSIDE_SILENT = "outside_silent"
PATCH_FAILED = "patch_failed"
PLAN_WITHOUT_STEPS = "plan_without_steps"
INVALID_PLAN = "invalid_plan"
REPLACED_TOO_OFTEN = "replaced_too_often"
RESULTS_NOT_READ = "results_not_read"
SUPERSEDED = "superseded"
TEST_FAILURES = "test_failures"
SECOND_LOOK_PASSED = "second_look_passed"
SECOND_LOOK_FAILED = "second_look_failed"
SECOND_LOOK_LOST = "second_look_lost"
SECOND_LOOK_STOPPED = "second_look_stopped"
TIMEOUT = "timeout"
VANISHED_TESTS = "vanished_tests"
DUPLICATE_TEST_NAME = "duplicate_test_name"
MALFORMED_MANIFEST = "malformed_manifest_json"
MISSING_ARTIFACT = "missing_artifact"
MISSING_MANIFEST = "missing_manifest_json"
MISSING_TARGETS = "missing_targets"
MISSING_TESTS = "missing_tests"
NEEDS_NOT_MET = "needs_not_met"

SENTENCES = {
    AGENT_LOST: "The agent {node} was not heard of for {silence_s:second|seconds}"
    " (limit: NODE_SILENCE_MAX_S in the settings of the server).",
    ALLOCATION_TIMEOUT: "The agent {node} took this and did not begin within {limit_s:second|seconds}"
    " (limit: JOBSTEP_ALLOCATION_TIMEOUT_SECONDS in the settings of the server).",
    BUILD_TIMEOUT: "The build was not done within {limit_min:minute|minutes}"
    " (limit: build.overall-timeout in the settings of the project {project}).",
    CANCELLED: "{by} cancelled {what}.",
    SUPERSEDED: "The newer build #{number} took the place of the job {job} (the option"
    " job.cancel-superseded of its plan).",
    QUEUE_TIMEOUT: "No agent took it within {limit_min:minute|minutes}"
    " (limit: build.queue-timeout in the settings of the project {project}).",
    LOST_EVERYWHERE: "Given up: {machines} machines lost this job one after the other, so the machines are"
    " hardly to blame (limit: JOBSTEP_MACHINE_RETRY_MAX in the settings of the server).",
    AGENT_SAYS: "The agent says: {message}",
    AGENT_RESTARTED: "The agent {node} was started again while it worked on this.",
    AGENT_STOPPED: "The agent {node} was stopped while it worked on this.",
    CHECKOUT_FAILED: "The source could not be checked out: {message}",
    COMMAND_FAILED: "The command {command} {ending}.",
    COVERAGE_LOW: "{message}",
    COVERAGE_NOTED: "{message}",
    INVALID_CONFIG: "{message}",
    MALFORMED_ARTIFACT: "An artifact could not be parsed: {name}: {message}",
    NO_PLANS: "There is nothing to run: the project has no active plan and the revision has no {file}.",
    OUTSIDE_SAYS: "Where it ran they say: {message}",
    OUTSIDE_SILENT: "Where it ran nothing was heard of it for {silence_min:minute|minutes}, so how it ended"
    " is not known (limit: OUTSIDE_SILENCE_MAX_MIN in the settings of the server).",
    PATCH_FAILED: "The patch does not apply: {message}",
    PLAN_WITHOUT_STEPS: "The plan {plan} has no steps, so there is nothing to run.",
    INVALID_PLAN: "The plan {plan} cannot be run: {message}",
    REPLACED_TOO_OFTEN: "Given up: {count:attempt of this job was|attempts of this job were} lost"
    " (limit: JOBSTEP_RETRY_MAX in the settings of the server).",
    RESULTS_NOT_READ: "What the step left behind could not be read within {silence_min:minute|minutes}"
    " (this limit is fixed; is a worker running?).",
    TEST_FAILURES: "{count:test|tests} failed.",
    SECOND_LOOK_PASSED: "{count:test|tests} failed at first and passed when run again alone: {names}.",
    SECOND_LOOK_FAILED: "{count:test has|tests have} not passed when run again alone: {names}.",
    SECOND_LOOK_LOST: "{count:test|tests} failed, and the machinery lost the step that ran them again:"
    " {names}.",
    SECOND_LOOK_STOPPED: "{count:test|tests} failed, and the step that ran them again was cancelled:"
    " {names}.",
    TIMEOUT: "It ran longer than its limit of {limit_min:minute|minutes}; {where}.",
    DUPLICATE_TEST_NAME: "{count:test was|tests were} reported by more than one shard: {names}",
    MISSING_ARTIFACT: "The command {command} was to say what to run next, and neither printed it nor left"
    " {file} behind.",
    # Of builds on Jenkins, which the original stored and an import brings with it.
    MALFORMED_MANIFEST: "What the machine left behind does not say that it belongs to this step"
    " (manifest.json is malformed, or of another step).",
    MISSING_MANIFEST: "The machine left nothing behind that says it belongs to this step"
    " (manifest.json is missing).",
    MISSING_TARGETS: "{count:target|targets} of Bazel produced no result, most likely because they could not"
    " be built: {names}",
    MISSING_TESTS: "{message}",
    VANISHED_TESTS: "{message}",
    NEEDS_NOT_MET: "The job {job} did not run: it needs the job {needed}, which ended as {result}.",
}
UNKNOWN = "{message}"
# Worth knowing of what is green.
NOTES = (SECOND_LOOK_PASSED, COVERAGE_NOTED, VANISHED_TESTS)
# A machine has nothing to do with it that somebody stopped its agent.
INNOCENT = (AGENT_STOPPED, SECOND_LOOK_LOST)


@dataclass(frozen=True)
class Reason:
    """One thing that went wrong, with the facts its sentence needs."""

    id: str
    facts: Mapping[str, object] = field(default_factory=dict)


class Lenient(Formatter):
    """A reason stored by an older version may lack a value; the sentence is shown all the same."""

    def get_value(self, key: int | str, args: Any, kwargs: Mapping[str, Any]) -> Any:  # noqa: ARG002 - Formatter's
        return kwargs.get(str(key), "(unknown)")

    def format_field(self, value: Any, format_spec: str) -> str:
        """`{count:test|tests}` is "1 test" or "3 tests"."""
        one, _, many = format_spec.partition("|")
        if not many:
            return str(super().format_field(value, format_spec))
        return f"{value:g} {one if value == 1 else many}" if is_number(value) else f"{value} {many}"


def is_number(value: object) -> bool:
    return isinstance(value, (int, float))


def sentence(reason: str, data: Mapping[str, Any]) -> str:
    return Lenient().vformat(SENTENCES.get(reason, UNKNOWN), (), data)
