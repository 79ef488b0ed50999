"""/retention/ and pins: what is kept of tests, what would go, and what never goes."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from changes.base import jobs
from changes.base.process import settings
from changes.builds import pins, queries
from changes.people.rules import Scope
from changes.results import keeping, retention, tasks
from changes.results.keeping import Told
from changes.results.keeping_models import CleanUp
from changes.results.retention import Month
from changes.web import call, shapes
from changes.web.api.builds import summaries

api = APIRouter(tags=["retention"])
HISTORY_TOLD = 50


@api.get("/retention/")
def show_retention(request: Request) -> Response:
    """What would go now: runs of tests month by month, the rest by kind; and what went the last times."""
    keep_months = settings.get().test_runs_keep_months
    with call.begin(request, Scope.ADMIN) as this:
        months = retention.preview(this.session, keep_months=keep_months)
        told = keeping.preview(this.session, settings.get())
        history = keeping.history(this.session, limit=HISTORY_TOLD)
        return this.answer(
            {
                "keepMonths": keep_months,
                "months": [shape(each) for each in months],
                "keepDays": {kind.value: days for kind, days in keeping.usual_days(settings.get()).items()},
                "kinds": [shape_kind(each) for each in told],
                "history": [shape_past(each) for each in history],
            }
        )


@api.post("/retention/")
def tidy_now(request: Request) -> Response:
    """Does it now, in the background, instead of within six hours."""
    with call.begin(request, Scope.ADMIN) as this:
        jobs.enqueue(this.session, tasks.clean_away_now, keeping.ask(this.session, this.caller.asker))
        return this.answer_nothing()


def shape(each: Month) -> dict[str, Any]:
    return {
        "month": f"{each.month:%Y-%m}",
        "way": each.way.value,
        "runsKept": each.kept,
        "runsGone": each.gone,
        "bytes": each.size_bytes,
        "bytesBack": each.bytes_back,
    }


def shape_kind(each: Told) -> dict[str, Any]:
    return {
        "kind": each.kind.value,
        "items": each.items,
        "isMore": each.is_more,
        "bytes": each.size_bytes,
        "bytesBack": each.freed_bytes,
    }


def shape_past(each: CleanUp) -> dict[str, Any]:
    return {
        "kind": each.kind,
        "askedBy": each.asked_by or None,
        "items": each.items,
        "bytes": each.size_bytes,
        "bytesBack": each.freed_bytes,
        "durationMs": each.took_ms,
        "isDone": each.is_done,
        "dateCreated": shapes.when(each.date_created),
    }


@api.post("/builds/{build_id:uuid}/pin/")
def pin_build(request: Request, build_id: UUID) -> Response:
    """The runs of its tests are kept until it is pinned no more."""
    with call.begin(request, Scope.WRITE) as this:
        build = queries.build(this.session, build_id)
        pins.pin(this.session, build, by=this.caller.asker)
        return this.answer(summaries(this, [build])[0])


@api.post("/builds/{build_id:uuid}/unpin/")
def unpin_build(request: Request, build_id: UUID) -> Response:
    """It is kept as long as others are."""
    with call.begin(request, Scope.WRITE) as this:
        build = queries.build(this.session, build_id)
        pins.unpin(this.session, build)
        return this.answer(summaries(this, [build])[0])
