"""`POST /builds/`: from what somebody asked for to the builds it means.

The order of the checks is the original's, so that clients see the same complaint first; an
unknown project is told from one that was not named.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from changes.base import ids
from changes.base.errors import Invalid
from changes.base.questions import Question
from changes.builds import create, snapshot_use, trust
from changes.builds.create import NewBuild
from changes.builds.models import Build
from changes.builds.rules import Cause
from changes.builds.snapshot_use import SnapshotAsked
from changes.builds.wishes import Wishes
from changes.people import users
from changes.people.models import Author
from changes.projects import changes, options, patches, queries, revisions
from changes.projects.models import Change, ItemOption, Project, Repository, Revision, Source
from changes.projects.revisions import KnownCommit
from changes.projects.rules import ProjectStatus, RepositoryStatus

TAG_MAX = 16
AUTHOR_MAX = 500
TARGET_SHA_LENGTH = 12
HOMELESS = "A homeless build"
AUTHOR = re.compile(r"(?P<name>[^<]*?)\s*<(?P<email>[^<>\s]+@[^<>\s]+)>")
UNNAMED = ["project", "repository", "repository[phabricator.callsign]"]


@dataclass(frozen=True, kw_only=True)
class Asked:
    sha: str
    project: str | None = None
    repository: str | None = None
    callsign: str | None = None
    author: str | None = None
    label: str | None = None
    target: str | None = None
    message: str | None = None
    patch: bytes | None = None
    patch_data: dict[str, Any] | None = None
    patch_label: str = ""
    patch_url: str = ""
    # Of which what is built becomes a version; a commit without one gets its own.
    change: Change | None = None
    tag: str | None = None
    project_whitelist: list[str] | None = None
    ensure_only: bool = False
    snapshot_id: str | None = None
    no_snapshot: bool = False
    cause: Cause = Cause.UNKNOWN
    # Names of plans, and values of their parameters.
    plans: Sequence[str] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)
    asked_by: str = ""
    # Whether whoever asks has rights on this project: a patch of somebody else is not trusted there.
    has_rights_on: Callable[[str], bool] = lambda _slug: True


@dataclass(frozen=True)
class Candidates:
    repository: Repository
    projects: list[Project] = field(default_factory=list)


def build_what_was_asked(session: Session, asked: Asked, *, timeout_min: int) -> list[Build]:
    author_named, tags = read_author(asked.author), tags_of(asked)
    if asked.patch is not None and asked.ensure_only:
        raise Invalid("Ensure-only mode does not work with a diff build yet.", ["patch", "ensure_only"])
    known = known_commit(session, asked)
    candidates = find_candidates(session, asked, known)
    if not candidates.projects:
        raise Invalid("Unable to find project(s).", ["project", "repository"])
    snapshot = snapshot_asked(session, asked, candidates.projects)
    author = users.author(session, *author_named) if author_named else None
    revision = known.revision if known else revisions.find(session, candidates.repository, asked.sha)
    source = source_of(session, revision, asked, known)
    template = describe(asked, source, author, tags=tags, timeout_min=timeout_min)
    wanted = [
        p for p in candidates.projects if asked.project_whitelist is None or p.slug in asked.project_whitelist
    ]
    template = replace(template, snapshot=snapshot, is_last=len(wanted) == 1)
    return [
        build_one(
            session,
            project,
            template,
            ensure_only=asked.ensure_only,
            has_rights=asked.has_rights_on(project.slug),
        )
        for project in wanted
    ]


def foreseen(slug: str | None, sha: str) -> list[Question]:
    """What is asked first for a build of a project that is named."""
    if not slug:
        return []
    return [revisions.known_commit_asked(slug, sha), queries.plans_with_options_asked(slug)]


def known_commit(session: Session, asked: Asked) -> KnownCommit | None:
    """Of an active project that was named; anything else takes the long way."""
    if not asked.project:
        return None
    known = revisions.known_commit(session, asked.project, asked.sha)
    return known if known is not None and known.project.status == ProjectStatus.ACTIVE else None


def find_candidates(session: Session, asked: Asked, known: KnownCommit | None) -> Candidates:
    """A named project alone, or every active project of a named repository."""
    if known is not None:
        return Candidates(known.project.repository, [known.project])
    if asked.project:
        project = queries.project_or_none(session, asked.project)
        if project is not None and project.status == ProjectStatus.ACTIVE:
            return Candidates(project.repository, [project])
        if not asked.repository and not asked.callsign:
            raise Invalid(f"There is no active project {asked.project!r}.", ["project"])
    repository = find_repository(session, asked)
    return Candidates(repository, queries.active_projects_of(session, repository))


def find_repository(session: Session, asked: Asked) -> Repository:
    if not asked.repository and not asked.callsign:
        raise Invalid("Project or repository must be specified", UNNAMED)
    found = None
    if asked.repository:
        found = queries.repository_by_url(session, asked.repository)
    if found is None and asked.callsign:
        has_callsign = ItemOption.name == "phabricator.callsign"
        mine = (
            select(Repository)
            .join(ItemOption, ItemOption.item_id == Repository.id)
            .where(has_callsign, ItemOption.value == asked.callsign)
            .order_by(Repository.id)
        )
        found = session.execute(mine.limit(1)).scalar_one_or_none()
    if found is None or found.status == RepositoryStatus.INACTIVE:
        raise Invalid(f"There is no active repository {asked.repository or asked.callsign!r}.", UNNAMED)
    return found


def snapshot_asked(session: Session, asked: Asked, projects: list[Project]) -> SnapshotAsked:
    if asked.snapshot_id and asked.no_snapshot:
        raise Invalid("Cannot specify snapshot with no_snapshot option", ["snapshot_id", "no_snapshot"])
    if asked.snapshot_id:
        return SnapshotAsked(snapshot_use.check(session, asked.snapshot_id, projects))
    return SnapshotAsked(is_refused=asked.no_snapshot)


def read_author(text: str | None) -> tuple[str, str] | None:
    """Name and address, from `Name <email>` or an address alone."""
    if not text:
        return None
    text = text.strip()
    if "@" not in text or len(text) > AUTHOR_MAX:
        raise Invalid("author must look like: Name <name@example.com>", ["author"])
    full = AUTHOR.fullmatch(text)
    return (full["name"] or full["email"], full["email"]) if full else (text, text)


def source_of(session: Session, revision: Revision, asked: Asked, known: KnownCommit | None) -> Source:
    if asked.patch is None:
        source = known.source if known else revisions.source_of(session, revision, data=asked.patch_data)
    else:
        patch = patches.save(session, revision, asked.patch, label=asked.patch_label, url=asked.patch_url)
        source = revisions.source_of(session, revision, patch, asked.patch_data)
        session.refresh(source)
    if asked.change is not None:
        changes.add_version(session, asked.change, source)
    elif asked.patch is None and source.change_id is None:
        changes.claim_commit(session, source, revision)
    return source


def describe(
    asked: Asked, source: Source, author: Author | None, *, tags: list[str], timeout_min: int
) -> NewBuild:
    revision = source.revision
    message = asked.message if asked.message is not None else revision.message
    first_line = message.strip().split("\n", 1)[0]
    return NewBuild(
        source=source,
        collection_id=ids.new(),
        label=asked.label or revision.subject or first_line or HOMELESS,
        target=asked.target or revision.sha[:TARGET_SHA_LENGTH],
        message=message,
        author=author or revision.author,
        cause=asked.cause,
        asked_by=asked.asked_by,
        tags=tags,
        timeout_min=timeout_min,
        wishes=Wishes(tuple(asked.plans), asked.parameters, is_by_hand=not asked.plans),
    )


def tags_of(asked: Asked) -> list[str]:
    tag = asked.tag or ("patch" if asked.patch is not None else None)
    if tag is not None and len(tag) > TAG_MAX:
        raise Invalid(f"Tags must be {TAG_MAX} characters or less.", ["tag"])
    return [tag] if tag else []


def build_one(
    session: Session, project: Project, template: NewBuild, *, ensure_only: bool, has_rights: bool
) -> Build:
    existing = create.newest_of_commit(session, project, template.source) if ensure_only else None
    if existing:
        return existing
    is_doubted = template.source.patch_id is not None and not has_rights
    who = queries.options(session, project).get(options.TRUSTED_PATCHES, "") if is_doubted else ""
    is_trusted = trust.is_trusted(
        has_patch=template.source.patch_id is not None, has_rights=has_rights, who=who
    )
    return create.create_build(session, project, replace(template, is_trusted=is_trusted))
