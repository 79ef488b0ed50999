"""Why something was built, or not: reads of what was decided."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session, joinedload

from changes.base import clock
from changes.base.errors import Invalid, NotFound
from changes.base.paging import Page, Part, newest_first
from changes.builds import triggers_rules
from changes.builds.models import Build
from changes.builds.triggers_models import TriggerDecision
from changes.projects import options, queries
from changes.projects.models import Project, Revision

KEEP_DAYS = 180
CLEAN_AT_ONCE = 20_000
SHA_BEGINS_WITH = 4
DECISIONS_SHOWN = 100


@dataclass(frozen=True)
class PlanTold:
    name: str
    is_wanted: bool
    text: str


@dataclass(frozen=True)
class Told:
    """A decision in words."""

    decision: TriggerDecision | None
    kind: str
    sha: str
    is_wanted: bool
    text: str
    plans: list[PlanTold]

    @property
    def build(self) -> Build | None:
        return self.decision.build if self.decision else None


def told(decision: TriggerDecision) -> Told:
    return Told(
        decision,
        decision.kind,
        decision.sha,
        decision.is_wanted,
        triggers_rules.sentence(decision.why, decision.facts),
        [plan_told(name, each) for name, each in decision.plans.items()],
    )


def plan_told(name: str, kept: dict[str, Any]) -> PlanTold:
    text = triggers_rules.sentence(str(kept.get("why")), kept.get("facts") or {})
    return PlanTold(name, bool(kept.get("is_wanted")), text)


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
    """Newest first. Where nothing was decided, that is explained."""
    mine = (
        select(TriggerDecision)
        .where(TriggerDecision.project_id == project.id, TriggerDecision.sha == revision.sha)
        .options(joinedload(TriggerDecision.build))
        .order_by(TriggerDecision.id.desc())
        .limit(DECISIONS_SHOWN)
    )
    found = [told(decision) for decision in session.execute(mine).unique().scalars()]
    return found or [unlooked(session, project, revision)]


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
