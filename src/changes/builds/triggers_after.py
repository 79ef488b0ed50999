"""A project is built after another's green build, if its option build.after-projects names it."""

from collections.abc import Sequence
from functools import partial
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from changes.base import db, jobs
from changes.base.errors import Invalid
from changes.base.process import settings
from changes.builds import triggers, triggers_wishes
from changes.builds.events import BuildFinished
from changes.builds.models import Build
from changes.builds.rules import Result
from changes.builds.triggers import Moment
from changes.builds.triggers_models import TriggerDecision
from changes.builds.triggers_rules import TAG_OF, Kind, Occasion, Verdict
from changes.projects import looks, options, revisions
from changes.projects.looks import Looks
from changes.projects.models import Project, ProjectOption, Revision
from changes.projects.plan_options import lines_in
from changes.projects.rules import ProjectStatus

HEAD = "HEAD"
TAG = TAG_OF[Kind.PROJECT]


def note_green(session: Session, ended: Sequence[BuildFinished]) -> None:
    """One question for all that have ended; only where somebody follows there is work to do."""
    if not followers(session):
        return
    mine = select(Build.id).where(
        Build.id.in_({event.build_id for event in ended}), Build.result == Result.PASSED
    )
    for build_id in session.execute(mine).scalars():
        jobs.enqueue(session, build_followers, build_id)


def followers(session: Session) -> dict[UUID, list[str]]:
    """Projects, and the slugs of those that they follow."""
    said = select(ProjectOption.project_id, ProjectOption.value).where(
        ProjectOption.name == options.AFTER_PROJECTS
    )
    return {project_id: lines_in(value) for project_id, value in session.execute(said)}


@jobs.task
def build_followers(build_id: UUID) -> None:
    """Each in a transaction of its own; told twice, it is built once."""
    with db.transaction() as session:
        build = session.get(Build, build_id)
        if build is None or build.result != Result.PASSED or not is_of_main_line(build):
            return
        slug = build.project.slug
        following = [project_id for project_id, slugs in followers(session).items() if slug in slugs]
    for project_id in sorted(following):
        looks.outside(partial(follow_one, build_id, project_id))


def follow_one(build_id: UUID, project_id: UUID, found: Looks) -> None:
    with looks.transaction(found) as session:
        follow(session, session.get_one(Build, build_id), session.get_one(Project, project_id))


def is_of_main_line(build: Build) -> bool:
    """A patch, or a commit that is only on another branch, says nothing about what others build upon."""
    main, branches = build.source.repository.default_branch, build.source.revision.branches
    return build.source.patch_id is None and (not main or not branches or main in branches)


def follow(session: Session, build: Build, project: Project) -> None:
    if project.status != ProjectStatus.ACTIVE:
        return
    chain = [*chain_of(session, build), build.project.slug]
    try:
        revision = revision_for(session, build, project)
    except Invalid as error:
        gone = Verdict(is_wanted=False, why="gone", facts={"message": error.message})
        row = triggers.row_of(project.id, "", Kind.PROJECT, build.id.hex, gone)
        triggers.keep_rows(session, [row])
        return
    if project.slug in chain:
        circle = Verdict(is_wanted=False, why="in_a_circle", facts={"project": build.project.slug})
        row = triggers.row_of(project.id, revision.sha, Kind.PROJECT, build.id.hex, circle)
        triggers.keep_rows(session, [row])
        return
    source = revisions.source_of(session, revision)
    session.refresh(source)
    facts = {"project": build.project.slug, "number": build.number, "chain": chain}
    moment = Moment(
        what=Occasion(Kind.PROJECT, tuple(revision.branches), facts=facts),
        source=source,
        key=build.id.hex,
        tags=(TAG,),
        timeout_min=settings.get().default_job_timeout_min,
    )
    triggers.consider(session, project, triggers_wishes.of_source(session, project, source), moment)


def revision_for(session: Session, build: Build, project: Project) -> Revision:
    """The same commit where both are of one repository, else the newest of its default branch."""
    same = build.source.repository_id == project.repository_id
    return revisions.find(session, project.repository, build.source.revision_sha if same else HEAD)


def chain_of(session: Session, build: Build) -> list[str]:
    """Because of which projects this one was built, each after the one before."""
    mine = select(TriggerDecision.facts).where(
        TriggerDecision.build_id == build.id, TriggerDecision.kind == Kind.PROJECT.value
    )
    facts = session.execute(mine.limit(1)).scalar_one_or_none() or {}
    return list(facts.get("chain", []))
