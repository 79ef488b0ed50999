"""The tests of a build, and one run: /builds/<id>/tests/ and /tests/<id>/."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field

from changes.builds import queries as builds
from changes.builds.rules import Result
from changes.people.rules import Scope
from changes.results import against_base, artifacts, build_tests, test_files, testruns
from changes.results.build_tests import ListAsked
from changes.web import call, paging, test_shapes
from changes.web.params import Flag, Parameters, documented_query, parameters

api = APIRouter(tags=["tests"])
RESULTS = "|".join(result.name.lower() for result in Result)
FLAKY_SHOWN = 1000
# Only of so few it is told who looks after them.
OWNERS_OF_MAX = 2


class TestsAsked(Parameters):
    query: str = ""
    result: Annotated[str, Field(pattern=f"^({RESULTS}|)$")] = ""
    sort: Annotated[str, Field(pattern="^(duration|name|retries)$")] = "duration"
    reverse: Flag = False


@api.get("/builds/{build_id:uuid}/tests/", openapi_extra=documented_query(TestsAsked, paged=True))
def list_tests(
    request: Request, build_id: UUID, asked: Annotated[TestsAsked, parameters(TestsAsked)]
) -> Response:
    page = paging.page_of(request, size_max=paging.SIZE_OF_EVERYTHING)
    wanted = Result[asked.result.upper()] if asked.result else None
    with call.begin(request, Scope.READ) as this:
        builds.build(this.session, build_id)
        listed = ListAsked(asked.query, wanted, asked.sort, is_reversed=asked.reverse)
        part = build_tests.runs(this.session, build_id, page, listed)
        headers = paging.link_header(request, page, part)
        return this.answer([test_shapes.of_build(each) for each in part.rows], headers=headers)


@api.get("/builds/{build_id:uuid}/tests/counts")
def count_tests(request: Request, build_id: UUID) -> Response:
    with call.begin(request, Scope.READ) as this:
        builds.build(this.session, build_id)
        return this.answer(test_shapes.counts(testruns.counts_of_build(this.session, build_id)))


@api.get("/builds/{build_id:uuid}/tests/failures")
def list_test_failures(request: Request, build_id: UUID) -> Response:
    """All that did not pass, what failed first; at most a thousand."""
    with call.begin(request, Scope.READ) as this:
        builds.build(this.session, build_id)
        found = build_tests.not_passed(this.session, build_id, limit=paging.SIZE_OF_EVERYTHING)
        return this.answer([test_shapes.failing(each) for each in found])


@api.get("/builds/{build_id:uuid}/tests/news")
def list_news(request: Request, build_id: UUID) -> Response:
    """What its failures are beside those of the base, and what was fixed; and whether that is all of them."""
    with call.begin(request, Scope.READ) as this:
        build = builds.build(this.session, build_id)
        compared = against_base.compare(this.session, build)
        named = build_tests.named(this.session, list(compared.news))
        fixed = against_base.fixed_since(this.session, build, compared.base) if compared.base else []
        return this.answer(test_shapes.news(compared, named, fixed))


@api.get("/builds/{build_id:uuid}/flaky_tests/")
def list_flaky_tests(request: Request, build_id: UUID) -> Response:
    """Those that passed only after they had been run again more than once."""
    with call.begin(request, Scope.READ) as this:
        project = builds.build(this.session, build_id).project
        count, found = build_tests.flaky(this.session, build_id, limit=FLAKY_SHOWN)
        has_owners = count <= OWNERS_OF_MAX
        items = [
            {
                "id": each.run.outside_id.hex,
                "name": each.test.name,
                "name_sha": each.test.name_sha,
                "job_id": each.batch.job_id.hex,
                **({"author": {"email": each.test.owner}} if has_owners and each.test.owner else {}),
            }
            for each in found
        ]
        told = {"projectSlug": project.slug, "repositoryUrl": project.repository.url}
        return this.answer({**told, "flakyTests": {"count": count, "items": items}})


@api.get("/tests/{run_id:uuid}/")
def show_run(request: Request, run_id: UUID) -> Response:
    """One run, all it said, and the files that belong to it."""
    with call.begin(request, Scope.READ) as this:
        found, step, message = build_tests.run(this.session, run_id)
        left = artifacts.of_step(this.session, step.id)
        files = test_files.of_test(found.test.name, message, left)
        log = build_tests.first_log(this.session, step.id)
        return this.answer(test_shapes.detailed(found, step, message, (files, log)))
