"""What `<slug>.yaml` of the original has agents do: remove files, and run the targets of Bazel. Pure."""

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from changes.projects.config_original import BazelConfig

REMOVAL = "Remove files that do not matter"
# What means something in a pattern; each other sign stands for itself.
PLAIN = re.compile(r"[^A-Za-z0-9_./*?\[\]!-]")
# In `case`, as in the original's fnmatch, a star is also for slashes.
REMOVE = """\
find . \\( -name .git -o -name .hg \\) -prune -o \\( -type f -o -type l \\) -print | sed 's|^\\./||' |
while IFS= read -r file; do
    case "$file" in
        {patterns}) rm -f -- "./$file" ;;
    esac
done
"""
# Bazel names one target in each line; no name of a target holds a quote or a backslash.
COLLECT = """\
set -eu
as_json() {{ echo "["; sed 's/.*/"&"/; $!s/$/,/'; echo "]"; }}
wanted={wanted}
bazel query --noshow_progress --output=label "$wanted" > .changes-found
sort -u .changes-found > .changes-all
{affected}
comm -13 .changes-affected .changes-all > .changes-unaffected
cat > targets.json <<TARGETS
{{"cmd": {cmd}, "affected_targets": $(as_json < .changes-affected),
"unaffected_targets": $(as_json < .changes-unaffected),
"artifacts": ["**/test.xml"], "artifact_search_path": "bazel-results"}}
TARGETS
"""
ALL_AFFECTED = "cp .changes-all .changes-affected"
# What is asked for no file at all is asked for nothing; a file that no package has makes no target.
SOME_AFFECTED = """\
git diff --name-only HEAD^ HEAD | sed 's/.*/"&"/' | tr '\\n' ' ' > .changes-files
if [ -s .changes-files ]; then
    bazel query --noshow_progress --keep_going --output=label \\
        "($wanted) intersect rdeps(//..., set($(cat .changes-files)))" > .changes-some || [ $? -eq 3 ]
    sort -u .changes-some > .changes-affected
else
    : > .changes-affected
fi"""
# Failed tests are what is kept the results for, and the shell would end with the first line that fails.
RUN = """\
code=0; bazel test --keep_going --jobs={jobs} {flags} {{target_names}} || code=$?; \
mkdir -p bazel-results; [ ! -d bazel-testlogs ] || cp -rL bazel-testlogs/. bazel-results/; exit $code"""
# What the file says itself, and what belongs to the commands that it takes the place of.
SAID_BY_FILE = {
    "commands", "label", "path", "artifacts", "cpus", "memory", "max_executors", "artifact_search_path",
}  # fmt: skip
AROUND = {"infra_setup", "setup", "teardown"}


def removal(patterns: Sequence[str]) -> dict[str, Any]:
    """A command before all others, in each step."""
    return {
        "label": REMOVAL,
        "type": "infra_setup",
        "path": "",
        "script": REMOVE.format(patterns="|".join(map(as_pattern, patterns))),
    }


def as_pattern(pattern: str) -> str:
    return PLAIN.sub(lambda found: f"\\{found.group()}", pattern) or "''"


def with_removal(step: Mapping[str, Any], patterns: Sequence[str]) -> dict[str, Any]:
    data = step["data"]
    return {**step, "data": {**data, "commands": [removal(patterns), *data.get("commands", [])]}}


def of_bazel(said: BazelConfig, around: Mapping[str, Any]) -> dict[str, Any]:
    """The data of the one step: it names the targets, which are then shared out. `around` is what the plan
    says of where that happens: sandbox, cluster, variables, what is set up before and taken down after.
    """
    flags = shlex.join(said.test_flags)
    cmd = RUN.format(jobs=2 * said.cpus, flags=flags)
    script = COLLECT.format(
        wanted=shlex.quote(wanted(said)),
        affected=SOME_AFFECTED if said.is_selective else ALL_AFFECTED,
        cmd=in_heredoc(cmd),
    )
    # For what sets up packages: nobody but the agent's machine knows where they come from.
    named = {"BAZEL_ENCAP_PACKAGES": " ".join(said.packages)} if said.packages else {}
    kept = {key: value for key, value in around.items() if key not in SAID_BY_FILE}
    return {
        **kept,
        "env": {**(kept.get("env") or {}), **named},
        "label": "Bazel",
        "cpus": said.cpus,
        "memory": said.memory_mb,
        "max_executors": said.max_executors,
        "artifact_search_path": "bazel-results",
        "commands": [
            *surrounding(around.get("commands") or []),
            {"type": "collect_bazel_targets", "label": "Find targets", "script": script},
        ],
    }


def surrounding(commands: Sequence[Any]) -> list[Mapping[str, Any]]:
    return [each for each in commands if isinstance(each, Mapping) and each.get("type") in AROUND]


def wanted(said: BazelConfig) -> str:
    tests = f"tests(set({' '.join(map(in_query, said.targets))}))"
    excluded = "|".join(map(re.escape, said.excluded_tags))
    return f"{tests} except attr(tags, '[\\[ ]({excluded})[,\\]]', {tests})" if excluded else tests


def in_query(target: str) -> str:
    return '"' + target.replace('"', "") + '"'


def in_heredoc(text: str) -> str:
    """A string of JSON within a heredoc whose variables are filled in."""
    return re.sub(r"[\\$`]", lambda found: f"\\{found.group()}", json.dumps(text))
