"""Lanes at which hand-outs look"""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "busy_lane",
        sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True),
        sa.Column("lane_id", sa.Uuid(), nullable=False),
        sa.Column("date_quiet", sa.DateTime(timezone=True), nullable=True),
    )
    op.create_index("ix_busy_lane_lane_id", "busy_lane", ["lane_id"])
    # What waits now is in line at once.
    op.execute("insert into busy_lane (lane_id) select distinct lane_id from job_step where status = 6")
