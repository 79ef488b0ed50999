"""Why something was built, or not: reads of what was decided."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import Session, joinedload

from changes.base import clock
from changes.base.errors import Invalid, NotFound
from changes.base.paging import Page, Part, newest_first
from changes.builds import triggers_rules
from changes.builds.models import Build, Job
from changes.builds.rules import Cause
from changes.builds.triggers_models import TriggerDecision
from changes.builds.triggers_rules import Kind
from changes.projects import options, queries
from changes.projects.models import Project, Revision, Source

KEEP_DAYS = 180
CLEAN_AT_ONCE = 20_000
SHA_BEGINS_WITH = 4
DECISIONS_SHOWN = 100
SOMEBODY = "Somebody"
WHY_ASKED = {Cause.RETRY: "asked_again", Cause.SNAPSHOT: "asked_snapshot"}
# Of plans that are run because nothing speaks against it.
AS_USUAL = {"plan_wanted", "plan_asked"}


@dataclass(frozen=True)
class PlanTold:
    name: str
    is_wanted: bool
    text: str
    is_as_usual: bool = False


@dataclass(frozen=True)
class Told:
    """A decision in words; without one, it is of a build that somebody asked for, or of none at all."""

    decision: TriggerDecision | None
    kind: str
    sha: str
    is_wanted: bool
    text: str
    plans: list[PlanTold]
    asked: Build | None = None

    @property
    def build(self) -> Build | None:
        return self.decision.build if self.decision else self.asked

    @property
    def plans_as_usual(self) -> list[str]:
        return [each.name for each in self.plans if each.is_as_usual]


def told(decision: TriggerDecision) -> Told:
    return Told(
        decision,
        decision.kind,
        decision.sha,
        decision.is_wanted,
        triggers_rules.sentence(decision.why, decision.facts),
        [plan_told(name, each) for name, each in sorted(decision.plans.items(), key=place_of)],
    )


def place_of(plan: tuple[str, dict[str, Any]]) -> int:
    """In the file, or among the plans on the server."""
    return int(plan[1].get("place", 0))


def plan_told(name: str, kept: dict[str, Any]) -> PlanTold:
    why = str(kept.get("why"))
    text = triggers_rules.sentence(why, kept.get("facts") or {})
    return PlanTold(name, bool(kept.get("is_wanted")), text, why in AS_USUAL)


def decisions(session: Session, project: Project, page: Page, *, only: str = "") -> Part[TriggerDecision]:
    """Newest first."""
    with_build = select(TriggerDecision).options(joinedload(TriggerDecision.build))
    mine = with_build.where(TriggerDecision.project_id == project.id)
    if only:
        mine = mine.where(TriggerDecision.is_wanted.is_(only == "built"))
    return newest_first(session, mine, TriggerDecision.id, page)


def revision_like(session: Session, project: Project, sha: str) -> Revision:
    """By its full sha or the beginning of it."""
    name = sha.lower()
    if len(name) < SHA_BEGINS_WITH or not set(name) <= set("0123456789abcdef"):
        raise Invalid("Give a sha, or at least the first four characters of one.", ["sha"])
    mine = select(Revision).where(Revision.repository_id == project.repository_id)
    found = session.execute(mine.where(Revision.sha.startswith(name)).limit(2)).unique().scalars().all()
    if not found:
        raise NotFound(f"The repository of {project.slug} has no commit {name[:40]} that is known here.")
    if len(found) > 1:
        raise Invalid(f"Several commits begin with {name}; give more of it.", ["sha"])
    return found[0]


def why_built(session: Session, project: Project, revision: Revision) -> Sequence[Told]:
    """Newest first, what was asked for before what was decided. Where nothing was, that is explained."""
    mine = (
        select(TriggerDecision)
        .where(TriggerDecision.project_id == project.id, TriggerDecision.sha == revision.sha)
        .options(joinedload(TriggerDecision.build))
        .order_by(TriggerDecision.id.desc())
        .limit(DECISIONS_SHOWN)
    )
    found = [told(decision) for decision in session.execute(mine).unique().scalars()]
    return [*asked_for(session, project, revision), *(found or [unlooked(session, project, revision)])]


def asked_for(session: Session, project: Project, revision: Revision) -> list[Told]:
    """Builds of the commit itself that no trigger has made."""
    decided = select(TriggerDecision.id).where(TriggerDecision.build_id == Build.id)
    names = func.array_agg(aggregate_order_by(Job.label, Job.number))
    jobs = select(names).where(Job.build_id == Build.id).correlate(Build).scalar_subquery()
    mine = (
        select(Build, jobs)
        .join(Source, Source.id == Build.source_id)
        .where(Source.repository_id == project.repository_id, Source.revision_sha == revision.sha)
        .where(Build.project_id == project.id, Source.patch_id.is_(None), ~decided.exists())
        .order_by(Build.id.desc())
        .limit(DECISIONS_SHOWN)
    )
    return [told_of_asked(revision.sha, row[0], row[1] or []) for row in session.execute(mine)]


def told_of_asked(sha: str, build: Build, plans: Sequence[str]) -> Told:
    why = WHY_ASKED.get(build.cause, "asked")
    text = triggers_rules.sentence(why, {"by": build.asked_by or SOMEBODY})
    run = [plan_told(name, {"why": "plan_asked", "is_wanted": True}) for name in plans]
    return Told(None, Kind.MANUAL.value, sha, is_wanted=True, text=text, plans=run, asked=build)


def unlooked(session: Session, project: Project, revision: Revision) -> Told:
    said = options.with_defaults(queries.options(session, project))
    why = "commit_trigger_off" if said[options.COMMIT_TRIGGER] != "1" else "nobody_looked"
    if revision.date_committed is not None and revision.date_committed < project.date_created:
        why = "first_import"
    text = triggers_rules.sentence(why, {})
    return Told(None, "commit", revision.sha, is_wanted=False, text=text, plans=[])


def clean(session: Session) -> int:
    """Forgets what is long ago, a part at a time."""
    before = clock.now() - timedelta(days=KEEP_DAYS)
    old = select(TriggerDecision.id).where(TriggerDecision.date_created < before).limit(CLEAN_AT_ONCE)
    gone = delete(TriggerDecision).where(TriggerDecision.id.in_(old))
    return len(session.execute(gone.returning(TriggerDecision.id)).all())
