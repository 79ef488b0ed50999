"""The branches of a repository as they were at the last look."""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, case, delete, func, literal, select, update
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.orm import Session
from sqlalchemy.types import Text

from changes.base import clock
from changes.projects.models import Branch, Repository, Revision
from changes.projects.sync_rules import Move

ROWS_PER_STATEMENT = 5000
BRANCHES_MAX = 1000


def known(session: Session, repository_id: UUID) -> dict[str, str]:
    mine = select(Branch.name, Branch.sha).where(Branch.repository_id == repository_id)
    return {row[0]: row[1] for row in session.execute(mine)}


def keep(session: Session, repository_id: UUID, moved: Sequence[Move], gone: Collection[str]) -> None:
    now = clock.now()
    names = sorted(gone)
    for start in range(0, len(names), ROWS_PER_STATEMENT):
        some = names[start : start + ROWS_PER_STATEMENT]
        session.execute(delete(Branch).where(Branch.repository_id == repository_id, Branch.name.in_(some)))
    row = insert(Branch)
    upsert = row.on_conflict_do_update(
        index_elements=[Branch.repository_id, Branch.name],
        set_={"sha": row.excluded.sha, "date_changed": row.excluded.date_changed},
    )
    for start in range(0, len(moved), ROWS_PER_STATEMENT):
        some_moved = moved[start : start + ROWS_PER_STATEMENT]
        rows = [
            {"repository_id": repository_id, "name": move.name, "sha": move.new, "date_changed": now}
            for move in some_moved
        ]
        session.execute(upsert, rows)


def add_to_branch(session: Session, repository: Repository, branch: str, shas: Sequence[str]) -> None:
    """Commits that came to this branch; of one on the default branch the others say nothing more."""
    mine = Revision.repository_id == repository.id, Revision.sha == func.any(literal(shas, ARRAY(Text)))
    without = func.array_remove(Revision.branches, branch)
    joined: ColumnElement[list[str]] = func.array_prepend(branch, without)
    if branch != repository.default_branch:
        on_default = Revision.branches.contains([repository.default_branch])
        joined = case((on_default, Revision.branches), else_=func.array_append(without, branch))
    statement = update(Revision).where(*mine).values(branches=joined)
    session.execute(statement.execution_options(synchronize_session=False))


def listed(
    session: Session, repository: Repository, *, query: str = "", limit: int = BRANCHES_MAX
) -> Sequence[Branch]:
    """The default one first, then those that moved last."""
    mine = select(Branch).where(Branch.repository_id == repository.id)
    if query:
        mine = mine.where(Branch.name.istartswith(query, autoescape=True))
    first = (Branch.name == repository.default_branch).desc()
    return (
        session.execute(mine.order_by(first, Branch.date_changed.desc(), Branch.name).limit(limit))
        .scalars()
        .all()
    )


def count(session: Session, repository: Repository) -> int:
    mine = select(func.count()).select_from(Branch).where(Branch.repository_id == repository.id)
    return session.execute(mine).scalar_one()
