"""How coverage looks as JSON."""

from collections.abc import Sequence

from changes.builds.models import Build
from changes.results.coverage.groups import FolderCounts
from changes.results.coverage.patch import CODE_OF, FileOfPatch, Gap, PatchCoverage
from changes.results.coverage.queries import BaseCoverage, Counts, CoverageOfBuild, FileCounts
from changes.web.shapes import Json


def counts(each: Counts) -> Json:
    return {"linesCovered": each.covered, "linesUncovered": each.uncovered}


def of_build(build: Build, each: CoverageOfBuild, strange: tuple[int, Sequence[str]]) -> Json:
    return {
        "build": {"id": build.id.hex, "number": build.number},
        **counts(each.counts),
        "share": each.counts.share,
        "numFiles": each.file_count,
        "numReports": each.report_count,
        "base": base(each.base) if each.base else None,
        "patch": of_patch(each),
        "notInRepository": {"count": strange[0], "names": list(strange[1])},
    }


def base(each: BaseCoverage) -> Json:
    return {
        "build": {"id": each.build_id.hex, "number": each.number},
        "sha": each.sha,
        "commitsBelow": each.commits_below,
        **counts(each.counts),
        "share": each.counts.share,
        "numReports": each.report_count,
    }


def of_patch(each: CoverageOfBuild) -> Json:
    """Without counts where it is not known which lines were added; then `problem` says why."""
    known = counts(each.of_patch) if each.of_patch else {"linesCovered": None, "linesUncovered": None}
    return {**known, "problem": each.patch_problem or None, **parts_of_patch(each.patch)}


def parts_of_patch(each: PatchCoverage) -> Json:
    return {
        "numFiles": each.file_count,
        "numGaps": each.gap_count,
        "files": [file_of_patch(file) for file in each.files],
        "gaps": [gap(found) for found in each.gaps],
    }


def file_of_patch(each: FileOfPatch) -> Json:
    return {
        "filename": each.path,
        "linesCovered": each.covered,
        "linesUncovered": each.uncovered,
        "linesPartial": each.partial,
    }


def gap(each: Gap) -> Json:
    return {
        "filename": each.path,
        "first": each.first,
        "last": each.last,
        "lines": [
            {
                "number": line.number,
                "text": line.text,
                "isAdded": line.is_added,
                "coverage": CODE_OF.get(line.state, "U"),
            }
            for line in each.lines
        ],
        "numLeftOut": each.left_out,
    }


def file_of_project(each: FileCounts) -> Json:
    return {"filename": each.path, **counts(each.counts)}


def stats(each: FileCounts, of_patch: FileOfPatch | None) -> Json:
    return {
        **counts(each.counts),
        "diffLinesCovered": of_patch.covered if of_patch else 0,
        "diffLinesUncovered": of_patch.uncovered if of_patch else 0,
    }


def group(each: FolderCounts) -> Json:
    return {
        "filename": each.name,
        "path": each.path,
        "totalLinesCovered": each.counts.covered,
        "totalLinesUncovered": each.counts.uncovered,
        "numFiles": each.file_count,
    }
