"""What was decided about the commits and patches of the month, what builds by the clock, and branches."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import aggregate_order_by, distinct_on, insert
from sqlalchemy.orm import Session

from changes.app.demo.catalogue import HOST
from changes.app.demo.dice import Dice
from changes.app.demo.rows import Ids
from changes.base import ids
from changes.builds import schedules, triggers
from changes.builds.green_models import LatestGreenBuild, RevisionResult
from changes.builds.models import Build, Job
from changes.builds.rules import Cause, Result, Status
from changes.builds.schedules import Wanted
from changes.builds.triggers_rules import Kind, Verdict
from changes.projects import heads
from changes.projects.models import Branch, Project, Repository, Revision, Source
from changes.projects.rules import ProjectStatus
from changes.projects.sync_rules import Move

# The newest of all projects; a filling may have fifty thousand.
BUILDS_MAX, SKIPPED_MAX = 800, 400
BUILT = {
    Kind.COMMIT: Verdict(is_wanted=True, why="wanted_commit", facts={"branch": "main"}),
    Kind.DIFF: Verdict(is_wanted=True, why="wanted_diff"),
}
SKIPPED = (
    Verdict(is_wanted=False, why="files_not_wanted", facts={"files": "deploy/helm/values.yaml"}),
    Verdict(is_wanted=False, why="files_ignored", facts={"files": "README.md, docs/operations.md"}),
    Verdict(is_wanted=False, why="superseded", facts={"branch": "main"}),
    Verdict(is_wanted=False, why="skip_marker", facts={"marker": "[skip ci]"}),
)
WANTED = {"is_wanted": True, "why": "plan_wanted", "facts": {}}
CLOCKS = {
    "orbit-api": Wanted("nightly", "30 2 * * 1-5", "Europe/Berlin", jitter_min=15, only_if_changed=True),
    "web": Wanted("nightly", "0 3 * * *", "Europe/Berlin", jitter_min=15),
    "infra": Wanted("look for drift", "15 */6 * * *"),
}
BRANCHES_BESIDE = ("release-41", "release-40", "feature/quiet-hours", "fix/leaking-handles")


def tell(session: Session, seed: int) -> None:
    dice = Dice(seed)
    made = Ids(dice)
    rows = [*built(session), *skipped(session, dice)]
    triggers.keep_rows(session, [{**row, "id": made.at(row["date_created"])} for row in rows])
    for slug, clock in CLOCKS.items():
        project = session.execute(select(Project).where(Project.slug == slug)).scalar_one_or_none()
        if project is not None and not schedules.of(session, project):
            schedules.create(session, project, clock)
    branch_off(session)
    mark_green(session)


def built(session: Session) -> Iterator[dict[str, Any]]:
    names = func.array_agg(aggregate_order_by(Job.label, Job.number))
    jobs = select(names).where(Job.build_id == Build.id).correlate(Build).scalar_subquery()
    found = (
        select(Build.id, Build.project_id, Build.date_created, Source.revision_sha, Source.patch_id, jobs)
        .join(Source, Source.id == Build.source_id)
        .join(Repository, Repository.id == Source.repository_id)
        .where(Repository.url.startswith(HOST, autoescape=True))
        .where((Build.cause == Cause.PUSH) | ((Build.cause == Cause.UNKNOWN) & Source.patch_id.is_not(None)))
        .order_by(Build.id.desc())
        .limit(BUILDS_MAX)
    )
    for build_id, project_id, at, sha, patch_id, plans in session.execute(found):
        kind, key = (Kind.DIFF, patch_id.hex) if patch_id else (Kind.COMMIT, "main")
        told = {name: {**WANTED, "place": place} for place, name in enumerate(plans or ())}
        yield row_of(project_id, (sha, kind, key), BUILT[kind], at) | {"plans": told, "build_id": build_id}


def skipped(session: Session, dice: Dice) -> Iterator[dict[str, Any]]:
    """Commits of a repository that one of its projects did not build."""
    mine = select(Build.id).join(Source, Source.id == Build.source_id)
    mine = mine.where(Build.project_id == Project.id, Source.revision_sha == Revision.sha)
    found = (
        select(Project.id, Revision.sha, Revision.date_created)
        .join(Repository, Repository.id == Project.repository_id)
        .join(Revision, Revision.repository_id == Project.repository_id)
        .where(Repository.url.startswith(HOST, autoescape=True), Project.status == ProjectStatus.ACTIVE)
        .where(func.cardinality(Revision.parents) > 0, ~mine.exists())
        .order_by(Revision.date_created.desc(), Project.slug)
        .limit(SKIPPED_MAX)
    )
    for project_id, sha, at in session.execute(found).all():
        verdict = dice.pick(SKIPPED, (5, 4, 2, 1))
        yield row_of(project_id, (sha, Kind.COMMIT, "main"), verdict, at) | {"build_id": None}


def row_of(project_id: UUID, what: tuple[str, Kind, str], verdict: Verdict, at: datetime) -> dict[str, Any]:
    sha, kind, key = what
    return triggers.row_of(project_id, sha, kind, key, verdict) | {"date_created": at}


def branch_off(session: Session) -> None:
    """Nobody reads these repositories, so what they hold is told here."""
    mine = select(Repository).where(Repository.url.startswith(HOST, autoescape=True))
    for repository in session.execute(mine.where(Repository.default_branch == "")).scalars():
        repository.default_branch = "main"
        commits = newest(session, repository, len(BRANCHES_BESIDE) * 3 + 1)
        beside = zip(BRANCHES_BESIDE, commits[3::3], strict=False)
        moves = [Move(name, None, each.sha) for name, each in beside]
        if commits:
            heads.keep(session, repository.id, [Move("main", None, commits[0].sha), *moves], ())
        for branch in session.execute(select(Branch).where(Branch.repository_id == repository.id)).scalars():
            branch.date_changed = next(each.date_created for each in commits if each.sha == branch.sha)


def mark_green(session: Session) -> None:
    """As each of these builds would have been when it ended."""
    green = (
        select(Build.id, Build.project_id, Build.date_finished, Source.revision_sha)
        .ext(distinct_on(Build.project_id))
        .join(Source, Source.id == Build.source_id)
        .join(Repository, Repository.id == Source.repository_id)
        .where(Build.result == Result.PASSED, Build.status == Status.FINISHED, Build.cause == Cause.PUSH)
        .where(Repository.url.startswith(HOST, autoescape=True), Source.patch_id.is_(None))
        .order_by(Build.project_id, Build.id.desc())
    )
    for build_id, project_id, at, sha in session.execute(green).all():
        about = {"project_id": project_id, "build_id": build_id, "date_created": at}
        worth = insert(RevisionResult).values(id=ids.new(), revision_sha=sha, result=Result.PASSED, **about)
        mark = insert(LatestGreenBuild).values(id=ids.new(), branch="main", sha=sha, **about)
        session.execute(worth.on_conflict_do_nothing())
        session.execute(mark.on_conflict_do_nothing())


def newest(session: Session, repository: Repository, limit: int) -> Sequence[Revision]:
    mine = select(Revision).where(Revision.repository_id == repository.id)
    return session.execute(mine.order_by(Revision.date_created.desc()).limit(limit)).scalars().all()
