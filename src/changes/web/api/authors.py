"""/authors/: those named in commits, what they wrote and had built, and their further addresses.

An author is called by id, by e-mail address, or `me`; nobody of that name is an empty list.
"""

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field

from changes.base.errors import NotSignedIn
from changes.base.paging import Page
from changes.builds import queries as builds
from changes.builds.queries import BuildFilter
from changes.people import addresses, authors
from changes.people import queries as people
from changes.people.models import Author, User
from changes.people.rules import Scope
from changes.projects import change_queries, commits
from changes.projects.models import Revision, Source
from changes.results.figures import of_builds
from changes.web import call, change_shapes, paging, shapes, statistics_shapes
from changes.web.api.builds import summaries
from changes.web.call import Call
from changes.web.params import Parameters, documented, documented_query, parameters

api = APIRouter(prefix="/authors", tags=["people"])
COMMITS_SHOWN = 10
BUILDS_MAX = 500
DAYS_SUMMED_UP = 90


class NumberOfCommits(Parameters):
    num_revs: Annotated[int, Field(ge=1, le=100, description="how many on a page")] = COMMITS_SHOWN


class Sought(Parameters):
    query: Annotated[str, Field(description="a part of name or address")] = ""


class NewAddress(Parameters):
    email: Annotated[str, Field(min_length=1)]


def called(this: Call, author_id: str) -> Sequence[Author]:
    if author_id != "me":
        return authors.named(this.session, author_id)
    if not this.caller.email:
        raise NotSignedIn("Must be logged in to ask about yourself")
    return authors.named(this.session, this.caller.email)


@api.get("/", openapi_extra=documented_query(Sought, paged=True))
def list_authors(request: Request, asked: Annotated[Sought, parameters(Sought)]) -> Response:
    """By name; those joined to somebody else stand with them."""
    page = paging.page_of(request)
    with call.begin(request, Scope.READ) as this:
        part = authors.listed(this.session, page, query=asked.query)
        shaped, headers = paging.shaped(request, page, part, shapes.author)
        return this.answer(shaped, headers=headers)


@api.get("/{author_id:uuid}/")
def show_author(request: Request, author_id: UUID) -> Response:
    """With what was built under all addresses within 90 days, summed up."""
    with call.begin(request, Scope.READ) as this:
        author = authors.author(this.session, author_id)
        everybody = [each.id for each in authors.everybody(this.session, author)]
        sums = of_builds.of_authors(this.session, everybody, days=DAYS_SUMMED_UP)
        return this.answer({**with_addresses(this, author), "builds": statistics_shapes.sums(sums)})


def with_addresses(this: Call, author: Author) -> dict[str, Any]:
    joined = authors.joined_addresses(this.session, author)
    return {**(shapes.author(author) or {}), "addresses": [author.email, *(each.email for each in joined)]}


@api.get("/{author_id}/builds/", openapi_extra=documented_query(paged=True, by_id=True))
def list_builds(request: Request, author_id: str) -> Response:
    """Newest first."""
    page = paging.page_of(request, by_id=True)
    with call.begin(request, Scope.READ) as this:
        wanted = BuildFilter(authors=called(this, author_id))
        part = builds.builds(this.session, page, wanted)
        headers = paging.link_header(request, page, part)
        return this.answer(summaries(this, list(part.rows)), headers=headers)


@api.get("/{author_id}/commits/", openapi_extra=documented_query(NumberOfCommits, paged=True))
def list_commits(
    request: Request, author_id: str, asked: Annotated[NumberOfCommits, parameters(NumberOfCommits)]
) -> Response:
    """Latest first, as sources without a patch, each with its `builds`."""
    page = page_of(request, asked)
    with call.begin(request, Scope.READ) as this:
        part = commits.commits_by(this.session, called(this, author_id), page)
        keys = [(each.repository_id, each.sha) for each in part.rows]
        sources = change_queries.sources_of_commits(this.session, keys)
        built = builds.of_revisions(this.session, keys, limit=BUILDS_MAX)
        told = [
            {
                **commit(revision, sources.get(key)),
                "builds": [change_shapes.brief(build) for build in built[key]],
            }
            for key, revision in zip(keys, part.rows, strict=True)
        ]
        return this.answer(told, headers=paging.link_header(request, page, part))


def page_of(request: Request, asked: NumberOfCommits) -> Page:
    return paging.page_of(request, size=asked.num_revs)


def commit(revision: Revision, source: Source | None) -> dict[str, Any]:
    """One that nobody has built yet is no source, and has no id."""
    if source is not None:
        return change_shapes.version(source)
    return {
        "id": None,
        "isCommit": True,
        "data": {},
        "patch": None,
        "revision": shapes.revision(revision),
        "dateCreated": shapes.when(revision.date_created),
    }


@api.post("/{author_id:uuid}/addresses/", openapi_extra=documented(NewAddress))
def join_address(
    request: Request, author_id: UUID, asked: Annotated[NewAddress, parameters(NewAddress)]
) -> Response:
    """By administrators, or by whoever signs in with the address of this author."""
    with call.begin(request, Scope.WRITE) as this:
        author = authors.author(this.session, author_id)
        addresses.join(this.session, author, asked.email, by=user_of(this), is_admin=is_admin(this))
        return this.answer(with_addresses(this, author))


@api.delete("/{author_id:uuid}/addresses/{email}/")
def take_address_off(request: Request, author_id: UUID, email: str) -> Response:
    with call.begin(request, Scope.WRITE) as this:
        author = authors.author(this.session, author_id)
        addresses.take_off(this.session, author, email, by=user_of(this), is_admin=is_admin(this))
        return this.answer_nothing()


def user_of(this: Call) -> User | None:
    return people.user(this.session, this.caller.user_id) if this.caller.user_id else None


def is_admin(this: Call) -> bool:
    return this.caller.scope == Scope.ADMIN
