"""What a plan says about its job as a whole, beside what its steps do. Pure.

It is frozen in the JobPlan as `data["terms"]`, so later changes of the plan do not reach the job.
Plans on the server say it by options, those in `.changes.yml` by keys of the same meaning.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from changes.base.errors import Invalid
from changes.builds import complaints, coverage_gate, second_look
from changes.builds.complaints import Wrong
from changes.builds.coverage_gate import CoverageGate
from changes.builds.implementations import TIMEOUT_MAX_MIN
from changes.builds.second_look import SecondLook
from changes.builds.triggers_rules import ANYTHING, Kind, PlanWishes
from changes.projects import log_lines, parameters
from changes.projects.log_lines import LogLine
from changes.projects.parameters import Parameter
from changes.projects.plan_options import (
    CANCEL_SUPERSEDED,
    EXPECT_TESTS,
    GROUP,
    GROUP_MAX,
    INCREMENT_MAX_S,
    LOOK_COMMAND,
    LOOK_TESTS_LIMIT,
    LOOK_TESTS_MAX,
    LOOK_TESTS_USUAL,
    LOOK_TIMES,
    LOOK_TIMES_MAX,
    NEEDS,
    OPTIONAL,
    PARAMETERS,
    RETRY_INCREMENT,
    RETRY_PATTERNS,
    RETRY_TIMES,
    SELECTIVE,
    TIMEOUT,
    TIMES_MAX,
    VANISHED_TESTS,
    VANISHED_WAYS,
    lines_in,
    look_command_problem,
    pattern_problem,
)

__all__ = [
    "EXPECT_TESTS",
    "GROUP",
    "NEEDS",
    "OPTIONAL",
    "RETRY_INCREMENT",
    "RETRY_PATTERNS",
    "RETRY_TIMES",
    "TIMEOUT",
    "Retry",
    "Terms",
]

LOOK_FIELDS = ("times", "command", "tests_max")
RETRY_FIELDS = ("times", "increment", "patterns")
# In the order of the fields of PlanWishes.
TRIGGER_KEYS = ("events", "branches", "ignore_branches", "files", "ignore_files")


@dataclass(frozen=True)
class Retry:
    """After failure k of a step its next attempt waits k times the increment; patterns are
    looked for in its log, and without any every failure counts.
    """

    times: int = 0
    increment_s: int = 0
    patterns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Terms:
    needs: tuple[str, ...] = ()
    is_optional: bool = False
    group: str | None = None
    retry: Retry = Retry()
    expects_tests: bool = False
    # What becomes of tests that used to run: one of VANISHED_WAYS.
    vanished_tests: str = "warn"
    # For steps that have no limit of their own; 0 = the server's.
    timeout_min: int = 0
    # A newer build of the same branch ends this job (superseded.py).
    cancels_superseded: bool = False
    # Targets of Bazel that the change does not affect are not run (selective.py).
    is_selective: bool = False
    # New failures are run again before they count (second_look.py).
    second_look: SecondLook = second_look.NEVER
    # How much of the code has to run.
    coverage: CoverageGate = coverage_gate.OPEN
    # Whom to ask about it.
    owners: tuple[str, ...] = ()
    # Which lines of its logs tell what went wrong, beside those that everybody knows.
    log_errors: tuple[LogLine, ...] = ()
    # What may be chosen when a build is asked for; the job keeps only the values, in its steps.
    parameters: tuple[Parameter, ...] = ()
    wishes: PlanWishes = ANYTHING

    def frozen(self) -> dict[str, Any]:
        """As it is kept, and as an API answer has it."""
        return {
            "needs": list(self.needs),
            "optional": self.is_optional,
            "group": self.group,
            "retry": {
                "times": self.retry.times,
                "increment_s": self.retry.increment_s,
                "patterns": list(self.retry.patterns),
            },
            "expect_tests": self.expects_tests,
            "vanished_tests": self.vanished_tests,
            "timeout_min": self.timeout_min,
            "cancel_superseded": self.cancels_superseded,
            "selective": self.is_selective,
            "second_look": self.second_look.frozen(),
            "owners": list(self.owners),
            **({"coverage": self.coverage.frozen()} if self.coverage.asks else {}),
            **({"log_errors": log_lines.frozen(self.log_errors)} if self.log_errors else {}),
        }


def thawed(data: Mapping[str, Any]) -> Terms:
    """From a JobPlan's data; one made before there were terms has the usual ones."""
    kept = data.get("terms") or {}
    retry = kept.get("retry") or {}
    return Terms(
        needs=tuple(kept.get("needs", ())),
        is_optional=bool(kept.get("optional", False)),
        group=kept.get("group"),
        retry=Retry(retry.get("times", 0), retry.get("increment_s", 0), tuple(retry.get("patterns", ()))),
        expects_tests=bool(kept.get("expect_tests", False)),
        vanished_tests=kept.get("vanished_tests", "warn"),
        timeout_min=int(kept.get("timeout_min", 0)),
        cancels_superseded=bool(kept.get("cancel_superseded", False)),
        is_selective=bool(kept.get("selective", False)),
        second_look=second_look.thawed(kept.get("second_look")),
        coverage=coverage_gate.thawed(kept.get("coverage")),
        owners=tuple(kept.get("owners", ())),
        log_errors=tuple(log_lines.thawed(kept.get("log_errors"))),
    )


