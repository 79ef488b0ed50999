"""What the machinery lost lately, by machine and reason: is it one machine, or all of them?"""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from changes.base import ids
from changes.base.errors import Invalid
from changes.builds import infra_failures
from changes.builds.infra_failures import Wanted
from changes.web import call, paging
from changes.web.pages import drawing, infra_words
from changes.web.params import Parameters, parameters

pages = APIRouter()
STEPS_PER_PAGE = 25
PERIODS = [("1", "the last hour"), ("24", "the last day"), ("168", "the last week"), ("720", "30 days")]
USUAL = "24"


class InfraAsked(Parameters):
    hours: str = USUAL
    node: str = ""
    reason: str = ""


@pages.get("/infra/")
def show_infra_failures(request: Request, asked: Annotated[InfraAsked, parameters(InfraAsked)]) -> Response:
    page = paging.walked(request, size=STEPS_PER_PAGE)
    wanted = Wanted(hours=hours_of(asked), node_id=node_of(asked), reason=asked.reason)
    with call.reading(request) as this:
        part = infra_failures.newest(this.session, wanted, page)
        newer, older = paging.newer_and_older(request, page, part)
        groups = infra_failures.groups(this.session, wanted)
        values = {
            "groups": groups,
            "suspect": infra_words.suspect_in(groups),
            "steps": part.rows,
            "whys": infra_failures.whys(this.session, part.rows),
            "newer": newer,
            "older": older,
            **filters(asked),
        }
        return drawing.page(request, "infra.html", values)


def hours_of(asked: InfraAsked) -> int:
    if asked.hours not in {hours for hours, _ in PERIODS}:
        raise Invalid(f"hours is one of {', '.join(hours for hours, _ in PERIODS)}.", ["hours"])
    return int(asked.hours)


def node_of(asked: InfraAsked) -> UUID | None:
    return ids.parse(asked.node) if asked.node else None


def filters(asked: InfraAsked) -> dict[str, Any]:
    return {
        "asked": asked,
        "periods": PERIODS,
        "period": dict(PERIODS)[asked.hours],
        "is_filtered": bool(asked.node or asked.reason or asked.hours != USUAL),
        "words_of": infra_failures.words_of,
    }
