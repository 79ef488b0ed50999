"""How long things are kept, and what would go now, for administrators; and the button that keeps a build."""

from typing import Annotated

from fastapi import APIRouter, Request, Response

from changes.base import jobs
from changes.base.process import settings
from changes.builds import pins
from changes.people.rules import Scope
from changes.results import keeping, retention, retention_queries, tasks
from changes.web import call
from changes.web.pages import drawing
from changes.web.pages.build_actions import place_of
from changes.web.pages.parts_again import BUILD, build_of
from changes.web.pages.plan_edit import Confirmed
from changes.web.params import parameters

pages = APIRouter()
HERE = "/admin/retention/"
PINNED_SHOWN = 100
HISTORY_SHOWN = 25
OWN_SHOWN = 100


@pages.get(HERE)
def show_retention(request: Request) -> Response:
    keep_months = settings.get().test_runs_keep_months
    with call.acting(request, Scope.ADMIN) as this:
        stored = retention_queries.stored(this.session)
        months = retention.preview(this.session, keep_months=keep_months, sizes=stored.sizes)
        wishes = keeping.wishes_of(this.session)
        values = {
            "keep_months": keep_months,
            "months": months,
            "bytes_back": sum(each.bytes_back for each in months),
            "runs_gone": sum(each.gone for each in months),
            "stored": stored,
            "kinds": keeping.preview(this.session, settings.get(), wishes),
            "days": keeping.usual_days(settings.get()),
            "history": keeping.history(this.session, limit=HISTORY_SHOWN),
            "own": [each for each in wishes if each.own][:OWN_SHOWN],
            "pinned": retention_queries.pinned(this.session, limit=PINNED_SHOWN),
        }
        return drawing.page(request, "retention.html", values)


@pages.post(HERE)
def tidy_now(request: Request, _asked: Annotated[Confirmed, parameters(Confirmed)]) -> Response:
    with call.acting(request, Scope.ADMIN) as this:
        jobs.enqueue(this.session, tasks.clean_away_now, keeping.ask(this.session, this.caller.asker))
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
