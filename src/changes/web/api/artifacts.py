"""Artifacts of builds, and what is inside one. Lists of jobs and steps are in jobs.py."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field

from changes.base.errors import NotFound
from changes.base.process import settings
from changes.builds import queries
from changes.people.rules import Scope
from changes.results import archives, artifact_queries, artifacts, contents
from changes.results.archives import Entry
from changes.results.artifact_queries import Wanted
from changes.web import call, paging, shapes, streams
from changes.web.params import Parameters, documented_query, parameters

api = APIRouter(tags=["artifacts"])


class FilesAsked(Parameters):
    name: Annotated[str, Field(description="a part of the name")] = ""


@api.get("/builds/{build_id:uuid}/artifacts/", openapi_extra=documented_query(FilesAsked, paged=True))
def list_artifacts_of_build(
    request: Request, build_id: UUID, asked: Annotated[FilesAsked, parameters(FilesAsked)]
) -> Response:
    """By job, step and name."""
    page = paging.page_of(request)
    with call.begin(request, Scope.READ) as this:
        queries.build(this.session, build_id)
        part = artifact_queries.listed(this.session, Wanted(build_id, name=asked.name), page)
        shaped, headers = paging.shaped(request, page, part, shapes.artifact)
        return this.answer(shaped, headers=headers)


@api.get("/builds/{build_id:uuid}/artifacts/all/", openapi_extra=documented_query(FilesAsked))
def take_artifacts_of_build(
    request: Request, build_id: UUID, asked: Annotated[FilesAsked, parameters(FilesAsked)]
) -> Response:
    """One ZIP, made while it is sent; files of several steps lie in a folder for each."""
    with call.begin(request, Scope.READ) as this:
        build = queries.build(this.session, build_id)
        found = artifact_queries.together(this.session, Wanted(build_id, name=asked.name))
        return streams.bundle(found, f"{build.project.slug}-{build.number}.zip")


@api.get("/artifacts/{artifact_id:uuid}/")
def show_artifact(request: Request, artifact_id: UUID) -> Response:
    """With the build that left it, and until when it is kept."""
    with call.begin(request, Scope.READ) as this:
        artifact = artifact_queries.with_step(this.session, artifact_id)
        if artifact is None:
            raise NotFound("There is no such artifact.")
        build = artifact.step.job.build
        until = artifact_queries.kept(this.session, build, settings.get()).until(artifact.name)
        around = {
            "job": {"id": artifact.job_id.hex},
            "build": {"id": build.id.hex},
            "dateKeptUntil": shapes.when(until),
        }
        return this.answer({**shapes.artifact(artifact), **around})


@api.get("/artifacts/{artifact_id:uuid}/entries/")
def list_entries(request: Request, artifact_id: UUID) -> Response:
    """What is inside an archive; the first 5,000 entries of it."""
    with call.begin(request, Scope.READ) as this:
        found = archives.listing(contents.of_artifact(artifacts.by_id(this.session, artifact_id)))
        return this.answer({"entries": [entry(each) for each in found.entries], "total": found.count})


def entry(each: Entry) -> dict[str, Any]:
    return {
        "place": each.place,
        "name": each.name,
        "size": each.size_bytes,
        "isFolder": each.is_folder,
        "whyNot": each.why_not or None,
    }
