"""`page` and `per_page` as the original had them, positions beside them; never an endless list."""

from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlencode

from fastapi import Request

from changes.base import ids
from changes.base.errors import Invalid
from changes.base.paging import Page, Part, Position

SIZE_DEFAULT = 25
SIZE_MAX = 100
# What "everything on one page" (0) means here.
SIZE_OF_EVERYTHING = 1000
DIGITS_MAX = 9
# Parameters that say which part of a list.
WHERE = ("page", "after", "before")
Row = TypeVar("Row")


def page_of(
    request: Request, *, size: int = SIZE_DEFAULT, by_id: bool = False, size_max: int = SIZE_MAX
) -> Page:
    """`by_id` lists, newest first, also take `after` or `before`, the id of a row."""
    number = whole_number(request, "page", 1)
    if number < 1:
        raise Invalid("Page argument must be at least 1", ["page"])
    size = whole_number(request, "per_page", size)
    if size > size_max:
        raise Invalid("Requested more per_page than the maximum", ["per_page"])
    position = position_of(request) if by_id else None
    return Page(number, size if size > 0 else SIZE_OF_EVERYTHING, position)


def walked(request: Request, *, size: int) -> Page:
    """For lists whose order has no numbers of pages: always by position, from the first row on."""
    return Page(1, size, position_of(request) or Position())


def position_of(request: Request) -> Position | None:
    """An empty `after` begins at the newest; from there the links lead on."""
    given = {name: request.query_params.get(name) for name in ("after", "before", "page")}
    if given["after"] is None and given["before"] is None:
        return None
    if sum(value is not None for value in given.values()) > 1:
        raise Invalid("Only one of after, before and page can be given.", ["after", "before", "page"])
    after, before = given["after"], given["before"]
    return Position(after=ids.parse(after) if after else None, before=ids.parse(before) if before else None)


def whole_number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    if text == "" and name == "per_page":
        return 0
    if not text.isdecimal() or len(text) > DIGITS_MAX:
        raise Invalid(f"{name} must be a whole number", [name])
    return int(text)


def link_header(request: Request, page: Page, part: Part[Any]) -> dict[str, str]:
    links = []
    if part.has_previous:
        links.append(f'<{neighbour(request, page, part, newer=True)}>; rel="previous"')
    if part.has_next:
        links.append(f'<{neighbour(request, page, part, newer=False)}>; rel="next"')
    return {"Link": ", ".join(links)} if links else {}


def neighbour(request: Request, page: Page, part: Part[Any], *, newer: bool) -> str:
    if page.position is None:
        return url_of(request, "page", str(page.number - 1 if newer else page.number + 1))
    if not part.rows:
        return url_of(request, "after", "")
    row = part.rows[0] if newer else part.rows[-1]
    return url_of(request, "before" if newer else "after", row.id.hex)


def url_of(request: Request, name: str, value: str) -> str:
    others = [(given, text) for given, text in request.query_params.multi_items() if given not in WHERE]
    return f"{str(request.url).partition('?')[0]}?{urlencode(others)}&{name}={value}"


def shaped(
    request: Request, page: Page, part: Part[Row], shape: Callable[[Row], Any]
) -> tuple[list[Any], dict[str, str]]:
    return [shape(row) for row in part.rows], link_header(request, page, part)


def newer_and_older(request: Request, page: Page, part: Part[Any]) -> tuple[str, str]:
    """Where the links of a page lead, without the host; empty where there is nothing."""
    both = ((part.has_previous, True), (part.has_next, False))
    addresses = [neighbour(request, page, part, newer=newer) if there else "" for there, newer in both]
    newer, older = (f"?{each.partition('?')[2]}" if each else "" for each in addresses)
    return newer, older
