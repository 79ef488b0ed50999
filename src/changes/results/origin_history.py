"""What is known already of the commits below one on which a test fails: their order, and how it went there.

The line is that of first parents: what a merge brought counts as one commit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, Select, select, text
from sqlalchemy.orm import Session

from changes.base.errors import Conflict, Invalid
from changes.builds.models import Build, Job, JobPlan
from changes.builds.rules import Cause, Status
from changes.projects import commits
from changes.projects.models import Plan, Project, Revision, Source
from changes.projects.rules import ProjectStatus, RepositoryBackend
from changes.results import testruns
from changes.results.models import Test, TestBatch, TestRun
from changes.results.origin_rules import BAD_RESULTS, Verdict, verdict_of

# So many commits are searched at most, and so many runs of the test are read for it.
COMMITS_MAX, RUNS_MAX = 1000, 5000
LINE = text("""
    with recursive line (sha, place, parent) as (
        select sha, 0, parents[1] from revision where repository_id = :repository and sha = :sha
        union all
        select revision.sha, line.place + 1, revision.parents[1] from line
        join revision on revision.repository_id = :repository and revision.sha = line.parent
        where line.place < :most
    )
    select sha from line order by place
""")


@dataclass(frozen=True)
class Known:
    verdict: Verdict
    build_id: UUID


@dataclass(frozen=True)
class Where:
    """In which plan the test runs. Where it ran elsewhere that is no plan of ours, but the name of a part of
    such builds. Empty is anywhere.
    """

    plan: str = ""
    is_told: bool = False


ANYWHERE = Where()


@dataclass(frozen=True)
class Line:
    """From the good commit to the bad one, the oldest first, and what is known of each."""

    shas: Sequence[str]
    known: Mapping[str, Known]
    where: Where

    @property
    def verdicts(self) -> list[Verdict]:
        return [self.known[sha].verdict if sha in self.known else Verdict.UNKNOWN for sha in self.shas]


def line_of(session: Session, project: Project, test: Test, *, good: str = "", bad: str = "") -> Line:
    """Raises Conflict in words where there is nothing to search, and why."""
    refuse(project)
    at = commits.commit_beginning(session, project.repository, bad).sha if bad else ""
    newest_bad, where = newest_failure(session, project, test, at=at)
    below = first_parents(session, project, newest_bad)
    known = known_of(session, project, test, below, where)
    if newest_bad in known and known[newest_bad].verdict == Verdict.GOOD:
        flaky = f"{test.name} both failed and passed at {newest_bad[:12]}: it is flaky there, and not broken."
        raise Conflict(flaky, ["bad"])
    if newest_bad not in known:
        raise Conflict(f"Nobody has seen {test.name} fail at {newest_bad[:12]}; build that first.", ["bad"])
    last = place_of_good(session, project, below, known, good)
    return Line(list(reversed(below[: last + 1])), known, where)


def refuse(project: Project) -> None:
    if project.status != ProjectStatus.ACTIVE:
        raise Invalid(f"The project {project.slug} is not active.", ["project"])
    if project.repository.backend == RepositoryBackend.UNKNOWN:
        raise Conflict("Its repository is no version control: there are no commits to search.", ["project"])


def newest_failure(session: Session, project: Project, test: Test, *, at: str = "") -> tuple[str, Where]:
    """The commit of the newest build in which it failed, or this one; and where it ran. What failed in a plan
    of ours can be built again, so it goes before what was told of builds elsewhere.
    """
    for is_told in (False, True):
        row = session.execute(failures(project, test, at=at, is_told=is_told).limit(1)).one_or_none()
        if row is not None:
            return row[0], Where(row[1], is_told)
    if at:
        raise Conflict(f"Nobody has seen {test.name} fail at {at[:12]}; build that first.", ["bad"])
    raise Conflict(f"{test.name} has failed in no build of a commit.", ["test"])


def failures(project: Project, test: Test, *, at: str, is_told: bool) -> Select[str, str]:
    """Newest first: of which commit, and in which plan or part."""
    found = select(Source.revision_sha, Job.label if is_told else Plan.label).select_from(TestRun)
    found = found.join(TestBatch, testruns.is_batch_of_run()).join(Build, Build.id == TestBatch.build_id)
    found = found.join(Source, Source.id == Build.source_id).join(Job, Job.id == TestBatch.job_id)
    found = found.outerjoin(JobPlan, JobPlan.job_id == Job.id).outerjoin(Plan, Plan.id == JobPlan.plan_id)
    found = found.where(JobPlan.id.is_(None) if is_told else Plan.id.is_not(None))
    mine = found.where(TestRun.test_id == test.id, TestRun.result.in_(BAD_RESULTS))
    of_commit = mine.where(Source.patch_id.is_(None), Build.project_id == project.id)
    of_commit = of_commit.where(testruns.of_newest_attempt())
    if at:
        of_commit = of_commit.where(Source.revision_sha == at)
    return of_commit.order_by(TestRun.id.desc())


def first_parents(session: Session, project: Project, sha: str) -> list[str]:
    """The commit itself, then what it stands on, the newest first."""
    given = {"repository": project.repository_id, "sha": sha, "most": COMMITS_MAX}
    return list(session.execute(LINE, given).scalars())


def known_of(
    session: Session,
    project: Project,
    test: Test,
    shas: Sequence[str],
    where: Where = ANYWHERE,
) -> dict[str, Known]:
    """By the newest build of each of these commits, of this plan or part: elsewhere the same test may go
    another way. A build that ended without the test says that.
    """
    of_sha = (Source.repository_id == project.repository_id) & Source.revision_sha.in_(shas)
    of_commit = of_sha & Source.patch_id.is_(None) & (Build.project_id == project.id)
    found = select(Source.revision_sha, TestRun.result, Build.id).select_from(TestRun)
    found = found.join(TestBatch, testruns.is_batch_of_run()).join(Build, Build.id == TestBatch.build_id)
    found = found.join(Source, Source.id == Build.source_id)
    mine = found.where(TestRun.test_id == test.id, of_commit, testruns.of_newest_attempt())
    runs = mine.where(Build.status == Status.FINISHED, Build.cause != Cause.SNAPSHOT)
    if where != ANYWHERE:
        runs = runs.where(is_of_part(where.plan) if where.is_told else is_of_plan(where.plan))
    known: dict[str, Known] = {}
    for sha, result, build_id in session.execute(runs.order_by(TestRun.id.desc()).limit(RUNS_MAX)):
        verdict = verdict_of(result)
        before = known.setdefault(sha, Known(verdict, build_id)) if verdict != Verdict.UNTESTABLE else None
        # One of the surroundings of the plan where it failed is enough.
        if verdict == Verdict.BAD and before is not None and before.build_id == build_id:
            known[sha] = Known(verdict, build_id)
    return known


def is_of_plan(plan: str) -> ColumnElement[bool]:
    mine = select(JobPlan.id).join(Plan, Plan.id == JobPlan.plan_id)
    return mine.where(JobPlan.job_id == TestBatch.job_id, Plan.label == plan).exists()


def is_of_part(label: str) -> ColumnElement[bool]:
    """Of builds elsewhere, which have no plan of ours."""
    has_plan = select(JobPlan.id).where(JobPlan.job_id == TestBatch.job_id).exists()
    return select(Job.id).where(Job.id == TestBatch.job_id, Job.label == label).exists() & ~has_plan


def place_of_good(
    session: Session, project: Project, below: Sequence[str], known: Mapping[str, Known], good: str
) -> int:
    """How far down the good commit is: the nearest that is known to be, or the one that was named."""
    if good:
        sha = commits.commit_beginning(session, project.repository, good).sha
        if sha not in below:
            raise Conflict(f"{sha[:12]} is not below {below[0][:12]} by first parents.", ["good"])
        if sha not in known or known[sha].verdict != Verdict.GOOD:
            raise Conflict(f"Nobody has seen the test pass at {sha[:12]}; build that first.", ["good"])
        return below.index(sha)
    passed = (place for place, sha in enumerate(below) if sha in known and known[sha].verdict == Verdict.GOOD)
    nearest = next(passed, None)
    if nearest is not None:
        return nearest
    if len(below) == 1 and not has_unread_parent(session, project, below[-1]):
        raise Conflict(
            f"No commit below {below[0][:12]} is known: Changes has not read the repository that far, and"
            " without it nobody knows which commits are in between.",
            ["good"],
        )
    if len(below) <= COMMITS_MAX and has_unread_parent(session, project, below[-1]):
        raise Conflict(f"What is below {below[-1][:12]} has not been read yet; ask again soon.", ["good"])
    raise Conflict(
        f"In the {len(below)} commits up to {below[0][:12]} nobody has seen the test pass:"
        " build one where it does.",
        ["good"],
    )


def has_unread_parent(session: Session, project: Project, sha: str) -> bool:
    """The repository is read in the background; what was asked for by name is known before."""
    revision = session.get(Revision, (project.repository_id, sha))
    return revision is not None and bool(revision.parents)


def unfinished_builds(session: Session, project: Project, shas: Sequence[str]) -> dict[str, UUID]:
    """Of commits that somebody builds at this moment: nobody needs to ask for them again."""
    found = select(Source.revision_sha, Build.id).join(Source, Source.id == Build.source_id)
    mine = found.where(Build.project_id == project.id, Source.repository_id == project.repository_id)
    of_these = mine.where(Source.revision_sha.in_(shas), Source.patch_id.is_(None))
    going_on = of_these.where(Build.status != Status.FINISHED, Build.cause != Cause.SNAPSHOT)
    whole = going_on.where(~Build.wishes.has_key("plans"))
    return {row[0]: row[1] for row in session.execute(whole.order_by(Build.id))}
