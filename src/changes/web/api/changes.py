"""/changes/: what is proposed and becomes commits, with its versions and their builds.

The answers have the envelopes of 2013: `{"change": …}`, `{"changes": […]}`, `{"builds": […]}`.
"""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field

from changes.base.process import settings
from changes.builds import ask, of_changes
from changes.builds.models import Build
from changes.people import users
from changes.people.rules import Scope
from changes.projects import change_queries, changes, interdiff, queries, versions
from changes.projects.change_queries import ChangeFilter
from changes.projects.changes import NewChange
from changes.projects.models import Change, Project
from changes.projects.rules import ChangeKind, ChangeState
from changes.web import call, change_shapes, paging
from changes.web.api.builds import NAME_MAX, NewBuilds, new_builds, summaries
from changes.web.params import (
    OptionalText,
    Parameters,
    documented,
    documented_query,
    parameters,
)

api = APIRouter(tags=["changes"])
STATES = "^(open|landed|abandoned|)$"


class ChangeList(Parameters):
    project: OptionalText = None
    state: Annotated[str, Field(pattern=STATES)] = ""
    kind: Annotated[str, Field(pattern="^(commit|diff|pull|)$")] = ""
    query: str = ""
    author: str = ""


class NewVersion(Parameters):
    patch: Annotated[bytes | None, Field(min_length=1, description="a unified diff, file or field")] = None
    patch_label: Annotated[str, Field(alias="patch[label]")] = ""
    patch_url: Annotated[str, Field(alias="patch[url]")] = ""
    author: Annotated[OptionalText, Field(max_length=NAME_MAX, description="Name <address>")] = None
    message: str | None = None


class NewChanges(NewVersion):
    project: Annotated[str, Field(min_length=1, description="slug")]
    label: Annotated[str, Field(min_length=1)]
    key: Annotated[str, Field(description="what you call it, as D1234: asked again, it is the same")] = ""
    sha: Annotated[
        OptionalText, Field(max_length=NAME_MAX, description="then it has a version, which is built")
    ] = None


class ChangedChange(Parameters):
    state: Annotated[str, Field(pattern="^(open|abandoned)$")]


@api.get("/changes/", openapi_extra=documented_query(ChangeList, paged=True))
def list_changes(request: Request, asked: Annotated[ChangeList, parameters(ChangeList)]) -> Response:
    """Those first that something happened to last."""
    page = paging.page_of(request, size=paging.SIZE_MAX)
    with call.begin(request, Scope.READ) as this:
        wanted = ChangeFilter(
            project=queries.project(this.session, asked.project) if asked.project else None,
            state=ChangeState[asked.state.upper()] if asked.state else None,
            kind=ChangeKind[asked.kind.upper()] if asked.kind else None,
            text=asked.query,
            people=asked.author,
        )
        part = change_queries.changes(this.session, page, wanted)
        last = of_changes.last_builds(this.session, [each.id for each in part.rows])
        projects = queries.by_ids(this.session, {each.project_id for each in part.rows if each.project_id})
        shaped = [
            change_shapes.change(
                each, projects.get(each.project_id) if each.project_id else None, last.get(each.id)
            )
            for each in part.rows
        ]
        return this.answer({"changes": shaped}, headers=paging.link_header(request, page, part))


@api.post("/changes/", openapi_extra=documented(NewChanges))
def create_change(request: Request, asked: Annotated[NewChanges, parameters(NewChanges)]) -> Response:
    """With a sha its first version is built at once; without one, `build` repeats the id of the change."""
    return call.with_looks(request, lambda: new_change(request, asked))


def new_change(request: Request, asked: NewChanges) -> Response:
    with call.begin(request, Scope.WRITE) as this:
        project = queries.project(this.session, asked.project)
        named = ask.read_author(asked.author)
        wanted = NewChange(
            title=asked.label,
            key=asked.key,
            message=asked.message or "",
            author=users.author(this.session, *named) if named else None,
            project=project,
        )
        made = changes.create(this.session, project.repository, wanted)
        built = version_built(this, made, asked, project) if asked.sha else []
        build = summaries(this, built)[0] if built else {"id": made.id.hex}
        return this.answer({"change": change_shapes.change(made, project), "build": build})


