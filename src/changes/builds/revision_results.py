"""What a commit is worth to a project: its newest finished build, with what its parent lends it.

A build that tests a part only takes the results of the other targets from its first parent. So a result
that comes late may change those of its children, and of theirs, up to a limit. A plan that none of the
commit's files concerned says what it said last on the branch, and may say that late as well.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.orm import Session, aliased

from changes.base import clock, events, ids
from changes.builds import rules
from changes.builds.bazel import ResultSource
from changes.builds.events import BuildFinished, RevisionResultUpdated
from changes.builds.green_models import RevisionResult
from changes.builds.models import BazelTarget, Build, Job
from changes.builds.queries import BARE
from changes.builds.rules import Cause, Result, Status
from changes.projects.models import Project, Revision, Source

GENERATIONS_MAX = 30
CHILDREN_MAX = 500
# So many builds back it is looked for what a plan said last.
LOOKED_AT = 1000
# In the wishes of a build: names of plans.
UNTOUCHED = "untouched"


@dataclass(frozen=True, order=True)
class OfCommit:
    """A commit as a project sees it."""

    project_id: UUID
    sha: str


def update(session: Session, ended: Collection[BuildFinished]) -> None:
    """Of the commits that these builds were of; a patch says nothing about the commit below it."""
    wanted = {event.build_id for event in ended}
    mine = select(Build.project_id, Source.revision_sha).join(Source, Source.id == Build.source_id)
    commits = mine.where(Build.id.in_(wanted), Source.patch_id.is_(None), Build.cause != Cause.SNAPSHOT)
    found = {OfCommit(row[0], row[1]) for row in session.execute(commits)}
    found |= leaning_on(session, wanted)
    for _ in range(GENERATIONS_MAX):
        changed = [commit for commit in sorted(found) if update_one(session, commit)]
        found = {child for commit in changed for child in children_of(session, commit)}
        if not found:
            return


def update_one(session: Session, commit: OfCommit) -> bool:
    """Whether it is worth something else than before; whoever listens is told of that alone."""
    build = newest_finished(session, commit)
    if build is None:
        return False
    lent = [*lent_by_parent(session, commit, build.id), *said_before(session, build)]
    result = rules.aggregate_result([build.result, *lent])
    before = stored(session, commit)
    row = insert(RevisionResult).values(
        id=ids.new(),
        date_created=clock.now(),
        project_id=commit.project_id,
        revision_sha=commit.sha,
        build_id=build.id,
        result=result,
    )
    latest = {"build_id": row.excluded.build_id, "result": row.excluded.result}
    session.execute(row.on_conflict_do_update(index_elements=["project_id", "revision_sha"], set_=latest))
    if before == result:
        return False
    events.announce(session, RevisionResultUpdated(commit.project_id, commit.sha, build.id, result))
    return True


def stored(session: Session, commit: OfCommit) -> Result | None:
    """Locked, so that of two who look at once the second sees what the first has found."""
    mine = select(RevisionResult.result).where(
        RevisionResult.project_id == commit.project_id, RevisionResult.revision_sha == commit.sha
    )
    return session.execute(mine.with_for_update()).scalar_one_or_none()


def newest_finished(session: Session, commit: OfCommit) -> Build | None:
    """By when it was asked for: one that ends late does not take the place of a newer one."""
    mine = (
        select(Build)
        .join(Source, Source.id == Build.source_id)
        .join(Project, (Project.id == Build.project_id) & (Project.repository_id == Source.repository_id))
        .where(Build.project_id == commit.project_id, Source.revision_sha == commit.sha)
        .where(Source.patch_id.is_(None), Build.cause != Cause.SNAPSHOT, Build.status == Status.FINISHED)
        # One of some of the plans says nothing about the rest of the commit.
        .where(~Build.wishes.has_key("plans"))
    )
    return session.execute(mine.order_by(Build.id.desc()).limit(1).options(*BARE)).scalar_one_or_none()


def lent_by_parent(session: Session, commit: OfCommit, build_id: UUID) -> list[Result]:
    """Of the targets this build did not run; UNKNOWN where the parent does not know either."""
    wanted = targets(session, build_id, ResultSource.FROM_PARENT)
    if not wanted:
        return []
    parent = newest_of_parent(session, commit)
    known = targets(session, parent.id, ResultSource.FROM_SELF) if parent is not None else {}
    return [known.get(target, Result.UNKNOWN) for target in wanted]


def said_before(session: Session, build: Build) -> Sequence[Result]:
    """What the plans said last that none of these files concerned, as far back as it is looked; UNKNOWN while
    they run.
    """
    names = build.wishes.get(UNTOUCHED, ())
    if not names:
        return []
    branches = build.source.revision.branches
    before = select(Build.id).where(Build.project_id == build.project_id, Build.id < build.id)
    before = before.order_by(Build.id.desc()).limit(LOOKED_AT)
    last = (
        select(Job.result)
        .ext(distinct_on(Job.label))
        .join(Build, Build.id == Job.build_id)
        .join(Source, Source.id == Build.source_id)
        .join(
            Revision,
            (Revision.repository_id == Source.repository_id) & (Revision.sha == Source.revision_sha),
        )
        .where(Build.id.in_(before), Build.cause != Cause.SNAPSHOT)
        .where(Source.patch_id.is_(None), Revision.branches.overlap(branches), Job.label.in_(names))
        .order_by(Job.label, Build.id.desc())
    )
    return session.execute(last).scalars().all()


def leaning_on(session: Session, build_ids: Collection[UUID]) -> set[OfCommit]:
    """Commits whose builds are over, and came after these with plans left out that may be theirs."""
    later = aliased(Build)
    found = (
        select(later.project_id, Source.revision_sha)
        .join(Build, (Build.project_id == later.project_id) & (Build.id < later.id))
        .join(Source, Source.id == later.source_id)
        .where(Build.id.in_(build_ids), later.wishes.has_key(UNTOUCHED))
        .where(later.status == Status.FINISHED, Source.patch_id.is_(None))
    )
    return {OfCommit(row[0], row[1]) for row in session.execute(found.distinct().limit(CHILDREN_MAX))}


def targets(session: Session, build_id: UUID, source: ResultSource) -> dict[tuple[str, str], Result]:
    """By the name of the plan and their own."""
    mine = select(Job.label, BazelTarget.name, BazelTarget.result).join(Job, Job.id == BazelTarget.job_id)
    found = mine.where(Job.build_id == build_id, BazelTarget.source == source)
    return {(row[0], row[1]): row[2] for row in session.execute(found)}


def newest_of_parent(session: Session, commit: OfCommit) -> Build | None:
    parents = (
        select(Revision.parents)
        .join(Project, Project.repository_id == Revision.repository_id)
        .where(Project.id == commit.project_id, Revision.sha == commit.sha)
    )
    known = session.execute(parents).scalar_one_or_none()
    return newest_finished(session, OfCommit(commit.project_id, known[0])) if known else None


def children_of(session: Session, commit: OfCommit) -> set[OfCommit]:
    """Those that borrowed from this one."""
    borrowed = (
        select(RevisionResult.revision_sha)
        .join(Job, Job.build_id == RevisionResult.build_id)
        .join(BazelTarget, (BazelTarget.job_id == Job.id) & (BazelTarget.source == ResultSource.FROM_PARENT))
        .join(Project, Project.id == RevisionResult.project_id)
        .join(
            Revision,
            (Revision.repository_id == Project.repository_id) & (Revision.sha == RevisionResult.revision_sha),
        )
        .where(RevisionResult.project_id == commit.project_id, Revision.parents[1] == commit.sha)
    )
    found = session.execute(borrowed.distinct().limit(CHILDREN_MAX)).scalars()
    return {OfCommit(commit.project_id, sha) for sha in found}


def of_commits(session: Session, project: Project, shas: Sequence[str]) -> dict[str, RevisionResult]:
    mine = select(RevisionResult).ext(distinct_on(RevisionResult.revision_sha))
    found = mine.where(RevisionResult.project_id == project.id, RevisionResult.revision_sha.in_(shas))
    return {each.revision_sha: each for each in session.execute(found).scalars()}
