"""Addresses of the same page with another question, and the heads of tables that sort by them. Pure."""

from dataclasses import dataclass
from urllib.parse import quote
from uuid import UUID

from starlette.datastructures import URL

SORT = "sort"
# Where a list continues depends on its order, so another order begins at the beginning.
PLACES = ("after", "before")
COVERED_PART_LINES = 1000


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


def log(log_id: UUID) -> str:
    """Of a log of a step, or of a file that is read like one."""
    return f"/logs/{log_id.hex}/"


def log_of_artifact(artifact_id: UUID) -> str:
    """Where a file that a step left behind is read as a log."""
    return log(artifact_id)


def file_at(repository_id: UUID, revision: str, path: str, first: int = 0, last: int = 0) -> str:
    """A file of a repository at one of its revisions; with numbers, at these lines of it."""
    address = f"/repositories/{repository_id.hex}/files/{quote(revision, safe='')}/{quote(path)}"
    if not first:
        return address
    lines = f"{first}-{last}" if last > first else str(first)
    return f"{address}?lines={lines}#L{first}"


def covered_line(build_url: str, path: str, line: int) -> str:
    """A line of a file with its coverage, below the address of a build; long files come in parts."""
    part = part_of(line)
    asked = f"?part={part}" if part > 1 else ""
    return f"{build_url}coverage/files/{quote(path)}{asked}#L{line}"


def part_of(line: int) -> int:
    return (line - 1) // COVERED_PART_LINES + 1
