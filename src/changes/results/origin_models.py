"""Searches for the commit that broke a test, and the commits among which they look."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, false
from sqlalchemy.orm import Mapped, mapped_column, relationship

from changes.base.db import Base, Identified, Numbered
from changes.builds.models import Build
from changes.projects.models import Project
from changes.results.models import Test
from changes.results.origin_rules import SearchState, Verdict


class OriginSearch(Identified, Base):
    __tablename__ = "origin_search"

    project_id: Mapped[UUID] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    test_id: Mapped[int] = mapped_column(ForeignKey("test.id", ondelete="CASCADE"))
    state: Mapped[SearchState] = mapped_column(Numbered(SearchState), default=SearchState.SEARCHING)
    good_sha: Mapped[str]
    bad_sha: Mapped[str]
    # The plan whose job runs the test: the others are not built.
    plan: Mapped[str] = mapped_column(default="", server_default="")
    # The test ran elsewhere: `plan` is the part of those builds, and nothing can be built here.
    is_told: Mapped[bool] = mapped_column(default=False, server_default=false())
    # So many builds at once.
    parallel: Mapped[int]
    asked_by: Mapped[str] = mapped_column(default="", server_default="")
    culprit_sha: Mapped[str | None]
    # Why it was given up.
    why: Mapped[str] = mapped_column(default="", server_default="")
    # How long machines took for builds that they lost.
    lost_ms: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    date_finished: Mapped[datetime | None]

    project: Mapped[Project] = relationship(lazy="joined", innerjoin=True)
    test: Mapped[Test] = relationship(lazy="joined", innerjoin=True)

    __table_args__ = (
        Index("ix_origin_search_project", "project_id", "id"),
        Index("ix_origin_search_test", "test_id", "id"),
        Index("ix_origin_search_culprit", "culprit_sha", postgresql_where="culprit_sha IS NOT NULL"),
        Index("ix_origin_search_open", "id", postgresql_where="state = 0"),
    )


class OriginPlace(Base):
    """One commit of a search; place 0 is the good one, the last is the bad one."""

    __tablename__ = "origin_place"

    search_id: Mapped[UUID] = mapped_column(
        ForeignKey("origin_search.id", ondelete="CASCADE"), primary_key=True
    )
    place: Mapped[int] = mapped_column(primary_key=True)
    sha: Mapped[str]
    verdict: Mapped[Verdict] = mapped_column(Numbered(Verdict), default=Verdict.UNKNOWN)
    # The build that says it, or will.
    build_id: Mapped[UUID | None] = mapped_column(ForeignKey("build.id", ondelete="SET NULL"), index=True)
    # The search asked for that build.
    is_ours: Mapped[bool] = mapped_column(default=False, server_default="false")
    # So many builds that the search had asked for before were lost by machines.
    lost_builds: Mapped[int] = mapped_column(default=0, server_default="0")
    # Why nothing is known of it, as who cancelled its build.
    why: Mapped[str] = mapped_column(default="", server_default="")

    build: Mapped[Build | None] = relationship(lazy="raise_on_sql")
