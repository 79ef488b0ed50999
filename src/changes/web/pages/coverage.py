"""Coverage: of a build with its folders, files and changed lines, and of a project through its commits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import Field

from changes.base.errors import NotFound, Unavailable
from changes.base.paging import Page
from changes.base.process import settings
from changes.builds.models import Build
from changes.projects import queries, versions
from changes.projects.diffs import FileDiff
from changes.projects.models import Project
from changes.results.coverage import marks, source_text
from changes.results.coverage import queries as coverage
from changes.results.coverage.queries import Counts, CoverageOfBuild, Moment
from changes.web import badges, call, paging
from changes.web.call import Call
from changes.web.pages import covered_lines, diffs, drawing, links
from changes.web.pages.builds import find, frame_of
from changes.web.params import Parameters, parameters

pages = APIRouter()
PROJECT = "/projects/{slug}/"
HERE = f"{PROJECT}builds/{{reference}}/coverage/"
COMMITS_SHOWN, COMMITS_LISTED = 60, 25
ENTRIES_PER_PAGE = 100
PERCENT = 100
SORT_CHOICES = [("", "Most uncovered first"), ("share", "Least covered first"), ("name", "Name")]


class FolderAsked(Parameters):
    folder: str = ""
    sort: Annotated[str, Field(pattern="^(share|name|)$")] = ""


@dataclass(frozen=True)
class Step:
    """One folder on the way down."""

    name: str
    folder: str


@pages.get(HERE)
def show_build(
    request: Request, slug: str, reference: str, asked: Annotated[FolderAsked, parameters(FolderAsked)]
) -> Response:
    page = paging.page_of(request, size=ENTRIES_PER_PAGE)
    with call.reading(request) as this:
        build = find(this.session, slug, reference).build
        found = coverage.of_build(this.session, build)
        values = {**frame_of(build), "coverage": found, "states": covered_lines.STATES}
        if found is not None:
            values |= folder_values(request, this, build, asked, page)
        return drawing.page(request, "build_coverage.html", values)


def folder_values(
    request: Request, this: Call, build: Build, asked: FolderAsked, page: Page
) -> dict[str, Any]:
    folder = coverage.shared_folder(this.session, build.id, with_slash(asked.folder))
    part = coverage.level(this.session, build.id, folder, page, asked.sort or "uncovered")
    before, after = paging.newer_and_older(request, page, part)
    strange_count, strange = coverage.strange_names(this.session, build.id)
    return {
        "entries": part.rows,
        "folder": folder,
        "trail": trail(folder),
        "asked": asked,
        "sort_choices": SORT_CHOICES,
        "strange_count": strange_count,
        "strange": strange,
        "before": before,
        "after": after,
    }


def with_slash(folder: str) -> str:
    return f"{folder.strip('/')}/" if folder.strip("/") else ""


def trail(folder: str) -> list[Step]:
    parts = folder.strip("/").split("/") if folder else []
    return [Step(part, "/".join(parts[: place + 1])) for place, part in enumerate(parts)]


@pages.get(f"{HERE}changes/")
def show_changes(request: Request, slug: str, reference: str) -> Response:
    """What was changed, and which of its new lines ran."""
    part = paging.whole_number(request, "part", 1)
    with call.reading(request) as this:
        build = find(this.session, slug, reference).build
        found = of_build(this, build)
        files, unreadable = files_of(this, build)
        known = marks.of_build(this.session, build.project_id, build.id, [file.path for file in files])
        values = {
            **frame_of(build),
            "coverage": found,
            "drawn": diffs.drawn([file for file in files if file.path in known], diffs.Asked(part)),
            "marks": known,
            "states": covered_lines.STATES,
            "other_count": sum(file.path not in known for file in files),
            "unreadable": unreadable,
        }
        return drawing.page(request, "build_coverage_changes.html", values)


def of_build(this: Call, build: Build) -> CoverageOfBuild:
    found = coverage.of_build(this.session, build)
    if found is None:
        raise NotFound("No step of this build reported coverage.")
    return found


def files_of(this: Call, build: Build) -> tuple[list[FileDiff], str]:
    try:
        return versions.diff_of(this.session, build.source), ""
    except Unavailable as error:
        return [], error.message


@pages.get(f"{HERE}files/{{path:path}}")
def show_file(request: Request, slug: str, reference: str, path: str) -> Response:
    """Its source is read while no transaction is open."""
    part = paging.whole_number(request, "part", 1)
    with call.reading(request) as this:
        build = find(this.session, slug, reference).build
        known = marks.of_build(this.session, build.project_id, build.id, [path]).get(path)
        if known is None:
            raise NotFound(f"No report of this build tells of {path}.")
        wanted = source_text.wanted(this.session, build, path)
    text = source_text.read(wanted)
    values = {
        **frame_of(build),
        "path": path,
        "marks": known,
        "trail": trail(path.rpartition("/")[0]),
        "share": Counts(known.lines_covered, known.lines_uncovered).share,
        "states": covered_lines.STATES,
        "source_url": links.file_at(build.source.repository_id, build.source.revision_sha, path),
        "spans": covered_lines.spans(known),
        "problem": text.problem,
        "drawn": None if text.problem else covered_lines.drawn(path, text.lines, known, part),
        "is_patched": wanted.change is not None,
    }
    return drawing.page(request, "build_coverage_file.html", values)


# --- a project ----------------------------------------------------------------------------


@pages.get(f"{PROJECT}coverage/")
def show_project(request: Request, slug: str) -> Response:
    with call.reading(request) as this:
        project = queries.project(this.session, slug)
        moments = coverage.trend(this.session, project.id, limit=COMMITS_SHOWN)
        values = {
            **frame_of_project(project),
            "latest": moments[-1] if moments else None,
            "before": moments[-2] if len(moments) > 1 else None,
            "trend": covered_lines.trend(moments),
            "listed": with_change(moments)[-COMMITS_LISTED:][::-1],
            "lately": new_lines(moments),
            "shown": len(moments),
            "base_url": settings.get().base_url,
        }
        return drawing.page(request, "project_coverage.html", values)


def with_change(moments: Sequence[Moment]) -> list[tuple[Moment, float | None]]:
    """Each with the points by which it has more than the one before."""
    shares = [None, *(each.counts.share for each in moments)]
    return [
        (each, None if before is None or now is None else (now - before) * PERCENT)
        for each, before, now in zip(moments, shares, shares[1:], strict=False)
    ]


def new_lines(moments: Sequence[Moment]) -> Counts:
    known = [each.of_patch for each in moments if each.of_patch is not None]
    return Counts(sum(each.covered for each in known), sum(each.uncovered for each in known))


def frame_of_project(project: Project) -> dict[str, Any]:
    return {"project": project, "project_url": f"/projects/{project.slug}/"}


@pages.get(f"{PROJECT}coverage.svg")
def show_badge(request: Request, slug: str) -> Response:
    with call.reading(request) as this:
        project = queries.project(this.session, slug)
        moments = coverage.trend(this.session, project.id, limit=1)
        return badges.answer("coverage", moments[0].counts.share if moments else None)