# --- options of a plan on the server --------------------------------------------------------


def of_options(options: Mapping[str, str]) -> Terms:
    """Options were checked when they were stored; what an older version stored counts as not said."""
    return Terms(
        needs=tuple(lines_in(options.get(NEEDS, ""))),
        is_optional=options.get(OPTIONAL) == "1",
        group=options.get(GROUP, "").strip() or None,
        retry=Retry(
            times=min(number(options.get(RETRY_TIMES)), TIMES_MAX),
            increment_s=min(number(options.get(RETRY_INCREMENT)), INCREMENT_MAX_S),
            patterns=tuple(lines_in(options.get(RETRY_PATTERNS, ""))),
        ),
        expects_tests=options.get(EXPECT_TESTS) == "1",
        vanished_tests=options.get(VANISHED_TESTS, "warn"),
        timeout_min=min(number(options.get(TIMEOUT)), TIMEOUT_MAX_MIN),
        cancels_superseded=options.get(CANCEL_SUPERSEDED) == "1",
        is_selective=options.get(SELECTIVE) == "1",
        second_look=second_look_of(options),
        coverage=coverage_gate.of_options(options),
        parameters=stored_parameters(options.get(PARAMETERS, "")),
    )


def second_look_of(options: Mapping[str, str]) -> SecondLook:
    return SecondLook(
        times=min(number(options.get(LOOK_TIMES)), LOOK_TIMES_MAX),
        tests_max=min(number(options.get(LOOK_TESTS_MAX, str(LOOK_TESTS_USUAL))), LOOK_TESTS_LIMIT),
        command=options.get(LOOK_COMMAND, "").strip(),
    )


def stored_parameters(text: str) -> tuple[Parameter, ...]:
    try:
        return tuple(parameters.of_text(text))
    except Invalid:
        return ()


def number(text: str | None) -> int:
    is_number = text is not None and text.isascii() and text.isdecimal() and len(text) < len(str(10**9))
    return int(text) if text is not None and is_number else 0


# --- keys of a plan in its repository ---------------------------------------------------------


def of_keys(said: Mapping[str, Any]) -> Terms:
    """The caller has seen that `wrong_keys` finds nothing."""
    retry = said.get("retry") or {}
    return Terms(
        needs=tuple(each.strip() for each in said.get("needs", [])),
        is_optional=said.get("optional", False),
        group=(said.get("group") or "").strip() or None,
        retry=Retry(retry.get("times", 0), retry.get("increment", 0), tuple(retry.get("patterns", ()))),
        expects_tests=said.get("expect_tests", False),
        vanished_tests=said.get("vanished_tests", "warn"),
        cancels_superseded=said.get("cancel_superseded", False),
        is_selective=said.get("selective", False),
        second_look=look_of_keys(said.get("second_look") or {}),
        coverage=coverage_gate.of_keys(said.get("coverage")),
        owners=tuple(said.get("owners", [])),
        log_errors=tuple(log_lines.read(said.get("log_errors", []))),
        parameters=tuple(parameters.read(said.get("parameters", []))),
        wishes=wishes_of(said.get("triggers") or {}),
    )


def look_of_keys(said: Mapping[str, Any]) -> SecondLook:
    if not said:
        return second_look.NEVER
    tests_max = said.get("tests_max", LOOK_TESTS_USUAL)
    return SecondLook(said.get("times", 1), tests_max, (said.get("command") or "").strip())


