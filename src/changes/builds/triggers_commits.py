"""New commits of a branch: which projects build them.

Of many at once only the newest are looked at, each in a transaction of its own; whoever repeats a
task finds what was decided and leaves it.
"""

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from changes.base import db, ids, jobs
from changes.base.errors import Invalid, Unavailable
from changes.base.process import settings
from changes.builds import triggers, triggers_rules, triggers_wishes
from changes.builds.models import Build
from changes.builds.triggers import Moment
from changes.builds.triggers_models import TriggerDecision
from changes.builds.triggers_rules import NEWEST_MAX, TAG_OF, Kind, Occasion, Verdict
from changes.projects import looks, mirrors, queries, revisions
from changes.projects.events import RevisionsSeen
from changes.projects.looks import Looks
from changes.projects.models import Project, Repository, Source
from changes.projects.rules import ProjectStatus, RepositoryBackend, RepositoryStatus
from changes.vcs.errors import UnknownRevision, VcsError
from changes.vcs.interface import LogQuery, Mirror

TAG = TAG_OF[Kind.COMMIT]
# Why something newer is not built now, and still stands for what came before it.
STANDS_FOR_OLDER = ("too_soon_later", "already_built")


def consider_revisions(seen: RevisionsSeen) -> None:
    """What was there before the repository was known here is no news."""
    if seen.is_first_import:
        return
    with db.transaction() as session:
        repository = session.get(Repository, seen.repository_id)
        if repository is None or not can_be_read(repository):
            return
        newest = newest_of(mirrors.of(repository), seen)
        keep_beyond(session, repository, seen, [sha for sha in seen.shas if sha not in newest])
    failed: Exception | None = None
    for sha in seen.shas:
        try:
            if sha in newest:
                looks.outside(partial(consider_one, seen.repository_id, seen.branch, sha))
        except (VcsError, Unavailable) as error:
            # One that cannot be read now keeps no other waiting; all of it is tried again later.
            failed = error
    if failed is not None:
        raise failed


def consider_one(repository_id: UUID, branch: str, sha: str, found: Looks) -> None:
    with looks.transaction(found) as session:
        consider_commit(session, repository_id, branch, sha)


def can_be_read(repository: Repository) -> bool:
    is_on = repository.status != RepositoryStatus.INACTIVE
    return is_on and repository.backend != RepositoryBackend.UNKNOWN


def newest_of(mirror: Mirror, seen: RevisionsSeen) -> set[str]:
    """Of the branch as it is now, because one push may be told in many parts."""
    if len(seen.shas) == 1:
        return set(seen.shas)
    with suppress(UnknownRevision):
        return {each.sha for each in mirror.log(LogQuery(starts=(seen.branch,), limit=NEWEST_MAX))}
    return set(seen.shas[-NEWEST_MAX:])


def keep_beyond(session: Session, repository: Repository, seen: RevisionsSeen, shas: Sequence[str]) -> None:
    what = Occasion(Kind.COMMIT, (seen.branch,), is_beyond_newest=True)
    for project in queries.active_projects_of(session, repository):
        verdict = triggers_rules.before_reading(triggers_wishes.of_options(session, project).rules, what)
        if verdict is not None and verdict.why != "commit_trigger_off":
            rows = [
                triggers.row_of(project.id, sha, Kind.COMMIT, key=seen.branch, verdict=verdict)
                for sha in shas
            ]
            triggers.keep_rows(session, rows)


def consider_commit(
    session: Session, repository_id: UUID, branch: str, sha: str, *, only: UUID | None = None
) -> None:
    """For all projects of its repository, or for one."""
    repository = session.get_one(Repository, repository_id)
    projects = [each for each in queries.active_projects_of(session, repository) if only in (None, each.id)]
    if not projects:
        return
    try:
        revision = revisions.find(session, repository, sha)
    except Invalid as error:
        keep_gone(session, projects, branch, sha, error.message)
        return
    source = revisions.source_of(session, revision)
    session.refresh(source)
    branches = tuple(dict.fromkeys((branch, *revision.branches)))
    what = Occasion(Kind.COMMIT, branches, revision.message, facts={"branch": branch})
    consider_source(session, projects, source, branch, what)


def keep_gone(session: Session, projects: Sequence[Project], branch: str, sha: str, message: str) -> None:
    verdict = Verdict(is_wanted=False, why="gone", facts={"message": message})
    for project in projects:
        triggers.keep_rows(session, [triggers.row_of(project.id, sha, Kind.COMMIT, branch, verdict)])


def consider_source(
    session: Session, projects: Sequence[Project], source: Source, branch: str, what: Occasion
) -> None:
    """Which files changed is asked for once, and only where somebody wants to know."""
    together, files = ids.new(), None
    for project in projects:
        options = triggers_wishes.of_options(session, project)
        early = built_before(session, project, source.revision_sha) or triggers_rules.before_reading(
            options.rules, what
        )
        if early is not None:
            row = triggers.row_of(project.id, source.revision_sha, Kind.COMMIT, branch, early)
            triggers.keep_rows(session, [row])
            continue
        if files is None:
            files = tuple(mirrors.of(project.repository).changed_files(source.revision_sha))
        moment = Moment(
            what=Occasion(Kind.COMMIT, what.branches, what.message, files, facts=what.facts),
            source=source,
            key=branch,
            tags=(TAG,),
            collection_id=together,
            timeout_min=settings.get().default_job_timeout_min,
        )
        wishes = triggers_wishes.of_source(session, project, source)
        decided = triggers.consider(session, project, wishes, moment)
        if decided is not None and decided.verdict.why == "too_soon_later":
            due_in_s = wishes.rules.pause_min * 60 - triggers.seconds_since_build(session, project)
            jobs.enqueue(session, look_again, decided.decision_id, due_in_s=max(1.0, due_in_s))


def built_before(session: Session, project: Project, sha: str) -> Verdict | None:
    """A commit comes to one branch after the other; it is built once."""
    mine = (
        select(Build.number)
        .join(TriggerDecision, TriggerDecision.build_id == Build.id)
        .where(TriggerDecision.project_id == project.id, TriggerDecision.sha == sha)
        .where(TriggerDecision.kind == Kind.COMMIT.value)
    )
    number = session.execute(mine.limit(1)).scalar_one_or_none()
    if number is None:
        return None
    return Verdict(is_wanted=False, why="already_built", facts={"number": number})


@jobs.task
def look_again(decision_id: UUID) -> None:
    """After the pause: the newest that had to wait is decided anew."""
    with db.transaction() as session:
        row = session.get(TriggerDecision, decision_id, with_for_update=True)
        if row is None or row.why != "too_soon_later":
            return
        newer = select(TriggerDecision.id).where(
            TriggerDecision.project_id == row.project_id,
            TriggerDecision.kind == row.kind,
            TriggerDecision.key == row.key,
            TriggerDecision.id > row.id,
            # One that is not built, for it changes words alone, says nothing about what came before it.
            TriggerDecision.is_wanted | TriggerDecision.why.in_(STANDS_FOR_OLDER),
        )
        if session.execute(newer.limit(1)).first() is not None:
            row.why, row.facts = "superseded", {"branch": row.key}
            return
        project = session.get_one(Project, row.project_id)
        if project.status != ProjectStatus.ACTIVE:
            row.why, row.facts = "inactive", {}
            return
        branch, sha = row.key, row.sha
        session.delete(row)
        session.flush()
        consider_commit(session, project.repository_id, branch, sha, only=project.id)
