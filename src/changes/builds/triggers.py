"""What happens to repositories, and which builds come of it. Each answer is kept, with its reason.

The rules are in triggers_rules.py; here the facts are gathered, and what was decided is done.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from changes.base import bell, clock, ids
from changes.base.errors import Invalid
from changes.builds import create, planned, triggers_rules
from changes.builds.create import NewBuild
from changes.builds.models import Build, OutsideBuild
from changes.builds.planned import PlannedJob
from changes.builds.rules import Cause
from changes.builds.triggers_models import TriggerDecision
from changes.builds.triggers_rules import Kind, Occasion, Verdict
from changes.builds.triggers_wishes import ProjectWishes
from changes.builds.wishes import Wishes
from changes.projects.models import Project, Source

TARGET_SHA_LENGTH = 12
SECONDS_PER_MINUTE = 60


@dataclass(frozen=True)
class Moment:
    """Something that happened to one project. `key` tells it from others of its kind."""

    what: Occasion
    source: Source
    key: str = ""
    tags: tuple[str, ...] = ()
    label: str = ""
    target: str = ""
    collection_id: UUID = field(default_factory=ids.new)
    parameters: Mapping[str, str] = field(default_factory=dict)
    is_trusted: bool = True
    timeout_min: int = create.DEFAULT_TIMEOUT_MIN


@dataclass(frozen=True)
class Decided:
    decision_id: UUID
    verdict: Verdict
    build: Build | None = None


def consider(session: Session, project: Project, wishes: ProjectWishes, moment: Moment) -> Decided | None:
    """None where this was decided already: whoever tells us may tell it twice."""
    minutes = seconds_since_build(session, project) / SECONDS_PER_MINUTE
    what = replace(moment.what, minutes_since_build=minutes)
    verdict = triggers_rules.decide(wishes.rules, what)
    decision_id = keep(session, project, moment, verdict)
    if decision_id is None:
        return None
    bell.tell(session, f"project:{project.id.hex}")
    if not verdict.is_wanted:
        return Decided(decision_id, verdict)
    return build(session, project, wishes, replace(moment, what=what), Decided(decision_id, verdict))


def build(
    session: Session, project: Project, wishes: ProjectWishes, moment: Moment, decided: Decided
) -> Decided:
    """Its plans have a word too; one that is wrong is built, so that everybody sees what is wrong."""
    problem = wishes.problem
    plans: dict[str, Verdict] = {}
    try:
        jobs = planned.jobs_of(session, project, moment.source)
        plans = of_plans(jobs, moment.what)
    except Invalid as error:
        problem = error.message
    chosen = tuple(name for name, verdict in plans.items() if verdict.is_wanted)
    if not chosen and not problem:
        verdict = Verdict(is_wanted=False, why="no_plan_wants_it" if plans else "no_plans")
        return correct(session, decided, verdict, plans)
    asked = new_build(moment, wishes_for(moment, plans, chosen), problem)
    made = create.create_build(session, project, asked)
    unreadable = Verdict(is_wanted=True, why="unreadable", facts={"message": problem})
    verdict = unreadable if problem else decided.verdict
    return correct(session, replace(decided, build=made), verdict, plans)


def of_plans(jobs: Sequence[PlannedJob], what: Occasion) -> dict[str, Verdict]:
    wishes = {each.plan.label: each.terms.wishes for each in jobs}
    needs = {each.plan.label: each.terms.needs for each in jobs}
    return triggers_rules.decide_plans(wishes, needs, what)


def wishes_for(moment: Moment, plans: Mapping[str, Verdict], chosen: tuple[str, ...]) -> Wishes:
    """A commit is worth what the plans for commits say; a build for another occasion is a part of that."""
    some = () if len(chosen) == len(plans) else chosen
    if moment.what.kind != Kind.COMMIT:
        return Wishes(some, moment.parameters)
    untouched = tuple(name for name, verdict in plans.items() if verdict.why in triggers_rules.UNTOUCHED)
    return Wishes(parameters=moment.parameters, fitting=some, untouched=untouched)


def new_build(moment: Moment, asked: Wishes, problem: str) -> NewBuild:
    revision = moment.source.revision
    return NewBuild(
        source=moment.source,
        collection_id=moment.collection_id,
        label=moment.label or revision.subject or "A homeless build",
        target=moment.target or revision.sha[:TARGET_SHA_LENGTH],
        message=revision.message,
        author=revision.author,
        is_trusted=moment.is_trusted,
        cause=Cause.PUSH if moment.what.kind == Kind.COMMIT else Cause.UNKNOWN,
        tags=list(moment.tags),
        timeout_min=moment.timeout_min,
        wishes=asked,
        problem=problem,
    )


def seconds_since_build(session: Session, project: Project) -> float:
    """By the clock that wrote them; the original compared it with another one's. Infinite without any. What
    ran elsewhere cost no machine of ours, and puts nothing off.
    """
    ran_elsewhere = select(OutsideBuild.build_id).where(OutsideBuild.build_id == Build.id).exists()
    newest = select(Build.date_created).where(Build.project_id == project.id, ~ran_elsewhere)
    newest = newest.order_by(Build.id.desc())
    made = session.execute(newest.limit(1)).scalar_one_or_none()
    return inf if made is None else (clock.now() - made).total_seconds()


# --- what is kept ----------------------------------------------------------------------------


def keep(session: Session, project: Project, moment: Moment, verdict: Verdict) -> UUID | None:
    row = row_of(project.id, moment.source.revision_sha, moment.what.kind, moment.key, verdict)
    return keep_rows(session, [row]).get(moment.source.revision_sha)


def row_of(project_id: UUID, sha: str, kind: Kind, key: str, verdict: Verdict) -> dict[str, Any]:
    return {
        "id": ids.new(),
        "project_id": project_id,
        "sha": sha,
        "kind": kind.value,
        "key": key,
        "is_wanted": verdict.is_wanted,
        "why": verdict.why,
        "facts": dict(verdict.facts),
        "plans": {},
        "date_created": clock.now(),
    }


def keep_rows(session: Session, rows: Sequence[dict[str, Any]]) -> dict[str, UUID]:
    """What was decided already stays as it is; those that are new, by their commits."""
    if not rows:
        return {}
    added = insert(TriggerDecision).values(list(rows)).on_conflict_do_nothing()
    made = session.execute(added.returning(TriggerDecision.sha, TriggerDecision.id))
    return {row.sha: row.id for row in made}


def correct(session: Session, decided: Decided, verdict: Verdict, plans: Mapping[str, Verdict]) -> Decided:
    row = session.get_one(TriggerDecision, decided.decision_id)
    row.is_wanted, row.why, row.facts = verdict.is_wanted, verdict.why, dict(verdict.facts)
    # The database keeps such names in an order of its own.
    row.plans = {
        name: {"is_wanted": each.is_wanted, "why": each.why, "facts": dict(each.facts), "place": place}
        for place, (name, each) in enumerate(plans.items())
    }
    row.build_id = decided.build.id if decided.build else None
    session.flush()
    return replace(decided, verdict=verdict)
