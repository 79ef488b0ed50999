"""Errors found in logs"""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    make_errors()
    make_sightings()
    make_lines()


def make_errors() -> None:
    op.create_table(
        "log_error",
        sa.Column("id", sa.Integer(), sa.Identity(), primary_key=True),
        below("project_id", "project.id", sa.Uuid()),
        *(words(name, is_given=True) for name in ("key", "text", "pattern")),
        number("severity", sa.SmallInteger),
        number("rank", sa.SmallInteger),
        number("builds", default="0"),
        uuid("first_build_id"),
        date("date_first"),
        uuid("last_build_id"),
        date("date_last"),
        *(words(name) for name in ("note", "tracker_url", "noted_by")),
        date("date_noted", nullable=True),
        sa.UniqueConstraint("project_id", "key"),
    )


def make_sightings() -> None:
    op.create_table(
        "log_error_in_build",
        below("build_id", "build.id", sa.Uuid(), primary_key=True),
        below("error_id", "log_error.id", sa.Integer(), primary_key=True),
        below("project_id", "project.id", sa.Uuid()),
        number("lines"),
    )
    op.create_index("ix_log_error_in_build_error", "log_error_in_build", ["error_id", "build_id"])
    op.create_index("ix_log_error_in_build_project", "log_error_in_build", ["project_id", "build_id"])


def make_lines() -> None:
    op.create_table(
        "log_error_line",
        below("source_id", "log_source.id", sa.Uuid(), primary_key=True),
        sa.Column("line", sa.BigInteger(), primary_key=True, autoincrement=False),
        number("begins", sa.BigInteger),
        below("error_id", "log_error.id", sa.Integer()),
        words("text", is_given=True),
        number("times"),
        words("around"),
        number("around_first", sa.BigInteger, default="0"),
    )
    op.create_index("ix_log_error_line_error_id", "log_error_line", ["error_id"])
    op.create_table(
        "log_look",
        below("source_id", "log_source.id", sa.Uuid(), primary_key=True),
        number("size_bytes", sa.BigInteger),
        number("skipped_bytes", sa.BigInteger, default="0"),
        number("found"),
    )


def below(
    name: str, other: str, kind: sa.types.TypeEngine[object], *, primary_key: bool = False
) -> sa.Column[object]:
    link = sa.ForeignKey(other, ondelete="CASCADE")
    return sa.Column(name, kind, link, nullable=False, primary_key=primary_key, autoincrement=False)


def number(name: str, kind: type[sa.Integer] = sa.Integer, *, default: str | None = None) -> sa.Column[int]:
    return sa.Column(name, kind(), nullable=False, server_default=default)


def words(name: str, *, is_given: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False, server_default=None if is_given else "")


def date(name: str, *, nullable: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def uuid(name: str) -> sa.Column[UUID]:
    return sa.Column(name, sa.Uuid(), nullable=False)
