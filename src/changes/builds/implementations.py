"""The classes of build steps by the names the original gave them, and what each may be told. Pure.

A field says how it is checked, and what a form needs to draw it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from changes.base.errors import Invalid
from changes.builds import complaints
from changes.builds.complaints import Wrong
from changes.vcs import names
from changes.vcs.errors import BadName

DEFAULT = "changes.buildsteps.default.DefaultBuildStep"
LXC = "changes.buildsteps.lxc.LXCBuildStep"
DUMMY = "changes.buildsteps.dummy.DummyBuildStep"
TIMEOUT_MAX_MIN = 7 * 24 * 60
EXECUTORS = 10
EXECUTORS_MAX = 1000
COMMAND_FIELDS = frozenset({"script", "path", "env", "artifacts", "label", "type"})
DEFAULT_ARTIFACTS = [
    "junit.xml", "*.junit.xml", "xunit.xml", "*.xunit.xml", "nosetests.xml", "*.nosetests.xml",
    "coverage.xml", "*.coverage.xml", "cobertura.xml", "*.cobertura.xml", "cobertura-coverage.xml",
    "jacoco.xml", "*.jacoco.xml", "jacocoTestReport.xml", "clover.xml", "*.clover.xml", "lcov.info",
    "*.lcov", "coverage.json", "cover.out", "*.coverprofile",
    "CHANGES_ANALYTICS.json", "*.CHANGES_ANALYTICS.json",
]  # fmt: skip

Kind = Literal[
    "commands",
    "text",
    "path",
    "number",
    "flag",
    "variables",
    "patterns",
    "mapping",
    "repositories",
    "paths",
    "caches",
]
Check = Callable[[Mapping[str, Any], str], list[Wrong]]


@dataclass(frozen=True)
class Field:
    name: str
    label: str
    kind: Kind
    help: str
    default: Any = None
    most: int = complaints.NUMBER_MAX

    def wrong(self, data: Mapping[str, Any]) -> list[Wrong]:
        if data.get(self.name) is None and self.kind in {"mapping", "repositories", "text", "path"}:
            return []
        if self.kind == "number":
            return complaints.wrong_number(data, self.name, self.most)
        return CHECKS[self.kind](data, self.name)


@dataclass(frozen=True)
class Implementation:
    name: str
    label: str
    fields: tuple[Field, ...] = ()
    is_dummy: bool = False
    names: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", frozenset(each.name for each in self.fields))


def wrong_mapping(data: Mapping[str, Any], name: str) -> list[Wrong]:
    return [] if isinstance(data.get(name), dict) else [Wrong((name,), f"{name} must be a mapping")]


def wrong_patterns(data: Mapping[str, Any], name: str) -> list[Wrong]:
    return complaints.wrong_texts(data, name, "patterns")


def wrong_paths(data: Mapping[str, Any], name: str) -> list[Wrong]:
    wrong = complaints.wrong_texts(data, name, "paths")
    if wrong or data.get(name) is None:
        return wrong
    return [
        Wrong((name, place), f"{name} must be paths inside of the repository")
        for place, path in enumerate(data[name])
        if not is_inside(path)
    ]


def is_inside(path: str) -> bool:
    try:
        names.check_path(path)
    except BadName:
        return False
    return True


def checked_elsewhere(_data: Mapping[str, Any], _name: str) -> list[Wrong]:
    """Commands and other repositories have fields of their own."""
    return []


CHECKS: dict[Kind, Check] = {
    "commands": checked_elsewhere,
    "caches": checked_elsewhere,
    "repositories": checked_elsewhere,
    "text": complaints.wrong_text,
    "path": complaints.wrong_path,
    "flag": complaints.wrong_flag,
    "variables": complaints.wrong_variables,
    "patterns": wrong_patterns,
    "paths": wrong_paths,
    "mapping": wrong_mapping,
}
FIELDS = (
    Field(
        "commands", "Commands", "commands", "What to run, in this order: scripts, or mappings with more.", []
    ),
    Field("label", "Label", "text", "What the phase of this step is called; without it, like the plan.", ""),
    Field("path", "Folder", "path", "Below the checkout; commands run in it.", ""),
    Field("repo_path", "Checkout", "path", "Folder of the checkout, below that of the job.", "source"),
    Field("depth", "Depth", "number", "How many commits of the history git brings; 0 is all of it.", 0),
    Field("sparse", "Only these", "paths", "Files and folders to check out; none means all (git only).", []),
    Field("submodules", "Submodules", "flag", "Check out git's submodules too.", default=False),
    Field("lfs", "Large files", "flag", "Bring the content that git LFS keeps elsewhere.", default=False),
    Field("env", "Variables", "variables", "For all commands.", {"CHANGES": "1"}),
    Field("artifacts", "Artifacts", "patterns", "Files to keep after each command.", DEFAULT_ARTIFACTS),
    Field("reports", "Test reports", "patterns", "Files to keep and to read as test reports.", []),
    Field(
        "timeout",
        "Timeout",
        "number",
        "Minutes for all commands together; 0 is the plan's, else the server's limit.",
        0,
        TIMEOUT_MAX_MIN,
    ),
    Field("cluster", "Cluster", "text", "Only agents of this cluster take the step."),
    Field("labels", "Labels", "variables", "Only agents that have all of these take the step.", {}),
    Field("cpus", "CPUs", "number", "How many to reserve; 0 reserves none.", 0),
    Field("memory", "Memory (MB)", "number", "How much to reserve; 0 reserves none.", 0),
    Field(
        "max_executors",
        "Shards",
        "number",
        "At most so many steps share what a collecting command names.",
        EXECUTORS,
        EXECUTORS_MAX,
    ),
    Field(
        "test_stats_from",
        "Durations from",
        "text",
        "Short name of the project whose tests say how long they take; without it, this one.",
    ),
    Field(
        "other_repos",
        "Other repositories",
        "repositories",
        "Further checkouts: repo, path, revision, backend.",
        [],
    ),
    Field(
        "artifact_search_path",
        "Results below",
        "path",
        "Where the paths of Bazel's results begin.",
    ),
    Field(
        "sandbox",
        "Sandbox",
        "text",
        "process, bubblewrap, lxc or podman; without it the agent's choice: bubblewrap where it works.",
    ),
    Field("image", "Image", "text", "For podman: its name; for lxc: the name of a container on the agent."),
    Field("network", "Network", "flag", "false: its commands reach no network at all.", default=True),
    Field("limits", "Limits", "mapping", "What it may use at most: memory (MB), pids, cpus, log (MB).", {}),
    Field("secrets", "Secrets", "patterns", "Names of secrets of the project that it gets as variables.", []),
    Field(
        "cache",
        "Caches",
        "caches",
        "Folders to find again in the next build: a list of key, paths and restore_keys.",
        [],
    ),
    Field("snapshot", "Snapshot of", "patterns", "Folders that its snapshots hold: ~, .venv, /opt.", []),
    Field("release", "Release", "text", "Of the distribution; told to commands as CHANGES_RELEASE."),
    Field(
        "step_token",
        "Token for commands",
        "flag",
        "Give commands CHANGES_STEP_TOKEN, with which they may speak to the server about this step only.",
        default=False,
    ),
    Field(
        "clean",
        "Clean",
        "flag",
        "Known to the original; here every step has a checkout of its own.",
        default=True,
    ),
    Field("debug_config", "Debugging", "mapping", "Known to the original; kept, without effect.", {}),
    Field(
        "use_path_in_artifact_name",
        "Paths in names",
        "flag",
        "Known to the original; here always so.",
        default=True,
    ),
    Field("artifact_suffix", "Suffix", "text", "Known to the original; kept, without effect.", ""),
)
BY_NAME = {
    each.name: each
    for each in (
        Implementation(DEFAULT, "Commands", FIELDS),
        Implementation(LXC, "Commands (LXC in the original)", FIELDS),
        Implementation(DUMMY, "Nothing; ends as aborted", is_dummy=True),
    )
}


# What the original ran on Jenkins.
OF_JENKINS = frozenset({
    "changes.backends.jenkins.buildstep.JenkinsBuildStep",
    "changes.backends.jenkins.buildstep.JenkinsGenericBuildStep",
    "changes.backends.jenkins.buildsteps.test_collector.JenkinsTestCollectorBuildStep",
})  # fmt: skip


def named(name: str) -> Implementation:
    found = BY_NAME.get(name)
    if name in OF_JENKINS:
        raise Invalid(
            f"the step is one of Jenkins ({name.rpartition('.')[2]}), and this server runs nothing there:"
            " let agents run its commands",
            ["implementation"],
        )
    if found is None:
        raise Invalid(
            f"unable to load build step implementation: {name!r} (allowed: {', '.join(BY_NAME)})",
            ["implementation"],
        )
    return found
