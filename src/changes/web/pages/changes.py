"""Changes: the list, and the life of one from its first version to the commit that it has become."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field

from changes.base.errors import Invalid
from changes.builds import of_changes
from changes.builds import queries as build_queries
from changes.builds.models import Build, Job
from changes.people.rules import Scope
from changes.projects import change_queries, changes, comments, interdiff, queries, versions
from changes.projects.change_queries import ChangeFilter
from changes.projects.models import Change, Comment, Project, Source
from changes.projects.rules import ChangeKind, ChangeState, CommentTarget
from changes.results import origin_queries
from changes.results.coverage import queries as coverage
from changes.web import call, paging, remarks
from changes.web.call import Call
from changes.web.pages import covered_lines, diffs, drawing, forms, life, told
from changes.web.pages import said as said_here
from changes.web.pages.plan_edit import Confirmed
from changes.web.params import Parameters, parameters

pages = APIRouter()
HERE = "/changes/"
ONE = f"{HERE}{{change_id:uuid}}/"
TOPICS_MAX = 10
STATE_CHOICES = [("", "Any"), ("open", "Open"), ("landed", "Landed"), ("abandoned", "Given up")]
KIND_CHOICES = [("", "Any"), ("diff", "Diffs"), ("pull", "Pull requests"), ("commit", "Commits")]


class ChangesAsked(Parameters):
    query: str = ""
    project: str = ""
    author: str = ""
    state: Annotated[str, Field(pattern="^(open|landed|abandoned|)$")] = ""
    kind: Annotated[str, Field(pattern="^(commit|diff|pull|)$")] = ""


class SaidHere(Parameters):
    text: str = ""
    path: str = ""
    line: str = ""


@pages.get(HERE)
def list_changes(request: Request, asked: Annotated[ChangesAsked, parameters(ChangesAsked)]) -> Response:
    page = paging.page_of(request)
    with call.reading(request) as this:
        part = change_queries.changes(this.session, page, wanted(this, asked))
        shown = [each.id for each in part.rows]
        last = of_changes.last_builds(this.session, shown)
        before, after = paging.newer_and_older(request, page, part)
        values = {
            "changes": part.rows,
            "last": last,
            "projects": queries.by_ids(this.session, {build.project_id for build in last.values()}),
            "asked": asked,
            "is_filtered": any(asked.model_dump().values()),
            "state_choices": STATE_CHOICES,
            "kind_choices": KIND_CHOICES,
        }
        return drawing.page(request, "changes.html", {**values, "before": before, "after": after})


def wanted(this: Call, asked: ChangesAsked) -> ChangeFilter:
    project = asked.project.strip()
    return ChangeFilter(
        project=queries.project(this.session, project) if project else None,
        state=ChangeState[asked.state.upper()] if asked.state else None,
        kind=ChangeKind[asked.kind.upper()] if asked.kind else None,
        people=asked.author.strip(),
        text=asked.query,
    )


@pages.get(ONE)
def show_change(request: Request, change_id: UUID) -> Response:
    with call.reading(request) as this:
        return drawing.page(request, "change.html", {**lived(this, change_id), **forms.RIGHT, "text": ""})


def lived(this: Call, change_id: UUID) -> dict[str, Any]:
    change = change_queries.change(this.session, change_id)
    sources = change_queries.versions(this.session, change)
    builds = of_changes.of_sources(this.session, [source.id for source in sources])
    ids = [build.id for mine in builds.values() for build, _ in mine]
    repeated = of_changes.repeated_attempts(this.session, ids)
    said = words(this, change_id, sources, builds)
    newest = next(iter(builds[sources[0].id]), None) if sources else None
    projects = {project.slug: project for mine in builds.values() for _, project in mine}
    return {
        "change": change,
        "moments": life.moments(change, sources, builds, said, repeated),
        "course": life.course(change, [build for mine in builds.values() for build, _ in mine]),
        "newest": newest[0] if newest else None,
        "newest_project": newest[1] if newest else None,
        "coverage": coverage.of_build(this.session, newest[0]) if newest else None,
        "coverage_states": covered_lines.STATES,
        "told": told.of_build(this.session, newest[0]) if newest else told.Told(),
        "projects": list(projects.values()),
        "broken": origin_queries.broken_by(this.session, commits_of(change, sources)),
        "topics": [f"change:{change_id.hex}", *topics_of(projects.values())],
        "fields": ("text",),
        **said_here.shown(this, [word.comment for word in said]),
    }


def commits_of(change: Change, sources: Sequence[Source]) -> list[tuple[UUID, str]]:
    """Its own: the one it landed as, and of versions without a patch what they are."""
    own = {source.revision_sha for source in sources if source.patch_id is None}
    landed = {change.landed_sha} if change.landed_sha else set()
    return [(change.repository_id, sha) for sha in sorted(own | landed)]


def words(
    this: Call,
    change_id: UUID,
    sources: Sequence[Source],
    builds: Mapping[UUID, Sequence[tuple[Build, Project]]],
) -> list[life.Word]:
    """What was said of it, of its versions and their lines, and of their builds and jobs."""
    built = {build.id: (build, project) for mine in builds.values() for build, project in mine}
    targets: dict[CommentTarget, comments.Ids] = {
        CommentTarget.CHANGE: [change_id],
        CommentTarget.SOURCE: list(builds),
        CommentTarget.BUILD: list(built),
        CommentTarget.JOB: build_queries.ids_of_jobs(list(built)),
    }
    said = comments.of_all(this.session, targets)
    of_jobs = [each.target_id for each in said if each.target == CommentTarget.JOB]
    jobs = build_queries.jobs(this.session, of_jobs) if of_jobs else {}
    versions = {source.id: source for source in sources}
    return [word(each, versions, built, jobs.get(each.target_id)) for each in said]


def word(
    said: Comment,
    versions: Mapping[UUID, Source],
    built: Mapping[UUID, tuple[Build, Project]],
    job: Job | None,
) -> life.Word:
    build, project = built.get(job.build_id if job else said.target_id, (None, None))
    return life.Word(said, versions.get(said.target_id), build, project, job)


def topics_of(projects: Iterable[Project]) -> list[str]:
    """A build tells its project; one page follows so many."""
    return [f"project:{project.id.hex}" for project in projects][:TOPICS_MAX]


@pages.post(f"{ONE}comments/")
def comment(request: Request, change_id: UUID, asked: Annotated[SaidHere, parameters(SaidHere)]) -> Response:
    try:
        with call.acting(request, Scope.WRITE) as this:
            change = change_queries.change(this.session, change_id)
            made = remarks.say(this, CommentTarget.CHANGE, change.id, comments.Said(asked.text))
            return this.go(f"{HERE}{change_id.hex}/#comment-{made.id.hex}", "Said.")
    except Invalid as error:
        with call.reading(request) as this:
            return forms.again(request, "change.html", {**lived(this, change_id), "text": asked.text}, error)


@pages.post(f"{ONE}abandon/")
def abandon(
    request: Request, change_id: UUID, _asked: Annotated[Confirmed, parameters(Confirmed)]
) -> Response:
    """Gives it up, or takes up what was given up."""
    with call.acting(request, Scope.WRITE) as this:
        change = change_queries.change(this.session, change_id)
        is_open = change.state == ChangeState.OPEN
        changes.give_up(this.session, change, is_abandoned=is_open)
        return this.go(f"{HERE}{change_id.hex}/", "Given up." if is_open else "Open again.")


@pages.get(f"{ONE}diff/{{earlier:number}}/{{later:number}}/")
def compare(request: Request, change_id: UUID, earlier: int, later: int) -> Response:
    """What the later version does differently."""
    part = paging.whole_number(request, "part", 1)
    with call.reading(request) as this:
        change = change_queries.change(this.session, change_id)
        drawn = diffs.drawn(between(this, change, earlier, later), diffs.Asked(part))
        values = {"change": change, "earlier": earlier, "later": later, "drawn": drawn}
        return drawing.page(request, "change_diff.html", values)


def between(this: Call, change: Change, earlier: int, later: int) -> list[diffs.FileDiff]:
    both = (change_queries.version(this.session, change, number) for number in (earlier, later))
    old, new = (versions.diff_of(this.session, source) for source in both)
    return interdiff.between(old, new)
