"""The machines that run builds."""

from datetime import timedelta

from fastapi import APIRouter, Request, Response

from changes.base import clock
from changes.base.process import settings
from changes.builds import queries
from changes.web import call, paging
from changes.web.pages import drawing

pages = APIRouter()


@pages.get("/nodes/")
def list_nodes(request: Request) -> Response:
    page = paging.page_of(request, size=paging.SIZE_MAX)
    with call.reading(request) as this:
        part = queries.nodes(this.session, page)
        before, after = paging.newer_and_older(request, page, part)
        values = {
            "nodes": part.rows,
            "held": queries.held_by_nodes(this.session, [node.id for node in part.rows]),
            "heard_after": clock.now() - timedelta(seconds=settings.get().node_silence_max_s),
            "before": before,
            "after": after,
        }
        return drawing.page(request, "nodes.html", values)
