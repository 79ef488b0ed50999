"""What can be built, and how: repositories and what they hold, projects and their plans."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column, relationship

from changes.base import clock
from changes.base.db import Base, Identified, Numbered
from changes.people.models import Author
from changes.projects.rules import PlanStatus, ProjectStatus, RepositoryBackend, RepositoryStatus


class Repository(Identified, Base):
    __tablename__ = "repository"

    url: Mapped[str] = mapped_column(unique=True)
    backend: Mapped[RepositoryBackend] = mapped_column(Numbered(RepositoryBackend))
    status: Mapped[RepositoryStatus] = mapped_column(Numbered(RepositoryStatus))
    # Why the last attempt to read it failed; empty after one that worked.
    last_error: Mapped[str] = mapped_column(default="", server_default="")
    date_updated: Mapped[datetime | None]
    date_update_attempted: Mapped[datetime | None]


class RepositoryCredential(Base):
    """How to enter a repository; what is secret of it is sealed."""

    __tablename__ = "repository_credential"

    repository_id: Mapped[UUID] = mapped_column(
        ForeignKey("repository.id", ondelete="CASCADE"), primary_key=True
    )
    # The server it was entered for: another one that the repository moves to is not told.
    server: Mapped[str]
    username: Mapped[str] = mapped_column(default="", server_default="")
    # Of the SSH key, which the far side must know; empty for a password.
    public_key: Mapped[str] = mapped_column(default="", server_default="")
    known_hosts: Mapped[str] = mapped_column(default="", server_default="")
    sealed: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    # Also for steps of other projects that check it out beside their own repository.
    is_shared: Mapped[bool] = mapped_column(default=False, server_default="false")
    date_modified: Mapped[datetime] = mapped_column(default=clock.now, onupdate=clock.now)


class Project(Identified, Base):
    __tablename__ = "project"

    slug: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    repository_id: Mapped[UUID] = mapped_column(ForeignKey("repository.id", ondelete="RESTRICT"), index=True)
    status: Mapped[ProjectStatus] = mapped_column(Numbered(ProjectStatus), default=ProjectStatus.ACTIVE)
    avg_build_time_ms: Mapped[int | None]
    # The highest build number given out; numbers are never given out twice.
    last_build_number: Mapped[int] = mapped_column(default=0, server_default="0")

    repository: Mapped[Repository] = relationship(lazy="joined", innerjoin=True)


class ProjectOption(Identified, Base):
    __tablename__ = "project_option"

    project_id: Mapped[UUID] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    name: Mapped[str]
    value: Mapped[str]

    __table_args__ = (UniqueConstraint("project_id", "name"),)


class ProjectSecret(Identified, Base):
    """A variable of the trusted steps that name it; its value is sealed (secrets.py) and never shown."""

    __tablename__ = "project_secret"

    project_id: Mapped[UUID] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    name: Mapped[str]
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    date_modified: Mapped[datetime] = mapped_column(default=clock.now)

    __table_args__ = (UniqueConstraint("project_id", "name"),)


class ItemOption(Identified, Base):
    """Options of plans, steps and repositories, told apart by the id of their item."""

    __tablename__ = "item_option"

    item_id: Mapped[UUID]
    name: Mapped[str]
    value: Mapped[str]

    __table_args__ = (UniqueConstraint("item_id", "name"),)


class Plan(Identified, Base):
    __tablename__ = "plan"

    project_id: Mapped[UUID] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    label: Mapped[str]
    status: Mapped[PlanStatus] = mapped_column(Numbered(PlanStatus), default=PlanStatus.INACTIVE)
    # Its recipe stands in the repository; the row only gives its jobs a common history.
    in_repository: Mapped[bool] = mapped_column(default=False, server_default="false")
    avg_build_time_ms: Mapped[int | None]
    date_modified: Mapped[datetime] = mapped_column(default=clock.now, onupdate=clock.now)

    project: Mapped[Project] = relationship(lazy="joined", innerjoin=True)
    steps: Mapped[list["Step"]] = relationship(order_by="Step.order", passive_deletes=True)

    __table_args__ = (UniqueConstraint("project_id", "label", "in_repository"),)


class Step(Identified, Base):
    __tablename__ = "step"

    plan_id: Mapped[UUID] = mapped_column(ForeignKey("plan.id", ondelete="CASCADE"))
    implementation: Mapped[str]
    order: Mapped[int] = mapped_column(default=0)
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)
    date_modified: Mapped[datetime] = mapped_column(default=clock.now, onupdate=clock.now)

    __table_args__ = (UniqueConstraint("plan_id", "order"), CheckConstraint('"order" >= 0', name="order"))


class Revision(Base):
    """A commit, as far as anybody asked for it."""

    __tablename__ = "revision"

    repository_id: Mapped[UUID] = mapped_column(
        ForeignKey("repository.id", ondelete="CASCADE"), primary_key=True
    )
    sha: Mapped[str] = mapped_column(primary_key=True)
    author_id: Mapped[UUID | None] = mapped_column(ForeignKey("author.id", ondelete="SET NULL"), index=True)
    committer_id: Mapped[UUID | None] = mapped_column(ForeignKey("author.id", ondelete="SET NULL"))
    message: Mapped[str] = mapped_column(default="")
    parents: Mapped[list[str]] = mapped_column(ARRAY(Text), default=list)
    branches: Mapped[list[str]] = mapped_column(ARRAY(Text), default=list)
    # The text of the configuration file at this revision; None = not read yet, "" = there is none.
    config: Mapped[str | None]
    date_created: Mapped[datetime] = mapped_column(default=clock.now)
    date_committed: Mapped[datetime | None]

    author: Mapped[Author | None] = relationship(foreign_keys=[author_id], lazy="joined")

    # The newest of a repository says which plans stand in it.
    __table_args__ = (
        Index("ix_revision_newest", "repository_id", text("date_committed DESC NULLS LAST"), "sha"),
    )

    @property
    def subject(self) -> str:
        return self.message.strip().split("\n", 1)[0]


class Patch(Identified, Base):
    """An immutable diff against one revision."""

    __tablename__ = "patch"

    repository_id: Mapped[UUID] = mapped_column(ForeignKey("repository.id", ondelete="CASCADE"), index=True)
    parent_revision_sha: Mapped[str]
    diff: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)


class Source(Identified, Base):
    """What a build builds: a revision, optionally with a patch on top."""

    __tablename__ = "source"

    repository_id: Mapped[UUID] = mapped_column(ForeignKey("repository.id", ondelete="CASCADE"))
    revision_sha: Mapped[str]
    patch_id: Mapped[UUID | None] = mapped_column(ForeignKey("patch.id", ondelete="CASCADE"), unique=True)
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)

    repository: Mapped[Repository] = relationship(lazy="joined", innerjoin=True)
    revision: Mapped[Revision] = relationship(lazy="joined", innerjoin=True, viewonly=True)
    patch: Mapped[Patch | None] = relationship(lazy="joined")

    __table_args__ = (
        ForeignKeyConstraint(
            ["repository_id", "revision_sha"], ["revision.repository_id", "revision.sha"], ondelete="CASCADE"
        ),
        Index(
            "uq_source_commit",
            "repository_id",
            "revision_sha",
            unique=True,
            postgresql_where="patch_id IS NULL",
        ),
    )
