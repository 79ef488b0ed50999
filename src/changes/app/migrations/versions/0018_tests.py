"""Tests at scale: runs by month, numbered in time, and the sums of each day"""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("test_message", "test_run", "test"):
        op.drop_table(table)
    make_tests()
    make_batches()
    make_runs()
    make_days()


def uuid_of(table: str, *, primary_key: bool = False) -> sa.Column[UUID]:
    below = sa.ForeignKey(f"{table}.id", ondelete="CASCADE")
    return sa.Column(
        f"{table.removeprefix('job_')}_id", sa.Uuid(), below, nullable=False, primary_key=primary_key
    )


def number(name: str, kind: type[sa.Integer] = sa.Integer, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, kind(), nullable=nullable)


def key(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), primary_key=True, autoincrement=False)


def date_created(*, default: bool) -> sa.Column[datetime]:
    now = sa.text("now()") if default else None
    return sa.Column("date_created", sa.DateTime(timezone=True), nullable=False, server_default=now)


def make_tests() -> None:
    op.create_table(
        "test",
        sa.Column("id", sa.Integer(), sa.Identity(), primary_key=True),
        date_created(default=True),
        uuid_of("project"),
        sa.Column("name_sha", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text()),
        sa.UniqueConstraint("project_id", "name_sha"),
    )


def make_batches() -> None:
    op.execute("create sequence test_batch_serial cycle maxvalue 4095 minvalue 0 start 0")
    op.create_table(
        "test_batch",
        key("id"),
        number("end_id", sa.BigInteger),
        uuid_of("job_step"),
        uuid_of("job"),
        uuid_of("build"),
        uuid_of("project"),
        date_created(default=False),
        sa.Column("is_of_commit", sa.Boolean(), nullable=False),
        sa.Column("is_summed_up", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.UniqueConstraint("step_id"),
    )
    op.create_index("ix_test_batch_job_id", "test_batch", ["job_id"])
    op.create_index("ix_test_batch_build_id", "test_batch", ["build_id"])
    op.create_index("ix_test_batch_project", "test_batch", ["project_id", "id"])
    op.create_index(
        "ix_test_batch_waiting", "test_batch", ["id"], postgresql_where=sa.text("not is_summed_up")
    )


def make_runs() -> None:
    # Their partitions are made by results/partitions.py, when the server starts and each hour.
    op.execute("create schema if not exists months")
    op.create_table(
        "test_run",
        key("id"),
        number("test_id"),
        number("duration_ms", nullable=True),
        number("result", sa.SmallInteger),
        number("reruns", sa.SmallInteger, nullable=True),
        postgresql_partition_by="RANGE (id)",
    )
    op.create_index("ix_test_run_history", "test_run", ["test_id", "id"])
    op.create_table(
        "test_message",
        key("run_id"),
        sa.Column("text", sa.Text(), nullable=False),
        postgresql_partition_by="RANGE (run_id)",
    )


def make_days() -> None:
    counts = ("runs", "passed", "failed", "flaky", "double_reruns", "reruns", "measured")
    op.create_table(
        "test_day",
        uuid_of("project", primary_key=True),
        sa.Column("day", sa.Date(), primary_key=True),
        sa.Column(
            "test_id",
            sa.Integer(),
            sa.ForeignKey("test.id", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        *(number(name) for name in counts),
        number("duration_ms", sa.BigInteger),
        number("longest_ms"),
    )
    op.create_index("ix_test_day_of_test", "test_day", ["test_id", "day"])
