"""What the builds of a project keep for the next ones: snapshots, and caches."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response

from changes.base.errors import Invalid, NotFound
from changes.base.paging import Page
from changes.base.process import settings
from changes.builds import caches, snapshot_builds, snapshots
from changes.builds.snapshot_rules import SnapshotStatus
from changes.people.rules import Scope
from changes.projects import options, queries, revisions
from changes.projects.models import Project
from changes.web import call
from changes.web.pages import drawing, project_settings
from changes.web.pages.account import Button
from changes.web.pages.projects import frame_of
from changes.web.params import Parameters, parameters

pages = APIRouter()
SHOWN = 25
CACHES_SHOWN = 200
TONES = {
    SnapshotStatus.ACTIVE: ("passed", "ready"),
    SnapshotStatus.PENDING: ("running", "being made"),
    SnapshotStatus.FAILED: ("failed", "failed"),
    SnapshotStatus.INVALIDATED: ("unknown", "invalid"),
    SnapshotStatus.UNKNOWN: ("unknown", "unknown"),
}


class Wanted(Parameters):
    sha: str = ""


@pages.get("/projects/{slug}/kept/")
def show_kept(request: Request, slug: str) -> Response:
    with call.reading(request) as this:
        project = queries.project(this.session, slug)
        found = snapshots.of(this.session, Page(size=SHOWN), project=project)
        stored = options.with_defaults(queries.options(this.session, project))
        cached = caches.of(this.session, project)
        values = {
            **frame_of(project),
            "snapshots": found.rows,
            "current": snapshots.current_of(this.session, project),
            "tones": TONES,
            "caches": cached[:CACHES_SHOWN],
            "caches_bytes": sum(each.size_bytes for each in cached),
            "limit_mb": int(stored[options.CACHE_LIMIT]),
        }
        return drawing.page(request, "project_kept.html", values)


def url_of(project: Project) -> str:
    return f"/projects/{project.slug}/"


@pages.post("/projects/{slug}/kept/snapshots/")
def make_snapshot(request: Request, slug: str, asked: Annotated[Wanted, parameters(Wanted)]) -> Response:
    return call.with_looks(request, lambda: made_snapshot(request, slug, asked))


def made_snapshot(request: Request, slug: str, asked: Wanted) -> Response:
    with call.acting(request, Scope.WRITE) as this:
        project = project_settings.project_of(this, slug)
        here = f"{url_of(project)}kept/"
        try:
            revision = revisions.find(this.session, project.repository, asked.sha.strip() or "HEAD")
            made = snapshot_builds.make(
                this.session,
                project,
                revisions.source_of(this.session, revision),
                asked_by=this.caller.asker,
                timeout_min=settings.get().default_job_timeout_min,
            )
        except (Invalid, NotFound) as error:
            return this.go(here, error.message)
        number = made.build.number if made.build else ""
        return this.go(here, f"Build #{number} makes it.")


@pages.post("/projects/{slug}/kept/snapshots/{snapshot_id:uuid}/use/")
def use_snapshot(
    request: Request, slug: str, snapshot_id: UUID, asked: Annotated[Button, parameters(Button)]
) -> Response:
    with call.acting(request, Scope.WRITE) as this:
        project = project_settings.project_of(this, slug)
        snapshots.set_current(this.session, project, snapshots.snapshot(this.session, snapshot_id))
        return this.go(f"{url_of(project)}kept/", "Builds begin with it from now on.")


@pages.post("/projects/{slug}/kept/snapshots/{snapshot_id:uuid}/invalidate/")
def drop_snapshot(
    request: Request, slug: str, snapshot_id: UUID, asked: Annotated[Button, parameters(Button)]
) -> Response:
    with call.acting(request, Scope.WRITE) as this:
        project = project_settings.project_of(this, slug)
        found = snapshots.snapshot(this.session, snapshot_id)
        if found.project_id != project.id:
            raise NotFound("There is no such snapshot.")
        snapshots.change(this.session, found, SnapshotStatus.INVALIDATED)
        return this.go(f"{url_of(project)}kept/", "No build begins with it any more.")


@pages.post("/projects/{slug}/kept/caches/remove/")
def drop_caches(request: Request, slug: str, asked: Annotated[Button, parameters(Button)]) -> Response:
    with call.acting(request, Scope.WRITE) as this:
        project = project_settings.project_of(this, slug)
        count = caches.drop_all(this.session, project)
        return this.go(f"{url_of(project)}kept/#caches", f"Removed {count}.")


@pages.post("/projects/{slug}/kept/caches/{cache_id:uuid}/remove/")
def drop_cache(
    request: Request, slug: str, cache_id: UUID, asked: Annotated[Button, parameters(Button)]
) -> Response:
    with call.acting(request, Scope.WRITE) as this:
        project = project_settings.project_of(this, slug)
        try:
            caches.drop(this.session, project, cache_id)
        except NotFound:
            return this.go(f"{url_of(project)}kept/#caches", "It was gone already.")
        return this.go(f"{url_of(project)}kept/#caches", "It is removed.")
