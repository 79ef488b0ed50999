"""The commits of a project alone: those that change its files, where it names them (build.file-whitelist).

What a commit changes is not stored; the local copy of the repository is asked, and told how many are enough.
Where there is no such copy, or it takes too long, all commits are listed, and a note says why.
"""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from itertools import islice

from sqlalchemy.orm import Session

from changes.base.errors import Invalid, Unavailable
from changes.base.paging import Page, Part
from changes.projects import commits, config, config_original, looks, mirrors, options, queries
from changes.projects.models import Project, Revision
from changes.projects.plan_options import lines_in
from changes.vcs.errors import VcsError
from changes.vcs.interface import LogQuery, Mirror

# Nobody looks further back: git tells the files of so many commits in a second or less.
LOOKED_AT_MAX = 10_000
LOOK_TIMEOUT_S = 10.0
HOW_FAR = f"Only the newest {LOOKED_AT_MAX:,} commits were looked through."


@dataclass(frozen=True)
class Found:
    part: Part[Revision]
    # To which files the list is narrowed; empty where it is not.
    patterns: tuple[str, ...] = ()
    # What people should know of it: why it is not, or how far was looked.
    note: str = ""


@dataclass(frozen=True)
class Asked:
    """`is_every` lists the commits that change other files too."""

    branch: str = ""
    text: str = ""
    is_every: bool = False


class Unreadable(Exception):
    """Nobody can say here what commits change."""


def patterns_of(session: Session, project: Project) -> tuple[str, ...]:
    return tuple(lines_in(queries.options(session, project).get(options.FILES, "")))


def commits_of(session: Session, project: Project, page: Page, asked: Asked) -> Found:
    """Latest first."""
    repository = project.repository
    everything = commits.asked_for(repository, asked.branch, asked.text)
    patterns = () if asked.is_every else patterns_of(session, project)
    if not patterns:
        return Found(commits.commits(session, repository, page, branch=asked.branch, text=asked.text))
    newest = everything.with_only_columns(Revision.sha).limit(LOOKED_AT_MAX)
    shas = session.execute(newest).scalars().all()
    try:
        found = narrowed(session, project, patterns, shas, page)
    except Unreadable as error:
        all_of_them = commits.commits(session, repository, page, branch=asked.branch, text=asked.text)
        return Found(all_of_them, note=f"All commits are listed: {error}.")
    known = commits.by_sha(session, repository, found.rows)
    rows = [known[sha] for sha in found.rows]
    note = "" if found.has_next or len(shas) < LOOKED_AT_MAX else HOW_FAR
    return Found(Part(rows, found.has_next, found.has_previous), patterns, note)


def log_from(session: Session, project: Project, parent: str, page: Page, *, is_every: bool) -> Found:
    """A commit and what it stands on."""
    patterns = () if is_every else patterns_of(session, project)
    if not patterns:
        return Found(commits.log_from(session, project.repository, parent, page))
    query = LogQuery(starts=(parent,), limit=LOOKED_AT_MAX)
    seen = {each.sha: each for each in commits.history_of(session, project.repository, query)}
    try:
        found = narrowed(session, project, patterns, list(seen), page)
    except Unreadable as error:
        all_of_them = commits.log_from(session, project.repository, parent, page)
        return Found(all_of_them, note=f"All commits are listed: {error}.")
    rows = commits.stored_or_made_up(session, project.repository, [seen[sha] for sha in found.rows])
    return Found(Part(rows, found.has_next, found.has_previous), patterns)


def narrowed(
    session: Session, project: Project, patterns: Sequence[str], shas: Sequence[str], page: Page
) -> Part[str]:
    # What changes how it is built is built as well.
    how_to_build = (config.FILE_NAME, config_original.file_name(project.slug))

    def is_wanted(name: str) -> bool:
        return name in how_to_build or any(fnmatchcase(name, pattern) for pattern in patterns)

    enough = page.offset + page.size + 1
    question = (project.id, tuple(patterns), tuple(shas), enough)
    try:
        mirror = mirrors.of(project.repository)
        look = partial(first_touching, mirror, shas, is_wanted, enough)
        found = looks.looked(session, question, look)
    except (Invalid, Unavailable) as error:
        raise Unreadable(str(error).rstrip(".")) from error
    rows = found[page.offset : page.offset + page.size]
    return Part(rows, has_next=len(found) > page.offset + page.size, has_previous=page.number > 1)


def first_touching(
    mirror: Mirror, shas: Sequence[str], is_wanted: Callable[[str], bool], enough: int, timeout_s: float
) -> list[str]:
    if not mirror.exists():
        raise Unavailable("this server has no copy of the repository yet")
    try:
        with contextlib.closing(mirror.touching(shas, is_wanted, min(LOOK_TIMEOUT_S, timeout_s))) as touching:
            return list(islice(touching, enough))
    except VcsError as error:
        raise Unavailable(str(error)) from error
