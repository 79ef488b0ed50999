"""Smaller indexes of test runs, flaky days apart, where failures are, commits without foreign keys"""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Runs of a batch share an entry, where the key had one of its own for each: 15 bytes less in 113.
    op.drop_constraint("pk_test_run", "test_run")
    op.create_index("ix_test_run_batch", "test_run", [sa.text("(id & '-1048576'::bigint)")])
    set_flaky_days_apart()
    op.drop_constraint("fk_revision_repository_id", "revision")
    op.add_column("failure_cause", sa.Column("place", sa.Text(), nullable=False, server_default=""))


def set_flaky_days_apart() -> None:
    op.create_table(
        "test_flaky_day",
        sa.Column("project_id", sa.Uuid(), sa.ForeignKey("project.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("day", sa.Date(), primary_key=True),
        sa.Column("test_id", sa.Integer(), primary_key=True, autoincrement=False),
        *(
            sa.Column(name, sa.Integer(), nullable=False)
            for name in ("flaky", "double_reruns", "passed", "reruns")
        ),
    )
    op.execute(
        "insert into test_flaky_day (project_id, day, test_id, flaky, double_reruns, passed, reruns)"
        " select project_id, day, test_id, flaky, double_reruns, passed, reruns from test_day"
        " where flaky > 0 order by 2, 1, 3"
    )
    op.drop_index("ix_test_day_flaky", "test_day")