def version_built(this: call.Call, made: Change, asked: NewChanges, project: Project) -> list[Build]:
    values: dict[str, Any] = {
        name: getattr(asked, name) for name in ("sha", "patch", "patch_label", "patch_url", "author")
    }
    values |= {"label": asked.label, "message": asked.message, "asked_by": this.caller.asker}
    wanted = ask.Asked(**values, project=project.slug, change=made, has_rights_on=this.may_administer)
    return ask.build_what_was_asked(this.session, wanted, timeout_min=settings.get().default_job_timeout_min)


@api.get("/changes/{change_id:uuid}/")
def show_change(request: Request, change_id: UUID) -> Response:
    """With its versions, newest first, each with its builds."""
    with call.begin(request, Scope.READ) as this:
        found = change_queries.change(this.session, change_id)
        last = of_changes.last_builds(this.session, [change_id])
        shaped = change_shapes.change(found, project_of(this, found), last.get(change_id))
        sources = change_queries.versions(this.session, found)
        builds = of_changes.of_sources(this.session, [each.id for each in sources])
        told = [
            {
                **change_shapes.version(each),
                "builds": [change_shapes.brief(build) for build, _ in builds[each.id]],
            }
            for each in sources
        ]
        return this.answer({"change": {**shaped, "sources": told}})


def project_of(this: call.Call, change: Change) -> Project | None:
    return this.session.get(Project, change.project_id) if change.project_id else None


@api.post("/changes/{change_id:uuid}/", openapi_extra=documented(ChangedChange))
def change_state(
    request: Request, change_id: UUID, asked: Annotated[ChangedChange, parameters(ChangedChange)]
) -> Response:
    """Gives it up, or takes it up again."""
    with call.begin(request, Scope.WRITE) as this:
        found = change_queries.change(this.session, change_id)
        changes.give_up(this.session, found, is_abandoned=asked.state == "abandoned")
        return this.answer({"change": change_shapes.change(found, project_of(this, found))})


@api.get("/changes/{change_id:uuid}/builds/", openapi_extra=documented_query(paged=True, by_id=True))
def list_builds(request: Request, change_id: UUID) -> Response:
    """Of all its versions, newest first."""
    page = paging.page_of(request, size=paging.SIZE_MAX, by_id=True)
    with call.begin(request, Scope.READ) as this:
        found = change_queries.change(this.session, change_id)
        part = of_changes.builds(this.session, found, page)
        headers = paging.link_header(request, page, part)
        return this.answer({"builds": summaries(this, list(part.rows))}, headers=headers)


@api.post("/changes/{change_id:uuid}/builds/", openapi_extra=documented(NewBuilds))
def build_change(
    request: Request, change_id: UUID, asked: Annotated[NewBuilds, parameters(NewBuilds)]
) -> Response:
    """The same as POST /builds/ with `change`."""
    return call.with_looks(request, lambda: new_builds(request, asked, change_id))


@api.get("/changes/{change_id:uuid}/diff/{earlier:number}/{later:number}/")
def compare_versions(request: Request, change_id: UUID, earlier: int, later: int) -> Response:
    """What the later version does differently, by file and line."""
    with call.begin(request, Scope.READ) as this:
        found = change_queries.change(this.session, change_id)
        both = [change_queries.version(this.session, found, number) for number in (earlier, later)]
        old, new = (versions.diff_of(this.session, each) for each in both)
        files = interdiff.between(old, new)
        return this.answer(
            {
                "files": [
                    {
                        "path": file.path,
                        "lines": [{"kind": line.kind, "text": line.text} for line in file.lines],
                    }
                    for file in files
                ]
            }
        )
