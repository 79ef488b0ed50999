"""All authors; and one: builds in all projects, commits, and the addresses that are the same person."""

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from changes.base.errors import Conflict, Forbidden, Invalid
from changes.builds import queries as builds
from changes.builds.queries import BuildFilter
from changes.people import addresses, authors
from changes.people import queries as people
from changes.people.models import Author, AuthorAddress, User
from changes.people.rules import Scope
from changes.projects import commits
from changes.results.figures import of_builds
from changes.web import answers, call, paging
from changes.web.call import Call
from changes.web.pages import drawing, forms
from changes.web.pages.projects import rows
from changes.web.params import Parameters, parameters

pages = APIRouter()
HERE = "/authors/{author_id:uuid}/"
COMMITS_SHOWN = 10
AUTHORS_PER_PAGE = 50
DAYS_SUMMED_UP = 90


class Sought(Parameters):
    query: str = ""


class Address(Parameters):
    email: str = ""


@pages.get("/authors/")
def list_authors(request: Request, asked: Annotated[Sought, parameters(Sought)]) -> Response:
    page = paging.page_of(request, size=AUTHORS_PER_PAGE)
    with call.reading(request) as this:
        part = authors.listed(this.session, page, query=asked.query)
        before, after = paging.newer_and_older(request, page, part)
        values = {
            "authors": part.rows,
            "newest": builds.newest_of_authors(this.session, [each.id for each in part.rows]),
            "asked": asked,
            "before": before,
            "after": after,
        }
        return drawing.page(request, "authors.html", values)


@pages.get(HERE)
def show_author(request: Request, author_id: UUID) -> Response:
    with call.reading(request) as this:
        author = authors.author(this.session, author_id)
        main_id, joined = authors.joined_with(this.session, author)
        if main_id != author.id:
            return answers.go(f"/authors/{main_id.hex}/")
        values = about(request, this, author, joined)
        return drawing.page(request, "author.html", {**values, "asked": Address(), **forms.RIGHT})


def about(request: Request, this: Call, author: Author, joined: Sequence[AuthorAddress]) -> dict[str, Any]:
    page = paging.page_of(request, by_id=True)
    everybody = authors.everybody(this.session, author) if joined else [author]
    part = builds.builds(this.session, page, BuildFilter(authors=everybody))
    newer, older = paging.newer_and_older(request, page, part)
    return {
        "author": author,
        **rows(this.session, part.rows),
        "newer": newer,
        "older": older,
        "sums": of_builds.of_authors(this.session, [each.id for each in everybody], days=DAYS_SUMMED_UP),
        "summed_days": DAYS_SUMMED_UP,
        "commits": commits.newest_by(this.session, everybody, limit=COMMITS_SHOWN),
        "joined": joined,
        "may_join": may_join(this, author),
        "fields": ("email",),
    }


def may_join(this: Call, author: Author) -> bool:
    may_write = this.caller.scope in (Scope.WRITE, Scope.ADMIN)
    is_admin = this.caller.scope == Scope.ADMIN
    return may_write and addresses.may_change(author, user_of(this), is_admin=is_admin)


def user_of(this: Call) -> User | None:
    return people.user(this.session, this.caller.user_id) if this.caller.user_id else None


@pages.post(f"{HERE}addresses/")
def join_address(
    request: Request, author_id: UUID, asked: Annotated[Address, parameters(Address)]
) -> Response:
    try:
        with call.acting(request, Scope.WRITE) as this:
            author = authors.author(this.session, author_id)
            is_admin = this.caller.scope == Scope.ADMIN
            addresses.join(this.session, author, asked.email, by=user_of(this), is_admin=is_admin)
            return this.go(f"/authors/{author_id.hex}/", "Joined.")
    except (Invalid, Conflict, Forbidden) as error:
        with call.reading(request) as this:
            author = authors.author(this.session, author_id)
            values = about(request, this, author, authors.joined_addresses(this.session, author))
            return forms.again(request, "author.html", {**values, "asked": asked}, error)


@pages.post(f"{HERE}addresses/off/")
def take_address_off(
    request: Request, author_id: UUID, asked: Annotated[Address, parameters(Address)]
) -> Response:
    with call.acting(request, Scope.WRITE) as this:
        author = authors.author(this.session, author_id)
        is_admin = this.caller.scope == Scope.ADMIN
        addresses.take_off(this.session, author, asked.email, by=user_of(this), is_admin=is_admin)
        return this.go(f"/authors/{author_id.hex}/", "Taken off.")
