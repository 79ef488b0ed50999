"""How long runs of tests are kept, for administrators; and the button that keeps a build."""

from typing import Annotated

from fastapi import APIRouter, Request, Response

from changes.base import ids, jobs
from changes.base.process import settings
from changes.builds import pins
from changes.people.rules import Scope
from changes.results import retention, retention_queries, tasks
from changes.web import call
from changes.web.pages import drawing
from changes.web.pages.build_actions import place_of
from changes.web.pages.parts_again import BUILD, build_of
from changes.web.pages.plan_edit import Confirmed
from changes.web.params import parameters

pages = APIRouter()
HERE = "/admin/retention/"
PINNED_SHOWN = 100


@pages.get(HERE)
def show_retention(request: Request) -> Response:
    keep_months = settings.get().test_runs_keep_months
    with call.acting(request, Scope.ADMIN) as this:
        months = retention.preview(this.session, keep_months=keep_months)
        values = {
            "keep_months": keep_months,
            "months": months,
            "bytes_back": sum(each.bytes_back for each in months),
            "runs_gone": sum(each.gone for each in months),
            "stored": retention_queries.stored(this.session),
            "own": retention_queries.projects_with_own(this.session),
            "pinned": retention_queries.pinned(this.session, limit=PINNED_SHOWN),
        }
        return drawing.page(request, "retention.html", values)


@pages.post(HERE)
def tidy_now(request: Request, _asked: Annotated[Confirmed, parameters(Confirmed)]) -> Response:
    with call.acting(request, Scope.ADMIN) as this:
        jobs.enqueue(this.session, tasks.drop_old_tests_now, ids.new())
        return this.go(HERE, "It is being done.")


@pages.post(f"{BUILD}pin/")
def pin_build(
    request: Request, slug: str, number: int, _asked: Annotated[Confirmed, parameters(Confirmed)]
) -> Response:
    with call.acting(request, Scope.WRITE) as this:
        build = build_of(this.session, slug, number)
        pins.pin(this.session, build, by=this.caller.asker)
        return this.go(place_of(build), "The build is kept.")


@pages.post(f"{BUILD}unpin/")
def unpin_build(
    request: Request, slug: str, number: int, _asked: Annotated[Confirmed, parameters(Confirmed)]
) -> Response:
    with call.acting(request, Scope.WRITE) as this:
        build = build_of(this.session, slug, number)
        pins.unpin(this.session, build)
        return this.go(place_of(build), "The build is kept as long as others are.")
