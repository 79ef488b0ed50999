"""Causes of failures and flaky tests"""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    make_causes()
    make_sightings()
    make_flakiness()
    make_quarantine()
    op.add_column("test_message", number("cause_id", nullable=True))
    op.create_index("ix_test_message_cause", "test_message", ["cause_id", "run_id"])


def below(table: str, kind: sa.types.TypeEngine[object], *, primary_key: bool = False) -> sa.Column[object]:
    column = "cause_id" if table == "failure_cause" else f"{table}_id"
    link = sa.ForeignKey(f"{table}.id", ondelete="CASCADE")
    return sa.Column(column, kind, link, nullable=False, primary_key=primary_key, autoincrement=False)


def number(name: str, kind: type[sa.Integer] = sa.Integer, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, kind(), nullable=nullable)


def words(name: str, *, is_given: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False, server_default=None if is_given else "")


def date(name: str, *, nullable: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def uuid(name: str, *, primary_key: bool = False) -> sa.Column[UUID]:
    return sa.Column(name, sa.Uuid(), nullable=False, primary_key=primary_key)


def make_causes() -> None:
    op.create_table(
        "failure_cause",
        sa.Column("id", sa.Integer(), sa.Identity(), primary_key=True),
        below("project", sa.Uuid()),
        words("fingerprint", is_given=True),
        words("headline", is_given=True),
        number("first_run", sa.BigInteger),
        words("note"),
        words("tracker_url"),
        words("verdict"),
        words("noted_by"),
        date("date_noted", nullable=True),
        sa.UniqueConstraint("project_id", "fingerprint"),
    )


def make_sightings() -> None:
    op.create_table(
        "failure_in_build",
        below("build", sa.Uuid(), primary_key=True),
        below("failure_cause", sa.Integer(), primary_key=True),
        below("project", sa.Uuid()),
        uuid("change_key"),
        number("runs"),
        number("last_run", sa.BigInteger),
    )
    op.create_index("ix_failure_in_build_cause", "failure_in_build", ["cause_id", "last_run"])
    op.create_index("ix_failure_in_build_project", "failure_in_build", ["project_id", "last_run"])
    op.create_index("ix_failure_in_build_newest", "failure_in_build", ["last_run"])


def make_flakiness() -> None:
    counts = ("runs", "sources", "split_sources", "passed_again", "lone_failures", "reruns", "red_builds")
    op.create_table(
        "test_flakiness",
        below("test", sa.Integer(), primary_key=True),
        below("project", sa.Uuid()),
        number("score", sa.SmallInteger),
        *(number(name) for name in counts),
        number("lost_ms", sa.BigInteger),
        number("last_run", sa.BigInteger),
        date("date_modified"),
    )
    op.create_index("ix_test_flakiness_score", "test_flakiness", ["project_id", "score", "test_id"])


def make_quarantine() -> None:
    op.create_table(
        "test_quarantine",
        uuid("id", primary_key=True),
        date("date_created"),
        below("project", sa.Uuid()),
        below("test", sa.Integer()),
        words("owner", is_given=True),
        words("reason", is_given=True),
        words("created_by", is_given=True),
        date("date_expires"),
        number("passes_needed"),
        date("date_ended", nullable=True),
        words("ended_by"),
        words("ended_why"),
    )
    op.create_index(
        "uq_test_quarantine_live",
        "test_quarantine",
        ["test_id"],
        unique=True,
        postgresql_where=sa.text("date_ended IS NULL"),
    )
    op.create_index("ix_test_quarantine_project", "test_quarantine", ["project_id", "id"])
