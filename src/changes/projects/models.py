"""What can be built, and how: repositories and what they hold, projects and their plans."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Text,
    UniqueConstraint,
    and_,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, foreign, mapped_column, relationship

from changes.base import clock
from changes.base.db import Base, Identified, Numbered
from changes.people.models import Author, User
from changes.projects.rules import (
    HIDDEN,
    TABS_SHOWN_BY,
    ChangeKind,
    ChangeState,
    CommentTarget,
    PlanStatus,
    ProjectStatus,
    RepositoryBackend,
    RepositoryStatus,
)


class Repository(Identified, Base):
    __tablename__ = "repository"

    url: Mapped[str] = mapped_column(unique=True)
    backend: Mapped[RepositoryBackend] = mapped_column(Numbered(RepositoryBackend))
    status: Mapped[RepositoryStatus] = mapped_column(Numbered(RepositoryStatus))
    # Why the last attempt to read it failed; empty after one that worked.
    last_error: Mapped[str] = mapped_column(default="", server_default="")
    date_updated: Mapped[datetime | None]
    date_update_attempted: Mapped[datetime | None]
    # When it is looked at next; None = as soon as somebody has time.
    date_next_sync: Mapped[datetime | None]
    # Tries in a row that failed, by which the pauses between them grow.
    sync_failures: Mapped[int] = mapped_column(default=0, server_default="0")
    # When something new was found, by which the pauses grow where nothing happens.
    date_changed: Mapped[datetime | None]
    # Of the import that goes on: how many commits are stored.
    imported_count: Mapped[int] = mapped_column(default=0, server_default="0")
    # Whether all that its branches held when it was read first is stored.
    is_imported: Mapped[bool] = mapped_column(default=False, server_default="false")
    default_branch: Mapped[str] = mapped_column(default="", server_default="")
    # Counts the addresses that its webhook had; an old one rings nothing.
    hook_number: Mapped[int] = mapped_column(default=1, server_default="1")


class Branch(Base):
    """A branch as it was when it was looked at last; by these rows the next look knows what is new."""

    __tablename__ = "branch"

    repository_id: Mapped[UUID] = mapped_column(
        ForeignKey("repository.id", ondelete="CASCADE"), primary_key=True
    )
    name: Mapped[str] = mapped_column(primary_key=True)
    sha: Mapped[str]
    date_changed: Mapped[datetime]


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
    # Asked for only where tabs are drawn.
    options_that_hide: Mapped[list["ProjectOption"]] = relationship(
        viewonly=True,
        primaryjoin=lambda: and_(
            foreign(ProjectOption.project_id) == Project.id,
            ProjectOption.name.in_(TABS_SHOWN_BY),
            ProjectOption.value == HIDDEN,
        ),
    )

    @property
    def hidden_tabs(self) -> list[str]:
        return [TABS_SHOWN_BY[option.name] for option in self.options_that_hide]


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
    # The plan whose snapshots this one begins with, instead of its own.
    snapshot_plan_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("plan.id", ondelete="SET NULL"), index=True
    )
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


# When a commit was made, as far as anybody knows.
MADE = "coalesce(date_committed, date_created)"


class Revision(Base):
    """A commit, as far as anybody asked for it."""

    __tablename__ = "revision"

    # No foreign keys: nobody deletes repositories or authors, and to look for three of them for each commit
    # is half of an import.
    repository_id: Mapped[UUID] = mapped_column(primary_key=True)
    sha: Mapped[str] = mapped_column(primary_key=True)
    author_id: Mapped[UUID | None] = mapped_column(index=True)
    committer_id: Mapped[UUID | None]
    message: Mapped[str] = mapped_column(default="")
    parents: Mapped[list[str]] = mapped_column(ARRAY(Text), default=list)
    branches: Mapped[list[str]] = mapped_column(ARRAY(Text), default=list)
    # The text of the configuration file at this revision; None = not read yet, "" = there is none.
    config: Mapped[str | None]
    date_created: Mapped[datetime] = mapped_column(default=clock.now)
    date_committed: Mapped[datetime | None]

    author: Mapped[Author | None] = relationship(
        primaryjoin="foreign(Revision.author_id) == Author.id", lazy="joined"
    )

    # The newest of a repository says which plans stand in it.
    __table_args__ = (Index("ix_revision_newest", "repository_id", text(f"{MADE} DESC"), "sha"),)

    @property
    def subject(self) -> str:
        return self.message.strip().split("\n", 1)[0]


class Patch(Identified, Base):
    """An immutable diff against one revision."""

    __tablename__ = "patch"
    __table_args__ = (
        Index("ix_patch_fingerprint", "repository_id", "fingerprint", postgresql_where="fingerprint <> ''"),
    )

    repository_id: Mapped[UUID] = mapped_column(ForeignKey("repository.id", ondelete="CASCADE"), index=True)
    parent_revision_sha: Mapped[str]
    # None where it is too large for a row; then it lies in the blob storage (patches.py).
    diff: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)
    # Of the bytes, in hex; equal ones are stored once.
    digest: Mapped[str] = mapped_column(default="", server_default="")
    size_bytes: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    file_count: Mapped[int] = mapped_column(default=0, server_default="0")
    added_count: Mapped[int] = mapped_column(default=0, server_default="0")
    removed_count: Mapped[int] = mapped_column(default=0, server_default="0")
    # Equal for the same lines at another place (diffs.py); empty for what is no diff of text.
    fingerprint: Mapped[str] = mapped_column(default="", server_default="")
    label: Mapped[str] = mapped_column(default="", server_default="")
    url: Mapped[str] = mapped_column(default="", server_default="")


class Change(Identified, Base):
    """What lives through many versions: a commit, or what is proposed and may become one."""

    __tablename__ = "change"

    repository_id: Mapped[UUID] = mapped_column(ForeignKey("repository.id", ondelete="CASCADE"))
    # For which it was made by a caller of the API; None = for any of its repository.
    project_id: Mapped[UUID | None] = mapped_column(ForeignKey("project.id", ondelete="SET NULL"))
    kind: Mapped[ChangeKind] = mapped_column(Numbered(ChangeKind))
    # Which system calls it so, and how; a commit is called by its sha.
    provider: Mapped[str] = mapped_column(default="", server_default="")
    external_id: Mapped[str]
    url: Mapped[str] = mapped_column(default="", server_default="")
    title: Mapped[str]
    message: Mapped[str] = mapped_column(default="", server_default="")
    author_id: Mapped[UUID | None] = mapped_column(ForeignKey("author.id", ondelete="SET NULL"), index=True)
    state: Mapped[ChangeState] = mapped_column(Numbered(ChangeState), default=ChangeState.OPEN)
    # The commit that it became, and by what that was seen.
    landed_sha: Mapped[str | None]
    landed_by: Mapped[str] = mapped_column(default="", server_default="")
    date_landed: Mapped[datetime | None]
    # The highest number of a version; numbers are never given out twice.
    last_source_number: Mapped[int] = mapped_column(default=0, server_default="0")
    date_modified: Mapped[datetime] = mapped_column(default=clock.now)

    repository: Mapped[Repository] = relationship(lazy="joined", innerjoin=True)
    author: Mapped[Author | None] = relationship(lazy="joined")

    __table_args__ = (
        UniqueConstraint("repository_id", "provider", "external_id"),
        Index("ix_change_newest", "date_modified", "id"),
        Index("ix_change_project_id", "project_id"),
        Index("ix_change_landed", "repository_id", "landed_sha", postgresql_where="landed_sha IS NOT NULL"),
        Index("ix_change_open", "repository_id", "id", postgresql_where="state = 0"),
    )


class Comment(Identified, Base):
    """What somebody who is signed in said of a change, a version, a line of it, a build, a job or a test."""

    __tablename__ = "comment"

    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    target: Mapped[CommentTarget] = mapped_column(Numbered(CommentTarget))
    target_id: Mapped[UUID]
    # Of a line of a version: which file, and which line of its new side.
    path: Mapped[str] = mapped_column(default="", server_default="")
    line: Mapped[int | None]
    text: Mapped[str]

    user: Mapped[User | None] = relationship(lazy="joined")

    __table_args__ = (Index("ix_comment_target", "target", "target_id", "id"),)


class Source(Identified, Base):
    """What a build builds: a revision, optionally with a patch on top."""

    __tablename__ = "source"

    repository_id: Mapped[UUID] = mapped_column(ForeignKey("repository.id", ondelete="CASCADE"))
    revision_sha: Mapped[str]
    patch_id: Mapped[UUID | None] = mapped_column(ForeignKey("patch.id", ondelete="CASCADE"), unique=True)
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)
    # Of which change this is a version, and the how manieth.
    change_id: Mapped[UUID | None] = mapped_column(ForeignKey("change.id", ondelete="SET NULL"))
    number: Mapped[int | None]

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
        Index(
            "uq_source_version", "change_id", "number", unique=True, postgresql_where="change_id IS NOT NULL"
        ),
    )
