"""Which commit broke a test: what a search would cost, the search itself, and what it found."""

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import Field

from changes.base import jobs
from changes.base.db import Session
from changes.base.errors import Conflict, Invalid
from changes.builds.rules import Result
from changes.people.rules import Scope
from changes.projects.models import Project
from changes.results import origin_queries, origin_search, tasks
from changes.results.models import Test
from changes.results.origin_models import OriginSearch
from changes.results.origin_rules import AGAIN_MAX, SearchState, Verdict
from changes.results.origin_search import PARALLEL_MAX, PARALLEL_USUAL, Asked
from changes.web import call
from changes.web.pages import drawing, states
from changes.web.pages.plan_edit import Confirmed
from changes.web.pages.test_history import HERE, found, frame_of
from changes.web.params import Parameters, parameters

pages = APIRouter()
ORIGIN = f"{HERE}origin/"
PARALLEL_CHOICES = [(str(number), str(number)) for number in (1, 2, 3, 4, PARALLEL_MAX)]
STATES = {
    Verdict.UNKNOWN: states.NONE,
    Verdict.GOOD: states.OF_RESULT[Result.PASSED],
    Verdict.BAD: states.OF_RESULT[Result.FAILED],
    Verdict.UNTESTABLE: states.UNKNOWN,
    Verdict.CANCELLED: states.OF_RESULT[Result.ABORTED],
    Verdict.LOST: states.OF_RESULT[Result.INFRA_FAILED],
}
# In words, and in which colour.
STATES_OF_SEARCH = {
    SearchState.SEARCHING: ("searching", "running"),
    SearchState.FOUND: ("found", "passed"),
    SearchState.GIVEN_UP: ("not found", "quarantined"),
    SearchState.CANCELLED: ("cancelled", "aborted"),
}


class Parallel(Parameters):
    parallel: Annotated[int, Field(ge=1, le=PARALLEL_MAX)] = PARALLEL_USUAL


@pages.get(ORIGIN)
def show_origin(
    request: Request, slug: str, sha: str, asked: Annotated[Parallel, parameters(Parallel)]
) -> Response:
    with call.reading(request) as this:
        project, test = found(this, slug, sha)
        search = origin_queries.newest_of_test(this.session, test)
        values = {
            **frame_of(project, test),
            **cost_of(this.session, project, test, asked.parallel),
            **seen(this.session, search),
            "parallel": str(asked.parallel),
            "again_max": AGAIN_MAX,
            "parallel_choices": PARALLEL_CHOICES,
        }
        return drawing.page(request, "origin.html", values)


def cost_of(session: Session, project: Project, test: Test, parallel: int) -> dict[str, Any]:
    """What a search would cost now, or why there is nothing to search."""
    try:
        planned = origin_search.plan_of(session, project, test, Asked(parallel=parallel))
    except (Conflict, Invalid) as error:
        return {"planned": None, "problem": error.message}
    minutes, wait = planned.cost.minutes(planned.usual_ms), planned.cost.wait_minutes(planned.usual_ms)
    return {"planned": planned, "problem": "", "minutes": minutes, "wait_minutes": wait}


def seen(session: Session, search: OriginSearch | None) -> dict[str, Any]:
    if search is None:
        return {"search": None, "commits": []}
    commits = origin_queries.places(session, search)
    return {
        "search": search,
        "search_state": STATES_OF_SEARCH[search.state],
        "is_searching": search.state == SearchState.SEARCHING,
        "made": origin_queries.made_of(commits),
        "commits": commits,
        "state_of_commit": STATES,
        "broken_by": next((each for each in commits if each.sha == search.culprit_sha), None),
    }


@pages.post(ORIGIN)
def start_search(
    request: Request, slug: str, sha: str, asked: Annotated[Parallel, parameters(Parallel)]
) -> Response:
    with call.acting(request, Scope.WRITE) as this:
        project, test = found(this, slug, sha)
        wanted = Asked(parallel=asked.parallel, asked_by=this.caller.asker)
        search = origin_search.start(this.session, project, test, wanted)
        jobs.enqueue(this.session, tasks.advance_origin, search.id)
        return this.go(place_of(project, test), "The search has begun.")


@pages.post(f"{ORIGIN}cancel/")
def cancel_search(
    request: Request, slug: str, sha: str, _asked: Annotated[Confirmed, parameters(Confirmed)]
) -> Response:
    with call.acting(request, Scope.WRITE) as this:
        project, test = found(this, slug, sha)
        search = origin_search.open_search(this.session, test)
        if search is not None:
            origin_search.cancel_search(this.session, search.id)
        toast = "The search is cancelled." if search else "It had ended already."
        return this.go(place_of(project, test), toast)


def place_of(project: Project, test: Test) -> str:
    return f"{frame_of(project, test)['test_url']}origin/"
