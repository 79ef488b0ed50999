"""/snapshots/ and /snapshotimages/: made, looked at, made current, invalidated."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from changes.base.errors import Conflict, Invalid, NotFound
from changes.base.process import settings
from changes.builds import blobs, snapshot_builds, snapshots
from changes.builds.snapshot_models import Snapshot
from changes.builds.snapshot_rules import SnapshotStatus
from changes.people.rules import Scope
from changes.projects import queries, revisions
from changes.web import answers, call, paging, shapes, snapshot_shapes
from changes.web.params import Flag, Parameters, documented, documented_query, parameters

api = APIRouter(tags=["snapshots"])
STATUSES = "|".join(each.name.lower() for each in SnapshotStatus)


class NewSnapshot(Parameters):
    sha: Annotated[str, Field(min_length=1, max_length=255, description="a sha, a branch or a tag")]


class SnapshotList(Parameters):
    state: Annotated[str, Field(pattern="^(valid|invalid|)$")] = "valid"


class SnapshotChange(Parameters):
    status: Annotated[str | None, Field(pattern=f"^({STATUSES})$")] = None
    set_current: Flag = False


class ImageChange(Parameters):
    status: Annotated[str | None, Field(pattern=f"^({STATUSES})$")] = None


class From(Parameters):
    offset: Annotated[int, Field(ge=0, description="bytes to leave out at the beginning")] = 0


def shaped(this: call.Call, found: list[Snapshot]) -> list[dict[str, Any]]:
    current = {each.project_id: snapshots.current_of(this.session, each.project) for each in found}
    return [snapshot_shapes.snapshot(each, current[each.project_id]) for each in found]


@api.post("/projects/{project_id}/snapshots/", openapi_extra=documented(NewSnapshot))
def create_snapshot(
    request: Request, project_id: str, asked: Annotated[NewSnapshot, parameters(NewSnapshot)]
) -> Response:
    """Starts the build that makes it: the set-up of each plan that has one."""
    return call.with_looks(request, lambda: new_snapshot(request, project_id, asked))


def new_snapshot(request: Request, project_id: str, asked: NewSnapshot) -> Response:
    with call.begin(request, Scope.WRITE) as this:
        project = queries.project(this.session, project_id)
        try:
            revision = revisions.find(this.session, project.repository, asked.sha)
        except NotFound:
            raise Invalid("Unable to find a matching revision.", ["sha"]) from None
        made = snapshot_builds.make(
            this.session,
            project,
            revisions.source_of(this.session, revision),
            asked_by=this.caller.asker,
            timeout_min=settings.get().default_job_timeout_min,
        )
        return this.answer(shaped(this, [made])[0])


@api.get("/projects/{project_id}/snapshots/", openapi_extra=documented_query(paged=True))
def list_snapshots_of_project(request: Request, project_id: str) -> Response:
    page = paging.page_of(request)
    with call.begin(request, Scope.READ) as this:
        part = snapshots.of(this.session, page, project=queries.project(this.session, project_id))
        return this.answer(shaped(this, list(part.rows)), headers=paging.link_header(request, page, part))


@api.get("/snapshots/", openapi_extra=documented_query(SnapshotList, paged=True))
def list_snapshots(request: Request, asked: Annotated[SnapshotList, parameters(SnapshotList)]) -> Response:
    page = paging.page_of(request)
    with call.begin(request, Scope.READ) as this:
        part = snapshots.of(this.session, page, state=asked.state)
        return this.answer(shaped(this, list(part.rows)), headers=paging.link_header(request, page, part))


@api.get("/snapshots/{snapshot_id:uuid}/")
def show_snapshot(request: Request, snapshot_id: UUID) -> Response:
    with call.begin(request, Scope.READ) as this:
        return this.answer(shaped(this, [snapshots.snapshot(this.session, snapshot_id)])[0])


@api.post("/snapshots/{snapshot_id:uuid}/", openapi_extra=documented(SnapshotChange))
def change_snapshot(
    request: Request, snapshot_id: UUID, asked: Annotated[SnapshotChange, parameters(SnapshotChange)]
) -> Response:
    """Only what is active can be current; what has failed or is invalid stays so."""
    with call.begin(request, Scope.WRITE) as this:
        found = snapshots.snapshot(this.session, snapshot_id)
        this.require_project(found.project.slug)
        if asked.status:
            snapshots.change(this.session, found, SnapshotStatus[asked.status.upper()])
        if asked.set_current:
            snapshots.set_current(this.session, found.project, found)
        return this.answer(shaped(this, [found])[0])


@api.get("/snapshots/{snapshot_id:uuid}/jobs/", openapi_extra=documented_query(paged=True))
def list_jobs(request: Request, snapshot_id: UUID) -> Response:
    """Jobs that began with one of its images, newest first."""
    page = paging.page_of(request)
    with call.begin(request, Scope.READ) as this:
        part = snapshots.jobs_with(this.session, snapshots.snapshot(this.session, snapshot_id), page)
        found = [{**shapes.job(job), "build": shapes.build(job.build)} for job in part.rows]
        return this.answer(found, headers=paging.link_header(request, page, part))


@api.get("/snapshots/cache/clusters/{cluster}/")
def list_cached(request: Request, cluster: str) -> Response:
    """Images that machines of this cluster are to keep at hand."""
    with call.begin(request, Scope.READ) as this:
        return this.answer(snapshots.cached_for(this.session, cluster))


@api.post("/snapshots/{snapshot_id:uuid}/cache/")
def cache_snapshot(request: Request, snapshot_id: UUID) -> Response:
    """Its images stay at hand; those of earlier snapshots for one more hour."""
    with call.begin(request, Scope.WRITE) as this:
        found = snapshots.snapshot(this.session, snapshot_id)
        this.require_project(found.project.slug)
        return this.answer(snapshots.cache(this.session, found))


@api.get("/snapshotimages/{image_id:uuid}/")
def show_image(request: Request, image_id: UUID) -> Response:
    with call.begin(request, Scope.READ) as this:
        return this.answer(snapshot_shapes.image(snapshots.image(this.session, image_id)))


@api.post("/snapshotimages/{image_id:uuid}/", openapi_extra=documented(ImageChange))
def change_image(
    request: Request, image_id: UUID, asked: Annotated[ImageChange, parameters(ImageChange)]
) -> Response:
    """Its snapshot follows: it is active while all of its images are."""
    with call.begin(request, Scope.WRITE) as this:
        found = snapshots.image(this.session, image_id)
        this.require_project(found.snapshot.project.slug)
        if asked.status:
            snapshots.change_image(this.session, found, SnapshotStatus[asked.status.upper()])
        return this.answer(snapshot_shapes.image(found))


@api.get("/snapshotimages/{image_id:uuid}/content/", openapi_extra=documented_query(From))
def show_content(request: Request, image_id: UUID, asked: Annotated[From, parameters(From)]) -> Response:
    """Its bytes, a tar.zst for instance; for `changes reproduce`."""
    with call.begin(request, Scope.READ) as this:
        found = snapshots.image(this.session, image_id)
        if found.sha256 is None:
            raise Conflict("Nothing is kept of this image.")
        data = blobs.read(this.session, found.sha256, asked.offset)
    return StreamingResponse(data, media_type="application/octet-stream", headers=answers.HEADERS)
