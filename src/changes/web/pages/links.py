"""Addresses of the same page with another question, and the heads of tables that sort by them. Pure."""

from dataclasses import dataclass

from starlette.datastructures import URL

SORT = "sort"
# Where a list continues depends on its order, so another order begins at the beginning.
PLACES = ("after", "before")


@dataclass(frozen=True)
class Head:
    """`sorted` is ascending, descending or empty, as aria-sort wants it."""

    text: str
    kind: str = ""
    href: str = ""
    sorted: str = ""


def with_query(url: URL, **changed: str | None) -> str:
    """The path of `url` with these parameters set; None takes one away."""
    kept = url.remove_query_params([name for name, value in changed.items() if value is None])
    asked = kept.include_query_params(**{name: value for name, value in changed.items() if value is not None})
    return asked.path + (f"?{asked.query}" if asked.query else "")


def head(text: str, kind: str = "", key: str = "", url: URL | None = None) -> Head:
    """With a key, a link that sorts by it, and the other way round when it does already."""
    if not key or url is None:
        return Head(text, kind)
    now = dict(part.partition("=")[::2] for part in url.query.split("&")).get(SORT, "")
    upside_down = {key: "ascending", f"-{key}": "descending"}.get(now, "")
    fresh = url.remove_query_params(list(PLACES))
    asked = f"-{key}" if now == key else key
    return Head(text, kind, with_query(fresh, **{SORT: asked}), upside_down)