def wishes_of(said: Mapping[str, Any]) -> PlanWishes:
    events, *rest = (tuple(said.get(key, [])) for key in TRIGGER_KEYS)
    return PlanWishes(events, *rest)


def wrong_keys(said: Mapping[str, Any]) -> list[Wrong]:
    wrong = complaints.wrong_texts(said, "needs", "names of plans")
    wrong += complaints.wrong_flag(said, "optional") + complaints.wrong_flag(said, "expect_tests")
    wrong += complaints.wrong_flag(said, "cancel_superseded") + complaints.wrong_text(said, "group")
    wrong += complaints.wrong_flag(said, "selective")
    if said.get("vanished_tests", "warn") not in VANISHED_WAYS:
        wrong.append(Wrong(("vanished_tests",), f"vanished_tests must be {', '.join(VANISHED_WAYS)}"))
    if not wrong and len(said.get("group") or "") > GROUP_MAX:
        wrong.append(Wrong(("group",), f"group must have at most {GROUP_MAX} characters"))
    wrong += complaints.wrong_texts(said, "owners", "people, teams or addresses")
    return (
        wrong
        + wrong_retry(said.get("retry"))
        + wrong_look(said.get("second_look"))
        + coverage_gate.wrong(said.get("coverage"))
        + wrong_triggers(said.get("triggers"))
        + wrong_parameters(said.get("parameters", []))
        + wrong_log_errors(said.get("log_errors", []))
    )


def wrong_parameters(said: Any) -> list[Wrong]:
    try:
        parameters.read(said)
    except Invalid as error:
        return [Wrong(("parameters",), error.message)]
    return []


def wrong_log_errors(said: Any) -> list[Wrong]:
    try:
        log_lines.read(said)
    except Invalid as error:
        return [Wrong(("log_errors",), error.message)]
    return []


def wrong_triggers(said: Any) -> list[Wrong]:
    if said is None:
        return []
    if not isinstance(said, dict):
        return [Wrong(("triggers",), f"triggers must be a mapping of {', '.join(TRIGGER_KEYS)}")]
    way = ("triggers",)
    wrong = complaints.unknown_names(said, TRIGGER_KEYS, way)
    for key in TRIGGER_KEYS:
        wrong += complaints.wrong_texts(said, key, "patterns" if key != "events" else "events", way)
    if wrong:
        return wrong
    known = [kind.value for kind in Kind]
    return [
        Wrong((*way, "events", place), f"{event!r} is no event{complaints.meant(event, known)}")
        for place, event in enumerate(said.get("events", []))
        if event not in known
    ]


def wrong_look(said: Any) -> list[Wrong]:
    if said is None:
        return []
    way = ("second_look",)
    if not isinstance(said, dict):
        return [Wrong(way, f"second_look must be a mapping of {', '.join(LOOK_FIELDS)}")]
    wrong = complaints.unknown_names(said, LOOK_FIELDS, way)
    wrong += complaints.wrong_number(said, "times", LOOK_TIMES_MAX, way)
    wrong += complaints.wrong_number(said, "tests_max", LOOK_TESTS_LIMIT, way)
    wrong += complaints.wrong_text(said, "command", way)
    problem = None if wrong else look_command_problem(said.get("command") or "")
    return [*wrong, Wrong((*way, "command"), problem)] if problem else wrong


def wrong_retry(retry: Any) -> list[Wrong]:
    if retry is None:
        return []
    if not isinstance(retry, dict):
        return [Wrong(("retry",), f"retry must be a mapping of {', '.join(RETRY_FIELDS)}")]
    way = ("retry",)
    wrong = complaints.unknown_names(retry, RETRY_FIELDS, way)
    wrong += complaints.wrong_number(retry, "times", TIMES_MAX, way)
    wrong += complaints.wrong_number(retry, "increment", INCREMENT_MAX_S, way)
    wrong += complaints.wrong_texts(retry, "patterns", "regular expressions", way)
    if not wrong:
        wrong = [each for pattern in retry.get("patterns", []) for each in wrong_pattern(pattern)]
    return wrong


def wrong_pattern(pattern: str) -> list[Wrong]:
    problem = pattern_problem(pattern)
    return [Wrong(("retry", "patterns"), problem)] if problem else []
