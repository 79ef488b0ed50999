"""Every option of a project: declared once, stored as text, kept only where it differs from its default."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from changes.base import bell, clock, ids
from changes.base.errors import Invalid
from changes.projects import keep_names, log_lines
from changes.projects.models import Project, ProjectOption
from changes.projects.rules import TABS_SHOWN_BY

OWNERS, NOTES = "project.owners", "project.notes"
RESULT_RULE = "build.result-rule"
TRUSTED_PATCHES, EVERYBODY = "build.trusted-patches", "everybody"
QUEUE_WEIGHT, QUEUE_LIMIT = "queue.weight", "queue.limit"
WEIGHT_MAX, LIMIT_MAX = 100, 10_000
QUEUE_TIMEOUT, OVERALL_TIMEOUT = "build.queue-timeout", "build.overall-timeout"
MINUTES_MAX = 7 * 24 * 60
SNAPSHOT_CURRENT, SNAPSHOT_AUTOMATIC = "snapshot.current", "snapshot.automatic"
CACHE_LIMIT, CACHE_LIMIT_MAX_MB = "cache.limit", 1_000_000
BRANCHES, COMMIT_TRIGGER, DIFF_TRIGGER = (
    "build.branch-names",
    "build.commit-trigger",
    "phabricator.diff-trigger",
)
FILES, IGNORED_FILES = "build.file-whitelist", "build.file-blacklist"
PAUSE_MIN, AFTER_PROJECTS = "build.minimum-minutes", "build.after-projects"
SLOW_TEST, SLOW_TEST_MAX_MS = "build.test-duration-warning", 24 * 60 * 60 * 1000
GREEN_NOTIFY, GREEN_PROJECT = "green-build.notify", "green-build.project"
NO_OR_YES = ("0", "1")
FILES_LENGTH_MAX = 20_000
TESTS_KEEP_MONTHS, KEEP_MONTHS_MAX = "tests.keep-months", 1200
# By what they are called where they are cleaned away.
KEEP_DAYS = {
    "builds": "keep.builds-days",
    "logs": "keep.logs-days",
    "artifacts": "keep.artifacts-days",
    "events": "keep.events-days",
}
LOG_ERRORS = "logs.errors"
COVERAGE_MIN, COVERAGE_PATCH_MIN, COVERAGE_BELOW = "coverage.min", "coverage.patch-min", "coverage.below"
COVERAGE_WAYS, PERCENT_MAX = ("fail", "warn"), 100
KEEP_NAMES, KEEP_DAYS_MAX = "keep.artifact-names", 36_500


@dataclass(frozen=True)
class Option:
    name: str
    label: str
    help: str
    default: str = ""
    length_max: int = 1000
    # Where only these are allowed, or only a number of minutes, 0 being no limit.
    choices: tuple[str, ...] = ()
    is_minutes: bool = False
    # One thing in each line.
    is_lines: bool = False
    # A whole number from the first to the second; what is the default need not be one.
    between: tuple[int, int] | None = None
    # Who waits for an agent waits for this too, and looks again when it changes.
    concerns_queue: bool = False
    # Whatever else makes a value wrong, in words.
    check: Callable[[str], str | None] | None = None

    def problem(self, value: str) -> str | None:
        if len(value) > self.length_max:
            return f"{self.label}: at most {self.length_max} characters."
        if self.choices and value not in self.choices:
            return f"{self.label}: one of {', '.join(self.choices)}."
        is_number = value.isascii() and value.isdecimal() and len(value) <= len(str(MINUTES_MAX))
        if self.is_minutes and not (is_number and int(value) <= MINUTES_MAX):
            return f"{self.label}: a whole number of minutes up to {MINUTES_MAX}; 0 is no limit."
        wrong = self.check(value) if self.check is not None else None
        return wrong or self.problem_of_number(value)

    def problem_of_number(self, value: str) -> str | None:
        if self.between is None or value == self.default:
            return None
        least, most = self.between
        is_number = value.isascii() and value.isdecimal() and len(value) <= len(str(most))
        if not is_number or not least <= int(value) <= most:
            return f"{self.label}: a whole number from {least} to {most}."
        return None


# A project says them for all of its jobs that report coverage, a plan for its own.
OF_COVERAGE = (
    Option(
        COVERAGE_MIN,
        "Coverage (%)",
        "How much of the lines that can run must run, in percent; empty asks nothing.",
        between=(0, PERCENT_MAX),
    ),
    Option(
        COVERAGE_PATCH_MIN,
        "Coverage of changes (%)",
        "The same of the lines that a change adds; whatever its base covered does not matter.",
        between=(0, PERCENT_MAX),
    ),
    Option(
        COVERAGE_BELOW,
        "Less coverage",
        "Whether a job fails that runs less, or is only told of.",
        "fail",
        choices=COVERAGE_WAYS,
    ),
)
OF_PROJECTS = {
    option.name: option
    for option in (
        Option(OWNERS, "Owner", "A person, a team or an address: whom to ask about this project."),
        Option(NOTES, "Notes", "What others should know about it.", length_max=20_000),
        Option(
            RESULT_RULE,
            "Verdict",
            "What a build needs to pass: all of its jobs, any one of them, or those that are not optional.",
            "all",
            choices=("all", "any", "required-only"),
        ),
        Option(
            TRUSTED_PATCHES,
            "Trusted patches",
            "Whose patches get secrets and run without limits: those of people with rights on this project,"
            " or of everybody who may ask for builds.",
            "rights",
            choices=("rights", EVERYBODY),
        ),
        Option(
            QUEUE_WEIGHT,
            "Weight",
            "Its share of the machines while several projects wait: with 2 it gets twice as much as with 1.",
            "1",
            between=(1, WEIGHT_MAX),
            concerns_queue=True,
        ),
        Option(
            QUEUE_LIMIT,
            "Steps at a time",
            "How many of its steps may run at a time; empty is no limit, 0 pauses the project.",
            between=(0, LIMIT_MAX),
            concerns_queue=True,
        ),
        Option(
            QUEUE_TIMEOUT,
            "Longest wait",
            "Minutes that a step may wait for an agent before it is given up; 0 is no limit.",
            "0",
            is_minutes=True,
        ),
        Option(
            SNAPSHOT_CURRENT,
            "Snapshot",
            "Id of the active snapshot that builds begin with; empty is none.",
            length_max=32,
        ),
        Option(
            SNAPSHOT_AUTOMATIC,
            "Newest snapshot",
            "1: a snapshot becomes the current one as soon as it is active.",
            "0",
            choices=("0", "1"),
        ),
        Option(
            CACHE_LIMIT,
            "Caches (MB)",
            "How much caches of its trusted builds may take together; those of others get a quarter more.",
            "5000",
            between=(0, CACHE_LIMIT_MAX_MB),
        ),
        Option(
            OVERALL_TIMEOUT,
            "Longest build",
            "Minutes from the request to the end of a build, waiting and all; 0 is no limit.",
            "0",
            is_minutes=True,
        ),
        Option(
            SLOW_TEST,
            "Slow test (ms)",
            "From how many milliseconds on a test counts as too slow; empty is never.",
            between=(1, SLOW_TEST_MAX_MS),
        ),
        *(
            Option(
                name,
                f"Tab “{tab.capitalize()}”",
                f"Whether the project and its builds have one for {tab}; the pages stay where they are.",
                "1",
                choices=NO_OR_YES,
            )
            for name, tab in TABS_SHOWN_BY.items()
        ),
        Option(COMMIT_TRIGGER, "New commits", "Whether each is built.", "1", choices=NO_OR_YES),
        Option(
            DIFF_TRIGGER,
            "New patches",
            "Whether each that is sent for review is built.",
            "1",
            choices=NO_OR_YES,
        ),
        Option(
            BRANCHES,
            "Branches",
            "Patterns with blanks between, such as: main release-*. Commits of others are not built.",
            "*",
        ),
        Option(
            FILES,
            "Only for files",
            "Patterns, one in each line: built is what changes such a file; * stands for / too.",
            length_max=FILES_LENGTH_MAX,
            is_lines=True,
        ),
        Option(
            IGNORED_FILES,
            "Not for files",
            "Patterns, one in each line: what changes nothing else is not built.",
            length_max=FILES_LENGTH_MAX,
            is_lines=True,
        ),
        Option(
            PAUSE_MIN,
            "Pause between builds",
            "Minutes; a commit that comes sooner waits, and of several that wait the newest is built.",
            "0",
            is_minutes=True,
        ),
        Option(
            GREEN_NOTIFY,
            "Tell of green commits",
            "Whether the server of GREEN_BUILD_URL is told of each.",
            "1",
            choices=NO_OR_YES,
        ),
        Option(GREEN_PROJECT, "Name for green commits", "What it is told as the project; empty is the slug."),
        Option(
            TESTS_KEEP_MONTHS,
            "Runs of tests (months)",
            "How long each run of a test is kept; empty is as long as the server says, 0 is for ever.",
            between=(0, KEEP_MONTHS_MAX),
        ),
        *(
            Option(
                name,
                f"Keep {what} (days)",
                f"How long after the end of a build its {what} are kept; empty is as long as the server says,"
                " 0 is for ever.",
                between=(0, KEEP_DAYS_MAX),
            )
            for what, name in KEEP_DAYS.items()
            if what != "builds"
        ),
        Option(
            KEEP_DAYS["builds"],
            "Keep builds (days)",
            "How long builds themselves are kept; empty is as long as the server says, 0 is for ever.",
            between=(0, KEEP_DAYS_MAX),
        ),
        Option(
            KEEP_NAMES,
            "Keep by name",
            "A pattern and days in each line, such as: *.whl 0. The first that fits a file's name counts.",
            length_max=FILES_LENGTH_MAX,
            is_lines=True,
            check=keep_names.problem,
        ),
        Option(
            LOG_ERRORS,
            "Errors in logs",
            "Lines that tell what went wrong, beside those that are known: one pattern in each line, such as:"
            " error licence: ^FlexLM .* denied. A line with “ignore: ” says which tell of nothing.",
            length_max=FILES_LENGTH_MAX,
            is_lines=True,
            check=log_lines.problem,
        ),
        Option(
            AFTER_PROJECTS,
            "After projects",
            "Short names, one in each line: when a commit passed there, this project is built.",
            is_lines=True,
        ),
    )
}


OF_PROJECTS |= {option.name: option for option in OF_COVERAGE}


def with_defaults(stored: Mapping[str, str]) -> dict[str, str]:
    return {name: option.default for name, option in OF_PROJECTS.items()} | dict(stored)


def change(session: Session, project: Project, values: Mapping[str, str]) -> None:
    """Options that are not named stay as they are."""
    for name, value in values.items():
        option = OF_PROJECTS.get(name)
        if option is None:
            raise Invalid(f"There is no option {name!r} of projects.", [name])
        problem = option.problem(value.strip())
        if problem is not None:
            raise Invalid(problem, [name])
        store(session, project, option, value.strip())
        if option.concerns_queue:
            # Everybody who waits looks again: whose steps may go now, nobody knows here.
            bell.tell(session, "steps")


def store(session: Session, project: Project, option: Option, value: str) -> None:
    if value == option.default:
        mine = (ProjectOption.project_id == project.id, ProjectOption.name == option.name)
        session.execute(delete(ProjectOption).where(*mine))
        return
    row = insert(ProjectOption).values(
        id=ids.new(), project_id=project.id, name=option.name, value=value, date_created=clock.now()
    )
    session.execute(
        row.on_conflict_do_update(
            index_elements=[ProjectOption.project_id, ProjectOption.name], set_={"value": value}
        )
    )
