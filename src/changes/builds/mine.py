"""What is whose: the builds of one person's changes, and which of them wait for that person."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, literal, or_, select, union
from sqlalchemy.orm import Session, aliased

from changes.base import clock
from changes.builds.models import Build
from changes.builds.rules import Result, Status
from changes.people import authors

RED = (Result.FAILED, Result.INFRA_FAILED)
NEWEST, RUNNING, STILL_RED = "newest", "running", "still red"
NEWEST_MAX, RUNNING_MAX, RED_MAX = 8, 20, 50
RED_LOOKED_AT = 60
# Whoever left a build red for longer than this does not wait for it to be shown.
RED_FOR = timedelta(days=30)


@dataclass(frozen=True)
class Mine:
    """`red` are builds since which nothing of the same line passed, the newest of each line."""

    running: Sequence[Build]
    red: Sequence[Build]
    newest: Sequence[Build]


def mine(session: Session, email: str) -> Mine:
    """Of whoever is named in the commits, or asked for the build, by this e-mail address."""
    mine = by_me(email)
    chosen = union(
        *(tagged(NEWEST, each, limit=NEWEST_MAX) for each in mine),
        *(tagged(RUNNING, each, Build.status != Status.FINISHED, limit=RUNNING_MAX) for each in mine),
        tagged(STILL_RED, Build.id.in_(red_ones(mine)), nothing_passed_since(), limit=RED_MAX),
    ).subquery()
    found = select(chosen.c.kind, Build).join(Build, Build.id == chosen.c.id).order_by(Build.id.desc())
    kinds: dict[str, list[Build]] = {NEWEST: [], RUNNING: [], STILL_RED: []}
    for kind, build in session.execute(found):
        kinds[kind].append(build)
    return Mine(kinds[RUNNING][:RUNNING_MAX], newest_of_lines(kinds[STILL_RED]), kinds[NEWEST][:NEWEST_MAX])


def by_me(email: str) -> list[ColumnElement[bool]]:
    """Each is looked up by an index of its own, which no OR of both could be."""
    written = Build.author_id.in_(authors.of_email(email))
    asked = (Build.asked_by != "") & (func.lower(Build.asked_by) == email.lower())
    return [written, asked]


def tagged(kind: str, *wanted: ColumnElement[bool], limit: int) -> Select[str, UUID]:
    found = select(Build.id).where(*wanted).order_by(Build.id.desc()).limit(limit).subquery()
    return select(literal(kind).label("kind"), found.c.id)


def red_ones(mine: Sequence[ColumnElement[bool]]) -> Select[UUID]:
    """Only of these it is asked what came after: there is a limit to what anybody mends."""
    recent = Build.date_created > clock.now() - RED_FOR
    is_red = (recent, Build.status == Status.FINISHED, Build.result.in_(RED))
    newest = union(*(tagged(STILL_RED, each, *is_red, limit=RED_LOOKED_AT) for each in mine)).cte("red_ones")
    return select(newest.c.id)


def nothing_passed_since() -> ColumnElement[bool]:
    """A line is the commits of a project, or one change under review, known by its title and author."""
    later = aliased(Build)
    both_of_commits = Build.source.has(patch_id=None) & later.source.has(patch_id=None)
    same_change = (later.label == Build.label) & (later.author_id == Build.author_id)
    passed_since = select(later.id).where(
        later.project_id == Build.project_id,
        later.id > Build.id,
        later.status == Status.FINISHED,
        later.result == Result.PASSED,
        or_(both_of_commits, same_change, later.source_id == Build.source_id),
    )
    # With an order and a limit each of the few is looked up through the index of its project; as a mere
    # NOT EXISTS it would be joined with all builds there are.
    return passed_since.order_by(later.id).limit(1).scalar_subquery().is_(None)


def newest_of_lines(red: Sequence[Build]) -> list[Build]:
    lines: dict[tuple[UUID, str], Build] = {}
    for build in red:
        line = build.label if build.source.patch_id else ""
        lines.setdefault((build.project_id, line), build)
    return list(lines.values())
