"""The targets of Bazel that a build ran, took over or left out."""

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import Field

from changes.builds import target_queries
from changes.builds.bazel import ResultSource
from changes.builds.rules import Result
from changes.builds.target_queries import Sums, TargetsAsked
from changes.web import call, paging
from changes.web.pages import drawing, states
from changes.web.pages.builds import find, frame_of
from changes.web.params import Parameters, parameters

pages = APIRouter()
TARGETS_PER_PAGE = 100
FILES_SHOWN, MESSAGES_SHOWN = 4, 20
RESULT_CHOICES = [
    ("", "Any"),
    ("failed", "Failed"),
    ("passed", "Passed"),
    ("skipped", "Left out"),
    ("unknown", "Not known"),
]
SORT_CHOICES = [("", "Failures first"), ("name", "Name"), ("duration", "Slowest first")]


class TargetsFilter(Parameters):
    query: str = ""
    result: Annotated[str, Field(pattern="^(failed|passed|skipped|unknown|)$")] = ""
    sort: Annotated[str, Field(pattern="^(failures|name|duration|)$")] = ""

    def wanted(self) -> TargetsAsked:
        result = Result[self.result.upper()] if self.result else None
        return TargetsAsked(self.query.strip(), result, self.sort or "failures")


@pages.get("/projects/{slug}/builds/{reference}/targets/")
def list_targets(
    request: Request, slug: str, reference: str, asked: Annotated[TargetsFilter, parameters(TargetsFilter)]
) -> Response:
    page = paging.page_of(request, size=TARGETS_PER_PAGE)
    with call.reading(request) as this:
        build = find(this.session, slug, reference).build
        part = target_queries.of_build(this.session, build.id, page, asked.wanted())
        before, after = paging.newer_and_older(request, page, part)
        values: dict[str, Any] = {
            **frame_of(build),
            **parts(target_queries.sums(this.session, build.id)),
            "messages": target_queries.messages(this.session, build.id)[:MESSAGES_SHOWN],
            "rows": part.rows,
            "before": before,
            "after": after,
            "asked": asked,
            "is_filtered": bool(asked.query or asked.result),
            "result_choices": RESULT_CHOICES,
            "sort_choices": SORT_CHOICES,
            "taken_over": ResultSource.FROM_PARENT,
            "in_a_line": message_in_a_line,
        }
        return drawing.page(request, "targets.html", values)


def parts(found: Sums) -> dict[str, Any]:
    shown = [(states.OF_RESULT[result], found.by_result[result]) for result in sorted(found.by_result)]
    return {"target_parts": shown, "target_count": found.total, "target_sentence": in_words(found)}


def in_words(found: Sums) -> str:
    """Of whom the results are; a result that somebody else came to is never shown as our own."""
    said = [f"{found.run_here:,} {be(found.run_here)} run by this build"]
    if found.taken_over:
        said.append(f"{found.taken_over:,} {be(found.taken_over)} not affected and taken over")
    if found.left_out:
        said.append(f"{found.left_out:,} {be(found.left_out)} left out")
    return f"{', '.join(said)}."


def be(count: int) -> str:
    return "is" if count == 1 else "are"


def message_in_a_line(text: str) -> str:
    """The first line says what it is about; those after it are files, of which the first few do."""
    first, *files = text.splitlines() or [""]
    more = f" and {len(files) - FILES_SHOWN} more" if len(files) > FILES_SHOWN else ""
    return f"{first} {', '.join(files[:FILES_SHOWN])}{more}".strip()
