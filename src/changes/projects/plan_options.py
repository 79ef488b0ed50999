"""Every option of plans and of their steps: declared once, stored as text, only where it differs
from its default. What they mean is said in builds/terms.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from changes.base import clock, ids
from changes.base.errors import Invalid
from changes.projects import log_lines, parameters
from changes.projects.models import ItemOption, Plan
from changes.projects.options import OF_COVERAGE, Option

NEEDS, OPTIONAL, GROUP = "job.needs", "job.optional", "job.group"
RETRY_TIMES, RETRY_INCREMENT, RETRY_PATTERNS = "job.retry-times", "job.retry-increment", "job.retry-patterns"
CANCEL_SUPERSEDED = "job.cancel-superseded"
SELECTIVE = "bazel.selective"
AUTOGENERATE = "bazel.autogenerate"
PARAMETERS = "job.parameters"
EXPECT_TESTS, TIMEOUT = "build.expect-tests", "build.timeout"
VANISHED_TESTS, VANISHED_WAYS = "tests.vanished", ("off", "warn", "fail")
TIMES_MAX = 10
INCREMENT_MAX_S = 24 * 3600
GROUP_MAX = 128
PATTERN_MAX = 500
PARAMETERS_LENGTH_MAX = 20_000
YES_OR_NO = ("0", "1")
LOOK_TIMES, LOOK_COMMAND, LOOK_TESTS_MAX = (
    "tests.second-look",
    "tests.second-look-command",
    "tests.second-look-tests-max",
)
LOOK_TIMES_MAX, LOOK_TESTS_LIMIT, LOOK_TESTS_USUAL = 3, 200, 20
LOOK_COMMAND_MAX, LOOK_PLACEHOLDER = 4000, "{tests}"
SNAPSHOT_ALLOW, SNAPSHOT_REQUIRE = "snapshot.allow", "snapshot.require"


@dataclass(frozen=True)
class PatternsOption(Option):
    """One regular expression in each line."""

    def problem(self, value: str) -> str | None:
        wrong = filter(None, (pattern_problem(line) for line in lines_in(value)))
        return super().problem(value) or next(wrong, None)


@dataclass(frozen=True)
class ParametersOption(Option):
    """What may be chosen when a build is asked for, as JSON."""

    def problem(self, value: str) -> str | None:
        try:
            parameters.of_text(value)
        except Invalid as error:
            return f"{self.label}: {error.message}."
        return super().problem(value)


@dataclass(frozen=True)
class LookCommandOption(Option):
    """A command that runs those tests alone which it is given."""

    def problem(self, value: str) -> str | None:
        problem = look_command_problem(value)
        return super().problem(value) or (f"{self.label}: {problem}." if problem else None)


def look_command_problem(command: str) -> str | None:
    if len(command) > LOOK_COMMAND_MAX:
        return f"a command must have at most {LOOK_COMMAND_MAX} characters"
    if command.strip() and LOOK_PLACEHOLDER not in command:
        return f"the command must contain {LOOK_PLACEHOLDER}"
    return None


def pattern_problem(pattern: str) -> str | None:
    if len(pattern) > PATTERN_MAX:
        return f"a pattern must have at most {PATTERN_MAX} characters"
    try:
        log_lines.compiled(pattern)
    except log_lines.Unreadable as error:
        return f"the pattern {pattern!r} is no regular expression of RE2: {error.message}"
    return None


def lines_in(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


LIMIT_OF_STEP = Option(
    TIMEOUT,
    "Timeout",
    "Minutes that a step may run; 0 is the plan's, else the server's limit.",
    "0",
    is_minutes=True,
)
OF_STEPS = {LIMIT_OF_STEP.name: LIMIT_OF_STEP}
OF_PLANS = {
    option.name: option
    for option in (
        Option(
            NEEDS, "Needs", "Names of plans whose jobs must pass before this one starts, one in each line."
        ),
        Option(
            OPTIONAL,
            "Optional",
            "1: its failure does not fail a build whose project asks only for what is required.",
            "0",
            choices=YES_OR_NO,
        ),
        Option(GROUP, "Group", "Steps of all plans that name it share its limit.", length_max=GROUP_MAX),
        Option(
            RETRY_TIMES,
            "Retries",
            "How often a failed step is tried again by itself.",
            "0",
            between=(0, TIMES_MAX),
        ),
        Option(
            RETRY_INCREMENT,
            "Pause",
            "Seconds before the first retry; before the second twice as long, and so on.",
            "0",
            between=(0, INCREMENT_MAX_S),
        ),
        PatternsOption(
            RETRY_PATTERNS,
            "Retry only for",
            "Regular expressions, one in each line; without any every failure is tried again.",
        ),
        Option(
            LOOK_TIMES,
            "Second look",
            "How often tests that fail newly are run again alone before their step has failed; 0 is never.",
            "0",
            between=(0, LOOK_TIMES_MAX),
        ),
        LookCommandOption(
            LOOK_COMMAND,
            "Second look by",
            "The command that runs {tests} alone; without it the whole step is run once more.",
            length_max=LOOK_COMMAND_MAX,
            is_lines=True,
        ),
        Option(
            LOOK_TESTS_MAX,
            "Second look at",
            "If more tests than this fail newly, they have failed at once.",
            str(LOOK_TESTS_USUAL),
            between=(1, LOOK_TESTS_LIMIT),
        ),
        Option(
            CANCEL_SUPERSEDED,
            "Only the newest",
            "1: a newer build of the same branch ends its jobs in older ones.",
            "0",
            choices=YES_OR_NO,
        ),
        Option(
            SELECTIVE,
            "Only what is affected",
            "1: targets of Bazel that a change does not affect are not run where their result is known.",
            "0",
            choices=YES_OR_NO,
        ),
        Option(
            AUTOGENERATE,
            "Made of <slug>.yaml",
            "1: instead of its steps the plan runs the targets of Bazel that <slug>.yaml names.",
            "0",
            choices=YES_OR_NO,
        ),
        Option(
            SNAPSHOT_ALLOW,
            "Snapshots",
            "0: neither makes images for snapshots nor begins with them.",
            "1",
            choices=YES_OR_NO,
        ),
        Option(
            SNAPSHOT_REQUIRE,
            "Only with a snapshot",
            "1: builds leave the plan out while there is no image for it.",
            "0",
            choices=YES_OR_NO,
        ),
        *OF_COVERAGE,
        ParametersOption(
            PARAMETERS,
            "Parameters",
            'What people may choose for a build, as JSON: [{"name": "LEVEL", "choices": ["1", "2"]}].',
            length_max=PARAMETERS_LENGTH_MAX,
            is_lines=True,
        ),
        Option(
            VANISHED_TESTS,
            "Vanished tests",
            "What a job makes of tests that ran in its last builds that passed and did not run in this one.",
            "warn",
            choices=VANISHED_WAYS,
        ),
        Option(
            EXPECT_TESTS,
            "Expects tests",
            "1: a step of its last phase that reports no tests has failed.",
            "0",
            choices=YES_OR_NO,
        ),
        Option(
            TIMEOUT,
            "Timeout",
            "Minutes for each step that has no limit of its own; 0 is the server's.",
            "0",
            is_minutes=True,
        ),
    )
}


def with_defaults(declared: Mapping[str, Option], stored: Mapping[str, str]) -> dict[str, str]:
    return {name: option.default for name, option in declared.items()} | dict(stored)


def change(
    session: Session, item_id: UUID, declared: Mapping[str, Option], values: Mapping[str, str]
) -> None:
    """Options that are not named stay as they are. Running jobs work on copies and notice nothing."""
    for name, value in values.items():
        option = declared.get(name)
        if option is None:
            raise Invalid(f"There is no option {name!r} here.", [name])
        problem = option.problem(value.strip())
        if problem is not None:
            raise Invalid(problem, [name])
        store(session, item_id, option, value.strip())


def store(session: Session, item_id: UUID, option: Option, value: str) -> None:
    if value == option.default:
        mine = (ItemOption.item_id == item_id, ItemOption.name == option.name)
        session.execute(delete(ItemOption).where(*mine))
        return
    row = insert(ItemOption).values(
        id=ids.new(), item_id=item_id, name=option.name, value=value, date_created=clock.now()
    )
    key = [ItemOption.item_id, ItemOption.name]
    session.execute(row.on_conflict_do_update(index_elements=key, set_={"value": value}))


def refuse_in_repository(plan: Plan) -> None:
    if plan.in_repository:
        raise Invalid("This plan stands in its repository; what it says is said there.")
