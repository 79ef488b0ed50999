"""Further repositories that a step checks out beside its own. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from changes.base.errors import Invalid
from changes.builds import complaints
from changes.builds.complaints import Way, Wrong, inside
from changes.vcs import names
from changes.vcs.errors import BadName

FIELDS = ("repo", "path", "backend", "revision")
# What the original checks out when nothing is said.
DEFAULT_REVISIONS = {"git": "HEAD", "hg": "default"}
OTHERS_MAX = 20


@dataclass(frozen=True)
class OtherRepo:
    url: str
    path: str
    backend: Literal["git", "hg"]
    revision: str


def wrong_others(others: Any, checkout_folder: Any) -> list[Wrong]:
    if others is None:
        return []
    if not isinstance(others, list) or len(others) > OTHERS_MAX:
        return [Wrong(("other_repos",), f"other_repos must be a list of at most {OTHERS_MAX} repositories")]
    wrong = [each for place, other in enumerate(others) for each in wrong_other(other, place)]
    if wrong:
        return wrong
    taken = [str(checkout_folder).strip("/"), *(inside(other["path"]) for other in others)]
    return [
        Wrong(("other_repos", place, "path"), f"path {other['path']!r} is the folder of another checkout")
        for place, other in enumerate(others)
        if taken.index(inside(other["path"])) <= place
    ]


def wrong_other(other: Any, place: int) -> list[Wrong]:
    way: Way = ("other_repos", place)
    if not isinstance(other, dict):
        return [Wrong(way, "must be a mapping with repo and path")]
    wrong = complaints.unknown_names(other, FIELDS, way)
    backend = other.get("backend", "git")
    if backend not in DEFAULT_REVISIONS:
        return [*wrong, Wrong((*way, "backend"), "backend must be git or hg")]
    wrong += wrong_name(other, "path", way) or complaints.wrong_path(other, "path", way)
    wrong += wrong_name(other, "repo", way) or wrong_url(other["repo"], backend, way)
    if other.get("revision") is not None:
        wrong += wrong_name(other, "revision", way) or wrong_revision(other["revision"], way)
    return wrong


def wrong_name(other: Mapping[str, Any], name: str, way: Way) -> list[Wrong]:
    value = other.get(name)
    if isinstance(value, str) and value.strip(" /."):
        return []
    return [Wrong((*way, name), f"{name} is missing" if value is None else f"{name} must be text")]


def wrong_url(url: str, backend: str, way: Way) -> list[Wrong]:
    try:
        names.check_url(url, allows_scp_style=backend == "git")
        _, credentials = names.split_credentials(url)
    except BadName as error:
        return [Wrong((*way, "repo"), f"repo: {error}")]
    if credentials is not None and credentials.password:
        return [Wrong((*way, "repo"), "repo: a password does not belong into a plan")]
    return []


def wrong_revision(name: str, way: Way) -> list[Wrong]:
    try:
        names.check_revision(as_here(name))
    except BadName as error:
        return [Wrong((*way, "revision"), f"revision: {error}")]
    return []


def as_here(revision: str) -> str:
    """The original worked in clones; in a mirror the branches of the remote have their own names."""
    return revision.removeprefix("origin/")


def read_others(others: list[Mapping[str, Any]]) -> list[OtherRepo]:
    found = []
    for other in others:
        backend = cast("Literal['git', 'hg']", other.get("backend", "git"))
        revision = other.get("revision") or DEFAULT_REVISIONS[backend]
        found.append(OtherRepo(other["repo"], inside(other["path"]), backend, as_here(revision)))
    return found


def refuse_local(others: list[OtherRepo], *, may_be_local: bool) -> None:
    """A path of the agent's machine is for those whose own repository is one."""
    local = [other.url for other in others if other.url.startswith(("/", "file:"))]
    if local and not may_be_local:
        raise Invalid(
            f"other_repos: {local[0]} is a path; only a project whose repository is one may name it."
        )
