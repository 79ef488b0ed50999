"""Sums of the tests of each day"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None
COUNTS = ("runs", "passed", "failed", "flaky", "double_reruns", "duration_ms")


def upgrade() -> None:
    op.create_table(
        "project_day",
        sa.Column("project_id", sa.Uuid(), sa.ForeignKey("project.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("day", sa.Date(), primary_key=True),
        sa.Column("tests", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in COUNTS),
    )
    op.execute(
        "insert into project_day (project_id, day, tests, runs, passed, failed, flaky, double_reruns, duration_ms)"
        " select project_id, day, count(*), sum(runs), sum(passed), sum(failed), sum(flaky), sum(double_reruns),"
        " sum(duration_ms) from test_day group by 1, 2"
    )
    is_flaky = sa.text("flaky > 0")
    columns = ["project_id", "day", "test_id"]
    op.create_index("ix_test_day_flaky", "test_day", columns, postgresql_where=is_flaky)
