"""Sums of finished work, by day"""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "work_day",
        *what(),
        number("count"),
        number("took_ms", sa.BigInteger),
        number("longest_ms", sa.BigInteger),
        number("waited_ms", sa.BigInteger),
    )
    op.create_table(
        "work_spread",
        *what(),
        key("measure", sa.SmallInteger),
        key("bucket", sa.SmallInteger),
        number("count"),
    )
    for table in ("work_day", "work_spread"):
        op.create_index(f"ix_{table}_of_all", table, ["day", "scope"])
    op.create_table(
        "slow_step",
        key("project_id", sa.Uuid),
        key("day", sa.Date),
        sa.Column("step_id", sa.Uuid(), sa.ForeignKey("job_step.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("plan_id", sa.Uuid()),
        sa.Column("is_of_commit", sa.Boolean(), nullable=False),
        number("result", sa.SmallInteger),
        number("took_ms", sa.BigInteger),
    )
    op.create_index("ix_slow_step_step_id", "slow_step", ["step_id"])
    op.create_table(
        "stale_day",
        sa.Column("project_id", sa.Uuid(), sa.ForeignKey("project.id", ondelete="CASCADE"), primary_key=True),
        key("day", sa.Date),
        sa.Column(
            "date_created", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")
        ),
    )


def what() -> tuple[sa.Column[object], ...]:
    return (
        key("project_id", sa.Uuid),
        key("day", sa.Date),
        key("scope", sa.SmallInteger),
        key("owner_id", sa.Uuid),
        key("is_of_commit", sa.Boolean),
        key("result", sa.SmallInteger),
    )


def key(name: str, kind: type) -> sa.Column[object]:
    return sa.Column(name, kind(), primary_key=True, autoincrement=False)


def number(name: str, kind: type = sa.Integer) -> sa.Column[object]:
    return sa.Column(name, kind(), nullable=False)
