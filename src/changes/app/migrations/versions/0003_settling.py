"""Settling: what counts and limits need"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    counted()
    builds()
    steps()


def counted() -> None:
    for table in ("build", "job", "job_phase"):
        op.add_column(table, sa.Column("tally", postgresql.JSONB(astext_type=sa.Text()), nullable=True))


def builds() -> None:
    op.add_column("job", sa.Column("is_optional", sa.Boolean(), server_default="false", nullable=False))
    op.add_column("build", sa.Column("result_rule", sa.SmallInteger(), server_default="0", nullable=False))
    op.add_column("build", sa.Column("endings", sa.Integer(), server_default="0", nullable=False))
    op.add_column("build", sa.Column("retried_id", sa.Uuid(), nullable=True))
    for name in ("date_failing", "date_due"):
        op.add_column("build", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    for name in ("queue_limit_s", "overall_limit_s"):
        op.add_column("build", sa.Column(name, sa.Integer(), nullable=True))
    op.create_foreign_key(
        op.f("fk_build_retried_id"), "build", "build", ["retried_id"], ["id"], ondelete="SET NULL"
    )
    op.create_index(op.f("ix_build_retried_id"), "build", ["retried_id"], unique=False)
    op.create_index(
        "ix_build_due",
        "build",
        ["date_due"],
        unique=False,
        postgresql_where="status <> 3 AND date_due IS NOT NULL",
    )


def steps() -> None:
    op.add_column("job_step", sa.Column("origin", sa.SmallInteger(), server_default="0", nullable=False))
    op.add_column("job_step", sa.Column("queue_limit_s", sa.Integer(), nullable=True))
    op.add_column(
        "job_step",
        sa.Column("date_pending", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
    )
    for name in ("not_before", "date_allocated"):
        op.add_column("job_step", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_job_step_queue_limited",
        "job_step",
        ["date_pending"],
        unique=False,
        postgresql_where="status = 6 AND queue_limit_s IS NOT NULL",
    )
    op.create_index("ix_job_step_lost", "job_step", ["job_id"], unique=False, postgresql_where="origin = 1")
