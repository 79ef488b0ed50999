"""Reports of coverage that a step left behind, read into what they say of files. Without a transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from changes.base.errors import NotFound
from changes.builds.report import Problem
from changes.results import reading, rules
from changes.results.coverage import paths
from changes.results.coverage.paths import Named, Tree
from changes.results.formats import coverage_reports
from changes.results.formats.line_marks import Marks
from changes.results.formats.seen import Malformed
from changes.results.models import Artifact
from changes.results.rules import Kind

KINDS = (Kind.COVERAGE, Kind.DOUBTFUL_COVERAGE)


@dataclass(frozen=True)
class Told:
    """By the names that the reports use."""

    files: Mapping[Named, Marks] = field(default_factory=dict)
    problems: Sequence[Problem] = ()
    report_count: int = 0


@dataclass(frozen=True)
class Covered:
    """By path in the repository; strange names are no files of it, or may be several."""

    files: Mapping[str, Marks]
    strange: Sequence[str]


def are_any(left: Sequence[Artifact], of_step: Mapping[str, Any]) -> bool:
    return any(rules.kind_of(each.name, of_step) in KINDS for each in left)


def read(left: Sequence[Artifact], of_step: Mapping[str, Any]) -> Told:
    """One by one, and what was read before a fault is kept."""
    files: dict[Named, Marks] = {}
    problems: list[Problem] = []
    report_count = 0
    for artifact in left:
        kind = rules.kind_of(artifact.name, of_step)
        if kind not in KINDS:
            continue
        try:
            report_count += take(artifact, files, is_doubtful=kind == Kind.DOUBTFUL_COVERAGE)
        except (Malformed, NotFound) as error:
            problems.append(reading.malformed(artifact, str(error)))
            report_count += 1
    return Told(files, problems, report_count)


def take(artifact: Artifact, files: dict[Named, Marks], *, is_doubtful: bool) -> bool:
    """Whether it was one."""
    beside = folders_of(artifact.name)
    with reading.opened(artifact) as stream:
        if is_doubtful and not coverage_reports.is_known(stream):
            return False
        for seen in coverage_reports.parse(stream):
            named = (seen.name, (*seen.roots, *beside))
            known = files.get(named)
            files[named] = seen.marks if known is None else known | seen.marks
    return True


def folders_of(name: str) -> tuple[str, ...]:
    """Names are often meant from where the tool ran, which is where its report lies, or not far above."""
    return tuple(str(folder) for folder in PurePosixPath(name).parents if str(folder) != ".")


def place(told: Told, tree: Tree | None, folder: str) -> Covered:
    """Without a tree every name is believed; `folder` is what the source was checked out as."""
    if tree is None:
        known = {named: path for named in told.files if (path := paths.without_tree(named, folder))}
    else:
        known = paths.placed(told.files, tree)
    found: dict[str, Marks] = {}
    for named, path in known.items():
        found[path] = found.get(path, Marks()) | told.files[named]
    return Covered(found, sorted({named[0] for named in told.files if named not in known}))
