"""Pages that look at a repository, and at the projects that build it, hear of what happens to it."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from changes.base import bell
from changes.projects.models import Change, Project, Repository


def topic_of(repository: Repository) -> str:
    return f"repository:{repository.id.hex}"


def tell(session: Session, repository: Repository) -> None:
    mine = select(Project.id).where(Project.repository_id == repository.id)
    topics = [f"project:{project_id.hex}" for project_id in session.execute(mine).scalars()]
    bell.tell(session, topic_of(repository), *topics)


def tell_change(session: Session, change: Change) -> None:
    bell.tell(session, f"change:{change.id.hex}")
