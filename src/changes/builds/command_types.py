"""Which commands run in which kind of step. Pure."""

from changes.builds.rules import CommandType

COLLECTORS = (CommandType.COLLECT_STEPS, CommandType.COLLECT_TESTS, CommandType.COLLECT_BAZEL_TARGETS)
SETUPS = (CommandType.SETUP, CommandType.INFRA_SETUP)
# In a step that collects, what is not listed here would never run, so a plan may not say it.
BESIDE_A_COLLECTOR = (*COLLECTORS, *SETUPS, CommandType.TEARDOWN, CommandType.SNAPSHOT)
# The file that says the same as the output of a collector, for those that print other things too.
FILES = {
    CommandType.COLLECT_STEPS: "jobs.json",
    CommandType.COLLECT_TESTS: "tests.json",
    CommandType.COLLECT_BAZEL_TARGETS: "targets.json",
}


def is_collector(kind: CommandType) -> bool:
    return kind in COLLECTORS


def runs_in_collecting_step(kind: CommandType) -> bool:
    return kind in COLLECTORS or kind == CommandType.INFRA_SETUP


def runs_in_plain_step(kind: CommandType) -> bool:
    """Snapshot commands belong to snapshot builds."""
    return kind not in COLLECTORS and kind != CommandType.SNAPSHOT


def named(name: object) -> CommandType | None:
    return CommandType.__members__.get(name.upper()) if isinstance(name, str) else None
