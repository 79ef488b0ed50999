"""A `bazel` for machines that cannot have it: query and test, of packages whose BUILD files name tests.

It reads the language of queries as the real one does, and refuses what the real one refuses: a folder
that is no workspace, options and functions it does not know, targets that are not there.
"""

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

# Exit codes of Bazel.
BUILD_FAILED, WRONG_COMMAND_LINE, SOME_FAILED, NO_SUCH_TARGET = 1, 2, 3, 7
OPTIONS = {
    "query": re.compile(r"--(no)?(show_progress|keep_going)|--output=label"),
    "test": re.compile(r"--(no)?(show_progress|keep_going)|--jobs=\d+|--(test_env|test_arg|define)=.+"),
}
TOKEN = re.compile(
    r"""\s*(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'"""
    r"""|(?P<bare>[(),^+]|[A-Za-z0-9/@._:$~\[\]][-*A-Za-z0-9/@._:$~\[\]]*))"""
)
REPORT = "<testsuite><testcase classname='{label}' name='main'>{said}</testcase></testsuite>"
Targets = set[str]


def refuse(code: int, said: str) -> NoReturn:
    sys.stderr.write(f"ERROR: {said}\n")
    sys.exit(code)


class Workspace:
    """Every target with its tags and what it depends on; a file is a target too."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.tests: dict[str, dict[str, Any]] = {}
        self.sources: dict[str, Targets] = {}
        for build in sorted(top.rglob("BUILD")):
            package = f"//{build.parent.relative_to(top).as_posix()}"
            # Starlark, of which each statement here is one call like `sh_test(name = "a", srcs = ["a.sh"])`.
            for statement in ast.parse(build.read_text()).body:
                self.add(package, statement)

    def add(self, package: str, statement: ast.stmt) -> None:
        if not isinstance(statement, ast.Expr) or not isinstance(statement.value, ast.Call):
            refuse(BUILD_FAILED, f"{package} has something else than rules")
        said = {str(each.arg): ast.literal_eval(each.value) for each in statement.value.keywords}
        label = f"{package}:{said['name']}"
        self.tests[label] = {"tags": [], **said}
        self.sources[label] = {f"{package}:{source}" for source in said["srcs"]}

    def matching(self, pattern: str) -> Targets:
        if pattern.endswith("/..."):
            return {label for label in self.tests if f"{label.partition(':')[0]}/".startswith(pattern[:-3])}
        label = self.label_of(pattern)
        known = set(self.tests).union(*self.sources.values())
        if label not in known:
            raise LookupError(f"no such target '{label}'")
        return {label}

    def label_of(self, pattern: str) -> str:
        if pattern.startswith("//"):
            return pattern
        folder, _, name = pattern.rpartition("/")
        return f"//{folder}:{name}"


class Query:
    def __init__(self, workspace: Workspace, words: str, *, keeps_going: bool) -> None:
        self.workspace, self.keeps_going = workspace, keeps_going
        self.is_partial = False
        # Each with whether it stands in quotes: then it is no keyword.
        self.left = [
            (match["bare"] is None, match["double"] or match["single"] or match["bare"] or "")
            for match in TOKEN.finditer(words)
        ]
        rest = TOKEN.sub("", words).strip()
        if rest:
            refuse(NO_SUCH_TARGET, f"syntax error at '{rest}'")

    def next_is(self, *words: str) -> bool:
        return bool(self.left) and not self.left[0][0] and self.left[0][1] in words

    def take(self, expected: str = "") -> str:
        if not self.left or (expected and not self.next_is(expected)):
            refuse(NO_SUCH_TARGET, f"syntax error: expected '{expected}'")
        return self.left.pop(0)[1]

    def all_of_it(self) -> Targets:
        found = self.expression()
        if self.left:
            refuse(NO_SUCH_TARGET, f"syntax error at '{self.left[0][1]}'")
        return found

    def expression(self) -> Targets:
        found = self.term()
        while self.next_is("except", "intersect", "union", "^", "+"):
            word = self.take()
            found = combined(word, found, self.term())
        return found

    def term(self) -> Targets:
        if self.next_is("("):
            self.take()
            found = self.expression()
            self.take(")")
            return found
        is_quoted = bool(self.left) and self.left[0][0]
        word = self.take()
        return self.called(word) if not is_quoted and self.next_is("(") else self.targets(word)

    def called(self, function: str) -> Targets:
        self.take("(")
        if function == "tests":
            found = self.expression() & set(self.workspace.tests)
        elif function == "set":
            found = self.listed()
        elif function == "attr":
            found = self.with_attribute()
        elif function == "rdeps":
            found = self.depending()
        else:
            refuse(NO_SUCH_TARGET, f"unknown function '{function}'")
        self.take(")")
        return found

    def listed(self) -> Targets:
        found: Targets = set()
        while not self.next_is(")"):
            found |= self.targets(self.take())
        return found

    def with_attribute(self) -> Targets:
        name = self.take()
        self.take(",")
        pattern = re.compile(self.take())
        self.take(",")
        among = self.expression()
        if name != "tags":
            return set()
        shown = {label: f"[{', '.join(self.workspace.tests[label]['tags'])}]" for label in among}
        return {label for label, text in shown.items() if pattern.search(text)}

    def depending(self) -> Targets:
        universe = self.expression()
        self.take(",")
        changed = self.expression()
        return {
            each for each in universe if each in changed or self.workspace.sources.get(each, set()) & changed
        }

    def targets(self, pattern: str) -> Targets:
        try:
            return self.workspace.matching(pattern)
        except LookupError as error:
            sys.stderr.write(f"ERROR: {error}\n")
            if not self.keeps_going:
                refuse(NO_SUCH_TARGET, "Evaluation of query failed")
            self.is_partial = True
            return set()


def combined(word: str, found: Targets, other: Targets) -> Targets:
    if word == "except":
        return found - other
    return found & other if word in {"intersect", "^"} else found | other


def query(workspace: Workspace, options: list[str], words: list[str]) -> int:
    if len(words) != 1:
        refuse(WRONG_COMMAND_LINE, "one query is expected")
    asked = Query(workspace, words[0], keeps_going="--keep_going" in options)
    found = asked.all_of_it()
    sys.stdout.write("".join(f"{label}\n" for label in sorted(found)))
    return SOME_FAILED if asked.is_partial else 0


def test(workspace: Workspace, options: list[str], words: list[str]) -> int:
    missing = [word for word in words if word not in workspace.tests]
    if missing or not words:
        refuse(BUILD_FAILED, f"no such target '{missing}'")
    env = dict(
        each.removeprefix("--test_env=").split("=", 1) for each in options if each.startswith("--test_env=")
    )
    arguments = [each.removeprefix("--test_arg=") for each in options if each.startswith("--test_arg=")]
    # A link, as the real one makes it.
    kept = workspace.top.parent / "output-base"
    kept.mkdir(exist_ok=True)
    (workspace.top / "bazel-testlogs").unlink(missing_ok=True)
    (workspace.top / "bazel-testlogs").symlink_to(kept)
    passed = [run(workspace, label, kept, env, arguments) for label in words]
    return 0 if all(passed) else SOME_FAILED


def run(workspace: Workspace, label: str, kept: Path, env: dict[str, str], arguments: list[str]) -> bool:
    package, name = label.removeprefix("//").split(":")
    script = workspace.top / package / workspace.tests[label]["srcs"][0]
    code = subprocess.run(
        ["/bin/sh", script, *arguments], env={"PATH": "/usr/bin:/bin", **env}, check=False
    ).returncode
    (kept / package / name).mkdir(parents=True, exist_ok=True)
    said = f"<failure message='exited with {code}'/>" if code else ""
    (kept / package / name / "test.xml").write_text(REPORT.format(label=label, said=said))
    sys.stdout.write(f"{label} {'FAILED' if code else 'PASSED'}\n")
    return code == 0


def main() -> int:
    command, *rest = sys.argv[1:] or ["help"]
    if not Path("MODULE.bazel").exists():
        refuse(WRONG_COMMAND_LINE, f"The '{command}' command is only supported from within a workspace.")
    if command not in OPTIONS:
        refuse(WRONG_COMMAND_LINE, f"Command '{command}' not found.")
    options = [each for each in rest if each.startswith("-")]
    for option in options:
        if OPTIONS[command].fullmatch(option) is None:
            refuse(WRONG_COMMAND_LINE, f"{option} :: Unrecognized option: {option}")
    words = [each for each in rest if not each.startswith("-")]
    return {"query": query, "test": test}[command](Workspace(Path.cwd()), options, words)


if __name__ == "__main__":
    sys.exit(main())
